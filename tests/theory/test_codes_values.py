"""Oracle: the formulas of the value codes in exact integers. Round trip. Reference: Theorem 2's code, its formula."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import bounds, codes
from theory.codes import Bits


@given(st.integers(1, 32), st.data())
def test_shared_values(bits: int, data: st.DataObject) -> None:
    book = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=5))
    values = data.draw(st.lists(st.sampled_from(book), max_size=40))
    x, code = np.array(values, np.uint32), codes.SharedValues(bits, len(values))
    word = code.encode(x)
    decoded, rest = code.decode(word + Bits("011"))
    assert decoded.tolist() == values
    assert decoded.dtype.itemsize == (1 if bits <= 8 else 2 if bits <= 16 else 4)
    assert rest == Bits("011")
    if values:
        s, k = len(values), len(set(values))
        ways = min(s, 2**bits) * math.comb(2**bits, k) * math.comb(s - 1, k - 1) * math.factorial(s)
        ways //= math.prod(math.factorial(values.count(value)) for value in set(values))
        assert code.ideal(x) == pytest.approx(math.log2(ways), rel=1e-9, abs=1e-9)
        assert math.log2(ways) - 3 <= len(word) <= math.log2(ways) + 5


@pytest.mark.parametrize(
    ("size", "k", "bits"), [(9000, 16, 16), (100_000, 1, 8), (30_000, 200, 32), (20_000, 3000, 24)]
)
def test_shared_values_in_bulk(size: int, k: int, bits: int) -> None:
    rng = np.random.default_rng(size)
    book = np.unique(rng.integers(0, 1 << bits, k))
    x = rng.choice(book, size, p=rng.dirichlet(np.full(len(book), 2.0)))
    code = codes.SharedValues(bits, size)
    word = code.encode(x)
    decoded, rest = code.decode(word + Bits("011"))
    assert np.array_equal(decoded, x)
    assert rest == Bits("011")
    counts = np.unique(x, return_counts=True)[1]
    fixed = 0.5 * np.log2(2 * np.pi * counts).sum() - 0.5 * np.log2(
        2 * np.pi * size
    )  # Stirling: s H(c/s) − log2 s!/Πc!
    assert code.ideal(x) - 3 <= len(word) <= code.ideal(x) + fixed + 60 + 0.2 * len(counts)


def test_bulk_labels_must_have_their_histogram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.codes.values._EXACT_SIZE", 0)
    code = codes.SharedValues(1, 64)
    word = code.encode(np.tile([0, 1], 32))
    other = code.encode(np.concatenate((np.tile([0, 1], 31), [1, 1])))
    head = next(i for i in range(len(word)) if word[i] != other[i])
    assert head < 20  # in the histogram
    with pytest.raises(ValueError, match=r"\w+"):
        code.decode(other[: head + 6] + word[head + 6 :])


@given(st.integers(1, 64).flatmap(lambda b: st.tuples(st.just(b), st.lists(st.integers(0, 2**b - 1), max_size=9))))
def test_own_values(example: tuple[int, list[int]]) -> None:
    bits, values = example
    code = codes.OwnValues(bits, len(values))
    word = code.encode(np.array(values, np.uint64))
    assert len(word) == bits * len(values) == code.length(np.array(values, np.uint64))
    decoded, rest = code.decode(word + Bits("1"))
    assert (decoded.tolist(), rest) == (values, Bits("1"))


def kt_probability(symbols: list[int], contexts: list[int], alphabet: int) -> Fraction:
    """Symbol by symbol: (c_a + ½) / (t + K/2)."""
    probability, seen = Fraction(1), {}
    for symbol, context in zip(symbols, contexts, strict=True):
        counts = seen.setdefault(context, [0] * alphabet)
        probability *= Fraction(2 * counts[symbol] + 1, 2 * sum(counts) + alphabet)
        counts[symbol] += 1
    return probability


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=150), st.booleans())
def test_entropy_coded(alphabet: int, pairs: list[tuple[int, int]], with_contexts: bool) -> None:
    symbols = [symbol % alphabet for symbol, _ in pairs]
    contexts = [context if with_contexts else 0 for _, context in pairs]
    code = codes.EntropyCoded(alphabet, len(pairs), np.array(contexts, np.int64) if with_contexts else None)
    x = np.array(symbols, np.int64)
    probability = kt_probability(symbols, contexts, alphabet)
    ideal = math.log2(probability.denominator) - math.log2(probability.numerator)
    assert code.ideal(x) == pytest.approx(ideal, rel=1e-9, abs=1e-9)
    word = code.encode(x)
    assert ideal - 1e-9 <= len(word) < ideal + 2 + 1e-6
    decoded, rest = code.decode(word + Bits("01"))
    assert (decoded.tolist(), rest) == (symbols, Bits("01"))


def test_four_thousand_ternary_weights() -> None:
    x = np.random.default_rng(0).choice(3, 4000, p=[0.1, 0.8, 0.1])
    code = codes.EntropyCoded(3, 4000)
    entropy = -4000 * (0.8 * math.log2(0.8) + 0.2 * math.log2(0.1))
    assert code.length(x) < code.ideal(x) + 2
    assert code.length(x) == pytest.approx(entropy, rel=0.03)  # three standard deviations of the sample


@given(st.integers(0, 80), st.lists(st.integers(0, 7), max_size=30), st.randoms())
def test_multisets(width: int, choices: list[int], random) -> None:
    book = [random.getrandbits(width) if width else 0 for _ in range(8)]
    units = [book[choice] for choice in choices]
    code = codes.Multiset(width, len(units))
    word = code.encode(units)
    decoded, rest = code.decode(word + Bits("01"))
    assert (decoded, rest) == (sorted(units), Bits("01"))
    orders = math.factorial(len(units)) // math.prod(math.factorial(units.count(unit)) for unit in set(units))
    ideal = width * len(units) - math.log2(orders)
    assert code.ideal(units) == pytest.approx(ideal, abs=1e-9)
    assert ideal - 1e-9 <= len(word) < ideal + 2 + 1e-6
    shuffled = random.sample(units, len(units))
    assert code.encode(shuffled) == word


def test_wide_and_many_units() -> None:
    rng = np.random.default_rng(0)
    for width, size in ((2000, 20), (16, 1500)):
        units = [int.from_bytes(rng.bytes(width // 8)) for _ in range(size)]
        code = codes.Multiset(width, size)
        word = code.encode(units)
        assert code.decode(word) == (sorted(units), Bits())
        assert len(word) < code.ideal(units) + 2 + 10 * (size > 1024)
    assert codes.sorted_units_saving(range(100)) == pytest.approx(math.log2(math.factorial(100)), rel=1e-12)


def test_structure_words_are_short() -> None:
    code = codes.Structure()
    vgg_first = codes.LayerStructure("conv", 3, 64, kernel=3, padding=1)
    assert code.length(vgg_first) == 26
    wide = codes.LayerStructure("local", 512, 512, kernel=7, stride=2, padding=3)
    assert code.length(wide) == 4 + 16 + 16 + 5 + 4 + 4 + 1 + 1
    assert code.decode(code.encode(wide) + Bits("1")) == (wide, Bits("1"))


maps = st.integers(1, 5000).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(1, n), st.sets(st.integers(0, n - 1), max_size=20), st.randoms())
)


@given(maps)
def test_theorem2_up_to_ceilings(example) -> None:
    n, k, chosen, random = example
    labels = np.array([random.randint(1, k) for _ in chosen], np.int64)
    x = codes.LabelMap(np.array(sorted(chosen), np.int64), labels, k)
    code, s = codes.Theorem2Map(n), len(chosen)
    word = code.encode(x)
    printed = bounds.theorem2_mapping_bits(s, k, n)
    assert len(word) == code.length(x)
    assert len(word) == math.ceil(math.log2(n + 1)) + (s + 1) * math.ceil(math.log2(n)) + s * math.ceil(math.log2(k))
    assert printed - 1e-9 <= len(word) < printed + 2 + 2 * s + 1e-9
    assert code.ideal(x) == pytest.approx(printed - math.log2(n) + math.log2(n + 1), rel=1e-12)
    decoded, rest = code.decode(word + Bits("0"))
    assert np.array_equal(decoded.positions, x.positions)
    assert np.array_equal(decoded.labels, x.labels)
    assert (decoded.shared_values, rest) == (k, Bits("0"))


def test_theorem2_pays_for_the_order_of_the_nonzeros() -> None:
    """At n, k powers of two the ceilings vanish: log2 s! bits over the enumerative support."""
    n, s, k = 1024, 50, 4
    x = codes.LabelMap(np.arange(s), np.ones(s, np.int64), k)
    excess = codes.Theorem2Map(n).length(x) - codes.log2_binomial(n, s) - s * math.log2(k)
    assert excess == pytest.approx(math.log2(math.factorial(s)) + 21, abs=2)  # 11 + 10 bits for s and k; n^s / (n)_s
