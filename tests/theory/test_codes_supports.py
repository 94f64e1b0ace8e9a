"""Oracle: log2 C(n, s) by mpmath and exact integers. Round trip at every size. Snapshot: bytes of the bulk coder."""

import hashlib
import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import codes
from theory.codes import Bits, ans


def positions(n: int, size: int, seed: int = 0) -> np.ndarray:
    """A random subset of [0, n), from few draws where it is sparse."""
    rng = np.random.default_rng(seed)
    if 3 * size < n:
        drawn = np.sort(rng.integers(0, n, 2 * size + 10))
        return np.sort(rng.permutation(drawn[np.diff(drawn, prepend=-1) > 0])[:size])
    return np.sort(rng.permutation(n)[:size])


def check_round_trip(code: codes.Code, x: np.ndarray) -> int:
    """Number of bits of the word."""
    word = code.encode(x)
    decoded, rest = code.decode(word + Bits("1001"))
    assert decoded.dtype == np.int64
    assert np.array_equal(decoded, x)
    assert rest == Bits("1001")
    return len(word)


@pytest.mark.parametrize("n", [130, 5000, 256_000_000, 1 << 40, 1 << 62])
@pytest.mark.parametrize("s", [0, 1, 64, 65, 1000])
def test_log2_binomial(n: int, s: int) -> None:
    s = min(s, n)
    with mpmath.workdps(60):
        exact = mpmath.log(mpmath.binomial(n, s), 2)
        assert abs(codes.log2_binomial(n, s) - exact) <= 1e-14 * exact + 1e-12
        assert codes.log2_binomial(n, n - s) == codes.log2_binomial(n, s)


def test_the_example_of_256_million_weights() -> None:
    assert round(codes.log2_binomial(256_000_000, 2_500_000) / 1e6, 3) == 20.284


@given(st.integers(0, 400), st.data())
def test_supports(n: int, data: st.DataObject) -> None:
    x = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1))) if n else []), np.int64)
    ideal = codes.Support(n).ideal(x)
    assert ideal == pytest.approx(math.log2((n + 1) * math.comb(n, len(x))), rel=1e-12)
    assert ideal - 2 <= check_round_trip(codes.Support(n), x) <= ideal + 2
    assert codes.BulkSupport(n).encode(x) == codes.Support(n).encode(x)
    if n:
        check_round_trip(codes.GapSubset(n, len(x)), x)


@pytest.mark.parametrize(("n", "size"), [(200, 100), (1000, 37), (1000, 990), (3072, 1500), (100_000, 300)])
def test_indices_are_exact(n: int, size: int) -> None:
    code = codes.EnumeratedSubset(n, size)
    assert abs(check_round_trip(code, positions(n, size)) - math.log2(math.comb(n, size))) < 1
    assert check_round_trip(code, np.arange(size)) in (
        math.comb(n, size).bit_length() - 1,
        math.comb(n, size).bit_length(),
    )
    check_round_trip(code, np.arange(n - size, n))


@pytest.mark.parametrize(
    ("n", "size"),
    [
        (10_000, 5000),
        (10_000, 1500),
        (10_000, 8000),
        (1 << 20, 1030),
        (300_000, 150_000),
        (300_000, 299_000),
        (1 << 32, 5000),
    ],
)
def test_bulk_supports(n: int, size: int) -> None:
    code, x = codes.BulkSupport(n), positions(n, size) if size < 299_000 else np.arange(1000, n)
    assert abs(check_round_trip(code, x) - code.ideal(x)) < 60


@pytest.mark.parametrize("x", [np.arange(2000), np.arange(98_000, 100_000), np.arange(0, 100_000, 50)])
def test_bulk_supports_far_from_random(x: np.ndarray) -> None:
    check_round_trip(codes.BulkSupport(100_000), x)


def check_big_support(n: int, size: int) -> None:
    length = check_round_trip(codes.BulkSupport(n), positions(n, size))
    assert length <= codes.log2_binomial(n, size) + 100


def test_2_56_million_weights() -> None:
    check_big_support(2_560_000, 25_000)


@pytest.mark.slow
def test_256_million_weights() -> None:
    check_big_support(256_000_000, 2_500_000)


def test_bytes_are_the_same_everywhere() -> None:
    x = np.arange(20_000, dtype=np.int64) ** 2 * 7 % 1_000_003
    word = codes.BulkSupport(1_000_003).encode(np.unique(x))
    assert (
        hashlib.sha256(word.to_bytes()).hexdigest()
        == "10b19eedd1ee5d0501b77393688576afda44567016baa61bee659371a31cc2a1"
    )
    labels = codes.SharedValues(8, 20_000).encode(x % 251 % 17)
    assert (
        hashlib.sha256(labels.to_bytes()).hexdigest()
        == "fba6f112e356acad629b4c906e69c761526d0da342118e6d436aea5b2ff5fa4e"
    )


@pytest.mark.parametrize("k", [2, 3, 300])
def test_integer_frequencies_pass_through_constriction_unchanged(k: int) -> None:
    """An ANS state 2^24 + r decodes to the symbol that owns the remainder r: both ends of every interval are tried."""
    counts = np.random.default_rng(k).geometric(0.01, k)
    table = ans.frequencies_of(counts)
    assert table.min() >= 1
    assert table.sum() == 1 << 24
    ends = np.cumsum(table)
    for symbol, (first, last) in enumerate(zip(ends - table, ends - 1, strict=True)):
        for remainder in (first, last):
            coder = ans.stream.stack.AnsCoder(np.array([(1 << 24) + remainder], np.uint32))
            assert coder.decode(ans.stream_model(table)) == symbol


def test_integer_logarithms() -> None:
    x = np.array([*range(1, 300), (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 256_000_000, 2_500_000])
    for number, log in zip(x.tolist(), ans.log2_fixed(x).tolist(), strict=True):
        assert -2 <= log - 2**28 * math.log2(number) <= 1e-6


def beta_binomial_bits(n: int, s: int) -> float:
    """−log2 of the KT probability, symbol by symbol."""
    with mpmath.workdps(30):
        ones = mpmath.fprod(mpmath.mpf(2 * i + 1) / 2 for i in range(s))
        zeros = mpmath.fprod(mpmath.mpf(2 * i + 1) / 2 for i in range(n - s))
        return float(-mpmath.log(ones * zeros / mpmath.factorial(n), 2))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=200))
def test_adaptive_supports(pairs: list[tuple[int, bool]]) -> None:
    contexts = np.array([context for context, _ in pairs], np.int64)
    x = np.array([i for i, (_, one) in enumerate(pairs) if one], np.int64)
    code = codes.AdaptiveSupport(contexts)
    exact = sum(
        beta_binomial_bits(sum(c == context for c, _ in pairs), sum(one for c, one in pairs if c == context))
        for context in set(contexts.tolist())
    )
    assert code.ideal(x) == pytest.approx(exact, rel=1e-9, abs=1e-9)
    assert exact - 4 - 1e-6 <= check_round_trip(code, x) <= exact + 2 + 4 + 1e-6  # a bit up or down in each context


def test_rows_of_different_density_are_learned_apart() -> None:
    rows, columns = 60, 784
    density = np.repeat([0.01, 0.5], rows // 2)
    x = np.flatnonzero(np.random.default_rng(0).random((rows, columns)) < density[:, None])
    adaptive = codes.AdaptiveSupport(np.repeat(np.arange(rows), columns))
    length = check_round_trip(adaptive, x)
    assert length <= adaptive.ideal(x) + 2 + 0.5 * rows
    assert length < 0.8 * codes.log2_binomial(rows * columns, len(x))


def test_large_contexts() -> None:
    contexts = np.repeat([3, 1], [100_000, 5000])
    code, x = codes.AdaptiveSupport(contexts), positions(105_000, 9000)
    assert check_round_trip(code, x) <= code.ideal(x) + 100


@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.data())
def test_windows(channels: int, height: int, width: int, data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.integers(0, channels * height * width - 1), max_size=12))
    code, x = codes.WindowSupport(height, width, channels), np.array(sorted(chosen), np.int64)
    assert abs(check_round_trip(code, x) - code.ideal(x)) < 6


def test_a_local_filter_is_cheap_in_its_window() -> None:
    rows, columns = np.meshgrid(np.arange(10, 15), np.arange(20, 25), indexing="ij")
    x = np.sort((rows * 32 + columns).ravel())
    assert codes.WindowSupport(32, 32).length(x) <= 5 * 5 + 1
    assert codes.Support(1024).length(x) > 160


def test_windows_are_bounding_boxes() -> None:
    """A word whose window is larger than its support is refused, so that decoding inverts encoding."""
    parts = (
        codes.Uniform(4).encode(2),
        codes.Uniform(2).encode(0),
        codes.Uniform(3).encode(0),
        codes.Uniform(3).encode(0),
    )
    too_high = Bits.join((*parts, codes.Uniform(2).encode(0), codes.Uniform(2).encode(1)))
    with pytest.raises(ValueError, match="window"):
        codes.WindowSupport(3, 3).decode(too_high)


def test_forged_sizes_cost_nothing() -> None:
    half = codes.Uniform(1 << 32).encode(1 << 31) + Bits("1" * 1000)
    for code in (codes.Support((1 << 32) - 1), codes.BulkSupport((1 << 32) - 1)):
        with pytest.raises(ValueError, match="truncated"):
            code.decode(half)


def test_all_gaps_escaped() -> None:
    """All ones are escapes only: the positions must not run on for ever."""
    for word in itertools.product("01", repeat=3):
        with pytest.raises(ValueError, match=r"\w+"):
            codes.GapSubset(100_000, 2000).decode(Bits("1" + "".join(word)) + Bits("1" * 13_000))
