"""Surface: the examples run as they stand, and each fits on a page."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
SAYS = {
    "train": "β-LASSO: ",
    "certify_a_checkpoint": "verified: True\na forged one: False",
    "embed": "in fc: 1,597,920 weights",
    "a_study_of_ones_own": "β = 10",
}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_example(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(file), run_name="__main__")
    assert SAYS[file.stem] in capsys.readouterr().out
    assert len(file.read_text().splitlines()) <= 75
