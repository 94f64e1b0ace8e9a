"""Round trip: a run whose newest checkpoint and metrics are damaged at random goes on from the checkpoint before."""

import random
import shutil
from pathlib import Path

from _series import assert_nothing_lost, finish, rounds

_ODD = (b"5\n", b"{}\n", b"\xff\xfe\n", b'{"epoch": 3, "train/lo', b"null\n", b'{"epoch": "x"}\n', b"\0\0\0\n")


def test_damage(whole: Path, tmp_path: Path) -> None:
    for seed in rounds(sample=3, minutes=4):
        rng, path = random.Random(seed), tmp_path / str(seed)
        shutil.copytree(whole, path)
        (path / "summary.json").unlink()
        _damage(max(path.glob("checkpoints/*.pt")), rng)
        with (path / "metrics.jsonl").open("ab") as handle:
            handle.writelines(rng.choices(_ODD, k=3))
        finish(path)
        assert_nothing_lost(whole, path)
        shutil.rmtree(path)


def _damage(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    kind = rng.choice(("bits", "cut", "zeros", "nothing", "folder"))
    if kind == "bits":
        for _ in range(rng.randint(1, 20)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[rng.randrange(len(content)) :]
    elif kind == "zeros":
        start = rng.randrange(len(content))
        content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    file.write_bytes(b"" if kind == "nothing" else content)
    if kind == "folder":
        file.unlink()
        file.mkdir()
