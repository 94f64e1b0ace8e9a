"""Oracle: the tables of the studies of options, on records made by hand. Round trip: each runs at smoke scale."""

from dataclasses import replace
from pathlib import Path

import pytest

from lcfs.config import to_dict
from studies.analyses.parameter_counts import count
from studies.engine import study
from studies.engine.configurations import cell_name
from studies.engine.records import Record
from studies.engine.runner import run_cells
from studies.engine.scales import SCALES, SGD
from studies.grids import beta_and_width, magnitude_pruning, random_labels, scaling, thresholds

SMOKE = SCALES["smoke"]
STUDIES = (
    *("beta_and_width", "kernel_sizes", "lambda_and_beta", "magnitude_pruning"),
    *("random_labels", "scaling", "thresholds"),
)


def record(accuracy: float, error: float = 0.5, **metrics: float) -> Record:
    config = to_dict(SMOKE.config("s-fc", SGD, 0))
    found = {"final/test_accuracy": accuracy, "final/train_error": error, "final/weights": 10, "final/nonzeros": 4}
    found["final/nonzeros/conv1"] = 3
    epochs = {"sparsity/conv1": [7, 3], "sparsity/fc1": [5, 1]}
    return Record("x", "finished", config, {**found, "bits/best": 99.0, **metrics}, epochs, {}, samples=1000)


@pytest.mark.parametrize("name", STUDIES)
def test_every_cell_runs_at_smoke_scale_and_the_tables_have_every_row(name: str, tmp_path: Path) -> None:
    found = study.find(name)
    one = replace(SMOKE, short=2, epochs=1, seeds=(0,))
    cells = found.cells(one)
    records = run_cells(cells, tmp_path)
    assert {each.status for each in records.values()} == {"finished"}
    rows: dict[str, list[Record]] = {}
    for cell in cells:
        rows.setdefault(cell.row, []).append(records[cell_name(cell.config)])
    tables = found.tables(rows)
    assert [row[0] for row in tables[0].rows] == list(rows)
    assert all(len(row) == len(table.header) for table in tables for row in table.rows)
    assert any(letter.isdigit() for letter in found.found(rows))


@pytest.mark.parametrize("name", STUDIES)
def test_no_run_is_counted_twice(name: str) -> None:
    for scale in SCALES.values():
        found = study.find(name)
        cells = () if found.images_only and scale.data == "signals" else found.grid(scale)
        assert len({cell.config for cell in cells}) == len(cells)


def test_first_epochs_by_layer() -> None:
    table = thresholds.tables({"hard": [record(0.5), record(0.7)]})[1]
    assert table.header == ("threshold", "n", "conv1", "fc1")
    assert table.rows == (("hard", "2", "7", "5"),)


def test_gains_over_plain_l1_are_of_the_same_width() -> None:
    rows = {
        "α = 1, β = 0": [record(0.50), record(0.52)],
        "α = 1, β = 50": [record(0.30), record(0.30)],
        "α = 2, β = 0": [record(0.60), record(0.60)],
        "α = 2, β = 50": [record(0.61), record(0.63)],
        "α = 4, β = 50": [record(0.9)],  # whose plain run did not finish
    }
    gains = beta_and_width.tables(rows)[1]
    assert gains.rows == (("α = 1", "β = 50", "−21.00 ± 1.00"), ("α = 2", "β = 50", "+2.00 ± 1.00"))


def test_scaled_by_the_width() -> None:
    config = {cell.row: cell.config.optimizer for cell in beta_and_width.cells(SMOKE)}
    assert config["α = 1, β = 50, λ ∝ α"].l1_conv == SMOKE.l1_conv / 2
    assert config["α = 1, β = 50 · α / 2"].beta == 25
    assert "α = 2, β = 50, λ ∝ α" not in config, "at the scale's own width that is β = 50"


@pytest.mark.parametrize("net", scaling.NETS)
def test_widths_hit_the_number_of_weights(net: str) -> None:
    for width in (1, 3, 20):
        assert scaling.width(net, count(net, width).weights) == width
    assert scaling.width(net, 0) == 1
    found = [count(net, width).weights for width in scaling.widths(SCALES["paper"], net)]
    assert found[-1] == pytest.approx(1024e6, rel=0.02)
    assert found == sorted(set(found))


def test_the_fewest_weights_that_fit() -> None:
    sizes = {f"S-FC, α = {a}": [record(0.4 + a / 10, 0.6 - a / 10, **{"final/weights": a})] for a in (1, 2, 3)}
    _, table = scaling.tables(sizes)
    (row,) = table.rows
    fewest = dict(zip(table.header, row, strict=True))
    assert fewest["best test accuracy %"] == "70.00"
    assert [fewest[f"{percent} %"] for percent in (30, 60, 70, 80)] == ["1", "2", "3", ""]


def test_pruning_round_by_round_beside_beta_lasso() -> None:
    pruned = record(
        0.5, **{f"round/{n}/{key}": v for n in (1, 2) for key, v in (("nonzeros", 10 / n), ("test_accuracy", 0.6 / n))}
    )
    pruned.config["prune"] = {"rounds": 2}
    local = {"locality/mask_radius_px": 6.0, "locality/random_mask_radius_px": 13.0}
    _, densities, localities = magnitude_pruning.tables({"pruning": [pruned], "β": [record(0.5, **local)]})
    assert densities.rows == (
        ("pruning, round 1", "100.00", "60.00"),
        ("pruning, round 2", "50.00", "30.00"),
        ("β", "40.00", "50.00"),
    )
    assert localities.rows == (("β", "1", "6.00", "13.00"),)


def test_bits_for_each_label_explained() -> None:
    good = record(0.1, 0.4, **{"bits/best": 5000.0, "bound/a/b": 0.95, "bound/a/c": 0.92})
    assert random_labels.bits_per_label(good) == pytest.approx(5000 / 500)
    assert random_labels.bits_per_label(record(0.1, 0.9)) == float("inf")
    (table,) = random_labels.tables({"S-FC": [good]})
    assert table.rows == (("S-FC", "1", "40.00", "10.00", "4", "5,000", "10.0", "0.920"),)


def test_no_bound_dips_below_chance_on_random_labels(tmp_path: Path) -> None:
    """With a negative control: the same training learns the real labels."""
    random, real = (
        next(c for c in random_labels.cells(SMOKE) if c.row == f"S-FC, β = 10, {labels} labels")
        for labels in ("random", "real")
    )
    found = run_cells([random, real], tmp_path)
    assert random_labels.tightest(found[cell_name(random.config)]) >= 0.9
    assert found[cell_name(random.config)].metrics["final/train_error"] > 0.6
    assert found[cell_name(real.config)].metrics["final/train_error"] < 0.5
