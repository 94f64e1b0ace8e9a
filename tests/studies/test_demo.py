"""Surface: the demo goes on with its own runs, deletes nothing, and its heading names every column."""

from pathlib import Path

import pytest

from studies import demo
from studies.engine.scales import DEMO


@pytest.fixture(autouse=True)
def _without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcfs.tracking.available", lambda: False)


def test_a_second_demo_trains_nothing_and_deletes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "runs" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("not the demo's")
    assert demo.run(tmp_path, seeds=1, epochs=1, jobs=1) == 0
    first = capsys.readouterr().out
    assert "12/12" in first
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")}
    assert demo.run(tmp_path, seeds=1, epochs=1, jobs=1) == 0
    again = capsys.readouterr().out
    assert "12/12" not in again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")} == times
    assert mine.read_text() == "not the demo's"
    assert "kbit, shortest code" in again
    assert {path.name for path in tmp_path.glob("*.png")} == {"filters.png", "nonzeros.png"}


def test_every_column_has_a_heading() -> None:
    metrics = {"final/test_accuracy": 0.5, "final/weights": 10, "final/nonzeros": 4, "final/nonzeros/conv1": 3}
    metrics |= {"bits/dense": 9e3, "bits/theorem2": 5e3, "bits/best": 4e3, "bound/best/occam_kl": 0.95}
    run = demo.Record("x", "finished", {"data": "digits"}, metrics, {}, {})
    numbers = dict(zip(demo._HEADER[2:], demo._numbers([run]), strict=True))
    assert (numbers["kbit, dense"], numbers["kbit, Theorem 2"], numbers["kbit, shortest code"]) == ("9", "5", "4")
    assert numbers["least bound on the error %"] == "95.0 vacuous"


def test_the_grid_has_every_net_by_every_method() -> None:
    cells = demo.cells(DEMO)
    assert len({cell.row for cell in cells}) == 12
    assert len(cells) == 12 * len(DEMO.seeds)
    assert all(cell.config.data == "digits" for cell in cells)
