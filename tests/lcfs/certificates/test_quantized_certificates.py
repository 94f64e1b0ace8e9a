"""Descriptions of quantized nets: round trips, exact lengths, forgeries, and the way from a run to a verified file."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lcfs import data
from lcfs.certificates import Certificate, Coarsening, certify, verify
from lcfs.cli import main
from lcfs.descriptions.encoded import decode, encode
from lcfs.descriptions.float_nets import FloatPredictor
from lcfs.descriptions.quantized_language import ideal_bits
from lcfs.descriptions.quantized_nets import QuantizedPredictor
from lcfs.errors import InputError
from lcfs.nets.quantized import Architecture, QuantizedNet
from lcfs.runs import Run
from theory.codes import Bits, EliasDelta, Uniform

SMALL = Architecture(channels=5, stages=((0,), (0, 1)), levels=2, head_levels=3)
DIGITS = QuantizedPredictor(SMALL, (1, 8, 8), 10)


def random_levels(predictor: QuantizedPredictor, seed: int, spread: float = 1.0) -> dict[str, np.ndarray]:
    torch.manual_seed(seed)
    net = QuantizedNet(predictor.architecture, predictor.image[0], predictor.classes)
    for latent in net.latent.values():
        latent.data = torch.randn(latent.shape) * spread
    return net.integers()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 9),
    st.lists(st.lists(st.integers(0, 1), max_size=3).map(tuple), min_size=1, max_size=3),
    st.sampled_from((1, 3, 5)),
    st.booleans(),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.floats(0.1, 5),
)
def test_round_trip_and_length(
    channels: int, stages: list, size: int, symmetric: bool, levels: tuple[int, int], spread: float
) -> None:
    used = sorted({block for stage in stages for block in stage})
    named = tuple(tuple(used.index(block) for block in stage) for stage in stages)
    predictor = QuantizedPredictor(Architecture(channels, named, size, symmetric, *levels), (3, 16, 8), 7)
    original = random_levels(predictor, channels, spread)
    encoded = encode(predictor, original)
    decoded = decode(encoded.bits)
    assert decoded.predictor == predictor
    assert (decoded.predictor.image, decoded.predictor.classes) == ((3, 16, 8), 7)
    assert list(decoded.arrays) == list(original)
    assert all((decoded.arrays[name] == level).all() for name, level in original.items())
    assert decoded.ledger == encoded.ledger
    assert sum(entry.bits for entry in encoded.ledger) == len(encoded.bits)
    assert decoded.encode().language_bits == encoded.language_bits
    tensors = len(encoded.bits) - 1 - len(predictor.word())
    slack = tensors - ideal_bits(original, predictor.layout())
    assert -1e-6 < slack < 2 * len(set(levels)) + 1e-6, "less than two bits for each arithmetic codeword"


def test_the_decoded_net_computes_in_float64_what_the_levels_say() -> None:
    levels = random_levels(DIGITS, 0)
    decoded, images = decode(encode(DIGITS, levels).bits), data.load("digits").test.images[:20]
    net = QuantizedNet(SMALL, 1)
    for name, level in levels.items():
        net.latent[name].data = torch.from_numpy(level).double()
    net_decoded = decoded.net()
    logits = net_decoded(decoded.predictor.inputs(images))
    assert logits.dtype == torch.float64
    assert not net_decoded.training
    torch.testing.assert_close(logits, net.eval()(images), rtol=0, atol=0)


def test_skewed_levels_are_shorter_than_uniform_ones() -> None:
    skewed = encode(DIGITS, random_levels(DIGITS, 0, spread=0.3)).language_bits
    assert skewed["adaptive-levels"] < skewed["uniform-levels"] < skewed["dense"]
    spread = encode(DIGITS, random_levels(DIGITS, 0, spread=50)).language_bits
    assert spread["adaptive-levels"] < spread["dense"]


def test_truncated_and_lengthened_descriptions_are_refused() -> None:
    bits = encode(DIGITS, random_levels(DIGITS, 0)).bits
    for wrong in (bits + Bits("0"), *(bits[:length] for length in range(0, len(bits), 7))):
        with pytest.raises(ValueError, match=r"."):
            decode(wrong)


@settings(deadline=None, max_examples=200)
@given(st.text("01", max_size=200))
def test_any_bits_are_a_net_or_refused(text: str) -> None:
    for kind in "01":
        try:
            decoded = decode(Bits(kind + text))
        except ValueError:
            continue
        assert encode(decoded.predictor, decoded.arrays).bits == Bits(kind + text)


def word(**changes: int) -> Bits:
    """The architecture word of a net with one stage and one block, some numbers of it replaced."""
    numbers = {"image": 1, "height": 8, "width": 8, "classes": 10, "channels": 5, "half": 2, "symmetric": 2}
    numbers |= {"levels": 2, "head_levels": 3, "stages": 1, "applied": 2, "block": 1}
    assert set(changes) <= set(numbers)
    joined = Bits.join(EliasDelta().encode(number) for number in (numbers | changes).values())
    return Uniform(2).encode(1) + joined + Bits("0" * 600)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 1 << 40}, "channels must lie in"),
        ({"classes": 1 << 40}, "more than 1,048,576 weights"),
        ({"image": 1 << 40}, "more than 1,048,576 weights"),
        ({"height": 7}, "multiples of 2"),
        ({"half": 1 << 40}, "kernel_size must be odd"),
        ({"levels": 1 << 40}, "levels must lie in"),
        ({"symmetric": 3}, "neither of a symmetric"),
        ({"stages": 1 << 40}, "promises 1099511627776 numbers"),
        ({"applied": 1 << 40}, "promises 1099511627775 numbers"),
        ({"block": 1 << 40}, "without a gap"),
    ],
)
def test_forged_words_fill_no_memory(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(word(**changes))


def test_the_honest_word_of_the_forgeries_is_read() -> None:
    predictor, _ = QuantizedPredictor.parse(word()[1:])
    assert predictor == replace(DIGITS, architecture=replace(SMALL, stages=((0,),)))


def test_the_first_bit_is_the_kind() -> None:
    assert encode(DIGITS, random_levels(DIGITS, 0)).bits[0] == 1
    dense = FloatPredictor("3-fc", 2, 3, (1, 8, 8), 10, (0,), (1,))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in dense.layout().items()}
    encoded = encode(dense, arrays)
    assert encoded.bits[0] == 0
    assert encoded.ledger[0].bits == 1 + len(dense.word())
    assert decode(encoded.bits).predictor == dense


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory of an untrained net for digits."""
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"quantized": asdict(SMALL), "data": "digits", "epochs": 3}))
    torch.manual_seed(0)
    Run(path).save_checkpoint(3, {"model": QuantizedNet(SMALL, 1).state_dict(), "epoch": 3})
    return path


def test_from_a_run_to_a_verified_certificate(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.cert"
    made = certify(run)
    made.write(file)
    found = verify(file)
    assert found.verified, found.differences
    assert found.certificate == made == Certificate.read(file)
    assert made.language == "adaptive-levels"
    replace(made, train_errors=made.train_errors - 1).write(file)
    assert verify(file).differences[0].startswith("train_errors is claimed")
    replace(made, language_bits={**made.language_bits, "dense": 1}).write(file)
    assert verify(file).differences == ("language_bits is not what the bits and the data give",)


def test_the_commands_take_it_like_any_other(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.cert"
    for arguments in (["certify", str(run), "-o", str(file)], ["verify", str(file)]):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
    printed = capsys.readouterr().out
    assert "adaptive-levels (the bits)" in printed
    assert "uniform-levels" in printed
    assert printed.endswith("net.cert: verified\n")


def test_another_net_than_the_claimed_one_is_found_out(run: Path, tmp_path: Path) -> None:
    made, file = certify(run), tmp_path / "net.cert"
    levels = decode(made.description).arrays
    levels["head"] = -levels["head"]
    replace(made, description=encode(DIGITS, levels).bits).write(file)
    assert not verify(file).verified


def test_a_net_for_other_images_is_refused(run: Path, tmp_path: Path) -> None:
    made, file = certify(run), tmp_path / "net.cert"
    large = replace(DIGITS, image=(1, 1 << 20, 1 << 20))
    replace(made, description=encode(large, decode(made.description).arrays).bits).write(file)
    (difference,) = verify(file).differences
    assert difference.startswith("the net takes images (1, 1048576, 1048576)")


def test_mistakes_are_named(run: Path) -> None:
    with pytest.raises(InputError, match="certified as it is"):
        certify(run, candidates=(Coarsening(density=0.5),))
    with pytest.raises(InputError, match="delta must lie in"):
        certify(run, delta=1.0)
    _rewrite(run, quantized={**asdict(SMALL), "channels": 6})
    with pytest.raises(InputError, match="no checkpoint of this quantized net"):
        certify(run)


@pytest.mark.parametrize(
    "changes",
    [{"quantized": {"channels": 6}}, {"quantized": None}, {"data": "mnist"}, {"quantized": {**asdict(SMALL), "x": 1}}],
)
def test_a_damaged_configuration_is_named(run: Path, changes: dict[str, Any]) -> None:
    _rewrite(run, **changes)
    with pytest.raises(InputError, match="does not describe a run of a quantized net"):
        certify(run)


def _rewrite(run: Path, **changes: Any) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | changes))
