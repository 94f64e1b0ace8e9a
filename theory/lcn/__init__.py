"""The geometry of linear convolutional networks (LCN): filters are polynomials, layers multiply them.

Exact over the rationals unless a name says numeric; coefficients run from low to high degree; floats are taken as the
rationals they are. Read in this order: composition, architectures, roots, function_space, fibres, jacobians,
real_critical_points, dynamics. Sources: Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538 and the sequels 2304.05752,
2401.16613.
"""

from theory.lcn.architectures import (
    Architecture,
    dimension,
    is_filling,
    is_full_dimensional,
    is_zariski_closed,
    normal_form,
    reduced,
)
from theory.lcn.composition import compose, composed_size
from theory.lcn.discriminants import discriminant_picture
from theory.lcn.dynamics import (
    Measurement,
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
from theory.lcn.ed_degree import generic_ed_degree
from theory.lcn.elimination import real_count
from theory.lcn.fibres import fibre, fibre_numeric, with_invariants
from theory.lcn.function_space import in_complex_variety, in_function_space, on_boundary
from theory.lcn.jacobians import (
    HyperFactor,
    hyper_factors,
    is_critical_parameter,
    jacobian,
    jacobian_rank,
    rank_at_stride_one,
    rank_of_two_layers,
)
from theory.lcn.numeric import in_function_space_numeric, root_pattern_numeric
from theory.lcn.real_critical_points import CriticalPoint, critical_points
from theory.lcn.roots import root_pattern
from theory.lcn.square_loss import NotIsolated

__all__ = [
    "Architecture",
    "CriticalPoint",
    "HyperFactor",
    "Measurement",
    "NotIsolated",
    "Training",
    "compose",
    "composed_size",
    "conservation_laws",
    "critical_points",
    "dimension",
    "discriminant_picture",
    "drift",
    "fibre",
    "fibre_numeric",
    "generic_ed_degree",
    "gradient_descent",
    "gradient_flow",
    "hyper_factors",
    "in_complex_variety",
    "in_function_space",
    "in_function_space_numeric",
    "invariants",
    "is_critical_parameter",
    "is_filling",
    "is_full_dimensional",
    "is_zariski_closed",
    "jacobian",
    "jacobian_rank",
    "l1_differences",
    "loss_gradient",
    "measure",
    "normal_form",
    "on_boundary",
    "rank_at_stride_one",
    "rank_of_two_layers",
    "real_count",
    "reduced",
    "root_pattern",
    "root_pattern_numeric",
    "with_invariants",
]
