"""The number of complex critical points of a linear convolutional network's square loss: a generic ED degree.

Up to the scaling of filters the network is a map μ from X = ΠP^{m_i}, m_i = k_i − 1, to the polynomials P. The square
loss minimized over the scale of P is ‖u‖² − ⟨P,u⟩²/⟨P,P⟩, so the critical points with P ≠ 0 are the zeros on X of the
logarithmic form 2 dlog⟨μ,u⟩ − dlog⟨μ,μ⟩.

Why their number is the generic Euclidean distance degree of the Segre variety, whatever the strides: a product of
non-zero polynomials is not zero, so μ is a morphism; {⟨μ,u⟩ = 0} and {⟨μ,μ⟩ = 0} are members of base-point-free systems
in the classes H = Σh_i and 2H. For a generic target and Gram matrix they are smooth and cross normally (Bertini). The
form then has residues 2 and −1, hence no zero on the divisor, and its zeros number c_n(Ω¹(log)) = (−1)ⁿ χ(complement),
with multiplicity. That depends on the classes only. Source: arXiv 2401.16613 for the statement.
"""

import itertools
import math
from collections.abc import Sequence


def generic_ed_degree(filter_sizes: Sequence[int]) -> int:
    """Number of complex critical points with P ≠ 0, up to the scaling of filters, for generic data and target.

    Σ_{0≤a_i≤m_i} (−1)^{|a|} (2^{n+1−|a|} − 1) Π_i C(m_i+1, a_i) (n−|a|)! / Π_i (m_i−a_i)!,  m_i = k_i − 1, n = Σ m_i.
    With multiplicity it is the number for all data whose divisors cross normally, and an upper bound on the isolated
    ones for any data. Source: arXiv 2401.16613.

    >>> generic_ed_degree((2, 2)), generic_ed_degree((3, 2)), generic_ed_degree((2, 2, 2))
    (6, 10, 34)
    """
    if len(filter_sizes) == 0 or min(filter_sizes) < 1:
        raise ValueError(f"filter_sizes must be non-empty and at least 1 each, got {tuple(filter_sizes)}")
    degrees = [k - 1 for k in filter_sizes]
    n = sum(degrees)
    total = 0
    for chosen in itertools.product(*(range(m + 1) for m in degrees)):
        left = n - sum(chosen)
        paths = math.factorial(left) // math.prod(math.factorial(m - a) for m, a in zip(degrees, chosen, strict=True))
        ways = math.prod(math.comb(m + 1, a) for m, a in zip(degrees, chosen, strict=True))
        total += (-1) ** (n - left) * (2 ** (left + 1) - 1) * ways * paths
    return total
