"""Measures of a learned filter: how concentrated, how local, how smooth, and how like its neighbours it is.

Filters are real arrays `[..., height, width]`: one image, or a bank of them along leading axes, which every measure
keeps: `[units, channels, height, width]` → `[units, channels]`. Positions and radii are in pixels, energies are squared
weights. No measure changes with the sign or the scale of a filter. One that is not defined, as of a filter of zeros, is
nan. For several channels at once give the energy measures np.sqrt((w**2).sum(-3)), the root energy at each pixel.

A 3×3 box in an image of 9×9 pixels, and the same shifted by two rows:

>>> import numpy as np
>>> box = np.zeros((9, 9))
>>> box[3:6, 3:6] = 1
>>> float(participation_ratio(box)), float(smallest_window(box, 1.0)), float(energy_within(box, 1.0)).__round__(3)
(9.0, 3.0, 0.556)
>>> align(np.roll(box, 2, 0), -box).shift.tolist(), pair_distances(box).observed[:2].round(3).tolist()
([2, 0], [0.333, 0.222])
>>> shift = np.roll(np.eye(6), 1, 0)  # a circular convolution of six pixels commutes with shifts
>>> commutator(shift, (6,), (1,)), commutator(np.diag(np.arange(6.0)), (6,), (1,)) > 0.7
(0.0, True)
"""

from theory.measures.concentration import gini, hoyer, participation_ratio
from theory.measures.distances import PairDistances, pair_distances
from theory.measures.place import centroid, energy_within, radius_of_gyration, smallest_window
from theory.measures.sharing import Alignment, align, commutator
from theory.measures.smoothness import Moran, morans_i

__all__ = [
    "Alignment",
    "Moran",
    "PairDistances",
    "align",
    "centroid",
    "commutator",
    "energy_within",
    "gini",
    "hoyer",
    "morans_i",
    "pair_distances",
    "participation_ratio",
    "radius_of_gyration",
    "smallest_window",
]
