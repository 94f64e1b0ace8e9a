"""Description lengths of a state dict, from counts alone, and the bounds that follow."""

import math
from dataclasses import asdict, dataclass

from lcfs.analysis.counts import StateSummary, TensorSummary, Values
from lcfs.errors import InputError
from theory import bounds
from theory.codes import EliasDelta
from theory.languages import lengths
from theory.verdicts import Verdict, all_bounds, judge

_LANGUAGES = 6  # from which `best` chooses, those included of which a length cannot be told
_CODES_OF_VALUES = 3
_SLACK = 1e-9  # of a share of the examples: what a decimal fraction loses as a float


@dataclass(frozen=True)
class Language:
    """A prefix-free way of writing a net down, and its length in bits for this net."""

    name: str
    bits: float


@dataclass(frozen=True)
class Bound:
    """An upper bound on the expected error, in [train_error, 1]."""

    language: str
    bound: str
    value: float


@dataclass(frozen=True)
class Report:
    """Everything that follows from counts and a train error.

    Attributes:
        weights, nonzeros: numbers of the net, and those that are not zero.
        distinct_values: different ones among those, of each type by itself; None if counting was given up, where
            they are more than 2²⁴ or nearly all of many.
        dense_bits: what all numbers take as they are.
        shape_bits: part of every length, for shapes that were found by training; 0 if they were fixed before the data.
        errors: training examples that the net gets wrong; a share that is no whole number of them is rounded up.
        languages: lengths, the shortest one last, which pays for being chosen and is what `verdict` is on.
        verdict: the tightest bound from that length, and with how many examples it would be better than guessing.
    """

    weights: int
    nonzeros: int
    distinct_values: int | None
    dense_bits: int
    shape_bits: int
    samples: int
    errors: int
    train_error: float
    delta: float
    languages: tuple[Language, ...]
    bounds: tuple[Bound, ...]
    verdict: Verdict

    @property
    def bits(self) -> float:
        """The shortest length, that of the language `best`."""
        return self.languages[-1].bits


def report(
    summary: StateSummary,
    *,
    train_error: float,
    samples: int,
    delta: float = 0.05,
    classes: int | None = None,
    shapes_from_data: bool = False,
) -> Report:
    """Lengths and bounds of one net.

    Args:
        summary: counts over everything the decoder needs, biases and BatchNorm's statistics included.
        train_error: in [0, 1], over the original examples, without augmentation, in evaluation mode.
        samples: number of training examples m ≥ 1.
        delta: the bounds fail with at most this probability, in (0, 1).
        classes: the verdict is vacuous from 1 − 1/classes on; without it, from 1 on.
        shapes_from_data: whether training found the shapes of the tensors, which then are billed.

    Names, types and shapes of the tensors belong to the architecture, which must have been fixed before the data.
    `best` is the shortest of the other languages, whose choice it pays for. Theorems 1 and 2 are evaluated as printed
    (bits charged as nats), Occam–Hoeffding, Occam–kl and Occam–binomial are their tight forms. Numbers of several
    types are described type by type, each in its own width.
    Raises: InputError for a value out of range or a net without numbers.
    Source: paper, Theorems 1 and 2.
    """
    if summary.weights == 0:
        raise InputError("the file holds no numbers of a net, so there is nothing to describe")
    shape_bits = _shape_bits(summary) if shapes_from_data else 0
    languages = tuple(Language(one.name, one.bits + shape_bits) for one in description_lengths(summary))
    found: list[Bound] = []
    try:
        errors = math.ceil(train_error * samples - _SLACK * samples)
        for language in languages:
            for name, value in asdict(all_bounds(errors, language.bits, samples, delta)).items():
                if (language.name, name) == ("theorem2", "theorem1"):
                    name, value = "theorem2", _theorem2(summary, shape_bits, errors / samples, samples, delta)
                found.append(Bound(language.name, name, value))
        verdict = judge(errors, languages[-1].bits, samples, delta=delta, classes=classes)
    except (ValueError, OverflowError) as error:
        raise InputError(str(error)) from error
    return Report(
        summary.weights,
        summary.nonzeros,
        summary.distinct_values,
        summary.dense_bits,
        shape_bits,
        samples,
        errors,
        train_error,
        delta,
        languages,
        tuple(found),
        verdict,
    )


def description_lengths(summary: StateSummary) -> tuple[Language, ...]:
    """The languages of `theory.languages` that need no more than counts, and the best of them; those that need the
    number of different values are left out where it was not counted."""
    types, spelled = summary.types, [row for row in summary.tensors if not row.free]
    found = [Language("dense", float(summary.dense_bits))]
    if summary.distinct_values is not None:
        codebook = sum((values.distinct or 0) * values.width for values in types)
        found.append(Language("theorem2", codebook + sum(map(_mapping_bits, types))))
        shared = sum(lengths.support(values.count, values.nonzeros) + _shared(values) for values in types)
        found.append(Language("enumerative-shared", shared))
    own = sum(lengths.enumerative_own(values.count, values.nonzeros, values.width) for values in types)
    found.append(Language("enumerative-own", own))
    if summary.distinct_values is not None:
        found.append(Language("adaptive", sum(row.support_bits + _shared(row.values) for row in spelled)))
    found.append(Language("adaptive-split", sum(map(tensor_bits, spelled))))
    shortest = min(language.bits for language in found)
    return (*found, Language("best", shortest + math.log2(_LANGUAGES)))


def tensor_bits(row: TensorSummary) -> float:
    """Bits of one tensor in the language adaptive-split: its support, then its non-zero numbers in the shortest of
    three codes: shared values, each by itself, or the upper 16 bits as shared values and the rest as it is."""
    if row.free:
        return 0.0
    values = row.values
    codes = [float(values.nonzeros * values.width)]
    if values.distinct is not None:
        codes.append(_shared(values))
    if values.high_arrangement_bits is not None and values.width > lengths.HIGH_BITS:
        codes.append(lengths.split_values(values.nonzeros, values.width, values.high_arrangement_bits))
    return row.support_bits + min(codes) + math.log2(_CODES_OF_VALUES)


def _shared(values: Values) -> float:
    return lengths.shared_values(values.nonzeros, values.distinct or 0, values.width, values.arrangement_bits or 0.0)


def _mapping_bits(values: Values) -> float:
    """The map of Theorem 2 for the numbers of one type; as printed where that is a code's length, from n = 3 on."""
    n, s, k = values.count, values.nonzeros, max(values.distinct or 0, 1)
    if n == 0:
        return 0.0
    return bounds.theorem2_mapping_bits(s, k, n) if n > 2 else lengths.theorem2(n, s, k, 0)


def _theorem2(summary: StateSummary, shape_bits: int, train_error: float, samples: int, delta: float) -> float:
    """The bound as printed, its codebook in values of the width of their types."""
    shared = max(sum(values.distinct or 0 for values in summary.types), 1)
    codebook = sum((values.distinct or 0) * values.width for values in summary.types)
    return bounds.theorem2(
        train_error,
        shared_values=shared,
        value_bits=codebook / shared,
        mapping_bits=sum(map(_mapping_bits, summary.types)) + shape_bits,
        weights=summary.weights,
        samples=samples,
        delta=delta,
    )


def _shape_bits(summary: StateSummary) -> int:
    """Elias's δ code of each tensor's number of axes and of their lengths, all plus one."""
    code = EliasDelta()
    return sum(
        code.length(len(row.shape) + 1) + sum(code.length(length + 1) for length in row.shape)
        for row in summary.tensors
        if row.role != "constant"
    )
