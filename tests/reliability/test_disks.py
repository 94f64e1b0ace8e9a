"""Round trip: a disk that is full at random places ends a training with one sentence, and nothing is half-written."""

import random
import shutil
from pathlib import Path

from _series import FORK, assert_nothing_lost, finish, rounds, started


def test_full_disks(whole: Path, tmp_path: Path) -> None:
    largest = max(file.stat().st_size for file in whole.rglob("*.pt"))
    for seed in rounds(sample=1, minutes=4):
        rng, path, said = random.Random(seed), tmp_path / str(seed), FORK.SimpleQueue()
        for size in rng.sample(range(largest), 2):  # a limit on the size of files is met as a full disk is
            process = started(path, said, file_size=size)
            process.join(300)
            assert process.exitcode == 2
            sentence = said.get()
            assert "cannot be written (File too large); make room" in sentence, sentence
            assert "\n" not in sentence
        finish(path)
        assert_nothing_lost(whole, path)
        shutil.rmtree(path)
