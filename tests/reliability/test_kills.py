"""Round trip: a training that is killed, terminated or interrupted at random moments ends as if it never had been."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from _series import FORK, assert_nothing_lost, finish, rounds, started

_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def test_kills(whole: Path, tmp_path: Path) -> None:
    for seed in rounds(sample=2, minutes=6):
        rng, path = random.Random(seed), tmp_path / str(seed)
        for _ in range(rng.randint(1, 4)):
            process = started(path)
            time.sleep(rng.uniform(0, 0.6))
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, rng.choice(_SIGNALS))
            process.join()
        finish(path)
        assert_nothing_lost(whole, path)
        shutil.rmtree(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # mlflow's own
def test_kills_while_a_store_is_made(tmp_path: Path) -> None:
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  before the forks

    from lcfs import tracking

    for seed in rounds(sample=1, minutes=2):
        rng, folder = random.Random(seed), tmp_path / str(seed)
        uri = f"sqlite:///{folder}/mlflow.db"
        for _ in range(3):
            process = FORK.Process(target=tracking.prepare, args=(uri,))
            process.start()
            time.sleep(rng.uniform(0, 2))
            process.kill()
            process.join()
        process = FORK.Process(target=tracking.prepare, args=(uri,))
        process.start()
        process.join(120)
        assert process.exitcode == 0
        assert sorted(file.name for file in folder.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
        shutil.rmtree(folder)
