"""Launches: what is swept, a directory for each start that trains something, and what an interrupt leaves behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from lcfs import data
from lcfs.config import OptimizerConfig, TrainConfig
from lcfs.runs import Run
from lcfs.runs.launch import read_launch
from studies.engine import command, launching, overview, study
from studies.engine.configurations import cell_name
from studies.engine.runner import run_cells
from studies.engine.scales import SCALES, SGD
from studies.engine.study import Cell, Table

SMOKE = SCALES["smoke"]
STUDY = study.find("pixel_permutation")


@pytest.fixture(autouse=True)
def _without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcfs.tracking.available", lambda: False)


def cells() -> list[Cell]:
    config = replace(SMOKE.config("s-fc", SMOKE.beta_lasso(), 0), epochs=1)
    return [Cell("S-FC", config), Cell("S-FC", replace(config, seed=1))]


def test_swept_fields_are_those_that_differ_where_they_are_read() -> None:
    lasso = OptimizerConfig("beta-lasso", l1_fc=1e-3, beta=10.0)
    base = TrainConfig("s-fc", base_channels=2)
    found = launching.swept(
        {
            "sgd": replace(base, optimizer=SGD),
            "one": replace(base, optimizer=lasso),
            "two": replace(base, optimizer=replace(lasso, l1_fc=2e-3, momentum=0.9), seed=1),
        }
    )
    assert "optimizer.beta" not in found["sgd"], "SGD reads no β"
    assert found["one"]["optimizer.beta"] == "10"
    assert [fields.get("optimizer.l1_fc") for fields in found.values()] == [None, "0.001", "0.002"]
    assert {fields["optimizer.momentum"] for fields in found.values()} == {"0", "0.9"}
    assert all({"base_channels", "optimizer.weight_decay"}.isdisjoint(fields) for fields in found.values())


def test_a_launch_names_what_it_trains_and_one_without_work_is_the_last(tmp_path: Path) -> None:
    first = launching.begin("pixel_permutation", "smoke", STUDY, cells(), tmp_path)
    launch = read_launch(first)
    assert launch.trained == tuple(launch.cells) == tuple(cell_name(cell.config) for cell in cells())
    assert [cell.title for cell in launch.cells.values()] == ["S-FC, seed 0", "S-FC, seed 1"]
    run_cells(cells()[:1], tmp_path)
    second = launching.begin("pixel_permutation", "smoke", STUDY, cells(), tmp_path)
    assert read_launch(second).trained == launch.trained[1:]
    run_cells(cells(), tmp_path)
    assert launching.begin("pixel_permutation", "smoke", STUDY, cells(), tmp_path) in (first, second)
    assert read_launch(launching.begin("other", "smoke", STUDY, cells(), tmp_path)).trained == ()
    assert len(list((tmp_path / "launches").iterdir())) == 3


def test_data_are_marked_by_their_fingerprints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    digits = data.load("digits")
    train, test = launching.data_marks(cells())
    assert (train.images, train.fingerprint) == (1437, digits.train.fingerprint())
    assert (test.split, test.fingerprint) == ("test", digits.test.fingerprint())
    monkeypatch.setenv("LCFS_DATA", str(tmp_path))
    absent = Cell("S-FC", replace(cells()[0].config, data="cifar10"))
    assert launching.data_marks([absent]) == ()


def test_an_interrupted_study_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_cells", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.run(command.Order("pixel_permutation", "smoke", jobs=1, runs=tmp_path))
    (folder,) = (tmp_path / "smoke" / "launches").iterdir()
    launch = read_launch(folder)
    assert launch.status == "interrupted"
    assert launch.ended is not None


def test_tables_and_pictures_lie_in_the_launch(tmp_path: Path) -> None:
    folder = launching.begin("pixel_permutation", "smoke", STUDY, cells(), tmp_path)
    launching.write_tables(folder, [Table("a title", ("net", "n"), (("S-FC, β", "2"),))])
    assert (folder / "artifacts" / "table-1.csv").read_text(encoding="utf-8") == 'net,n\n"S-FC, β",2\n'
    found = run_cells(cells(), tmp_path)
    assert overview.draw({"S-FC": list(found.values())}, folder)
    assert overview.draw({}, folder) is None
    path = tmp_path / next(iter(found))
    picture = overview.draw_filters(path)
    assert picture == path / "artifacts" / "filters.png"
    assert overview.draw_filters(path) is None, "there is a picture"
    assert overview.draw_filters(Run.create(tmp_path / "new", cells()[0].config).path) is None, "there is no net"


def test_filters_of_signals_are_drawn_as_curves(tmp_path: Path) -> None:
    config = replace(SCALES["signals"].config("s-conv", SGD, 0), epochs=1, base_channels=1)
    (record,) = run_cells([Cell("S-CONV", config)], tmp_path).values()
    assert overview.draw_filters(tmp_path / record.name)
