"""Python blocks of README and docs run as tests through sybil; tests/test_readme.py checks the shell's lines."""

import contextlib
import tempfile
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

collect_ignore = ["docs/conf.py"]


def _enter_empty_folder(namespace: dict[str, Any]) -> None:
    """What the blocks of a page write lands in a folder that is deleted behind them."""
    stack = namespace["_stack"] = contextlib.ExitStack()
    stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))


def _leave_folder(namespace: dict[str, Any]) -> None:
    namespace["_stack"].close()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()], patterns=["*.md"], setup=_enter_empty_folder, teardown=_leave_folder
).pytest()
