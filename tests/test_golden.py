"""Round trip: files that earlier versions wrote are read today, and mean what they meant."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lcfs.certificates.certificate import Certificate
from lcfs.descriptions.encoded import decode
from lcfs.runs import Run
from lcfs.training.loop import train

GOLDEN = Path(__file__).parent / "golden"
CERTIFICATES = sorted((Path(__file__).parents[1] / "studies" / "records" / "certificates").glob("*.cert"))


def test_seven_certificates_are_committed() -> None:
    assert len(CERTIFICATES) >= 7


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: path.stem)
def test_a_committed_certificate_decodes_and_encodes_byte_for_byte(path: Path, tmp_path: Path) -> None:
    certificate = Certificate.read(path)
    decoded = decode(certificate.description)
    encoded = decoded.encode()
    assert encoded.bits == certificate.description
    assert encoded.ledger == certificate.ledger
    certificate.write(tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_run_directory_of_version_0_1_resumes(tmp_path: Path) -> None:
    """Momentum, augmentation and order of the images come from its checkpoint; to rounding on another CPU."""
    shutil.copytree(GOLDEN / "run", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert len(run.metrics()) == 2
    train(run.config(), run.path, resume=True)
    checkpoint = run.load_checkpoint()
    assert checkpoint is not None
    expected = load_file(GOLDEN / "run_after_4_epochs.safetensors")
    assert checkpoint["model"].keys() == expected.keys()
    for name, tensor in checkpoint["model"].items():
        torch.testing.assert_close(
            tensor, expected[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: name + text
        )
