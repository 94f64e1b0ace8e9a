"""Round trips: a file that cannot be written whole is not written at all."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest
import torch

from lcfs.errors import InputError
from lcfs.runs import atomic
from lcfs.runs.atomic import save_atomically
from lcfs.runs.checkpoints import load_checkpoint


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    save_atomically({"x": torch.ones(3)}, path)
    code = (
        "import resource, sys, torch; from pathlib import Path\n"
        "from lcfs.runs.atomic import save_atomically; from lcfs.errors import InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: save_atomically({'x': torch.zeros(1_000_000)}, Path(sys.argv[1]))\n"
        "except InputError as error: print(error); sys.exit(2)"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stdout
    assert torch.equal(load_checkpoint(path)["x"], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["net.pt"]


def test_a_full_disk_is_named_and_not_in_cpp(tmp_path: Path) -> None:
    """torch's writer turns what the file said into words of its own."""

    @contextmanager
    def full(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
        handle = open("/dev/full", "wb")  # noqa: SIM115
        try:
            yield handle, path
        finally:
            with suppress(OSError):  # closing writes what is left
                handle.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic, "_temporary", full)
        with pytest.raises(InputError, match=r"net\.pt cannot be written \(No space left on device\); make room"):
            save_atomically({"x": torch.zeros(100_000)}, tmp_path / "net.pt")
