"""Reference: bit strings and packed fields against Python's strings."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.codes import Bits, pack, unpack

texts = st.text("01", max_size=40)
long_texts = st.binary(min_size=600, max_size=700).map(lambda data: "".join(f"{byte:08b}" for byte in data))


@given(texts | long_texts, st.integers(-20, 60), st.integers(-20, 60))
def test_a_string_of_bits(text: str, start: int, stop: int) -> None:
    bits, part = Bits(text), Bits(text)[start:stop]
    assert str(part) == text[start:stop]
    assert len(part) == len(text[start:stop])
    assert list(part) == [int(c) for c in text[start:stop]]
    assert part.to_int() == int(text[start:stop] or "0", 2)
    assert part == Bits(text[start:stop])
    assert hash(part) == hash(Bits(text[start:stop]))
    assert part.leading_zeros() == len(text[start:stop]) - len(text[start:stop].lstrip("0"))
    assert Bits.from_int(part.to_int(), len(part)) == part
    assert Bits.from_bytes(part.to_bytes(), len(part)) == part
    assert len(part.to_bytes()) == (len(part) + 7) // 8
    assert (bits == part) == (text == text[start:stop])
    assert pickle.loads(pickle.dumps(part)) == part


@given(st.lists(st.tuples(texts | long_texts, st.integers(0, 9)), max_size=6))
def test_joins_at_every_offset(parts: list[tuple[str, int]]) -> None:
    joined = Bits.join(Bits(text)[cut:] for text, cut in parts)
    assert str(joined) == "".join(text[cut:] for text, cut in parts)
    padding = joined.to_bytes()[-1] & (0xFF >> len(joined) % 8) if len(joined) % 8 else 0
    assert padding == 0


def test_indices() -> None:
    assert [Bits("0110")[i] for i in (0, 1, -2, -1)] == [0, 1, 1, 0]
    assert str(Bits("01") + Bits("1")) == "011"
    with pytest.raises(IndexError):
        Bits("0110")[4]


def test_a_suffix_shares_the_bytes() -> None:
    bits = Bits.from_bytes(bytes(1000))
    assert bits[3:][4:]._data is bits._data


def test_bits_do_not_change() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Bits("01")._stop = 1


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Bits("012"),
        lambda: Bits.from_bytes(b"a", 9),
        lambda: Bits.from_bytes(b"a", -1),
        lambda: Bits.from_int(4, 2),
        lambda: Bits.from_int(-1, 2),
        lambda: Bits("0101")[::2],
        lambda: Bits("0101").take(5),
        lambda: pack(np.array([4]), 2),
        lambda: pack(np.array([-1]), 8),
        lambda: pack(np.array([0.5]), 2),
        lambda: pack(np.array([1]), 65),
        lambda: unpack(Bits("01"), 1, 3),
    ],
)
def test_mistakes(mistake) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        mistake()


@given(st.integers(1, 64).flatmap(lambda w: st.tuples(st.just(w), st.lists(st.integers(0, 2**w - 1), max_size=20))))
def test_packed_fields(example: tuple[int, list[int]]) -> None:
    width, values = example
    packed = pack(np.array(values, np.uint64), width)
    assert str(packed) == "".join(f"{value:0{width}b}" for value in values)
    decoded, rest = unpack(packed + Bits("10"), width, len(values))
    assert decoded.tolist() == values
    assert 8 * decoded.itemsize >= width
    assert rest == Bits("10")


def test_packed_blocks() -> None:
    values = np.random.default_rng(0).integers(0, 2**11, 300_001)
    assert np.array_equal(
        unpack(Bits("1") + pack(values, 11), 1, 1)[1].take(11 * 300_001)[0].to_bytes(), pack(values, 11).to_bytes()
    )
    assert np.array_equal(unpack(pack(values, 11), 11, len(values))[0], values)
