"""The languages: six ways of writing a whole net, and the one that picks the shortest and pays for its choice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from theory.codes import Bits, Uniform
from theory.languages import lengths, tying, vectors
from theory.languages.ledger import Entry, Reader, Writer
from theory.languages.patterns import WIDTHS, from_patterns, to_patterns, value_bits
from theory.operators import Convolution

Net = Mapping[str, np.ndarray]
Layout = Mapping[str, tuple[int, ...]]

LANGUAGES = ("dense", "theorem2", "enumerative-shared", "enumerative-own", "adaptive", "structured")
"""Every entry with b bits; the paper's code; the support by enumeration with shared or with own values; supports and
codebooks adaptively, array by array; the same, and a convolution as tied weights."""

_ADAPTIVE_LIMIT = 1 << 26  # entries up to which contexts by row are tried


@dataclass(frozen=True)
class Description:
    """A net in the shortest language: its bits, what they were spent on, and the length in every language tried."""

    bits: Bits
    language: str
    ledger: tuple[Entry, ...]
    lengths: dict[str, float]


@dataclass(frozen=True)
class Found:
    """What `decode` learned beside the arrays."""

    language: str
    ledger: tuple[Entry, ...]


def describe(net: Net, structures: Mapping[str, Convolution] | None = None) -> Description:
    """The shortest description of a net.

    Args:
        net: arrays by name, entries exact in float32 (those exact in float16 take 16 bits); order, names and shapes are
            known to the decoder.
        structures: convolutions that a matrix might embed, by name; tried, not trusted.

    The bits begin with the index of the language among `LANGUAGES` and the width of a value. Of the first four, whose
    lengths are known in closed form, only the shortest is written out; adaptive and structured are written out for nets
    of up to 2²⁶ entries.

    Raises: ValueError for entries that are not finite or not exact in 32 bits.
    """
    width = value_bits(net.values())
    patterns = {name: to_patterns(array, width) for name, array in net.items()}
    known = closed_form_lengths(patterns, width)
    header = 3 + 1  # bits of the choice of language, at most, and of the width
    names = [min(known, key=lambda name: known[name])]
    if sum(map(len, patterns.values())) <= _ADAPTIVE_LIMIT:
        names += ["adaptive", "structured"]
    written = {name: _write(name, net, patterns, width, structures or {}) for name in names}
    found = {name: length + header for name, length in known.items()}
    found |= {name: float(len(writer.bits())) for name, writer in written.items()}
    best = min(written, key=lambda name: found[name])
    return Description(
        written[best].bits(), best, tuple(written[best].ledger), {n: found[n] for n in LANGUAGES if n in found}
    )


def decode(bits: Bits, layout: Layout) -> tuple[dict[str, np.ndarray], Found, Bits]:
    """Arrays in float64, language and ledger, and what follows, of bits that begin with a description.

    Raises: ValueError if they do not.
    """
    reader = Reader(bits)
    language = LANGUAGES[reader.read(Uniform(len(LANGUAGES)), "", "language")]
    width = WIDTHS[reader.read(Uniform(len(WIDTHS)), "", "value width")]
    net = _READERS[language](reader, layout, width)
    return net, Found(language, tuple(reader.ledger)), reader.rest


def closed_form_lengths(patterns: Mapping[str, np.ndarray], width: int) -> dict[str, float]:
    """Bits of the languages that treat all arrays as one vector, without the header."""
    n = sum(map(len, patterns.values()))
    values = np.concatenate([array[array != 0] for array in patterns.values()] or [np.empty(0, np.uint32)])
    counts = np.unique(values, return_counts=True)[1]
    s, k = len(values), len(counts)
    return {
        "dense": lengths.dense(n, width),
        "theorem2": lengths.theorem2(n, s, k, width),
        "enumerative-shared": lengths.enumerative_shared(n, s, k, width, lengths.log2_arrangements(counts)),
        "enumerative-own": lengths.enumerative_own(n, s, width),
    }


def _write(
    language: str, net: Net, patterns: Mapping[str, np.ndarray], width: int, structures: Mapping[str, Convolution]
) -> Writer:
    writer = Writer()
    writer.write(Uniform(len(LANGUAGES)), LANGUAGES.index(language), "", "language")
    writer.write(Uniform(len(WIDTHS)), WIDTHS.index(width), "", "value width")
    if language in ("adaptive", "structured"):
        for name, array in net.items():
            rows = vectors.units(array.shape)
            if language == "structured":
                tied = tying.find(name, array, structures)
                writer.write(Uniform(2), int(tied is not None), name, "tied or not")
                if tied:
                    tying.write(writer, tied, to_patterns(tied[2], width), width, name)
                    continue
            vectors.write_adaptive(writer, patterns[name], rows, width, name)
        return writer
    whole = np.concatenate(list(patterns.values()))
    if language == "dense":
        for name, array in patterns.items():
            vectors.write_dense(writer, array, width, name)
    elif language == "theorem2":
        vectors.write_theorem2(writer, whole, width)
    else:
        vectors.write_sparse(writer, whole, width, "", shared=language == "enumerative-shared")
    return writer


def _read_dense(reader: Reader, layout: Layout, width: int) -> dict[str, np.ndarray]:
    return {
        name: from_patterns(vectors.read_dense(reader, _size(shape), width, name), width, shape)
        for name, shape in layout.items()
    }


def _read_theorem2(reader: Reader, layout: Layout, width: int) -> dict[str, np.ndarray]:
    return _split(vectors.read_theorem2(reader, _total(layout), width), layout, width)


def _read_shared(reader: Reader, layout: Layout, width: int) -> dict[str, np.ndarray]:
    return _split(vectors.read_sparse(reader, _total(layout), width, "", shared=True), layout, width)


def _read_own(reader: Reader, layout: Layout, width: int) -> dict[str, np.ndarray]:
    return _split(vectors.read_sparse(reader, _total(layout), width, "", shared=False), layout, width)


def _read_adaptive(reader: Reader, layout: Layout, width: int) -> dict[str, np.ndarray]:
    net = {}
    for name, shape in layout.items():
        patterns = vectors.read_adaptive(reader, _size(shape), vectors.units(shape), width, name)
        net[name] = from_patterns(patterns, width, shape)
    return net


def _read_structured(reader: Reader, layout: Layout, width: int) -> dict[str, np.ndarray]:
    net = {}
    for name, shape in layout.items():
        if reader.read(Uniform(2), name, "tied or not"):
            patterns, structure, height = tying.read(reader, shape, width, name)
            filters = from_patterns(patterns, width, (len(patterns),))
            net[name] = tying.expand(filters, structure, height, shape)
        else:
            patterns = vectors.read_adaptive(reader, _size(shape), vectors.units(shape), width, name)
            net[name] = from_patterns(patterns, width, shape)
    return net


_READERS: dict[str, Callable[[Reader, Layout, int], dict[str, np.ndarray]]] = dict(
    zip(
        LANGUAGES,
        (_read_dense, _read_theorem2, _read_shared, _read_own, _read_adaptive, _read_structured),
        strict=True,
    )
)


def _split(whole: np.ndarray, layout: Layout, width: int) -> dict[str, np.ndarray]:
    """Consecutive parts of one vector as arrays."""
    net, start = {}, 0
    for name, shape in layout.items():
        stop = start + _size(shape)
        net[name] = from_patterns(whole[start:stop], width, shape)
        start = stop
    return net


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=object))


def _total(layout: Layout) -> int:
    return sum(_size(shape) for shape in layout.values())
