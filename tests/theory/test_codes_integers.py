"""Oracle: published words and lengths of Elias's codes. Algebra: round trip, and the arithmetic coder's overhead."""

import math
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import codes
from theory.codes import ArithmeticDecoder, ArithmeticEncoder, Bits

ELIAS = (codes.EliasGamma(), codes.EliasDelta(), codes.EliasOmega())


def test_published_codewords() -> None:
    published = {
        1: ("1", "1", "0"),
        2: ("010", "0100", "100"),
        3: ("011", "0101", "110"),
        4: ("00100", "01100", "101000"),
    }
    published |= {17: ("000010001", "001010001", "10100100010")}
    for x, expected in published.items():
        assert tuple(str(code.encode(x)) for code in ELIAS) == expected


def test_published_lengths() -> None:
    gamma, delta, omega = ELIAS
    assert delta.length(8260) == 20
    assert delta.length(256_000_000) == 36
    assert gamma.length(256_000_000) == 55
    assert omega.length(256_000_000) == 39  # groups of 2, 3, 5 and 28 bits and the final zero


@given(st.sampled_from(ELIAS), st.integers(1, 1 << 300), st.text("01", max_size=9))
def test_round_trip(code: codes.Code, x: int, after: str) -> None:
    word = code.encode(x)
    assert code.length(x) == len(word)
    assert code.decode(word + Bits(after)) == (x, Bits(after))


@pytest.mark.parametrize("bits", range(1, 12))
def test_kraft_sum_of_gamma_tends_to_1(bits: int) -> None:
    total = sum(Fraction(1, 2 ** codes.EliasGamma().length(x)) for x in range(1, 1 << bits))
    assert total == 1 - Fraction(1, 2**bits)


@given(st.integers(1, 1 << 200), st.data())
def test_uniform(n: int, data: st.DataObject) -> None:
    x, code = data.draw(st.integers(0, n - 1)), codes.Uniform(n)
    word = code.encode(x)
    assert code.decode(word + Bits("01")) == (x, Bits("01"))
    assert code.length(x) == len(word)
    assert math.floor(math.log2(n)) <= len(word) <= math.floor(math.log2(n)) + 1


def test_forged_sizes_are_truncated_words() -> None:
    zeros = Bits.from_bytes(bytes(1 << 20))
    forged = Bits.join((Bits.from_int(1, 100), Bits("1" * 99), Bits("0" * 500)))  # δ of a number of 2^100 − 1 bits
    for code, bits in ((codes.EliasGamma(), zeros), (codes.EliasDelta(), zeros), (codes.EliasDelta(), forged)):
        with pytest.raises(ValueError, match="truncated"):
            code.decode(bits)
    with pytest.raises(ValueError, match="truncated"):
        codes.EliasOmega().decode(Bits("1" * 500))


tables = st.lists(st.integers(1, 1 << 20) | st.integers(1, 3), min_size=1, max_size=8)
messages = st.lists(
    tables.flatmap(lambda table: st.tuples(st.just(table), st.integers(0, len(table) - 1))), max_size=80
)


def arithmetic_word(message: list[tuple[list[int], int]], largest_total: int = 1 << 32) -> Bits:
    coder = ArithmeticEncoder(largest_total)
    for table, symbol in message:
        coder.encode(sum(table[:symbol]), table[symbol], sum(table))
    return coder.finish()


@given(messages, st.text("01", max_size=70), st.sampled_from([1 << 24, 1 << 32, 1 << 500]))
def test_arithmetic_coder(message: list[tuple[list[int], int]], after: str, largest_total: int) -> None:
    word = arithmetic_word(message, largest_total)
    exact = math.prod((Fraction(sum(table), table[symbol]) for table, symbol in message), start=Fraction(1))
    ideal = math.log2(exact.numerator) - math.log2(exact.denominator)
    assert ideal - 1e-9 <= len(word) < ideal + 2 + 1e-6  # 80 symbols at 2^−30 each, and float64 logarithms
    decoder = ArithmeticDecoder(word + Bits(after), largest_total)
    for table, symbol in message:
        assert decoder.decode([0, *accumulate(table)]) == symbol
    assert decoder.finish() == Bits(after)


@pytest.mark.parametrize("last", [0, 1])
def test_a_carry_turns_over_every_block(last: int) -> None:
    """The middle halves of 3000 middle halves are symmetric about ½: the last symbol decides between 0111… and 1000…"""
    message = [([1, 2, 1], 1)] * 3000 + [([1, 1], last)]
    word = arithmetic_word(message)
    assert str(word[:3000]) == f"{last}" + f"{1 - last}" * 2999
    decoder = ArithmeticDecoder(word)
    assert [decoder.decode([0, *accumulate(table)]) for table, _ in message] == [1] * 3000 + [last]
    assert not decoder.finish()


def test_an_arithmetic_word_is_shortest_in_its_interval() -> None:
    assert arithmetic_word([]) == Bits("")
    assert arithmetic_word([([1, 1], 1)]) == Bits("1")
    assert arithmetic_word([([3, 1], 1)]) == Bits("11")
    assert arithmetic_word([([1, 2, 1], 1)]) == Bits("01")
