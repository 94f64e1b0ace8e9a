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
    selecting,
    sparsity_against_bounds,
    table1,
    table2,
)
from paper_figures.accuracy_curves import Curve, Point
from studies import sharing_and_locality, training_fully_connected
from studies.records import Record, write
from studies.runner import cell_name
from studies.scales import SCALES, SGD

LAPTOP = SCALES["laptop"]
LASSO = OptimizerConfig("beta-lasso", l1_conv=1e-4, l1_fc=1e-4, beta=10)


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
                yield f"{name}.{inner}", dataclasses.replace(config, **{name: other})


BASE = LAPTOP.config("s-fc", OptimizerConfig(), 0)
ALTERNATIVES = dict(alternatives(BASE))


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_runs_are_told_apart_as_the_runner_tells_them(name: str) -> None:
    other = ALTERNATIVES[name]
    assert other != BASE
    same = selecting.fields(dataclasses.asdict(BASE)) == selecting.fields(dataclasses.asdict(other))
    assert same == (cell_name(BASE) == cell_name(other))


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


def test_a_sweep_differs_in_nothing_else(folder: Path) -> None:
    base = LAPTOP.config("s-conv", SGD, 0)
    longer = [dataclasses.replace(base, base_channels=c, epochs=20, seed=s) for c in (2, 4, 8) for s in (0, 1)]
    shorter = [dataclasses.replace(base, base_channels=c, seed=s) for c in (2, 16) for s in range(9)]
    found = selecting.sweep(map(record, [*shorter, *longer]), "base_channels")
    assert {run.config["epochs"] for run in found} == {20}
    assert {width: len(runs) for (width,), runs in selecting.grouped(found, "base_channels").items()} == {
        2: 2,
        4: 2,
        8: 2,
    }
    assert selecting.sweep([], "base_channels") == []
    odd = [record(dataclasses.replace(c, random_labels=True)) for c in longer]
    assert selecting.plain([*odd, record(base)], {"architecture": "s-conv"}) == [record(base)]


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
    nets = (("resnet18", 4), ("d-conv", 2), ("s-conv", 4), ("3-fc", 100))
    for net, width in nets:
        for times in (1, 2, 4):
            config = dataclasses.replace(LAPTOP.config(net, SGD, 0), base_channels=width * times)
            keep(folder, record(config, test=0.4 + 0.05 * times, train=0.5 + 0.05 * times))
    figure2.draw(folder)
    assert sum(row["source"] == "ours" for row in table(folder, "figure2")) == 12
    figure6.draw(folder)
    rows = table(folder, "figure6")
    assert len(rows) == 3 * 4 * 16 + 12
    assert {row["fits"] for row in rows if row["source"] == "ours"} == {"True", "False"}


def test_fewest_weights_that_fit() -> None:
    curve = Curve("s-fc", "cifar10", "ours", tuple(Point(weights, 10 * weights, 50) for weights in (1, 2, 4, 8)))
    assert figure6.fewest_weights(curve, 40) == 4
    assert figure6.fewest_weights(curve, 41) == 8
    assert figure6.fewest_weights(curve, 81) is None


def test_kernel_sizes_show_the_paper_and_ours(folder: Path) -> None:
    figure5.draw(folder)
    assert len(table(folder, "figure5")) == 3 * 2 * 7
    for optimizer in (SGD, LASSO):
        for kernel in (3, 9, 15):
            for seed in (0, 1):
                config = LAPTOP.config("resnet18", optimizer, seed)
                keep(folder, record(dataclasses.replace(config, kernel_size=kernel), test=0.7 - 0.01 * kernel))
    figure5.draw(folder)
    ours = [row for row in table(folder, "figure5") if row["source"] == "ours"]
    assert {(row["optimizer"], row["kernel_size"], row["n"]) for row in ours} == {
        (name, kernel, "2") for name in ("sgd", "beta-lasso") for kernel in ("3", "9", "15")
    }


@pytest.mark.parametrize("l1_fc", [None, 5e-5], ids=["in a ratio", "fixed"])
def test_the_grid_of_beta_and_lambda(folder: Path, l1_fc: float | None) -> None:
    def lasso(l1: float, beta: float, others: float | None) -> Record:
        optimizer = OptimizerConfig("beta-lasso", l1_conv=l1, l1_fc=l1 / 4 if others is None else others, beta=beta)
        return record(LAPTOP.config("s-fc", optimizer, 0), test=0.4 + 100 * l1)

    keep(folder, lasso(1e-4, 10, l1_fc))
    with pytest.raises(InputError, match="holds no finished runs of the study lambda_and_beta"):
        beta_lambda.draw(folder)
    keep(folder, *(lasso(l1, beta, l1_fc) for l1 in (1e-4, 2e-4, 5e-4) for beta in (0, 5, 50)))
    keep(folder, *(lasso(2e-4, beta, 3e-3) for beta in (0, 5)))  # negative control: another λ of the other layers
    beta_lambda.draw(folder)
    rows = table(folder, "beta_lambda")
    assert sum(row["source"] == "ours" for row in rows) == 2 * 10
    assert {row["beta"] for row in rows if row["source"] == "paper"} == {"0", "1", "50"}
    assert "0.003" not in {row["l1_fc"] for row in rows}


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
