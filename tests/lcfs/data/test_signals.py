"""Signals: the same bits as mnist1d makes, a stream that is what it says, and deviates that are normal."""

import hashlib
import itertools

import mnist1d
import mnist1d.data as published
import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from lcfs import data
from lcfs.data import signals
from lcfs.data.deviates import normal
from lcfs.errors import InputError


class Replayed:
    """Stands in for numpy.random in mnist1d: hands out given draws in the order in which its code asks."""

    def __init__(self, draws: signals.Draws, row: int) -> None:
        low, high = signals._PADDING
        padding = (draws.padding[row] - low + 0.5) / (high - low + 1)
        self.uniform = iter([padding, draws.scale[row], draws.shear[row]])
        self.normal = iter([draws.correlated[row], draws.independent[row]])
        self.translation = int(draws.translation[row])

    def rand(self) -> float:
        return next(self.uniform)

    def randn(self, *shape: int) -> np.ndarray:
        return next(self.normal).reshape(shape)

    def choice(self, _: int) -> int:
        return self.translation


def as_published(labels: np.ndarray, draws: signals.Draws, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    templates, made = published.get_templates(), []
    for row, label in enumerate(labels):
        monkeypatch.setattr(np.random, "rand", (own := Replayed(draws, row)).rand)
        monkeypatch.setattr(np.random, "randn", own.randn)
        monkeypatch.setattr(np.random, "choice", own.choice)
        made.append(mnist1d.transform(templates["x"][label], templates["t"], published.get_dataset_args())[0])
    monkeypatch.undo()
    return np.stack(made)


def test_the_frozen_set_is_the_published_one() -> None:
    expected = published.make_dataset()
    train, test = signals.frozen()
    for found, x, y in ((train, "x", "y"), (test, "x_test", "y_test")):
        np.testing.assert_array_equal(found.signals, expected[x].astype(np.float32))
        np.testing.assert_array_equal(found.labels, expected[y])
    loaded = data.load("signals")
    assert (loaded.image_shape, loaded.classes, loaded.mean, loaded.std) == ((1, 40), 10, (0.0,), (1.0,))
    np.testing.assert_array_equal(loaded.train.images[:, 0].numpy(), train.signals)


def test_pieces_of_the_stream_are_what_mnist1d_makes_of_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, draws = signals._drawn(3, 5)
    made = signals.make(labels, draws)[:200]
    np.testing.assert_array_equal(made, as_published(labels[:200], draws, monkeypatch))
    assert (set(draws.translation), set(draws.padding)) == (set(range(48)), set(range(36, 61)))


def test_blocks_are_a_function_of_seed_and_number_alone() -> None:
    block = signals.block(1, 7)
    digest = hashlib.sha256(block.signals.tobytes() + block.labels.astype("<i8").tobytes()).hexdigest()
    assert digest == "0d7b60ffa0f0305de73fbbe0709fc6cb0f206e32dd181951d73e91ac49699212", "the stream of every machine"
    np.testing.assert_array_equal(next(signals.blocks(1, 7)).signals, block.signals)
    whole = signals.stream(1, 8 * signals.BLOCK)
    np.testing.assert_array_equal(whole.signals[-signals.BLOCK :], block.signals)
    np.testing.assert_array_equal(signals.stream(1, 2500).labels, whole.labels[:2500])
    others = [signals.block(seed, index) for seed, index in ((1, 8), (2, 7), (7, 1))]
    assert len({row.tobytes() for part in (block, *others) for row in part.signals}) == 4 * signals.BLOCK
    first, second = itertools.islice(signals.blocks(1), 2)
    np.testing.assert_array_equal(np.concatenate([first.labels, second.labels]), whole.labels[:2000])


def test_the_stream_has_the_law_of_mnist1d() -> None:
    """Two-sample tests of ours against as many signals of mnist1d's from another seed, class by class."""
    arguments = published.get_dataset_args()
    arguments.seed, arguments.num_samples, arguments.train_split = 7, 10_000, 1.0
    theirs = published.make_dataset(arguments)
    ours = signals.stream(11, 10_000)
    assert stats.chisquare(np.bincount(ours.labels, minlength=10)).pvalue > 1e-3
    differences = np.diff(np.eye(40), axis=0)[::8]  # besides single samples: neighbours, for their correlations
    directions = np.concatenate([np.eye(40)[::5], differences, np.ones((1, 40))])
    values = []
    for label in range(10):
        x, y = (split[labels == label] for split, labels in ((ours.signals, ours.labels), (theirs["x"], theirs["y"])))
        values += [stats.ks_2samp(x @ d, y @ d).pvalue for d in directions]
        values += [stats.ks_2samp(f(x), f(y)).pvalue for f in (lambda z: z.max(1), lambda z: z.std(1))]
    assert min(values) > 1e-3 / len(values)
    # negative control: without the blur the same tests see it
    _, draws = signals._drawn(11, 0)
    sharp = signals._interpolated(signals._CORRELATED * draws.correlated, 40)
    smooth = signals._interpolated(signals._blurred(signals._CORRELATED * draws.correlated), 40)
    assert stats.ks_2samp(sharp @ directions[10], smooth @ directions[10]).pvalue < 1e-6


def test_blur_and_interpolation_are_those_of_scipy_and_numpy() -> None:
    x = np.random.default_rng(0).standard_normal((20, 72))
    expected = [gaussian_filter(row, 2) for row in x]
    np.testing.assert_array_equal(signals._blurred(x), expected)
    for after in (40, 72, 100):
        new = np.linspace(0, 1, after)
        expected = [np.interp(new, np.linspace(0, 1, 72), row) for row in x]
        np.testing.assert_array_equal(signals._interpolated(x, after), expected)


def test_deviates_are_the_inverse_normal_distribution() -> None:
    words = np.random.default_rng(1).integers(0, 2**32, 50_000, dtype=np.uint32)
    words[:20_000] >>= np.arange(20_000, dtype=np.uint32) % 32  # the lower tail too
    words = np.concatenate([words, ~words, [0, 2**31, 2**32 - 1]]).astype(np.uint32)
    expected = ndtri((words.astype(np.float64) + 0.5) / 2.0**32)
    np.testing.assert_allclose(normal(words), expected, rtol=1e-14, atol=1e-15)  # both are good to some ulps
    np.testing.assert_array_equal(normal(~words), -normal(words))


def test_samples_of_the_stream_by_name() -> None:
    loaded = data.load("signals", samples=3000, data_seed=1, validation=500, seed=2)
    assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (2500, 500, 10_000)
    assert loaded.test.fingerprint() == data.load("signals", samples=100).test.fingerprint()
    assert loaded.train.fingerprint() != data.load("signals", samples=3000, validation=500, seed=2).train.fingerprint()
    for wrong in ({"samples": -1}, {"samples": 5, "data_seed": 2**32 - 1}, {"data_seed": -1}):
        with pytest.raises(InputError, match=r"samples|data_seed"):
            data.load("signals", **wrong)
    again = data.load("signals:3000:1", validation=500, seed=2)
    assert again.train.fingerprint() == loaded.train.fingerprint()
    assert again.name == loaded.name == data.stream_name(3000, 1)
    assert data.facts(again.name) == data.facts("signals")
    assert not any(map(data.is_named, ("signals:0:1", "signals:5:", "signals:05:1", "signal", "signals:5:-1")))
    with pytest.raises(InputError, match="digits is what it is"):
        data.load("digits", samples=5)
