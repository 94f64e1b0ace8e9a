"""Surface: the public names as a snapshot."""

import importlib

import pytest

PUBLIC = {
    "lcfs": [
        "ARCHITECTURES",
        "BetaLasso",
        "Dataset",
        "InputError",
        "LocallyConnected",
        "TrainConfig",
        "bound",
        "build",
        "certify",
        "count_weights",
        "embed",
        "load_data",
        "load_state",
        "parameter_groups",
        "project",
        "train",
        "verify",
    ],
    "theory": ["bounds"],
}


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__) == PUBLIC[package]
    assert [name for name in PUBLIC[package] if not hasattr(module, name)] == []
