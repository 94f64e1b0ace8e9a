"""A convolution as one linear operator E, vec(W) = E w: CONV = range(E) ⊂ LOCAL = its support ⊂ FC = all matrices."""

from theory.operators.axis import PADDING_MODES, Axis
from theory.operators.convolution import Convolution, Entries
from theory.operators.projections import Projection, project_conv, project_local, project_tied
from theory.operators.scores import Score, locality, sharing
from theory.operators.spectrum import singular_values

__all__ = [
    "PADDING_MODES",
    "Axis",
    "Convolution",
    "Entries",
    "Projection",
    "Score",
    "locality",
    "project_conv",
    "project_local",
    "project_tied",
    "sharing",
    "singular_values",
]
