"""MNIST-1D: ten templates of twelve samples, padded, scaled, translated, sheared and made noisy, as 40 samples.

The frozen set is the published one of 4,000 + 1,000 signals. The stream is an endless i.i.d. sample of the same law
with labels drawn uniformly and fixed constants of normalization; its block b is a function of (seed, b) alone.
Source: Greydanus & Kobak, "Scaling down deep learning with MNIST-1D", arXiv 2011.14439.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lcfs.data.deviates import normal

LENGTH = 40
CLASSES = 10
BLOCK = 1000
"""Signals of a block of the stream."""
FRESH_SEED = 2**32 - 1
"""Seed of the stream that test sets are taken from; no training set has it."""

_TEMPLATES = (  # heights over twelve places, digit by digit
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
_FROZEN_SEED, _FROZEN_TRAIN, _FROZEN_PER_CLASS = 42, 4000, 500
_PADDING = (36, 60)  # least and most zeros after a template
_CANVAS = 12 + _PADDING[1]
_TRANSLATIONS = 48
_SCALE, _CORRELATED, _INDEPENDENT, _SHEAR = 0.4, 0.25, 2e-2, 0.75
_MEAN, _STD = -0.0055075064312771795, 0.15467803420593054  # of the frozen set before it is standardized
# A Gaussian of standard deviation 2 cut at ±8 and divided by its sum; offsets 0 … 8.
# fmt: off
_BLUR = (0.199474647864745, 0.17603575888479034, 0.12098748976534904, 0.06475993660472744, 0.026995957967298846,
         0.00876430436278587, 0.002215963172596555, 0.0004363490205067883, 6.691628957263553e-05)
# fmt: on


@dataclass(frozen=True)
class Draws:
    """All that is random in N signals.

    Attributes:
        padding: zeros after the template, in 36…60.
        scale, shear: uniform in [0, 1).
        translation: circular, in 0…47 places of 72.
        correlated, independent: standard normal deviates, `[N, 72]`.
    """

    padding: Int64[np.ndarray, " N"]
    scale: Float64[np.ndarray, " N"]
    translation: Int64[np.ndarray, " N"]
    correlated: Float64[np.ndarray, "N 72"]
    independent: Float64[np.ndarray, "N 72"]
    shear: Float64[np.ndarray, " N"]


@dataclass(frozen=True)
class Signals:
    """Standardized signals `[N, 40]` and their labels `[N]` in 0…9."""

    signals: Float32[np.ndarray, "N 40"]
    labels: Int64[np.ndarray, " N"]


def make(labels: Int64[np.ndarray, " N"], draws: Draws) -> Float64[np.ndarray, "N 40"]:
    """The signals of MNIST-1D before standardization, the same bits as its own code makes of the same draws."""
    x = _padded_templates()[labels, draws.padding - _PADDING[0]]
    x *= (1 + _SCALE * (draws.scale - 0.5))[:, None]
    places = np.arange(_CANVAS) - draws.translation[:, None]
    places += _CANVAS * (places < 0)
    x = np.take_along_axis(x, places, 1)
    x = np.where(x != 0, x, _blurred(_CORRELATED * draws.correlated))
    x += _INDEPENDENT * draws.independent
    x -= (_SHEAR * (draws.shear - 0.5))[:, None] * np.linspace(-0.5, 0.5, _CANVAS)
    return _interpolated(x, LENGTH)


@cache
def frozen() -> tuple[Signals, Signals]:
    """(the 4,000 training, the 1,000 test signals) of MNIST-1D as published, in its order."""
    random = np.random.RandomState(_FROZEN_SEED)
    count = CLASSES * _FROZEN_PER_CLASS
    labels = np.repeat(np.arange(CLASSES), _FROZEN_PER_CLASS)
    signals = make(labels, _gathered([_drawn_as_published(random) for _ in range(count)]))
    order = random.permutation(count)
    signals, labels = signals[order], labels[order]
    signals = ((signals - signals.mean()) / signals.std()).astype(np.float32)
    train, test = slice(_FROZEN_TRAIN), slice(_FROZEN_TRAIN, None)
    return Signals(signals[train], labels[train]), Signals(signals[test], labels[test])


def block(seed: int, index: int) -> Signals:
    """Block `index` ≥ 0 of the stream of a seed in 0…2³² − 1: `BLOCK` signals, the same on every machine.

    Standardized by the mean and standard deviation of the frozen set, which are constants.

    >>> block(1, 0).labels[:8]
    array([4, 9, 8, 5, 2, 0, 3, 9])
    """
    labels, draws = _drawn(seed, index)
    return Signals(((make(labels, draws) - _MEAN) / _STD).astype(np.float32), labels)


def blocks(seed: int, start: int = 0) -> Iterator[Signals]:
    """The stream of a seed from block `start` on, without end."""
    while True:
        yield block(seed, start)
        start += 1


def stream(seed: int, samples: int) -> Signals:
    """The first `samples` signals of the stream of a seed, in memory once: 160 bytes a signal, 8 a label."""
    signals, labels = np.empty((samples, LENGTH), np.float32), np.empty(samples, np.int64)
    for start in range(0, samples, BLOCK):
        part, own = block(seed, start // BLOCK), slice(start, min(start + BLOCK, samples))
        signals[own], labels[own] = part.signals[: samples - start], part.labels[: samples - start]
    return Signals(signals, labels)


def _drawn(seed: int, index: int) -> tuple[Int64[np.ndarray, " N"], Draws]:
    """149 words of 32 bits a signal, from the Philox generator whose key is made of (seed, index).

    An integer below n is n · word / 2³² rounded down, so it is uniform to 2⁻²⁹.
    """
    bits = np.random.Philox(np.random.SeedSequence((seed, index)))
    count = BLOCK * (5 + 2 * _CANVAS)
    words = bits.random_raw(count // 2).astype("<u8", copy=False).view("<u4").reshape(BLOCK, -1)
    small, large = words[:, :5], words[:, 5:]
    label, padding, translation = (
        (small[:, i] * np.uint64(n) >> np.uint64(32)).astype(np.int64)
        for i, n in enumerate((CLASSES, _PADDING[1] - _PADDING[0] + 1, _TRANSLATIONS))
    )
    scale, shear = (small[:, i] * 2.0**-32 for i in (3, 4))
    deviates = normal(large)
    draws = Draws(padding + _PADDING[0], scale, translation, deviates[:, :_CANVAS], deviates[:, _CANVAS:], shear)
    return label, draws


def _drawn_as_published(random: np.random.RandomState) -> Draws:
    """One signal's draws, in the order in which the published code makes them."""
    padding = _PADDING[0] + int(random.rand() * (_PADDING[1] - _PADDING[0] + 1))
    scale, translation = random.rand(1), random.choice(_TRANSLATIONS)
    correlated, independent = random.randn(1, _CANVAS), random.randn(1, _CANVAS)
    return Draws(np.array([padding]), scale, np.array([translation]), correlated, independent, random.rand(1))


def _gathered(parts: list[Draws]) -> Draws:
    names = ("padding", "scale", "translation", "correlated", "independent", "shear")
    return Draws(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@cache
def _padded_templates() -> Float64[np.ndarray, "10 25 72"]:
    """Every template after every padding, on the canvas. Where a template is zero it is 10⁻⁸, unlike the padding."""
    templates = np.array(_TEMPLATES)
    templates -= templates.mean(1, keepdims=True)
    templates /= templates.std(1, keepdims=True)
    templates -= templates[:, :1]
    templates = templates / 6.0 + 1e-8
    widths = range(_PADDING[0], _PADDING[1] + 1)
    padded = (np.pad(templates, ((0, 0), (0, zeros))) for zeros in widths)
    return np.stack([_interpolated(x, _CANVAS) for x in padded], 1)


def _interpolated(x: Float64[np.ndarray, "N before"], after: int) -> Float64[np.ndarray, "N after"]:
    """Linear interpolation at `after` equidistant places from the first to the last sample, as `numpy.interp`."""
    old, new = np.linspace(0, 1, x.shape[1]), np.linspace(0, 1, after)
    left = np.minimum(np.searchsorted(old, new, side="right") - 1, len(old) - 2)
    slope = (x[:, left + 1] - x[:, left]) / (old[left + 1] - old[left])
    y = slope * (new - old[left]) + x[:, left]
    y[:, -1] = x[:, -1]
    return y


def _blurred(x: Float64[np.ndarray, "N 72"]) -> Float64[np.ndarray, "N 72"]:
    """Correlation with `_BLUR` along the samples, mirrored at both ends, as `scipy.ndimage.gaussian_filter(x, 2)`."""
    reach, n = len(_BLUR) - 1, x.shape[1]
    wide = np.pad(x, ((0, 0), (reach, reach)), mode="symmetric")
    y = wide[:, reach : reach + n] * _BLUR[0]
    for k in range(reach, 0, -1):  # farthest first, in scipy's order
        y += (wide[:, reach - k : reach - k + n] + wide[:, reach + k : reach + k + n]) * _BLUR[k]
    return y
