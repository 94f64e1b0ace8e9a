"""Round trip: nets to bits and back in every language. Algebra: the ledger adds up, the choice is the shortest.

Certificate: Kraft's sum over all nets of a small layout. Oracle: closed forms against what is written.
"""

import itertools
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from theory import languages
from theory.codes import Bits
from theory.languages import LANGUAGES, lengths, whole
from theory.languages.patterns import from_patterns, to_patterns, value_bits
from theory.operators import Convolution

HALF = st.sampled_from([0.0, 0.0, 0.0, 1.0, -0.5, 0.25, -2.0, 1024.0])
SINGLE = st.one_of(HALF, st.floats(width=32, allow_nan=False, allow_infinity=False))


def nets(elements: st.SearchStrategy[float]) -> st.SearchStrategy[dict[str, np.ndarray]]:
    shapes = array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
    array = shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=elements))
    return st.dictionaries(st.sampled_from(["a.weight", "a.bias", "b.weight", "c.weight"]), array, min_size=1)


def layout(net: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in net.items()}


def patterns_of(net: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
    width = value_bits(net.values())
    return {name: to_patterns(array, width) for name, array in net.items()}, width


def assert_same(found: dict[str, np.ndarray], net: dict[str, np.ndarray]) -> None:
    assert list(found) == list(net)
    for name, array in net.items():
        assert found[name].shape == array.shape
        assert (found[name] == array).all(), name


@given(st.one_of(nets(HALF), nets(SINGLE)), st.text("01", max_size=9))
def test_the_shortest_language_comes_back_and_pays_for_all(net: dict[str, np.ndarray], after: str) -> None:
    described = languages.describe(net)
    found, what, rest = languages.decode(described.bits + Bits(after), layout(net))
    assert_same(found, net)
    assert str(rest) == after
    assert what.language == described.language
    assert what.ledger == described.ledger
    assert sum(entry.bits for entry in described.ledger) == len(described.bits)
    assert described.lengths[described.language] == min(described.lengths[n] for n in (described.language, "adaptive"))


@pytest.mark.parametrize("language", LANGUAGES)
@given(net=st.one_of(nets(HALF), nets(SINGLE)))
def test_every_language_comes_back(language: str, net: dict[str, np.ndarray]) -> None:
    patterns, width = patterns_of(net)
    written = whole._write(language, net, patterns, width, {})
    found, what, rest = languages.decode(written.bits(), layout(net))
    assert_same(found, net)
    assert (what.language, len(rest), list(what.ledger)) == (language, 0, written.ledger)


# Padding: a few words of a whole number of bits each; Theorem 2's code rounds up each of s positions and labels.
@given(st.one_of(nets(HALF), nets(SINGLE)))
def test_closed_forms_are_what_is_written(net: dict[str, np.ndarray]) -> None:
    patterns, width = patterns_of(net)
    for language, closed in whole.closed_form_lengths(patterns, width).items():
        written = len(whole._write(language, net, patterns, width, {}).bits()) - 4
        rounded = sum(map(np.count_nonzero, patterns.values())) if language == "theorem2" else 0
        assert closed - 4 <= written <= closed + 2 * rounded + 12, language


@pytest.mark.parametrize("language", ["dense", "theorem2", "enumerative-shared", "enumerative-own"])
@pytest.mark.parametrize(("n", "b"), [(1, 2), (2, 2), (3, 1), (3, 2), (4, 2)])
def test_kraft_sum_of_the_closed_forms(language: str, n: int, b: int) -> None:
    total = 0.0
    for net in itertools.product(range(2**b), repeat=n):
        nonzero = [value for value in net if value]
        counts = np.unique(nonzero, return_counts=True)[1]
        s, k = len(nonzero), len(counts)
        arrangements = lengths.log2_arrangements(counts)
        bits = {
            "dense": lengths.dense(n, b),
            "theorem2": lengths.theorem2(n, s, k, b),
            "enumerative-shared": lengths.enumerative_shared(n, s, k, b, arrangements),
            "enumerative-own": lengths.enumerative_own(n, s, b),
        }[language]
        total += 2.0**-bits
    assert total <= 1 + 1e-12


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1)), min_size=1, max_size=5))
def test_kt_support_is_the_sequential_estimate(contexts: list[tuple[int, float]]) -> None:
    sizes = np.array([n for n, _ in contexts])
    counts = np.array([round(n * part) for n, part in contexts])
    small = sizes <= 400
    sequential = 0.0
    for n, s in zip(sizes[small], counts[small], strict=True):
        seen = [0, 0]
        for t in range(n):
            bit = int(t < s)  # any order gives the same product
            sequential -= math.log2((seen[bit] + 0.5) / (t + 1))
            seen[bit] += 1
    assert lengths.kt_support(sizes[small], counts[small]) == pytest.approx(sequential, abs=1e-6)
    entropy = sum(
        n * -sum(p * math.log2(p) for p in (s / n, 1 - s / n) if p) for n, s in zip(sizes, counts, strict=True) if n
    )
    slack = sum(0.5 * math.log2(n) + 1.1 for n in sizes if n)  # the redundancy of the estimator
    assert entropy - 1e-6 <= lengths.kt_support(sizes, counts) <= entropy + slack + 1e-6


def test_structure_beats_every_other_language_on_an_embedded_convolution() -> None:
    layer = Convolution((3, 16, 16), 8, 5, stride=2, padding=2)
    weight = np.random.default_rng(0).normal(size=(8, 3, 5, 5)).astype(np.float16).astype(np.float32)
    net = {"conv1.weight": layer.matrix(weight).astype(np.float32)}
    told = languages.describe(net, {"conv1.weight": layer})
    untold = languages.describe(net)
    assert told.language == "structured"
    assert untold.language != "structured"
    assert len(told.bits) < 600 * 16 + 150 < len(untold.bits) / 20
    found, _, rest = languages.decode(told.bits, layout(net))
    assert_same(found, net)
    assert not len(rest)


def test_a_local_array_with_one_filter_is_tied_and_one_changed_weight_unties_it() -> None:
    rng = np.random.default_rng(1)
    filters = rng.normal(size=(4, 3, 3, 3)).astype(np.float16).astype(np.float32)
    net = {"conv1.weight": np.broadcast_to(filters, (8, 8, 4, 3, 3, 3)).copy()}
    tied = languages.describe(net)
    assert tied.language == "structured"
    assert len(tied.bits) < 108 * 16 + 150
    assert_same(languages.decode(tied.bits, layout(net))[0], net)
    net["conv1.weight"][3, 5, 1, 1, 1, 1] += 1
    untied = languages.describe(net)
    assert len(untied.bits) > 5 * len(tied.bits)
    assert_same(languages.decode(untied.bits, layout(net))[0], net)


def test_a_wrong_structure_is_tried_and_dropped() -> None:
    layer = Convolution((1, 6, 6), 2, 3, padding=1)
    net = {"conv1.weight": np.random.default_rng(2).normal(size=layer.shape).astype(np.float32)}
    described = languages.describe(net, {"conv1.weight": layer})
    assert_same(languages.decode(described.bits, layout(net))[0], net)


def test_rows_of_unequal_density_are_cheaper_than_the_enumerated_whole() -> None:
    rng = np.random.default_rng(3)
    density = np.where(np.arange(64) % 8 == 0, 0.5, 0.0)[:, None]
    net = {"w": np.where(rng.random((64, 256)) < density, 1.0, 0.0).astype(np.float32)}
    found = languages.describe(net)
    assert found.language == "adaptive"
    assert found.lengths["adaptive"] < 0.6 * found.lengths["enumerative-shared"]


@given(nets(SINGLE), st.data())
def test_a_flipped_bit_never_decodes_to_the_same_net(net: dict[str, np.ndarray], data: st.DataObject) -> None:
    bits = languages.describe(net).bits
    i = data.draw(st.integers(0, len(bits) - 1))
    text = str(bits)
    flipped = Bits(text[:i] + "10"[int(text[i])] + text[i + 1 :])
    try:
        found, _, rest = languages.decode(flipped, layout(net))
    except ValueError:
        return
    same = all((found[name] == array).all() for name, array in net.items())
    assert not same or len(rest) or str(languages.describe(net).bits) != str(flipped)


@given(nets(SINGLE), st.data())
def test_truncated_descriptions_are_refused(net: dict[str, np.ndarray], data: st.DataObject) -> None:
    bits = languages.describe(net).bits
    cut = Bits(str(bits)[: data.draw(st.integers(0, len(bits) - 1))])
    with pytest.raises(ValueError, match=r"."):
        languages.decode(cut, layout(net))


@given(st.text("01", max_size=400), nets(HALF))
def test_random_bits_are_a_net_or_refused(text: str, net: dict[str, np.ndarray]) -> None:
    try:
        found, _, _ = languages.decode(Bits(text), layout(net))
    except ValueError:
        return
    assert {name: array.shape for name, array in found.items()} == layout(net)


def is_half(x: float) -> bool:
    try:
        return struct.unpack("<e", struct.pack("<e", x))[0] == x
    except OverflowError:
        return False


@given(arrays(np.float32, 20, elements=SINGLE))
def test_patterns(array: np.ndarray) -> None:
    width = value_bits([array])
    assert width == (16 if all(is_half(float(x)) for x in array) else 32)
    patterns = to_patterns(array, width)
    assert ((patterns == 0) == (array == 0)).all(), "zero of either sign is pattern 0"
    assert (from_patterns(patterns, width, (20,)) == array).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.1])
def test_values_without_a_description(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"infinite or NaN|not exact in 32 bits"):
        languages.describe({"w": np.array([1.0, wrong])})
