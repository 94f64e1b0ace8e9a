"""README blocks run as tests: Python through sybil; the shell's `lcfs` lines are checked by tests/test_readme.py."""

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md"]).pytest()
