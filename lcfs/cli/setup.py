"""lcfs data and lcfs doctor: what a machine needs and has."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from lcfs.cli.arguments import parse


@dataclass(frozen=True)
class DataOptions:
    """Fetch and verify a data set."""

    name: tyro.conf.Positional[str]
    """signals, digits (neither needs fetching), cifar10, cifar100 or svhn."""
    data_dir: Path | None = None
    """Where to put it; by default $LCFS_DATA, then the user's cache."""
    source: Path | None = None
    """A local folder or archive to take it from instead of the network."""


@dataclass(frozen=True)
class DoctorOptions:
    """Print versions, devices and folders, for bug reports."""


def data(arguments: list[str]) -> int:
    """Fetch a data set (checksummed) or take it from a folder, and verify it."""
    options = parse(DataOptions, arguments, "lcfs data")
    name, folder = options.name, options.data_dir
    from lcfs import data as datasets

    print(f"{name}: {datasets.fetch(name, folder=folder, source=options.source)}")
    for file in datasets.verify(name, folder):
        print(file)
    dataset = datasets.load(name, folder=folder, download=False)
    sizes = f"{len(dataset.train)} training and {len(dataset.test)} test examples"
    print(f"{sizes} of {dataset.image_shape}, {dataset.classes} classes")
    return 0


def doctor(arguments: list[str]) -> int:
    """Print versions, devices and folders, for bug reports."""
    parse(DoctorOptions, arguments, "lcfs doctor")
    from importlib import metadata

    import torch

    import lcfs

    print(f"{'lcfs':<12} {lcfs.__version__}")
    for package in ("torch", "numpy", "scipy", "safetensors", "mlflow", "triton"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            print(f"{package:<12} {metadata.version(package)}")
    print(f"{'python':<12} {sys.version.split()[0]}")
    print(f"{'cpus':<12} {os.cpu_count()} ({torch.get_num_threads()} threads)")
    print(f"{'gpu':<12} {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
    print(f"{'LCFS_DATA':<12} {os.environ.get('LCFS_DATA', 'not set')}")
    return 0
