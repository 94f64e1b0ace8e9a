"""Ways of writing the entries of one array, or of several laid end to end, as b-bit patterns."""

import math

import numpy as np

from theory.codes import AdaptiveSupport, BulkSupport, LabelMap, OwnValues, SharedValues, Theorem2Map, Uniform
from theory.languages.ledger import Reader, Writer

_ROWS, _WHOLE = 1, 0


def write_dense(writer: Writer, patterns: np.ndarray, width: int, name: str) -> None:
    """Every entry with `width` bits."""
    writer.write(OwnValues(width, len(patterns)), patterns, name, "values")


def read_dense(reader: Reader, size: int, width: int, name: str) -> np.ndarray:
    """The inverse of `write_dense`."""
    return reader.read(OwnValues(width, size), name, "values")


def write_sparse(writer: Writer, patterns: np.ndarray, width: int, name: str, shared: bool) -> None:
    """The support by enumeration, then the values of the non-zero entries, on their own or through a codebook."""
    positions = np.flatnonzero(patterns).astype(np.int64)
    writer.write(BulkSupport(len(patterns)), positions, name, "support")
    _write_values(writer, patterns[positions], width, name, shared)


def read_sparse(reader: Reader, size: int, width: int, name: str, shared: bool) -> np.ndarray:
    """The inverse of `write_sparse`."""
    positions = reader.read(BulkSupport(size), name, "support")
    return _placed(reader, positions, size, width, name, shared)


def write_adaptive(writer: Writer, patterns: np.ndarray, rows: int, width: int, name: str) -> None:
    """The support adaptively, as one context or with one for each of `rows` equal parts, then shared values."""
    positions = np.flatnonzero(patterns).astype(np.int64)
    codes = {by: AdaptiveSupport(_contexts(len(patterns), rows, by)) for by in (_WHOLE, _ROWS)}
    by = min(codes, key=lambda by: codes[by].ideal(positions))
    writer.write(Uniform(2), by, name, "contexts")
    writer.write(codes[by], positions, name, "support")
    _write_values(writer, patterns[positions], width, name, shared=True)


def read_adaptive(reader: Reader, size: int, rows: int, width: int, name: str) -> np.ndarray:
    """The inverse of `write_adaptive`."""
    by = reader.read(Uniform(2), name, "contexts")
    positions = reader.read(AdaptiveSupport(_contexts(size, rows, by)), name, "support")
    return _placed(reader, positions, size, width, name, shared=True)


def write_theorem2(writer: Writer, patterns: np.ndarray, width: int) -> None:
    """The paper's code: the map from entries to labels, then a codebook of `width` bits a value."""
    positions = np.flatnonzero(patterns).astype(np.int64)
    codebook, labels = np.unique(patterns[positions], return_inverse=True)
    if not len(codebook):  # the printed code has at least one value
        codebook = np.zeros(1, patterns.dtype)
    writer.write(Theorem2Map(len(patterns)), LabelMap(positions, labels + 1, len(codebook)), "", "map")
    writer.write(OwnValues(width, len(codebook)), codebook, "", "codebook")


def read_theorem2(reader: Reader, size: int, width: int) -> np.ndarray:
    """The inverse of `write_theorem2`."""
    found: LabelMap = reader.read(Theorem2Map(size), "", "map")
    codebook = reader.read(OwnValues(width, found.shared_values), "", "codebook")
    patterns = np.zeros(size, codebook.dtype)
    patterns[found.positions] = codebook[found.labels - 1]
    return patterns


def units(shape: tuple[int, ...]) -> int:
    """Number of rows of an array: its filters or units. LOCAL's `[H', W', O, …]` have one for each output unit.

    >>> units((150, 3, 9, 9)), units((16, 16, 150, 3, 9, 9)), units((10,))
    (150, 38400, 1)
    """
    if len(shape) < 2:
        return 1
    return math.prod(shape[:3]) if len(shape) == 6 else shape[0]


def _write_values(writer: Writer, values: np.ndarray, width: int, name: str, shared: bool) -> None:
    code = SharedValues(width, len(values)) if shared else OwnValues(width, len(values))
    writer.write(code, values, name, "shared values" if shared else "values")


def _placed(reader: Reader, positions: np.ndarray, size: int, width: int, name: str, shared: bool) -> np.ndarray:
    code = SharedValues(width, len(positions)) if shared else OwnValues(width, len(positions))
    values = reader.read(code, name, "shared values" if shared else "values")
    patterns = np.zeros(size, values.dtype)
    patterns[positions] = values
    return patterns


def _contexts(size: int, rows: int, by: int) -> np.ndarray:
    return np.zeros(size, np.int32) if by == _WHOLE or not size else np.arange(size, dtype=np.int64) // (size // rows)
