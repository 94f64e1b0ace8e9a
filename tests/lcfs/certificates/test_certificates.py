"""Certificates of a net trained here on digits: what holds is verified, what is altered, forged or wrong is not.

Negative controls throughout; the forger of these tests recomputes every checksum.
"""

import json
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcfs import cli, data
from lcfs.certificates import Certificate, Coarsening, certify, container, evidence, verify
from lcfs.certificates.report import print_certificate
from lcfs.config import Architecture, AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.descriptions.float_nets import FloatPredictor
from lcfs.errors import InputError
from lcfs.nets.architectures import ARCHITECTURES
from lcfs.runs import Run
from lcfs.training.loop import train
from theory import bounds
from theory.codes import Bits
from theory.verdicts import all_bounds, samples_needed


def trained(folder: Path, architecture: Architecture = "s-conv", **others: Any) -> Path:
    optimizer = OptimizerConfig("beta-lasso", l1_conv=4e-3, l1_fc=2e-3, beta=10.0)
    augment = AugmentConfig(crop=1, flip=False)
    config = TrainConfig(
        architecture, base_channels=2, epochs=2, batch_size=128, optimizer=optimizer, augment=augment, **others
    )
    train(config, folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "s-conv")


@pytest.fixture(scope="module")
def file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificates") / "net.cert"
    certify(run, candidates=(Coarsening(0.5, 3),)).write(path)
    return path


def forge(file: Path, target: Path, change: Callable[[dict[str, Any]], None], payload: bytes | None = None) -> Path:
    """The certificate with another header or payload, and checksums that match it."""
    header, written = container.parts(container.read(file), file)
    change(header)
    target.write_bytes(container.to_bytes(header, written if payload is None else payload))
    return target


def test_a_true_certificate_is_verified(file: Path) -> None:
    found = verify(file)
    assert found.verified, found.differences
    claim = found.certificate
    assert claim is not None
    assert sum(entry.bits for entry in claim.ledger) == claim.bits == claim.language_bits[claim.language]
    assert claim.train.images == 1437
    computed = bounds.occam_binomial(claim.train_errors, claim.bits, 1437, claim.delta)
    assert computed <= claim.bounds.occam_binomial <= min(computed + 2.1e-9, 1)
    assert list(astuple(claim.bounds)) == sorted(astuple(claim.bounds), reverse=True)


@pytest.mark.parametrize("architecture", ["d-local", "3-fc", "s-fc", "resnet18"])
def test_other_nets_and_permuted_pixels(architecture: Architecture, tmp_path: Path) -> None:
    path = trained(tmp_path / "run", architecture, permute_pixels=True, seed=3)
    found = certify(path, candidates=(Coarsening(0.3, 2), Coarsening(0.9, 4)))
    found.write(tmp_path / "net.cert")
    assert verify(tmp_path / "net.cert").verified
    assert found.train_errors == errors_of_the_torch_net(path, found)


def errors_of_the_torch_net(path: Path, certificate: Certificate) -> int:
    """What the decoded net gets wrong when pixels are permuted as in training: another road to the same inputs."""
    from lcfs.descriptions.encoded import decode

    config = Run.open(path).config()
    dataset = data.load("digits", seed=config.seed)
    decoded = decode(certificate.description)
    order = data.pixel_permutation(config.seed, dataset.image_shape)
    images = dataset.train.images.flatten(2)[..., order].view_as(dataset.train.images).double() / 255
    channels = [
        (images[:, c] - mean) / std for c, (mean, std) in enumerate(zip(dataset.mean, dataset.std, strict=True))
    ]
    wrong = decoded.net()(torch.stack(channels, 1)).argmax(1) != dataset.train.labels
    return int(wrong.sum())


def test_what_is_printed_is_decided_by_the_tightest_bound(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Occam–kl says 90.0004 %, no less than guessing among ten classes, and Occam–binomial 89.99 %."""
    certificate = replace(
        Certificate.read(file),
        description=Bits("0" * 3199),
        language_bits={**Certificate.read(file).language_bits, Certificate.read(file).language: 3199},
        train=replace(Certificate.read(file).train, images=50_000),
        train_errors=40_000,
        bounds=all_bounds(40_000, 3199, 50_000),
    )
    print_certificate(tmp_path / "net.cert", certificate)
    lines = capsys.readouterr().out.splitlines()
    written = next(line for line in lines if "(the bits)" in line)
    assert written.split("%")[3].strip() == "90.00", "0.89992, rounded up"
    assert "vacuous" not in written
    assert not any(line.startswith("vacuous:") for line in lines)


def test_of_vacuous_candidates_the_one_that_lacks_the_fewest_images_is_taken(run: Path) -> None:
    seen = []
    candidates = [Coarsening(0.5, 2), Coarsening(), Coarsening(0.01, 0)]
    found = certify(run, candidates=candidates, on_attempt=seen.append)
    assert [attempt.how for attempt in seen] == candidates
    best = min(seen, key=lambda attempt: attempt.verdict.samples_needed)
    assert found.bits == best.bits
    assert best.verdict.samples_needed == samples_needed(best.train_errors, best.bits, 1437, 0.9)
    assert min(seen, key=lambda attempt: attempt.bits) is not best, "the shortest says nothing"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_is_caught(file: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(file.read_bytes())
    i = data.draw(st.integers(0, 8 * len(content) - 1))
    content[i // 8] ^= 1 << i % 8
    altered = tmp_path / "altered.cert"
    altered.write_bytes(content)
    if i < 8 * len(container.MAGIC):
        with pytest.raises(InputError, match="no certificate"):
            verify(altered)
    else:
        assert not verify(altered).verified


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_truncated_and_extended_files_are_caught(file: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = file.read_bytes()
    length = data.draw(st.integers(0, len(content) + 20).filter(lambda length: length != len(content)))
    altered = tmp_path / "altered.cert"
    altered.write_bytes(content[:length].ljust(length, b"\0"))
    if length < len(container.MAGIC):
        with pytest.raises(InputError, match="no certificate"):
            verify(altered)
    else:
        assert not verify(altered).verified


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_a_flipped_bit_of_the_net_under_a_true_checksum(file: Path, tmp_path: Path, data: st.DataObject) -> None:
    payload = bytearray(container.parts(container.read(file), file)[1])
    i = data.draw(st.integers(0, 8 * len(payload) - 1))
    payload[i // 8] ^= 1 << i % 8
    found = verify(forge(file, tmp_path / "forged.cert", lambda header: None, bytes(payload)))
    if found.verified:  # another net, of which every claim is true: then it must be another net indeed
        assert found.certificate is not None
        claimed = Certificate.read(file)
        assert found.certificate.description.to_bytes() != claimed.description.to_bytes()
        assert found.certificate.train_errors == claimed.train_errors


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        for key in path[:-1]:
            header = header[key]
        old = header[path[-1]]
        header[path[-1]] = to(old) if callable(to) else to

    return change


FORGED = {
    "fewer training errors": (_set("train_errors", to=lambda errors: errors - 1), "train_errors"),
    "fewer test errors": (_set("test_errors", to=lambda errors: errors - 1), "test_errors"),
    "more images": (_set("train", "images", to=50_000), "train.images"),
    "other images": (_set("train", "sha256", to="0" * 64), "train.sha256"),
    "images chosen by a seed": (_set("train", to=lambda sample: {**sample, "seed": 0}), "written as certificates are"),
    "images held out": (_set("train", to=lambda sample: {**sample, "validation": 100}), "written as certificates are"),
    "trained on the test set": (_set("train", "split", to="test"), "samples are test and test"),
    "more errors than images": (_set("train_errors", to=1438), "train_errors"),
    "errors that are a fraction": (_set("train_errors", to=3.5), "expected int"),
    "errors that are true": (_set("train_errors", to=True), "expected int"),
    "images that are a fraction": (_set("train", "images", to=1437.0), "expected int"),
    "a sha256 that is a number": (_set("train", "sha256", to=0), "expected str"),
    "a test set that is null": (_set("test", to=None), "header"),
    "a delta that is whole": (_set("delta", to=0), "expected float"),
    "an unknown data set": (_set("train", "data", to="mnist"), "mnist"),
    "a smaller bound": (_set("bounds", "occam_binomial", to=0.1), "bound occam_binomial"),
    "a bound the least bit smaller": (_set("bounds", "theorem1", to=lambda b: b - 3e-9), "bound theorem1"),
    "a bound much larger": (_set("bounds", "occam_hoeffding", to=lambda b: b + 1e-8), "bound occam_hoeffding"),
    "a bound that is no number": (_set("bounds", "occam_kl", to="0.5"), "expected float"),
    "a bound that is missing": (_set("bounds", to={}), "header"),
    "a larger delta": (_set("delta", to=0.5), "bound occam_binomial"),
    "a delta above one half": (_set("delta", to=0.6), "delta must lie in (0, 0.5]"),
    "a delta of minus zero": (_set("delta", to=-0.0), "delta must lie in (0, 0.5]"),
    "another language": (_set("language", to="dense"), "language"),
    "a shorter language": (_set("language_bits", "dense", to=1), "language_bits"),
    "a length that is a fraction": (_set("language_bits", "dense", to=1.0), "expected int"),
    "a lighter ledger": (_set("ledger", 0, "bits", to=1), "ledger"),
    "fewer bits": (_set("bits", to=lambda bits: bits - 8), "written as certificates are"),
    "more bits than there are": (_set("bits", to=lambda bits: bits + 80), "header"),
    "bits that are no number": (_set("bits", to="many"), "header"),
    "no ledger": (_set("ledger", to=None), "header"),
    "an unknown key": (lambda header: header.update(more=1), "written as certificates are"),
    "another order of the keys": (lambda header: header.update(delta=header.pop("delta")), "written as certificates"),
    "an unknown entry": (_set("train", to=lambda sample: {**sample, "more": 1}), "written as certificates are"),
    "a number too large for a float": (_set("delta", to=10**400), "header"),
    "a number too large to print": (_set("train_errors", to=10**4000), "train_errors"),
    "another format": (_set("format", to=99), "format"),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_claims_are_caught_and_named(what: str, file: Path, tmp_path: Path) -> None:
    change, words = FORGED[what]
    found = verify(forge(file, tmp_path / "forged.cert", change))
    assert not found.verified
    assert any(words in difference for difference in found.differences), found.differences


@pytest.mark.parametrize("header", [b"{", b"[]", b"null", b'{"format": 1}', b'{"a": NaN}', b"\xff"])
def test_headers_of_another_kind_are_caught(header: bytes, tmp_path: Path) -> None:
    import hashlib

    content = container.MAGIC + len(header).to_bytes(8, "little") + header
    (tmp_path / "x.cert").write_bytes(content + hashlib.sha256(content).digest())
    assert not verify(tmp_path / "x.cert").verified


def test_changed_data_are_caught(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = data.load

    def with_one_other_label(*args: Any, **options: Any) -> data.Dataset:
        dataset = load(*args, **options)
        dataset.train.labels[7] = (dataset.train.labels[7] + 1) % 10
        return dataset

    monkeypatch.setattr(data, "load", with_one_other_label)
    with pytest.raises(InputError, match="the train images named digits are not the ones of that name"):
        verify(file)
    monkeypatch.setattr(evidence, "PINNED", {})  # of data whose sha256 is not known the claim is all there is
    assert verify(file).differences[0].startswith("train.sha256 is claimed")


def test_a_checkpoint_of_another_net_or_without_running_statistics(run: Path, tmp_path: Path) -> None:
    state = torch.load(sorted((run / "checkpoints").iterdir())[-1], weights_only=True)["model"]
    torch.save({k: v for k, v in state.items() if "running" not in k}, tmp_path / "batch_statistics.pt")
    with pytest.raises(InputError, match=r"no checkpoint of this s-conv .*running_mean"):
        certify(run, checkpoint=tmp_path / "batch_statistics.pt")
    torch.save({**state, "conv1.weight": torch.zeros(7, 1, 9, 9)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="no checkpoint of this s-conv"):
        certify(run, checkpoint=tmp_path / "other.pt")
    torch.save({**state, "conv1.weight": state["conv1.weight"] * torch.nan}, tmp_path / "nan.pt")
    with pytest.raises(InputError, match=r"conv1.weight in .* infinite or NaN"):
        certify(run, checkpoint=tmp_path / "nan.pt")


def test_random_labels_are_refused(tmp_path: Path) -> None:
    path = trained(tmp_path / "random", random_labels=True)
    summary = Run.open(path).summary()
    assert summary is not None
    assert summary["metrics"]["final/train_error"] > 0.7, (
        "counted on the random labels; on the real ones it says nothing"
    )
    with pytest.raises(InputError, match="random labels"):
        certify(path)


def _predictors(architecture: str, axes: int, kernels: st.SearchStrategy[int]) -> st.SearchStrategy[tuple]:
    return st.tuples(
        st.just(architecture),
        st.integers(1, 300),
        kernels,
        st.tuples(st.just(2), *[st.integers(1, 64)] * axes),
        st.integers(2, 100),
        st.tuples(*[st.integers(0, 9999)] * 2),
        st.tuples(*[st.integers(1, 10_000)] * 2),
        st.one_of(st.none(), st.integers(0, 2**32)),
    )


PREDICTORS = st.one_of(
    _predictors("resnet18", 2, st.sampled_from([3, 5, 7])),
    *(_predictors(name, axes, st.just(3)) for name in ARCHITECTURES if name != "resnet18" for axes in (1, 2)),
)


@given(PREDICTORS, st.text("01", max_size=9))
def test_architecture_word(fields: tuple, after: str) -> None:
    predictor = FloatPredictor(*fields)
    found, rest = FloatPredictor.parse(predictor.word() + Bits(after))
    assert found == predictor
    assert str(rest) == after
    assert len(predictor.word()) < 250


@given(st.binary(max_size=40))
def test_random_words_are_a_net_or_refused(content: bytes) -> None:
    try:
        FloatPredictor.parse(Bits.from_bytes(content))[0].layout()
    except ValueError:
        return


@pytest.mark.parametrize(("side", "base_channels"), [(32, 1000), (4096, 100_000)])
def test_a_word_of_a_huge_net_costs_nothing(side: int, base_channels: int) -> None:
    giant = FloatPredictor("s-fc", base_channels, 3, (3, side, side), 1000, (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match=r"more than 536,870,912 weights|describes no net: .* overflowed"):
        giant.layout()


def test_the_commands(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.cert"
    grid = ("--densities", "1.0", "0.3", "--value-bits", "2", "4")
    assert code("certify", str(run), "-o", str(file), *grid) == 0
    out = capsys.readouterr().out
    assert out.count("density") == 4
    for words in ("vacuous", "theorem1", "occam binomial", "adaptive", "architecture word", "from the test set"):
        assert words in out.replace("theorem1", "theorem1"), words
    assert code("verify", str(file)) == 0
    assert ": verified" in capsys.readouterr().out
    forged = forge(file, tmp_path / "forged.cert", _set("train_errors", to=0))
    assert code("verify", str(forged)) == 1
    out = capsys.readouterr().out
    assert "differs: train_errors is claimed to be 0" in out
    assert "NOT verified" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["certify", "{run}", "-o", "{tmp}/a.cert", "--delta", "1.5"], "delta must lie in (0, 0.5]"),
        (["certify", "{run}", "-o", "{tmp}/a.cert", "--densities", "0"], "density must lie in (0, 1]"),
        (["certify", "{run}", "-o", "{tmp}/a.cert", "--value-bits", "40"], "value_bits must lie in 0…16"),
        (["certify", "{run}", "-o", "{tmp}/none/a.cert"], "does not exist"),
        (["certify", "{tmp}", "-o", "{tmp}/a.cert"], "config.json"),
        (["certify", "{run}", "-o", "{tmp}/a.cert", "--checkpoint", "{tmp}/none.pt"], "none.pt"),
        (["verify", "{tmp}/none.cert"], "none.cert"),
        (["verify", "{run}/config.json"], "no certificate"),
    ],
)
def test_bad_input(
    arguments: list[str], words: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(*(argument.format(run=run, tmp=tmp_path) for argument in arguments)) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1, "one line"
    assert not list(tmp_path.glob("*.cert"))


def code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    return int(stop.value.code or 0)


def test_the_header_is_readable(file: Path) -> None:
    start = len(container.MAGIC) + 8
    content = file.read_bytes()
    header = json.loads(content[start : start + int.from_bytes(content[len(container.MAGIC) : start], "little")])
    assert header["train"]["data"] == "digits"


def signals_config(**fields: int) -> TrainConfig:
    return TrainConfig(
        "s-fc",
        base_channels=2,
        data="signals",
        epochs=2,
        batch_size=100,
        permute_pixels=True,
        optimizer=OptimizerConfig("beta-lasso", l1_conv=5e-3, l1_fc=2e-3, beta=10.0),
        augment=AugmentConfig(crop=0, flip=False),
        **fields,
    )


def test_a_run_on_signals_is_certified_and_verified(tmp_path: Path) -> None:
    trained = train(signals_config(), tmp_path / "run")
    certificate = certify(tmp_path / "run")
    certificate.write(tmp_path / "net.cert")
    assert verify(tmp_path / "net.cert").verified
    assert (certificate.train.images, certificate.train.data) == (4000, "signals")
    assert abs(certificate.train_errors / certificate.train.images - trained.train_error) < 0.02


def test_a_run_on_the_stream_is_refused(tmp_path: Path) -> None:
    """Its number of samples and seed choose the sample, and no bits pay for that."""
    train(signals_config(samples=3000, data_seed=1), tmp_path / "run")
    with pytest.raises(InputError, match="3,000 signals of the stream"):
        certify(tmp_path / "run")
