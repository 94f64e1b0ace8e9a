"""The data set of a run."""

from lcfs.config import TrainConfig
from lcfs.data.dataset import Dataset
from lcfs.data.datasets import load


def load_configured(config: TrainConfig, *, download: bool = True) -> Dataset:
    """The data set that a configuration names, on the CPU. Arguments and errors are those of `lcfs.data.load`."""
    return load(
        config.data,
        folder=config.data_dir,
        validation=config.validation,
        seed=config.seed,
        samples=config.samples,
        data_seed=config.data_seed,
        download=download,
    )
