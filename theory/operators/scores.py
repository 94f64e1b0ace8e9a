"""Locality and sharing of an FC matrix in [0, 1], each with its exact p-value against i.i.d. Gaussian entries."""

from dataclasses import dataclass
from math import prod

from scipy.special import betainc

from theory.operators.projections import Projection


@dataclass(frozen=True)
class Score:
    """A share of energy, and the probability that Gaussian noise of the same shape scores at least as high.

    Attributes:
        value: in [0, 1].
        p_value: in [0, 1], uniform under the null; underflows to 0 where it is below 1e-308.
    """

    value: float
    p_value: float


def locality(projection: Projection) -> Score:
    """Locality ‖P_loc W‖² / ‖W‖², for Gaussian W distributed as Beta(d_loc / 2, (d − d_loc) / 2).

    Raises:
        ValueError: W = 0, which is nowhere.
    """
    layer = projection.convolution
    return _score("locality", projection.local, projection.off_local, layer.local_dimension, prod(layer.shape))


def sharing(projection: Projection) -> Score:
    """Sharing ‖P_conv W‖² / ‖P_loc W‖², for Gaussian W distributed as Beta(d_conv / 2, (d_loc − d_conv) / 2).

    d_loc and d_conv are the dimensions of LOCAL and CONV, which colliding taps make smaller than the counts of taps.

    Raises:
        ValueError: P_loc W = 0, which has nothing to share.
    """
    layer = projection.convolution
    return _score("sharing", projection.shared, projection.local_unshared, layer.conv_dimension, layer.local_dimension)


def _score(name: str, inside: float, outside: float, subspace: int, space: int) -> Score:
    """Share of the energy in a subspace of a space of these dimensions."""
    total = inside + outside
    if not total > 0:
        raise ValueError(f"{name} is the share of an energy that must be positive, got {total}")
    value = inside / total
    if subspace in (0, space):  # no noise can score anything else
        return Score(value, 1.0)
    # P[Beta(a, b) ≥ v] = I_{1−v}(b, a), from the outer energy itself: 1 − v would lose a small one.
    return Score(value, float(betainc((space - subspace) / 2, subspace / 2, outside / total)))
