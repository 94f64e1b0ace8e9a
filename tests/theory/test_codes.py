"""Every code at small sizes: all its words are listed. Certificate: none begins another, and Kraft's sum is at most 1.

Round trip: with anything behind it. Negative control: truncated words and words of no code raise ValueError.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import codes
from theory.codes import Bits


def subsets(n: int, size: int | None = None) -> list[np.ndarray]:
    sizes = range(n + 1) if size is None else (size,)
    return [np.array(chosen, np.int64) for s in sizes for chosen in itertools.combinations(range(n), s)]


def words(symbols: int, length: int) -> list[np.ndarray]:
    return [np.array(word, np.int64) for word in itertools.product(range(symbols), repeat=length)]


def layers() -> list[codes.LayerStructure]:
    fields = itertools.product(codes.KINDS, (2, 4), (2,), (1, 3), (1, 2), (0, 1), (1, 2))
    return [codes.LayerStructure(*field) for field in fields]


def label_maps(n: int) -> list[codes.LabelMap]:
    return [
        codes.LabelMap(positions, labels + 1, k)
        for k in range(1, n + 1)
        for positions in subsets(n)
        for labels in words(k, len(positions))
    ]


CONTEXTS = np.array([1, 0, 1, 7, 1])
SMALL = [
    (codes.EliasGamma(), list(range(1, 130))),
    (codes.EliasDelta(), list(range(1, 130))),
    (codes.EliasOmega(), list(range(1, 130))),
    *((codes.Uniform(n), list(range(n))) for n in range(1, 10)),
    *((codes.EnumeratedSubset(6, s), subsets(6, s)) for s in range(7)),
    *((codes.GapSubset(6, s), subsets(6, s)) for s in range(7)),
    (codes.Support(0), subsets(0)),
    (codes.Support(7), subsets(7)),
    (codes.BulkSupport(7), subsets(7)),
    (codes.AdaptiveSupport(CONTEXTS), subsets(5)),
    (codes.AdaptiveSupport(CONTEXTS[:0]), subsets(0)),
    (codes.WindowSupport(2, 3), subsets(6)),
    (codes.WindowSupport(1, 3, channels=2), subsets(6)),
    (codes.OwnValues(2, 3), words(4, 3)),
    (codes.SharedValues(2, 3), words(4, 3)),
    (codes.SharedValues(2, 0), words(4, 0)),
    (codes.EntropyCoded(3, 4), words(3, 4)),
    (codes.EntropyCoded(3, 5, CONTEXTS), words(3, 5)),
    (codes.EntropyCoded(1, 3), words(1, 3)),
    (codes.Multiset(2, 4), [list(units) for units in itertools.combinations_with_replacement(range(4), 4)]),
    (codes.Multiset(0, 3), [[0, 0, 0]]),
    (codes.Multiset(3, 1), [[unit] for unit in range(8)]),
    (codes.Structure(), layers()),
    *((codes.Theorem2Map(n), label_maps(n)) for n in (1, 2, 3)),
]
IDS = [f"{type(code).__name__}-{i}" for i, (code, _) in enumerate(SMALL)]


def same(x: object, y: object) -> bool:
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return np.array_equal(x, y)
    if isinstance(x, codes.LabelMap) and isinstance(y, codes.LabelMap):
        parts = ((x.positions, y.positions), (x.labels, y.labels))
        return x.shared_values == y.shared_values and all(itertools.starmap(np.array_equal, parts))
    return x == y


def check_all_words(code: codes.Code, objects: list) -> Fraction:
    """Kraft's sum of the words of these distinct objects, all of which are checked."""
    encoded = []
    for x in objects:
        word = code.encode(x)
        assert code.length(x) == len(word)
        y, rest = code.decode(word + Bits("0110"))
        assert same(x, y)
        assert rest == Bits("0110")
        if word:
            check_refused(code, word[: len(word) - 1])
        encoded.append(str(word))
    encoded.sort()  # a word that begins another then stands right before one that it begins
    assert not any(after.startswith(before) for before, after in itertools.pairwise(encoded))
    return sum((Fraction(1, 2 ** len(word)) for word in encoded), Fraction(0))


def check_refused(code: codes.Code, bits: Bits) -> None:
    try:  # pytest.raises takes a millisecond
        code.decode(bits)
    except ValueError:
        return
    pytest.fail(f"{code} decodes the truncated {bits}")


@pytest.mark.parametrize(("code", "objects"), SMALL, ids=IDS)
def test_all_words_of_small_codes(code: codes.Code, objects: list) -> None:
    kraft = check_all_words(code, objects)
    assert kraft <= 1
    assert all(code.length(x) <= code.ideal(x) + 50 for x in objects)
    if isinstance(code, codes.Uniform | codes.EnumeratedSubset | codes.OwnValues) or type(code) is codes.Support:
        assert kraft == 1


def test_all_words_of_bulk_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.codes.values._EXACT_SIZE", 0)
    monkeypatch.setattr("theory.codes.gaps._ENUMERATED", 0)
    monkeypatch.setattr("theory.codes.multisets._LARGEST_BINOMIAL", 2)
    monkeypatch.setattr("theory.codes.adaptive_supports._LARGEST_TABLE", 2)
    for code, objects in SMALL:
        if isinstance(code, codes.BulkSupport | codes.SharedValues | codes.Multiset | codes.AdaptiveSupport):
            assert check_all_words(code, objects) <= 1


@given(st.sampled_from(SMALL), st.data())
def test_flipped_bits_give_another_word_or_none(example: tuple[codes.Code, list], data: st.DataObject) -> None:
    code, objects = example
    word = code.encode(data.draw(st.sampled_from(objects)))
    flips = data.draw(st.sets(st.integers(0, max(len(word) - 1, 0)), min_size=1, max_size=3))
    flipped = Bits("".join(str(bit ^ (i in flips)) for i, bit in enumerate(word)))
    check_decodes_words_only(code, flipped + Bits(data.draw(st.text("01", max_size=70))))


@given(st.sampled_from(SMALL), st.text("01", max_size=200))
def test_random_bits_are_a_word_or_none(example: tuple[codes.Code, list], text: str) -> None:
    check_decodes_words_only(example[0], Bits(text))


LARGE = (
    codes.EliasDelta(),
    codes.EliasOmega(),
    codes.Support(1 << 20),
    codes.BulkSupport(100_000),
    codes.GapSubset(10_000, 300),
    codes.AdaptiveSupport(np.repeat(np.arange(4), 5000)),
    codes.WindowSupport(32, 32, channels=3),
    codes.OwnValues(16, 1 << 30),
    codes.SharedValues(16, 500),
    codes.SharedValues(4, 10_000),
    codes.EntropyCoded(3, 1000),
    codes.Multiset(64, 50),
    codes.Structure(),
    codes.Theorem2Map(1 << 20),
)


@given(st.sampled_from(LARGE), st.binary(max_size=300), st.integers(0, 7))
def test_random_bytes_in_large_codes(code: codes.Code, data: bytes, offset: int) -> None:
    check_decodes_words_only(code, Bits.from_bytes(data)[offset:])


@pytest.mark.parametrize("code", LARGE, ids=[type(code).__name__ for code in LARGE])
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_zeros_and_ones_in_large_codes(code: codes.Code, byte: int) -> None:
    check_decodes_words_only(code, Bits.from_bytes(bytes([byte]) * 2000))


def check_decodes_words_only(code: codes.Code, bits: Bits) -> None:
    """Either ValueError, or what was read is the word of the answer."""
    try:
        x, rest = code.decode(bits)
    except ValueError:
        return
    read = len(bits) - len(rest)
    assert bits[read:] == rest
    assert code.encode(x) == bits[:read]


MISTAKES = [
    lambda: codes.EliasGamma().encode(0),
    lambda: codes.EliasDelta().length(-3),
    lambda: codes.EliasOmega().encode(0),
    lambda: codes.Uniform(0),
    lambda: codes.Uniform(3).encode(3),
    lambda: codes.Uniform(1 << 5000).encode(-(1 << 5000)),
    lambda: codes.Support(-1),
    lambda: codes.Support(5).encode(np.array([1, 1])),
    lambda: codes.Support(5).encode(np.array([3, 1])),
    lambda: codes.Support(5).encode(np.array([5])),
    lambda: codes.Support(5).encode(np.array([-1])),
    lambda: codes.Support(5).encode(np.array([1.0])),
    lambda: codes.Support(5).encode(np.array([[1]])),
    lambda: codes.EnumeratedSubset(5, 2).encode(np.array([1])),
    lambda: codes.EnumeratedSubset(5, 6),
    lambda: codes.GapSubset(1 << 32, 1),
    lambda: codes.GapSubset(1 << 33, 1 << 20),
    lambda: codes.WindowSupport(0, 3),
    lambda: codes.WindowSupport(2, 2).encode(np.array([4])),
    lambda: codes.AdaptiveSupport(np.array([0.5])),
    lambda: codes.AdaptiveSupport(np.array([[1]])),
    lambda: codes.AdaptiveSupport(np.array([1, 2])).encode(np.array([2])),
    lambda: codes.OwnValues(0, 3),
    lambda: codes.OwnValues(65, 3),
    lambda: codes.OwnValues(2, 3).length(np.array([1])),
    lambda: codes.OwnValues(2, 1).encode(np.array([4])),
    lambda: codes.SharedValues(33, 3),
    lambda: codes.SharedValues(2, 1).encode(np.array([4])),
    lambda: codes.SharedValues(2, 1).encode(np.array([0.0])),
    lambda: codes.EntropyCoded(0, 3),
    lambda: codes.EntropyCoded(3, 3, np.array([1])),
    lambda: codes.EntropyCoded(3, 1).encode(np.array([3])),
    lambda: codes.EntropyCoded(3, 1).encode(np.array([0, 0])),
    lambda: codes.Multiset(-1, 3),
    lambda: codes.Multiset(2, 3).encode([1, 1]),
    lambda: codes.Multiset(2, 2).encode([1, 4]),
    lambda: codes.LayerStructure("pool", 1, 1),
    lambda: codes.LayerStructure("conv", 1, 1, kernel=0),
    lambda: codes.LayerStructure("conv", 3, 4, groups=2),
    lambda: codes.Theorem2Map(0),
    lambda: codes.Theorem2Map(3).encode(codes.LabelMap(np.array([1]), np.array([1]), 4)),
    lambda: codes.Theorem2Map(3).encode(codes.LabelMap(np.array([1]), np.array([0]), 2)),
    lambda: codes.Theorem2Map(3).encode(codes.LabelMap(np.array([1]), np.array([1, 2]), 2)),
    lambda: codes.ArithmeticEncoder().encode(1, 0, 2),
    lambda: codes.ArithmeticEncoder().encode(1, 2, 2),
    lambda: codes.ArithmeticEncoder().encode(0, 1, 1 << 60),
    lambda: codes.ArithmeticDecoder(Bits()).target(1 << 60),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(mistake) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        mistake()
