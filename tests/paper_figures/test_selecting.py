"""Finding records by what was trained, with negative controls; and the figures of records made for the test."""

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from lcfs.config import OptimizerConfig, TrainConfig
from lcfs.errors import InputError
from paper_figures import (
    beta_lambda,
    figure2,
    figure3,
    figure5,
    figure6,
    pixel_permutation,
    sparsity_against_bounds,
    table1,
    table2,
)
from paper_figures.tools import selecting
from paper_figures.tools.accuracy_curves import Curve, Point
from studies.engine.configurations import cell_name, differences
from studies.engine.records import Record, write
from studies.engine.scales import SCALES, SGD
from studies.grids import kernel_sizes, lambda_and_beta, scaling, sharing_and_locality, training_fully_connected

LAPTOP = SCALES["laptop"]


def record(config: TrainConfig, test: float = 0.5, train: float = 0.6, **changes: Any) -> Record:
    """As if this configuration had been trained."""
    metrics = {"final/test_accuracy": test, "final/train_error": 1 - train, "final/nonzeros": 50, "final/weights": 1000}
    values = dataclasses.asdict(config)
    values.pop("data_dir")
    return dataclasses.replace(Record(cell_name(config), "finished", values, metrics, {}, {}, 50_000), **changes)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the committed records."""
    monkeypatch.setattr(selecting, "RECORDS", tmp_path / "records")
    return tmp_path


def keep(folder: Path, *records: Record) -> None:
    for each in records:
        write(each, folder / "records" / "laptop")


def table(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / f"{name}.csv").read_text().splitlines()))


def altered(value: Any, kind: Any) -> Any:
    """Another value of the same type."""
    if get_origin(kind) is Literal:
        return next(other for other in get_args(kind) if other != value)
    if isinstance(value, bool):
        return not value
    return f"{value}x" if value is None or isinstance(value, str) else value + 1 if kind is int else value / 2 + 0.1


def alternatives(config: Any) -> Iterator[tuple[str, Any]]:
    """The configuration with one field changed at a time, but for pruning's, which must agree with one another."""
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if not dataclasses.is_dataclass(value):
            yield name, dataclasses.replace(config, **{name: altered(value, kind)})
        elif name != "prune":
            for inner, other in alternatives(value):
                if inner != "weight_decay":  # SGD's alone
                    yield f"{name}.{inner}", dataclasses.replace(config, **{name: other})


LASSO, PLAIN = (LAPTOP.config("s-fc", OptimizerConfig(name), 0) for name in ("beta-lasso", "sgd"))
ALTERNATIVES = {name: (LASSO, other) for name, other in alternatives(LASSO)}
ALTERNATIVES["optimizer.weight_decay"] = (PLAIN, LAPTOP.config("s-fc", OptimizerConfig("sgd", weight_decay=0.1), 0))


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_runs_are_told_apart_as_the_runner_tells_them(name: str) -> None:
    base, other = ALTERNATIVES[name]
    assert base != other
    same = differences(dataclasses.asdict(base)) == differences(dataclasses.asdict(other))
    assert same == (cell_name(base) == cell_name(other))


def test_rows_are_found_by_fields_and_not_by_names(folder: Path) -> None:
    config = LAPTOP.config("s-fc", SGD, 1)
    older = record(config, name="z")
    del older.config["random_labels"], older.config["prune"]  # of before there were these
    keep(folder, older, record(dataclasses.replace(config, seed=0), name="y", status="diverged"))
    keep(folder, record(dataclasses.replace(config, epochs=11, seed=2), name="s-fc-sgd-cifar10"))
    keep(folder, record(dataclasses.replace(config, seed=2, random_labels=True), name="random"))
    rows = selecting.by_row(sharing_and_locality.cells)
    assert [found.name for found in rows["S-FC, SGD"]] == ["z"]
    assert len(rows) == 7
    assert sum(map(len, rows.values())) == 1


def test_runs_on_a_gpu_stand_beside(folder: Path) -> None:
    beta_lasso = SCALES["paper"].beta_lasso()
    config = SCALES["paper"].config("s-fc", beta_lasso, 0)
    one_sided = dataclasses.replace(config, optimizer=dataclasses.replace(beta_lasso, one_sided=True))
    for epochs, test in ((400, 0.7), (4000, 0.8)):
        for each in (config, one_sided):
            write(record(dataclasses.replace(each, epochs=epochs), test), folder / "records" / "paper")
    table2.draw(folder)
    ours = [row for row in table(folder, "table2") if row["source"].startswith("ours") and row["panel"] == "accuracy"]
    assert [(row["net"], row["epochs"], row["mean"]) for row in ours] == [
        ("S-FC, β = 50", "400", "70.0"),
        ("S-FC, β = 50", "4000", "80.0"),
    ]


def test_tables_show_the_paper_and_ours(folder: Path) -> None:
    for module, name, marks in ((table1, "table1", 14), (table2, "table2", 8)):
        module.draw(folder)
        assert len(table(folder, name)) == marks, "the paper alone"
    cells = {*sharing_and_locality.cells(LAPTOP), *training_fully_connected.cells(LAPTOP)}
    keep(folder, *(record(cell.config, test=0.5 + 0.01 * cell.config.seed) for cell in cells))
    table1.draw(folder)
    ours = [row for row in table(folder, "table1") if row["source"] == "ours, laptop"]
    assert [row["net"] for row in ours] == ["D-CONV", "D-LOCAL", "D-FC", "S-CONV", "S-LOCAL", "S-FC", "3-FC"]
    assert {(row["mean"], row["n"]) for row in ours} == {("51.0", "3")}
    table2.draw(folder)
    assert sum(row["source"] == "ours, laptop" for row in table(folder, "table2")) == 14
    assert sum(row["source"].startswith("paper") for row in table(folder, "table2")) == 8


def test_curves_show_the_paper_and_ours(folder: Path) -> None:
    figure2.draw(folder)
    assert len(table(folder, "figure2")) == 4 * 16
    cells = scaling.cells(LAPTOP)
    for cell in cells:
        width = cell.config.base_channels
        run = record(cell.config, test=0.4 + width / 5000, train=0.4 + 0.03 * width**0.5)
        keep(folder, dataclasses.replace(run, metrics=run.metrics | {"final/weights": 1000 * width}))
    keep(folder, record(dataclasses.replace(cells[0].config, epochs=77)))  # negative control
    figure2.draw(folder)
    ours = [row for row in table(folder, "figure2") if row["source"] == "ours"]
    assert len(ours) == len(cells)
    assert "77" not in {row["epochs"] for row in ours}
    figure6.draw(folder)
    rows = table(folder, "figure6")
    assert len(rows) == 3 * 4 * 16 + len(cells)
    assert {row["fits"] for row in rows if row["source"] == "ours"} == {"True", "False"}


def test_fewest_weights_that_fit() -> None:
    curve = Curve("s-fc", "cifar10", "ours", tuple(Point(weights, 10 * weights, 50) for weights in (1, 2, 4, 8)))
    assert figure6.fewest_weights(curve, 40) == 4
    assert figure6.fewest_weights(curve, 41) == 8
    assert figure6.fewest_weights(curve, 81) is None


def test_kernel_sizes_show_the_paper_and_ours(folder: Path) -> None:
    figure5.draw(folder)
    assert len(table(folder, "figure5")) == 3 * 2 * 7
    cells = kernel_sizes.cells(LAPTOP)
    keep(folder, *(record(cell.config, test=0.7 - 0.01 * cell.config.kernel_size) for cell in cells))
    figure5.draw(folder)
    ours = [row for row in table(folder, "figure5") if row["source"] == "ours"]
    assert {(row["optimizer"], row["kernel_size"]) for row in ours} == {
        (cell.config.optimizer.name, str(cell.config.kernel_size)) for cell in cells
    }
    assert len(ours) == len(cells)


def test_the_grid_of_beta_and_lambda(folder: Path) -> None:
    configs = [cell.config for cell in lambda_and_beta.cells(LAPTOP)]
    keep(folder, record(configs[0]))
    with pytest.raises(InputError, match="holds no finished runs of the study lambda_and_beta"):
        beta_lambda.draw(folder)
    keep(folder, *(record(config, test=0.4 + 100 * config.optimizer.l1_conv) for config in configs))
    beta_lambda.draw(folder)
    rows = table(folder, "beta_lambda")
    ours = [row for row in rows if row["source"] == "ours"]
    assert {(float(row["l1_conv"]), float(row["beta"])) for row in ours} == {
        (strength * LAPTOP.l1_conv, beta) for strength in (0.25, 1, 4) for beta in (0, 1, 10, 50)
    }
    assert {float(row["l1_fc"]) / float(row["l1_conv"]) for row in ours} == {0.25}  # not the other ways to share λ
    assert len(ours) == 2 * 12
    assert [(row["beta"], row["mean"]) for row in rows if row["source"] == "paper"][:3] == [
        ("0", "82.45"),
        ("1", "82.52"),
        ("50", "85.19"),
    ]


def test_permuted_pixels_are_compared_by_seed(folder: Path) -> None:
    with pytest.raises(InputError, match="pixel_permutation"):
        pixel_permutation.draw(folder)
    for seed, ordered, permuted in ((0, 0.6, 0.5), (1, 0.7, 0.58), (2, 0.9, None)):
        keep(folder, record(LAPTOP.config("s-conv", SGD, seed), ordered))
        if permuted:
            keep(folder, record(LAPTOP.config("s-conv", SGD, seed, permute_pixels=True), permuted))
    pixel_permutation.draw(folder)
    rows = {row["measure"]: row for row in table(folder, "pixel_permutation")}
    assert float(rows["change"]["mean"]) == pytest.approx(-11)
    assert float(rows["change"]["standard_error"]) == pytest.approx(1)
    assert (rows["in order"]["n"], rows["permuted"]["n"]) == ("3", "2")


def test_without_records_a_sentence_says_how_to_get_them(folder: Path) -> None:
    with pytest.raises(InputError, match=r"lcfs study sparsity_against_bounds --scale laptop --records"):
        sparsity_against_bounds.draw(folder)
    figure3.draw(folder)
    assert {row["source"] for row in table(folder, "figure3")} == {"paper"}
