"""Training a linear convolutional network on the square loss (P − u)ᵀ G (P − u): descent, flow and what they conserve.

P does not change when one filter is scaled by c and another by 1/c, so ⟨w_i, ∂L/∂w_i⟩ is the same for all i. Hence, for
any loss of P and any strides, with δ_i = ‖w_i‖² − ‖w_{i+1}‖², weight decay a and L1 penalty λ:
flow     ẇ = −g − a w − λ sign w      δ̇_i = −2a δ_i − 2λ (‖w_i‖₁ − ‖w_{i+1}‖₁);  λ = 0: δ_i(t) = e^{−2at} δ_i(0)
descent  w⁺ = w + Δ, Δ = −η (the same) δ_i⁺ − δ_i = ‖Δ_i‖² − ‖Δ_{i+1}‖² − 2ηa δ_i − 2ηλ (‖w_i‖₁ − ‖w_{i+1}‖₁)
The second is exact in every step, sign changes included, with sign 0 = 0; with a = λ = 0 it is η²(‖g_i‖² − ‖g_{i+1}‖²).
Functions are exact on Fractions. Source: Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538, section 5.
"""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.integrate import solve_ivp

from theory.lcn.composition import compose
from theory.lcn.jacobians import jacobian, jacobian_rank

Filters = Sequence[Sequence | np.ndarray]


@dataclass(frozen=True)
class Training:
    """Objective of a training: loss (P − u)ᵀ G (P − u), weight decay (a/2)‖w‖², penalty λ‖w‖₁.

    Attributes:
        target: u, [k].
        strides: as in `compose`; all 1 if None.
        gram: G, [k, k]; the identity if None.
        weight_decay: a ≥ 0.
        l1: λ ≥ 0.
    """

    target: Sequence | np.ndarray
    strides: Sequence[int] | None = None
    gram: Sequence[Sequence] | np.ndarray | None = None
    weight_decay: float | Fraction = 0
    l1: float | Fraction = 0

    def __post_init__(self) -> None:
        for name in ("weight_decay", "l1"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and non-negative, got {getattr(self, name)}")


def loss_gradient(filters: Filters, training: Training) -> list[np.ndarray]:
    """Gradient 2 (∂P/∂w_i)ᵀ G (P − u) for each filter, without decay and penalty."""
    product = compose([np.asarray(w).tolist() for w in filters], training.strides)
    residual = np.array(product) - np.asarray(training.target)
    if training.gram is not None:
        residual = np.asarray(training.gram) @ residual
    return [2 * (block.T @ residual) for block in jacobian(filters, training.strides)]


def _direction(filters: Filters, training: Training) -> list[np.ndarray]:
    gradients = loss_gradient(filters, training)
    return [
        g + training.weight_decay * w + training.l1 * ((w > 0).astype(int) - (w < 0).astype(int))
        for g, w in zip(gradients, map(np.asarray, filters), strict=True)
    ]


def gradient_descent(filters: Filters, training: Training, lr: float | Fraction, steps: int) -> list[list[np.ndarray]]:
    """Trajectory of descent w ← w − η (g + a w + λ sign w), steps + 1 lists of filters; exact on Fractions and ints."""
    trajectory = [[np.asarray(w) for w in filters]]
    for _ in range(steps):
        now = trajectory[-1]
        trajectory.append([w - lr * d for w, d in zip(now, _direction(now, training), strict=True)])
    return trajectory


def gradient_flow(
    filters: Filters, training: Training, times: Sequence[float] | np.ndarray, *, tolerance: float = 1e-11
) -> list[list[np.ndarray]]:
    """The filters at each of the ascending times ≥ 0, in float64, from ẇ = −g − a w − λ sign w.

    With λ > 0 the right-hand side jumps where a weight changes sign; the solver resolves it to its tolerance only.
    Raises: ArithmeticError if the solver gives up.
    """
    cuts = np.cumsum([len(w) for w in filters])[:-1]
    begin = np.concatenate([np.asarray(w, dtype=float) for w in filters])

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        return -np.concatenate(_direction(np.split(flat, cuts), training))

    span = (0.0, float(times[-1]))
    found = solve_ivp(velocity, span, begin, "DOP853", t_eval=times, rtol=max(tolerance, 1e-13), atol=tolerance)
    if not found.success:
        raise ArithmeticError(f"gradient flow stopped at t = {found.t[-1] if len(found.t) else 0}: {found.message}")
    return [np.split(flat, cuts) for flat in found.y.T]


def invariants(filters: Filters) -> np.ndarray:
    """Invariants δ_i = ‖w_i‖² − ‖w_{i+1}‖² of consecutive filters, [L − 1]; those of other pairs are sums of these.

    Filters may have any shape, so that layers with channels count too: the laws hold for them with Frobenius norms.

    >>> invariants([[1, 2], [3], [1, 1, 1]]).tolist()
    [-4, 6]
    """
    return _differences([_flat(w) @ _flat(w) for w in filters])


def l1_differences(filters: Filters) -> np.ndarray:
    """Differences ‖w_i‖₁ − ‖w_{i+1}‖₁ of consecutive filters, [L − 1]."""
    return _differences([np.abs(_flat(w)).sum() for w in filters])


def drift(
    filters: Filters,
    step: Filters,
    lr: float | Fraction,
    *,
    weight_decay: float | Fraction = 0,
    l1: float | Fraction = 0,
) -> np.ndarray:
    """The exact change of `invariants` by one step of descent w⁺ = w + step, [L − 1].

    ‖Δ_i‖² − ‖Δ_{i+1}‖² − 2ηa δ_i − 2ηλ (‖w_i‖₁ − ‖w_{i+1}‖₁). Proof: ‖w_i⁺‖² − ‖w_i‖² = ‖Δ_i‖² + 2⟨w_i, Δ_i⟩ with
    ⟨w_i, Δ_i⟩ = −η⟨w_i, g_i⟩ − ηa‖w_i‖² − ηλ‖w_i‖₁, and ⟨w_i, g_i⟩ does not depend on i.
    """
    return invariants(step) - 2 * lr * weight_decay * invariants(filters) - 2 * lr * l1 * l1_differences(filters)


@dataclass(frozen=True)
class Measurement:
    """The conserved quantities along a trajectory of T + 1 states.

    Attributes:
        invariants: δ, [T + 1, L − 1].
        l1_differences: [T + 1, L − 1].
        violation: δ(t+1) − δ(t) − `drift`, [T, L − 1]: zero up to rounding if and only if the law is obeyed.
    """

    invariants: np.ndarray
    l1_differences: np.ndarray
    violation: np.ndarray


def measure(
    trajectory: Sequence[Filters],
    lr: float | Fraction,
    *,
    weight_decay: float | Fraction = 0,
    l1: float | Fraction = 0,
) -> Measurement:
    """The law of descent on recorded weights; gradients are not needed, the steps tell them.

    Args:
        trajectory: T + 1 states, each a list of L arrays of any shapes, in the order of the layers.
        lr: η of every step. The laws hold for descent without momentum.
        weight_decay, l1: a, λ of every layer.
    Raises: ValueError for fewer than two states.
    """
    if len(trajectory) < 2:
        raise ValueError(f"trajectory must hold at least two states, got {len(trajectory)}")
    delta = np.array([invariants(state) for state in trajectory])
    expected = []
    for before, after in itertools.pairwise(trajectory):
        step = [_flat(w) - _flat(v) for v, w in zip(before, after, strict=True)]
        expected.append(drift(before, step, lr, weight_decay=weight_decay, l1=l1))
    return Measurement(
        delta, np.array([l1_differences(state) for state in trajectory]), delta[1:] - delta[:-1] - np.array(expected)
    )


def conservation_laws(filter_sizes: Sequence[int], strides: Sequence[int] | None = None, *, seed: int = 0) -> int:
    """The number of independent conserved quantities of the flow that hold for every loss of P: L − 1.

    A quantity conserved for every loss is constant along the fields ∇P_c, c = 1 … k, and along their Lie brackets: with
    D = Σk_i parameters there are D − dim Lie near a generic point. The fields alone span the rows of the Jacobian, of
    rank r, so there are at most D − r. The differences δ_i are conserved and independent, so there are at least L − 1.
    This function returns D − r, with r exact over Q at a random rational point; r at one point bounds the generic rank
    from below, so D − r = L − 1 proves that there are no other laws, and that brackets add nothing.
    Source: Marcotte, Gribonval, Peyré, arXiv 2307.00144, for the Lie count; 2108.01538 for the laws.
    """
    rng = random.Random(seed)
    filters = [[Fraction(rng.randint(-1000, 1000), rng.randint(1, 1000)) for _ in range(k)] for k in filter_sizes]
    return sum(filter_sizes) - jacobian_rank(filters, strides)


def _flat(w: Sequence | np.ndarray) -> np.ndarray:
    return np.asarray(w).ravel()


def _differences(values: Sequence) -> np.ndarray:
    return np.array([a - b for a, b in itertools.pairwise(values)])
