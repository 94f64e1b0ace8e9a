"""How the number of real critical points changes with the target: it jumps across the ED discriminant."""

import itertools
from collections.abc import Sequence

import numpy as np

from theory.lcn.elimination import real_count
from theory.lcn.square_loss import Matrix, NotIsolated, Vector, rational_array


def discriminant_picture(
    origin: Vector,
    directions: Matrix,
    values: Vector,
    *,
    filter_sizes: Sequence[int] = (2, 2),
    gram: Matrix | None = None,
) -> np.ndarray:
    """Numbers of real critical points, ints [n, n], for the targets origin + a·directions[0] + b·directions[1].

    a (rows) and b (columns) run through the n values. −1 marks targets whose critical points are not isolated.
    """
    base, (first, second), steps = rational_array(origin), rational_array(directions), rational_array(values)
    picture = np.empty((len(steps), len(steps)), dtype=int)
    for (i, a), (j, b) in itertools.product(enumerate(steps), repeat=2):
        try:
            picture[i, j] = real_count(base + a * first + b * second, filter_sizes, gram=gram)
        except NotIsolated:
            picture[i, j] = -1
    return picture
