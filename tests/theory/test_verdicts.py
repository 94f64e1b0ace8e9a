"""Oracle: counting up to the least number of samples. Reference: one verdict for all bounds, by the tightest."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import bounds
from theory.verdicts import all_bounds, judge, samples_needed


def test_the_tightest_bound_decides() -> None:
    """50,000 images, 40,000 errors, 3,199 bits: vacuous by Occam–kl, not by Occam–binomial."""
    assert bounds.occam_kl(0.8, 3199, 50_000) >= 0.9 > bounds.occam_binomial(40_000, 3199, 50_000)
    verdict = judge(40_000, 3199, 50_000, classes=10)
    assert not verdict.vacuous
    assert verdict.bound == bounds.occam_binomial(40_000, 3199, 50_000)
    assert verdict.samples_needed == 0


def test_a_net_that_guesses_needs_no_number_of_samples() -> None:
    assert judge(900, 10, 1000, classes=10).samples_needed == math.inf
    assert judge(900, 10, 1000).samples_needed == 0, "without classes a bound is vacuous at 1 alone"
    assert not judge(900, 10, 1000).vacuous


@given(st.data(), st.integers(1, 10**5), st.floats(0, 1e6), st.floats(1e-6, 0.5))
def test_samples_needed_are_enough_and_one_less_is_not(data, m: int, length: float, delta: float) -> None:
    errors = data.draw(st.integers(0, m - 1))
    level = errors / m + data.draw(st.floats(0.01, 1)) * (1 - errors / m)
    needed = samples_needed(errors, length, m, level, delta)
    assert bounds.occam_binomial(-(-errors * needed // m), length, needed, delta) < level
    less = needed - 1
    assert not less or bounds.occam_binomial(-(-errors * less // m), length, less, delta) >= level


@given(st.data(), st.integers(20, 60), st.floats(0, 50), st.floats(1e-6, 0.5))
def test_samples_needed_is_about_the_least(data: st.DataObject, m: int, length: float, delta: float) -> None:
    """Oracle: one after the other."""
    errors = data.draw(st.integers(0, m // 2))
    level = errors / m + data.draw(st.floats(0.2, 1)) * (1 - errors / m)
    needed = samples_needed(errors, length, m, level, delta)
    reached = (bounds.occam_binomial(-(-errors * n // m), length, n, delta) < level for n in range(1, needed + 1))
    least = next(n for n, enough in enumerate(reached, 1) if enough)
    assert least <= needed <= least + (2 * m / errors if errors else 0)


@given(st.data(), st.integers(1, 10**6), st.floats(0, 1e7), st.sampled_from([2, 10, 100]))
def test_a_verdict_agrees_with_the_samples_it_asks_for(data, m: int, length: float, classes: int) -> None:
    errors = data.draw(st.integers(0, m))
    verdict = judge(errors, length, m, classes=classes)
    assert verdict.bound == all_bounds(errors, length, m).tightest
    assert verdict.vacuous == (verdict.samples_needed > 0)
    if 0 < verdict.samples_needed < math.inf:
        more = int(verdict.samples_needed)
        assert more > m
        assert not judge(-(-errors * more // m), length, more, classes=classes).vacuous


def test_a_level_below_the_train_error_is_refused() -> None:
    for level in (0.5, 1.5):
        with pytest.raises(ValueError, match=r"^level must"):
            samples_needed(5, 10.0, 10, level)
