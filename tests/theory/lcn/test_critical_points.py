"""Critical points against worked examples, Sturm counts of other eliminants, random searches, merged architectures."""

import functools
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from theory.lcn.composition import compose
from theory.lcn.discriminants import discriminant_picture
from theory.lcn.dynamics import Training, loss_gradient
from theory.lcn.ed_degree import generic_ed_degree
from theory.lcn.elimination import real_count
from theory.lcn.krawczyk import followed_filters
from theory.lcn.real_critical_points import critical_points
from theory.lcn.square_loss import NotIsolated, SquareLoss

rationals = st.fractions(min_value=-3, max_value=3, max_denominator=20)
A, B, T = sympy.symbols("a b t")

CASES = [
    ((2, 2), None, False),
    ((3, 2), None, False),
    ((2, 4), None, True),
    ((2, 2), (3, 1), False),
    ((3, 2), (2, 1), True),
    ((2, 3), (2, 1), False),
    ((2, 1, 2), (1, 2, 1), False),
    ((2, 2, 2), None, False),
    ((2, 2, 2), (1, 2, 1), False),
    ((2, 2, 2), (2, 2, 1), True),
]


def product(filters: list, strides: tuple | None = None) -> np.ndarray:
    return np.array(compose([np.asarray(w).tolist() for w in filters], strides))


@functools.cache
def solved(case: tuple) -> tuple:
    return critical_points(**problem(case))


def problem(case: tuple, seed: int = 0) -> dict:
    """A random target of `case`, with a random Gram matrix if it asks for one."""
    sizes, strides, general = case
    rng = np.random.default_rng(seed)
    k = len(compose([[1] * size for size in sizes], strides))
    root = rng.normal(size=(k, k))
    gram = root @ root.T + np.eye(k) if general else None
    return {"target": rng.normal(size=k), "filter_sizes": sizes, "strides": strides, "gram": gram}


def test_worked_example_x2_plus_1() -> None:
    points = critical_points((1, 0, 1), (2, 2))
    found = {tuple(round(3 * c) for c in p.coefficients): p.loss for p in points}
    assert found == pytest.approx({(3, 0, 0): 1, (0, 0, 3): 1, (1, 2, 1): 4 / 3, (1, -2, 1): 4 / 3}, rel=1e-14)
    assert {p.kind for p in points} == {"spurious"}
    assert [p.stability for p in points] == ["minimum", "minimum", "saddle", "saddle"]
    assert [p.optimal for p in points] == [True, True, False, False]
    assert {p.root_pattern for p in points} == {((2,), ())}
    assert {p.certificate for p in points} == {"exact"}


def test_worked_example_x2_plus_x_plus_1() -> None:
    (best,) = critical_points((1, 1, 1), (2, 2))
    assert best.coefficients == pytest.approx((2 / 3, 4 / 3, 2 / 3), rel=1e-14)
    assert best.loss == pytest.approx(1 / 3, rel=1e-14)
    assert (best.stability, best.optimal) == ("minimum", True)


def test_a_filling_architecture_has_a_spurious_minimum() -> None:
    points = critical_points((1, -3, 2, 5), (3, 2))
    assert [(p.kind, p.stability, p.optimal) for p in points[:2]] == [
        ("global", "minimum", True),
        ("spurious", "minimum", False),
    ]


@pytest.mark.parametrize("case", [*CASES, pytest.param(((3, 3), None, False), marks=pytest.mark.slow)])
def test_every_point_is_critical_and_balanced(case: tuple) -> None:
    arguments = problem(case)
    points = solved(case)
    training = Training(arguments["target"], case[1], arguments["gram"])
    assert points
    assert len(points) <= generic_ed_degree(case[0])
    for point in points:
        assert point.certificate in ("exact", "interval")
        gradients = np.concatenate(loss_gradient(point.filters, training))
        assert np.abs(gradients).max() < 1e-11  # filters are exact to 1e-40, then rounded; numbers of order 100
        np.testing.assert_allclose(product(point.filters, case[1]), point.coefficients, atol=1e-13)
        norms = [np.linalg.norm(w) for w in point.filters]
        np.testing.assert_allclose(norms, norms[0], rtol=1e-12)
        gap = np.array(point.coefficients) - arguments["target"]
        loss = gap @ gap if arguments["gram"] is None else gap @ arguments["gram"] @ gap
        assert loss == pytest.approx(point.loss, rel=1e-10, abs=1e-12)
        real, pairs = point.root_pattern
        assert sum(real) + 2 * sum(pairs) == len(point.coefficients) - 1


@pytest.mark.parametrize("case", CASES)
def test_no_random_search_finds_another(case: tuple) -> None:
    arguments = problem(case)
    points = solved(case)
    training = Training(arguments["target"], case[1], arguments["gram"])
    cuts = np.cumsum(case[0])[:-1]
    rng = np.random.default_rng(2)
    found = set()
    for _ in range(12):
        start = rng.normal(size=sum(case[0]))
        end = least_squares(
            lambda w: np.concatenate(loss_gradient(np.split(w, cuts), training)), start, xtol=1e-15, max_nfev=100
        )
        p = product(np.split(end.x, cuts), case[1])
        if end.cost < 1e-24 and np.linalg.norm(p) > 1e-3:
            gaps = [np.abs(p - point.coefficients).max() for point in points]
            assert min(gaps) < 1e-6  # degenerate directions end at about √1e-12
            found.add(int(np.argmin(gaps)))
    assert found


def binary_critical(target: list, degree: int) -> tuple[sympy.Poly, sympy.Poly]:
    """The binary form g_a n_b − g_b n_a at (1, t) for the rational normal curve: critical powers of linear forms."""
    curve = [
        sympy.Poly(sympy.binomial(degree, i) * A ** (degree - i) * B**i, A, B, domain="QQ") for i in range(degree + 1)
    ]
    zero = sympy.Poly(0, A, B, domain="QQ")
    g = sum((sympy.Rational(u.numerator, u.denominator) * c for u, c in zip(target, curve, strict=True)), zero)
    n = sum((c**2 for c in curve), zero)
    return g.diff(A) * n.diff(B) - g.diff(B) * n.diff(A), g


def projective_count(form: sympy.Poly, without: sympy.Poly) -> int:
    """Distinct real roots on the projective line that are no roots of `without`."""
    here, other = (p.eval(A, 1) for p in (form, without))
    squarefree = here.quo(here.gcd(here.diff()))
    infinity = here.degree() < form.total_degree() and other.degree() == without.total_degree()
    return squarefree.quo(squarefree.gcd(other)).count_roots() + infinity


@settings(max_examples=20)
@given(st.tuples(rationals, rationals, rationals))
def test_two_pairs_against_another_eliminant(target: tuple) -> None:
    """Factorizations of u, by its discriminant, and critical squares, by a quartic: together at most six."""
    assume(any(target))
    discriminant = target[1] ** 2 - 4 * target[0] * target[2]
    squares = projective_count(*binary_critical(list(target), 2))
    count = squares + (2 if discriminant > 0 else 0)
    points = critical_points(target, (2, 2))
    assert real_count(target, (2, 2)) == len(points) == count <= 6
    assert sum(p.kind == "global" for p in points) == (2 if discriminant > 0 else discriminant == 0)
    assert all(p.root_pattern == ((2,), ()) for p in points if p.kind == "spurious")
    training = Training([float(u) for u in target])
    assert max(np.abs(np.concatenate(loss_gradient(p.filters, training))).max() for p in points) < 1e-12


def shared_root_count(target: list[Fraction]) -> int:
    """Real critical (1 + tx)² h, h linear, by Sturm."""
    u = sympy.Matrix([sympy.Rational(x.numerator, x.denominator) for x in target])
    family = sympy.Matrix([[1, 0], [2 * T, 1], [T**2, 2 * T], [0, T**2]])
    m, b = family.T * family, family.T * u
    d, n = (sympy.Poly(x.expand(), T, domain="QQ") for x in (m.det(), (b.T * m.adjugate() * b)[0]))
    eliminant = n.diff() * d - n * d.diff()
    squarefree = eliminant.quo(eliminant.gcd(eliminant.diff()))
    return squarefree.quo(squarefree.gcd(n)).count_roots()


@settings(max_examples=2)
@given(st.tuples(*[rationals.filter(bool)] * 4))
def test_three_pairs_against_sturm_counts(target: tuple) -> None:
    """u itself, six ways; a double root shared by two of three filters; a triple root, in all three."""
    points = critical_points(target, (2, 2, 2))
    assume(points[0].certificate != "incomplete")
    cubes = projective_count(*binary_critical(list(target), 3))
    own = sympy.Poly([sympy.Rational(x.numerator, x.denominator) for x in target[::-1]], T)
    factorizations = 6 if own.count_roots() == 3 else 0
    assert len(points) == 3 * (shared_root_count(list(target)) - cubes) + cubes + factorizations
    assert sum(p.kind == "global" for p in points) == factorizations
    assert sum(p.root_pattern == ((3,), ()) for p in points) == cubes


@pytest.mark.parametrize("case", [case for case in CASES if case[1] is None])
def test_stride_one_has_no_pure_points(case: tuple) -> None:
    kinds = {p.kind for p in solved(case)}
    assert "spurious" in kinds
    assert "pure" not in kinds


@pytest.mark.parametrize("case", [((2, 2), (2, 1), True), ((3, 2), (2, 1), False), ((2, 2, 2), (2, 2, 1), False)])
def test_strides_above_one_have_only_pure_points(case: tuple) -> None:
    """arXiv 2304.05752, for generic data."""
    assert {p.kind for p in solved(case)} == {"pure"}


def test_pure_points_are_those_of_the_merged_architecture() -> None:
    """(2, 2, 2) with strides (1, 2, 1) is (3, 2) with stride 2 where the first filter has real roots."""
    for seed in range(2):
        arguments = problem(((2, 2, 2), (1, 2, 1), False), seed)
        points = critical_points(**arguments)
        merged = critical_points(arguments["target"], (3, 2), (2, 1))
        split = [m for m in merged if np.subtract(m.filters[0][1] ** 2, 4 * m.filters[0][0] * m.filters[0][2]) > 0]
        pure = [p for p in points if p.kind == "pure"]
        assert len(pure) == 2 * len(split)
        for p in pure:
            assert min(np.abs(np.subtract(p.coefficients, m.coefficients)).max() for m in split) < 1e-12
        for p in points:
            assert (p.kind == "pure") or max(p.root_pattern[0]) >= 2


@pytest.mark.parametrize("case", CASES)
def test_stability_is_the_inertia_of_a_difference_quotient(case: tuple) -> None:
    arguments = problem(case)
    training = Training(arguments["target"], case[1], arguments["gram"])
    cuts = np.cumsum(case[0])[:-1]

    def gradient(w: np.ndarray) -> np.ndarray:
        return np.concatenate(loss_gradient(np.split(w, cuts), training))

    for point in solved(case):
        w = np.concatenate(point.filters)
        shifts = 1e-5 * np.eye(len(w))
        hessian = np.array([gradient(w + s) - gradient(w - s) for s in shifts]) / 2e-5
        values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        flat = np.abs(values) < 1e-6 * values.max()  # differences are good to 1e-9
        assert flat.sum() == len(case[0]) - 1  # the scalings
        assert (values[~flat].min() < 0) == (point.stability == "saddle")
        assert point.stability in ("minimum", "saddle")


@pytest.mark.parametrize("case", [((2, 2), None, False), ((3, 2), (2, 1), True), ((2, 2, 2), (1, 2, 1), False)])
def test_nothing_in_the_network_beats_the_optimal_points(case: tuple) -> None:
    arguments = problem(case)
    gram = np.eye(len(arguments["target"])) if arguments["gram"] is None else arguments["gram"]
    best = min(p.loss for p in solved(case) if p.optimal)
    rng = np.random.default_rng(7)
    cuts = np.cumsum(case[0])[:-1]
    root = np.linalg.cholesky(gram).T

    def gap(w: np.ndarray) -> np.ndarray:
        return root @ (product(np.split(w, cuts), case[1]) - arguments["target"])

    ends = [2 * least_squares(gap, rng.normal(size=sum(case[0]))).cost for _ in range(20)]
    assert min(ends) == pytest.approx(best, rel=1e-6, abs=1e-9)


def test_order_of_stride_one_layers_does_not_matter() -> None:
    target = (1, -3, 2, 5, Fraction(1, 3))
    one, other = (critical_points(target, sizes) for sizes in ((4, 2), (2, 4)))
    np.testing.assert_allclose([p.coefficients for p in one], [p.coefficients for p in other], atol=1e-14)


def test_both_roads_agree() -> None:
    """The homotopy, run where the eliminant would do."""
    target, sizes = (0.3, -1.1, 0.7), (2, 2)
    exact = critical_points(target, sizes)
    filters, certificate = followed_filters(SquareLoss.of(target, sizes, None, None))
    followed = sorted(tuple(float(c) for c in compose(w)) for w in filters)
    assert certificate == "interval"
    np.testing.assert_allclose(followed, sorted(p.coefficients for p in exact), atol=1e-14)


def test_a_curve_of_critical_points_is_refused() -> None:
    """Bombieri's norm is invariant under rotations of the projective line, and so is x² + 1."""
    gram = [[1, 0, 0], [0, Fraction(1, 2), 0], [0, 0, 1]]
    with pytest.raises(NotIsolated, match=r"a curve of critical points"):
        critical_points((1, 0, 1), (2, 2), gram=gram)
    assert real_count((1, 0, 2), (2, 2), gram=gram) == 2


def test_a_degenerate_target_is_called_incomplete() -> None:
    assert {p.certificate for p in critical_points((1, 3, 3, 1), (2, 2, 2))} == {"incomplete"}


def test_zero_target_and_one_layer() -> None:
    assert critical_points((0, 0, 0), (2, 2)) == ()
    (point,) = critical_points((1, 2, 3), (3, 1))
    assert (point.kind, point.loss) == ("global", 0)


def test_discriminant_picture() -> None:
    values = [Fraction(i, 2) for i in range(-4, 5)]
    picture = discriminant_picture((0, 0, 1), ((1, 0, 0), (0, 1, 0)), values)
    assert picture.shape == (9, 9)
    for (i, j), count in np.ndenumerate(picture):
        assert count == len(critical_points((values[i], values[j], 1), (2, 2)))
    assert picture[6, 4] == 4  # x² + 1
    assert real_count((1, 1, 1), (2, 2)) == 1
    assert (picture == picture[:, ::-1]).all()  # x → −x


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 2), (2, 2)), "^target must have the 3 coefficients"),
        (((1, 2, float("nan")), (2, 2)), "^coefficients must be finite"),
        (((1, 2, 3), ()), "^filter_sizes must"),
    ],
)
def test_invalid_arguments_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        critical_points(*arguments)


@pytest.mark.parametrize("gram", [np.ones((3, 3)), np.eye(2), [[1, 1, 0], [0, 1, 0], [0, 0, 1]], -np.eye(3)])
def test_a_bad_gram_matrix_is_named(gram) -> None:
    with pytest.raises(ValueError, match=r"^gram must be a symmetric positive definite 3 × 3"):
        critical_points((1, 2, 3), (2, 2), gram=gram)


def test_exact_counts_are_refused_elsewhere() -> None:
    with pytest.raises(ValueError, match=r"^filter_sizes must be two with one equal to 2"):
        real_count((1, 2, 3, 4, 5), (3, 3))
