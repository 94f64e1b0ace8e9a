"""Negative control of the kit: it finds the faults of the documented stand-in; expected failures are strict."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

import lcfs
from lcfs.errors import InputError
from lcfs.testing import Case, assert_embeds
from lcfs.testing.conformance import adapted, load_converter, subjects

ROOT = Path(__file__).parents[3]
FAULTS = {"2d-groups", "2d-circular", "2d-reflect", "2d-replicate", "2d-transposed", "2d-transposed-groups", "2d-local"}


def _run(folder: Path, **variables: str) -> subprocess.CompletedProcess:
    code = re.search(r"```text\n(import torch.*?)```", (ROOT / "docs" / "conformance.md").read_text(), re.DOTALL)
    assert code
    (folder / "stand_in.py").write_text(code[1])
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "LCFS_CONVERTER": "stand_in:to_linear",
        "LCFS_CONVERTS": "layer",
        "LCFS_DIMS": "2",
        "LCFS_EXAMPLES": "40",
    }
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "--pyargs", "lcfs.testing"]
    return subprocess.run(command, cwd=folder, env=environment | variables, capture_output=True, text=True)


@pytest.mark.slow
def test_the_stand_in_is_found_out(tmp_path: Path) -> None:
    outcomes = dict(re.findall(r"^(2d-\S+) +(\w+)", _run(tmp_path).stdout, re.MULTILINE))
    assert {name for name, outcome in outcomes.items() if outcome != "embeds"} == FAULTS
    assert len(outcomes) == len(FAULTS) + 4
    expected = tmp_path / "expected.txt"
    expected.write_text("# known\n" + "\n".join(sorted(FAULTS)))
    assert _run(tmp_path, LCFS_EXPECTED_FAILURES=str(expected)).returncode == 0
    expected.write_text("\n".join([*FAULTS, "2d-plain"]))
    strict = _run(tmp_path, LCFS_EXPECTED_FAILURES=str(expected))
    assert strict.returncode == 1
    assert "1 failed" in strict.stdout


@pytest.mark.parametrize("form", ["module", "flat", "numpy", "scipy", "sparse torch", "pair", "function", "float32"])
def test_whatever_a_converter_returns(form: str) -> None:
    net = nn.Sequential(nn.Conv1d(2, 3, 3, bias=form in ("module", "flat", "pair", "function", "float32")))
    for parameter in net.parameters():
        parameter.data = torch.randint(-2, 3, parameter.shape).float()
    case, embedded = Case(net.eval(), (2, 6)), lcfs.embed(net, "fc", (2, 6))
    linear = embedded.get_submodule("0")
    matrix = linear.weight.detach()
    converted = {
        "module": embedded,
        "flat": linear,
        "numpy": matrix.numpy(),
        "scipy": sparse.csr_array(matrix.numpy()),
        "sparse torch": matrix.to_sparse(),
        "pair": (matrix, None if linear.bias is None else linear.bias.detach()),
        "function": lambda x: embedded.double()(x).flatten(1),
        "float32": embedded.float(),
    }[form]
    assert_embeds(net, adapted(converted, case), case.image, exact=True)
    wrong = np.asarray(matrix) + 1
    with pytest.raises(AssertionError, match="differs"):
        assert_embeds(net, adapted(wrong, case), case.image, exact=True)


def test_names_of_the_kit() -> None:
    names = [subject.name for subject in subjects()]
    assert len(set(names)) == len(names)
    assert set(names) > FAULTS
    for name, message in (
        ("stand_in", "must be"),
        ("no.such:thing", "cannot be imported"),
        ("lcfs:thing", "cannot be"),
    ):
        with pytest.raises(InputError, match=message):
            load_converter(name)
    with pytest.raises(AssertionError, match="returned a int"):
        adapted(3, Case(nn.Conv1d(1, 1, 1), (1, 2)))
