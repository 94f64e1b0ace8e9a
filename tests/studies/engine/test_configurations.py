"""Oracle and negative control: names of cells tell trainings apart, and new fields rename nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import pytest

from lcfs.config import OptimizerConfig, PruneConfig, TrainConfig, from_dict
from studies.engine import records, study
from studies.engine.configurations import cell_name, differences
from studies.engine.scales import SCALES, SGD, Scale
from studies.engine.study import Cell

SCALE_FOLDERS = [folder for folder in sorted(records.RECORDS.iterdir()) if folder.name in SCALES]


@dataclass(frozen=True)
class LaterOptimizer(OptimizerConfig):
    nesterov: bool = False


@dataclass(frozen=True)
class LaterConfig(TrainConfig):
    """As if a version to come had two more fields."""

    label_noise: float = 0.0
    optimizer: OptimizerConfig = field(default_factory=LaterOptimizer)


def later(config: TrainConfig, **changes: object) -> LaterConfig:
    values = {each.name: getattr(config, each.name) for each in fields(TrainConfig)}
    optimizer = LaterOptimizer(**vars(config.optimizer))
    return LaterConfig(**values | {"optimizer": optimizer} | changes)


def cells_of(name: str, scale: Scale) -> Sequence[Cell]:
    found = study.find(name)
    return () if found.images_only and scale.data == "signals" else found.grid(scale)


def all_cells() -> list[TrainConfig]:
    return [cell.config for name in study.names() for scale in SCALES.values() for cell in cells_of(name, scale)]


def test_names_tell_runs_apart_and_ignore_what_does_not_matter() -> None:
    base = TrainConfig("s-fc")
    assert cell_name(base) == cell_name(replace(base, data_dir="/elsewhere", device="cpu", checkpoint_seconds=1.0))
    others = [replace(base, seed=1), replace(base, epochs=41), replace(base, optimizer=replace(SGD, lr=0.2))]
    assert len({cell_name(config) for config in (base, *others)}) == 4
    ten = replace(base, optimizer=OptimizerConfig("beta-lasso", beta=10.0))
    assert cell_name(ten) == cell_name(replace(ten, optimizer=replace(ten.optimizer, beta=10))), "equal, not alike"


def test_a_new_field_renames_nothing_and_enters_a_name_when_it_differs() -> None:
    for config in (TrainConfig("s-fc"), *all_cells()[::7]):
        assert cell_name(later(config)) == cell_name(config)
    base = TrainConfig("s-fc")
    optimizer = LaterOptimizer(nesterov=True)
    names = {cell_name(each) for each in (base, later(base, label_noise=0.1), later(base, optimizer=optimizer))}
    assert len(names) == 3


def test_every_field_that_matters_enters_a_name() -> None:
    base = TrainConfig("s-fc", optimizer=OptimizerConfig("beta-lasso"))
    changes = [
        {"random_labels": True},
        {"prune": PruneConfig(rounds=2, fraction=0.5)},
        {"prune": PruneConfig(scope="layer")},
        {"optimizer": OptimizerConfig("beta-lasso", threshold="soft")},
    ]
    names = {cell_name(replace(base, **change)) for change in changes}
    assert len({cell_name(base), *names}) == 5


def test_no_two_cells_of_all_grids_and_scales_share_a_name() -> None:
    named: dict[str, dict[str, object]] = {}
    for config in all_cells():
        assert named.setdefault(cell_name(config), differences(config)) == differences(config)
    assert len(named) > 300


def test_the_package_has_records() -> None:
    assert SCALE_FOLDERS


@pytest.mark.parametrize("folder", SCALE_FOLDERS, ids=lambda folder: folder.name)
def test_committed_records_have_the_names_of_their_cells(folder) -> None:
    cells = {
        cell_name(cell.config): differences(cell.config)
        for name in study.names()
        for cell in cells_of(name, SCALES[folder.name])
    }
    paths = sorted(folder.glob("*.json"))
    assert len(paths) >= 20
    for path, record in zip(paths, records.read(folder), strict=True):
        assert path.stem == record.name == cell_name(from_dict(record.config))
        assert differences(record.config) == cells.get(record.name), f"no grid has {record.name}"
