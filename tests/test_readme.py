"""Surface: what the README tells its reader to type exists, and its numbers are those of the records."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lcfs import cli

ROOT = Path(__file__).parent.parent
_BLOCKS = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
LINES = [line.split("#")[0].strip() for block in _BLOCKS for line in block.splitlines()]


def test_numbers_are_those_of_the_records() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/readme_numbers.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("lcfs ") and "--help" not in line])
def test_every_command_takes_the_options_shown(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = line.replace("[", "").replace("]", "").split()[1:]
    with_preset = words[0] == "train" and not words[1].startswith("-")
    with pytest.raises(SystemExit) as stop:
        cli.main([*words[: 1 + with_preset], "--help"])
    help_text = capsys.readouterr().out
    assert not stop.value.code
    assert [word for word in words if word.startswith("--") and word not in help_text] == []


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_every_make_target_exists(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
