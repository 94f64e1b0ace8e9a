"""Round trips: a file that cannot be written whole is not written at all."""

import resource
import subprocess
import sys
from pathlib import Path

import torch

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
