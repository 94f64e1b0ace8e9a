"""The conformance kit under pytest: LCFS_CONVERTER=package.module:function pytest --pyargs lcfs.testing.

Environment variables, as pytest reads no options of a package that is named by --pyargs: LCFS_CONVERTER, called as
function(net, image shape); LCFS_CONVERTS=layer if it takes single layers; LCFS_DIMS=1,2 for the numbers of axes that it
claims; LCFS_EXPECTED_FAILURES, a file with a test's name in each line, of which one that passes is an error;
LCFS_EXAMPLES, cases a test, 100 if not said.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from lcfs.testing.conformance import Subject

_TABLE = pytest.StashKey[dict[str, str]]()


def option(name: str, default: str = "") -> str:
    """The value of an environment variable of the kit, LCFS_ and a name."""
    return os.environ.get(f"LCFS_{name}") or default


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the kit out where no converter is named."""
    return True if collection_path.name == "test_conformance.py" and not option("CONVERTER") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the expected failures, strictly, and leave out what the converter does not claim."""
    ours = [
        item for item in items if item.path.name == "test_conformance.py" and item.path.parent == Path(__file__).parent
    ]
    if not ours:
        return
    expected = _expected(option("EXPECTED_FAILURES"))
    names = {_subject(item).name: item for item in ours}
    if unknown := sorted(expected - names.keys()):
        raise pytest.UsageError(f"expected failures name no test of the kit: {', '.join(unknown)}")
    dims = option("DIMS", "1,2,3").split(",")
    layers_only = option("CONVERTS", "net") == "layer"
    dropped = []
    for name, item in names.items():
        if name in expected:
            item.add_marker(pytest.mark.xfail(reason="expected", strict=True))
        if name[0] not in dims or (layers_only and not _subject(item).layer):
            dropped.append(item)
    items[:] = [item for item in items if item not in dropped]
    config.hook.pytest_deselected(items=dropped)


def _subject(item: Any) -> Subject:
    """What a parametrized test of the kit is about."""
    return item.callspec.params["subject"]


def _expected(file: str) -> set[str]:
    if not file:
        return set()
    lines = (line.partition("#")[0].strip() for line in Path(file).read_text().splitlines())
    return {line for line in lines if line}


def note(config: pytest.Config, subject: Subject, error: BaseException | None) -> None:
    """Note what became of a subject, for the table."""
    config.stash.setdefault(_TABLE, {})[subject.name] = _outcome(error)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "embeds"
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{'wrong' if isinstance(error, AssertionError) else f'raises {type(error).__name__}'}: {first}"[:150]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the converter does with each kind of layer."""
    table = config.stash.get(_TABLE, {})
    if table:
        terminalreporter.section("conformance of " + option("CONVERTER"))
        for name, outcome in table.items():
            terminalreporter.write_line(f"{name:22} {outcome}")
