"""A run without mishaps, which all others are compared with."""

from pathlib import Path

import _series
import pytest


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    _series.finish(path)
    return path
