"""The study of the quantized certificate: its price, that interruption changes nothing, and the certificate it left."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lcfs import data
from lcfs.certificates import Certificate, certify, verify
from lcfs.certificates.certificate import claimed
from lcfs.descriptions.encoded import decode, encode
from lcfs.descriptions.quantized_language import ideal_bits
from lcfs.errors import InputError
from lcfs.nets.quantized import Architecture, QuantizedNet
from lcfs.runs import Run
from studies.quantized.certificate import Config, record, train
from studies.quantized.price import price_bits
from studies.quantized.training import Schedule
from theory.verdicts import all_bounds

RECORDS = Path(__file__).parents[3] / "studies" / "records"
CERTIFICATE, RECORD = RECORDS / "certificates" / "cifar10-tiny.cert", RECORDS / "quantized_certificate.json"
SMALL = Config(Architecture(8, ((0,), (0, 1))), data="digits", training=Schedule(epochs=2), search_rounds=2)


def test_interrupted_and_continued_equals_never_stopped(tmp_path: Path) -> None:
    whole = train(SMALL, tmp_path / "whole")
    stopped = tmp_path / "stopped"
    train(SMALL, stopped)
    (stopped / "summary.json").unlink()
    Run(stopped).newest_checkpoint().unlink()
    assert [path.name for path in Run(stopped).checkpoints()] == ["epoch-000003.pt"], "after a round of the search"
    assert train(SMALL, stopped) == whole
    first, second = (torch.load(Run(path).newest_checkpoint())["model"] for path in (tmp_path / "whole", stopped))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_was_trained_is_what_is_certified(tmp_path: Path) -> None:
    outcome = train(replace(SMALL, training=Schedule(epochs=1)), tmp_path)
    certificate = certify(tmp_path)
    assert certificate.bits == outcome.bits
    assert abs(certificate.train_errors - outcome.train_errors) <= 2, "float32 against float64"
    assert train(replace(SMALL, training=Schedule(epochs=1)), tmp_path) == outcome, "a finished run is read"


def test_record_holds_numbers_and_nothing_private(tmp_path: Path) -> None:
    train(replace(SMALL, data_dir=str(tmp_path)), tmp_path / "run")
    certificate = certify(tmp_path / "run")
    text = json.dumps(record(Run(tmp_path / "run"), certificate))
    assert str(tmp_path) not in text
    found = json.loads(text)
    assert (found["bits"], found["train_errors"]) == (certificate.bits, certificate.train_errors)
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2, 3, 4]


def test_it_learns(tmp_path: Path) -> None:
    schedule = Schedule(epochs=6, batch_size=16, learning_rate=0.1)
    errors = train(replace(SMALL, training=schedule, search_rounds=0), tmp_path).train_errors
    assert errors < 0.5 * len(data.load("digits").train), "guessing gets nine in ten wrong"


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    train(replace(SMALL, training=Schedule(epochs=1)), tmp_path)
    with pytest.raises(InputError, match="another configuration"):
        train(SMALL, tmp_path)


def test_price_of_integers_is_near_the_length_of_their_code() -> None:
    """At integers nothing is interpolated; the adaptive code also pays for learning, (A − 1)/2 log2 n a tensor."""
    net = QuantizedNet(Architecture(16))
    for latent in net.latent.values():
        latent.data = latent.data.round()
    true = ideal_bits(net.integers(), net.specification)
    learning = sum(tensor.bound * np.log2(np.prod(tensor.shape)) for tensor in net.specification.values())
    assert true - learning < price_bits(net).item() < true


def test_price_pulls_towards_the_frequent_integer() -> None:
    net = QuantizedNet(Architecture(16))
    latent = net.latent["mix0"]
    latent.data = torch.zeros_like(latent)
    latent.data[0] = 0.8
    price_bits(net).backward()
    assert latent.grad is not None
    assert (latent.grad[0] > 0).all(), "descent lowers 0.8 towards 0"


@pytest.fixture
def certificate() -> Certificate:
    return Certificate.read(CERTIFICATE)


def test_committed_certificate_decodes_and_its_bounds_follow_from_its_counts(certificate: Certificate) -> None:
    decoded = decode(certificate.description)
    assert encode(decoded.predictor, decoded.arrays).bits == certificate.description
    assert sum(entry.bits for entry in certificate.ledger) == certificate.bits == len(certificate.description)
    assert decoded.ledger == certificate.ledger
    assert decoded.encode().language_bits == certificate.language_bits
    bounds = all_bounds(certificate.train_errors, certificate.bits, certificate.train.images, certificate.delta)
    assert claimed(bounds) == certificate.bounds
    assert (certificate.train.data, certificate.train.images, certificate.test.images) == ("cifar10", 50_000, 10_000)
    assert certificate.bounds.occam_binomial < 0.5591, "what 8,260 bits and 32.16 % training errors come to"


def test_committed_record_is_of_the_committed_certificate(certificate: Certificate) -> None:
    record = json.loads(RECORD.read_text())
    assert record["bits"] == certificate.bits
    assert (record["train_errors"], record["test_errors"]) == (certificate.train_errors, certificate.test_errors)
    assert record["bounds"] == asdict(certificate.bounds)


def test_committed_certificate_is_verified_where_the_data_is() -> None:
    try:
        data.load("cifar10", download=False)
    except InputError as missing:
        pytest.skip(str(missing))
    found = verify(CERTIFICATE)
    assert found.verified, found.differences
