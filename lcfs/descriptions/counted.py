"""Description lengths of a state dict, from counts alone, and the bounds that follow."""

import math
from dataclasses import dataclass

from lcfs.analysis.counts import StateSummary
from lcfs.errors import InputError
from theory import bounds
from theory.languages import lengths


@dataclass(frozen=True)
class Language:
    """A prefix-free way of writing a net down, and its length in bits for this net."""

    name: str
    bits: float


@dataclass(frozen=True)
class Bound:
    """An upper bound on the expected error, in [train_error, 1]; vacuous if it says no more than guessing does."""

    language: str
    bound: str
    value: float
    vacuous: bool


@dataclass(frozen=True)
class Report:
    """Everything `lcfs bound --json` prints."""

    weights: int
    nonzeros: int
    distinct_values: int
    value_bits: int
    samples: int
    train_error: float
    delta: float
    languages: tuple[Language, ...]
    bounds: tuple[Bound, ...]


def report(
    summary: StateSummary, *, train_error: float, samples: int, delta: float = 0.05, classes: int | None = None
) -> Report:
    """Lengths and bounds of one net.

    Args:
        summary: counts over everything the decoder needs, biases and BatchNorm's statistics included.
        train_error: in [0, 1], over the original examples, without augmentation, in evaluation mode.
        samples: number of training examples m ≥ 1.
        delta: the bounds fail with at most this probability, in (0, 1).
        classes: a bound is vacuous from 1 − 1/classes on; without it, from 1 on.

    Names and shapes of the tensors belong to the architecture, which must have been fixed before the data. `best` is
    the shortest of the other languages, whose choice it pays for. Theorems 1 and 2 are evaluated as printed (bits
    charged as nats), Occam–Hoeffding and Occam–kl are their tight forms.
    Raises: InputError for a value out of range or a net without entries.
    Source: paper, Theorems 1 and 2.
    """
    n, s, k, b = summary.weights, summary.nonzeros, summary.distinct_values, summary.value_bits
    if n == 0:
        raise InputError("the file holds no floating-point entries, so there is nothing to describe")
    if k is None:
        raise ValueError("the summary was made without counting distinct values")
    try:
        languages = _languages(summary)
        mapping = bounds.theorem2_mapping_bits(s, max(k, 1), n)
        theorem2 = bounds.theorem2(
            train_error, shared_values=k, value_bits=b, mapping_bits=mapping, weights=n, samples=samples, delta=delta
        )
        level = 1.0 if classes is None else 1 - 1 / classes
        found = []
        for language in languages:
            if language.name == "theorem2":
                values = {"theorem2": theorem2}
            else:
                values = {"theorem1": bounds.theorem1(train_error, language.bits, samples, delta)}
            values["occam_hoeffding"] = bounds.occam_hoeffding(train_error, language.bits, samples, delta)
            values["occam_kl"] = bounds.occam_kl(train_error, language.bits, samples, delta)
            found += [Bound(language.name, name, value, value >= level) for name, value in values.items()]
    except ValueError as error:
        raise InputError(str(error)) from error
    return Report(n, s, k, b, samples, train_error, delta, languages, tuple(found))


def _languages(summary: StateSummary) -> tuple[Language, ...]:
    """The languages of `theory.languages` that need no more than counts, and the best of them."""
    n, s, k, b = summary.weights, summary.nonzeros, summary.distinct_values or 0, summary.value_bits
    adaptive = 0.0
    for row in summary.tensors:
        if row.role != "counter":
            shared = lengths.shared_values(row.nonzeros, row.distinct or 0, b, row.arrangement_bits or 0.0)
            adaptive += row.support_bits + shared
    found = (
        Language("dense", lengths.dense(n, b)),
        Language("theorem2", k * b + bounds.theorem2_mapping_bits(s, max(k, 1), n)),
        Language("enumerative-shared", lengths.enumerative_shared(n, s, k, b, summary.arrangement_bits or 0.0)),
        Language("enumerative-own", lengths.enumerative_own(n, s, b)),
        Language("adaptive", adaptive),
    )
    shortest = min(language.bits for language in found)
    return (*found, Language("best", shortest + math.log2(len(found))))
