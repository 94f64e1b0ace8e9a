"""Round trip: several processes that train the same run at once are one, and the others say so."""

import random
import shutil
import time
from pathlib import Path

from _series import FORK, assert_nothing_lost, finish, rounds, started


def test_writers(whole: Path, tmp_path: Path) -> None:
    for seed in rounds(sample=1, minutes=4):
        rng, path, said = random.Random(seed), tmp_path / str(seed), FORK.SimpleQueue()
        processes = []
        for _ in range(4):
            processes.append(started(path, said))
            time.sleep(rng.choice((0, 0, 0.05, 0.3)))
        if rng.random() < 0.3:
            processes[0].kill()
        for process in processes:
            process.join(300)
        assert {process.exitcode for process in processes[1:]} <= {0, 2}
        while not said.empty():
            sentence = said.get()
            assert "is being trained by process " in sentence or "exists already" in sentence, sentence
        finish(path)
        assert_nothing_lost(whole, path)
        shutil.rmtree(path)
