"""The laws of descent exactly, on Fractions; the laws of the flow to the solver's tolerance."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy.polys.matrices import DomainMatrix

from theory.lcn.composition import compose, composed_size
from theory.lcn.dynamics import (
    Training,
    conservation_laws,
    drift,
    gradient_descent,
    gradient_flow,
    invariants,
    l1_differences,
    loss_gradient,
    measure,
)
from theory.lcn.real_critical_points import critical_points

rationals = st.fractions(min_value=-2, max_value=2, max_denominator=20)
ARCHITECTURES = [
    ((2, 2), None),
    ((3, 2), None),
    ((2, 2, 2), None),
    ((2, 3), (2, 1)),
    ((2, 2, 2), (1, 2, 1)),
    ((2, 1, 3), (3, 2, 1)),
]
SIZED = [(sizes, strides, composed_size(sizes, strides)) for sizes, strides in ARCHITECTURES]


@st.composite
def exact_problems(draw: st.DrawFn) -> tuple[list[list[Fraction]], tuple]:
    sizes, strides, size = draw(st.sampled_from(SIZED))
    filters = [draw(st.lists(rationals, min_size=k, max_size=k)) for k in sizes]
    target = draw(st.lists(rationals, min_size=size, max_size=size))
    gram = [[Fraction(int(i == j) + (abs(i - j) == 1) * draw(rationals) / 4) for j in range(size)] for i in range(size)]
    symmetric = [[(gram[i][j] + gram[j][i]) / 2 for j in range(size)] for i in range(size)]
    return filters, (target, strides, symmetric)  # the checked code is called outside: beartype draws random numbers


positive = st.fractions(min_value=Fraction(1, 100), max_value=Fraction(1, 2), max_denominator=100)


@settings(max_examples=25)
@given(exact_problems(), positive)
def test_descent_drifts_exactly(given_problem: tuple, lr: Fraction) -> None:
    filters, training = given_problem[0], Training(*given_problem[1])
    before, after = gradient_descent(filters, training, lr, 1)
    g = loss_gradient(before, training)
    expected = [lr**2 * (a @ a - b @ b) for a, b in itertools.pairwise(g)]
    assert (invariants(after) - invariants(before)).tolist() == expected
    assert all(isinstance(x, Fraction) for w in after for x in w)


@settings(max_examples=25)
@given(exact_problems(), positive, positive, positive)
def test_decay_and_l1_drift_exactly(given_problem: tuple, lr: Fraction, a: Fraction, l1: Fraction) -> None:
    filters, training = given_problem[0], Training(*given_problem[1], weight_decay=a, l1=l1)
    trajectory = gradient_descent(filters, training, lr, 2)
    found = measure(trajectory, lr, weight_decay=a, l1=l1)
    assert not found.violation.any()
    assert found.invariants.shape == (3, len(filters) - 1)
    unequal = found.l1_differences[:-1]
    wrong = measure(trajectory, lr, weight_decay=a).violation
    assert (wrong == -2 * lr * l1 * unequal).all()  # negative control: without the L1 term it misses by that term
    wrong = measure(trajectory, lr, l1=l1).violation
    assert (wrong == -2 * lr * a * found.invariants[:-1]).all()


@settings(max_examples=12)
@given(exact_problems(), positive)
def test_a_loss_that_sees_more_than_the_product_breaks_the_law(given_problem: tuple, lr: Fraction) -> None:
    filters, training = given_problem[0], Training(*given_problem[1])
    assume(any(filters[0]))
    before = [np.array(w) for w in filters]
    g = loss_gradient(before, training)
    step = [-lr * (x + w * (i == 0)) for i, (x, w) in enumerate(zip(g, before, strict=True))]  # + ½‖w_1‖²
    after = [w + s for w, s in zip(before, step, strict=True)]
    assert measure([before, after], lr).violation[0, 0] == -2 * lr * (before[0] @ before[0]) != 0


@settings(max_examples=10)
@given(exact_problems())
def test_gradient_against_exact_differences(given_problem: tuple) -> None:
    """The loss is quadratic in one weight, so a central difference is exact."""
    filters, training = given_problem[0], Training(*given_problem[1])

    def loss(state: list[list[Fraction]]) -> Fraction:
        gap = np.array(compose(state, training.strides)) - np.array(training.target)
        return gap @ np.array(training.gram) @ gap

    for i, g in enumerate(loss_gradient(filters, training)):
        for a in range(len(g)):
            sides = []
            for sign in (1, -1):
                moved = [list(w) for w in filters]
                moved[i][a] += sign
                sides.append(loss(moved))
            assert g[a] == (sides[0] - sides[1]) / 2


FILTERS = [[0.9, -0.4], [0.5, 0.8, 0.3], [-0.7, 0.6]]
TARGET = [1.0, -0.5, 0.3, 0.8, -1.2, 0.4, 0.2]
STRIDES = (2, 1, 1)


def flow(times: np.ndarray, **options: float) -> list:
    size = composed_size((2, 3, 2), STRIDES)
    return gradient_flow(FILTERS, Training(TARGET[:size] + [0.0] * (size - len(TARGET)), STRIDES, **options), times)


def test_flow_conserves() -> None:
    found = np.array([invariants(w) for w in flow(np.linspace(0, 3, 7))])
    assert np.abs(found - invariants(FILTERS)).max() < 1e-9  # the solver's tolerance is 1e-11 a step
    assert np.abs(np.diff([np.concatenate(w) for w in flow(np.array([0.0, 3.0]))], axis=0)).max() > 0.1


def test_flow_with_weight_decay_contracts_the_invariants() -> None:
    times = np.linspace(0, 3, 7)
    found = np.array([invariants(w) for w in flow(times, weight_decay=0.3)])
    np.testing.assert_allclose(found, np.exp(-0.6 * times)[:, None] * invariants(FILTERS), atol=1e-9)
    assert np.abs(found - invariants(FILTERS)).max() > 0.05  # negative control: they are not conserved


def test_flow_with_l1_obeys_the_rate() -> None:
    times = np.linspace(0, 0.2, 201)
    states = flow(times, l1=0.05)
    assert all((np.sign(np.concatenate(w)) == np.sign(np.concatenate(FILTERS))).all() for w in states)
    rates = np.array([l1_differences(w) for w in states])
    integral = np.trapezoid(rates, times, axis=0)
    change = invariants(states[-1]) - invariants(FILTERS)
    np.testing.assert_allclose(change, -2 * 0.05 * integral, atol=1e-7)  # trapezoids: 1e-6 h-squared times 0.2
    assert np.abs(change).min() > 1e-3


def test_descent_tends_to_the_flow() -> None:
    training = Training([1.0, -3.0, 2.0, 5.0])
    start = [[1.0, 0.2, -0.3], [0.4, 1.1]]
    (end,) = gradient_flow(start, training, [0.5])
    gaps = []
    for steps in (500, 1000):
        last = gradient_descent(start, training, 0.5 / steps, steps)[-1]
        gaps.append(np.abs(np.concatenate(last) - np.concatenate(end)).max())
    assert gaps[1] == pytest.approx(gaps[0] / 2, rel=0.1)  # Euler's method is of order one


def test_flow_ends_in_a_listed_critical_point() -> None:
    target = (1, -3, 2, 5)
    points = critical_points(target, (3, 2))
    minima = [p.coefficients for p in points if p.stability == "minimum"]
    rng = np.random.default_rng(0)
    reached = set()
    for _ in range(6):
        start = [0.5 * rng.normal(size=3), 0.5 * rng.normal(size=2)]
        (end,) = gradient_flow(start, Training(target), [15.0], tolerance=1e-8)
        gaps = [np.abs(np.subtract(compose([w.tolist() for w in end]), c)).max() for c in minima]
        assert min(gaps) < 1e-4
        reached.add(int(np.argmin(gaps)))
    assert reached == {0, 1}  # the global one and the spurious one


@pytest.mark.parametrize(
    ("sizes", "strides"),
    [((3,), None), ((2, 2), None), ((3, 2, 4), None), ((2, 3, 2), (2, 3, 1)), ((2, 2, 2, 2), (1, 2, 1, 1))],
)
def test_there_are_no_other_laws(sizes: tuple, strides: tuple | None) -> None:
    assert conservation_laws(sizes, strides) == len(sizes) - 1


@pytest.mark.parametrize(("sizes", "strides"), [((2, 2), None), ((3, 2), None), ((2, 2, 2), (1, 2, 1))])
def test_lie_brackets_of_the_gradient_fields_add_nothing(sizes: tuple, strides: tuple | None) -> None:
    """[∇P_a, ∇P_b] = Hess P_b ∇P_a − Hess P_a ∇P_b, symbolically, at a random rational point."""
    w = sympy.symbols(f"w:{sum(sizes)}")
    cuts = [0, *itertools.accumulate(sizes)]
    p = compose([w[a:b] for a, b in itertools.pairwise(cuts)], strides)
    fields = [sympy.Matrix([sympy.expand(c).diff(x) for x in w]) for c in p]
    brackets = [b.jacobian(w) * a - a.jacobian(w) * b for a, b in itertools.combinations(fields, 2)]
    point = {x: sympy.Rational(3 * i + 1, i * i + 2) for i, x in enumerate(w)}
    alone, together = (
        DomainMatrix.from_Matrix(sympy.Matrix.hstack(*columns).subs(point)).to_field().rank()
        for columns in (fields, fields + brackets)
    )
    assert alone == together == sum(sizes) - (len(sizes) - 1)


def test_drift_is_what_measure_subtracts() -> None:
    before, step = [[1, 2], [3]], [[Fraction(1, 2), 0], [Fraction(-1, 3)]]
    found = drift(before, step, Fraction(1, 10), weight_decay=Fraction(1, 2), l1=3)
    assert found.tolist() == [Fraction(1, 4) - Fraction(1, 9) - Fraction(1, 10) * -4 - Fraction(6, 10) * 0]


@pytest.mark.parametrize("name", ["weight_decay", "l1"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_invalid_settings_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        Training([1.0], **{name: value})


def test_a_single_state_is_no_trajectory() -> None:
    with pytest.raises(ValueError, match=r"^trajectory must hold at least two states, got 1"):
        measure([[[1.0]]], 0.1)
