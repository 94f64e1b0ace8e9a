"""The README's answer to the question whether a net learns to be convolutional, with its numbers."""

from number_tables.certified import quantized_net
from number_tables.first_layers import RADIUS, learned_filters, printed_radius
from number_tables.percent import percent
from theory.verdicts import at_most

_TEXT = """\
- **Locality is learned**: S-FC's filters on CIFAR-10 have a radius of gyration of {radius:.1f} px by β-LASSO (paper:
  {printed}), {radius_sgd:.1f} px by SGD, and {radius_permuted:.1f} px by β-LASSO once all pixels are permuted.
- **Sharing is not**: the nearest convolution leaves {left} of that layer unexplained, with permuted pixels {permuted}.
- **Bounds are vacuous** for every net of the paper's kind at this size; a small quantized net has one that is not:
  with probability {confidence:g} its error is at most {bound}, by {bits:,} bits."""


def answer() -> str:
    """One item a claim: locality, sharing, bounds."""
    rows = {(row["net"], row["optimizer"]): row for row in learned_filters()}
    lasso, sgd, certified = rows["s-fc", "beta-lasso"], rows["s-fc", "sgd"], quantized_net()
    return _TEXT.format(
        radius=lasso["measures"][RADIUS][1],
        printed=printed_radius("s-fc", "beta-lasso"),
        radius_sgd=sgd["measures"][RADIUS][1],
        radius_permuted=lasso["measures"][RADIUS][3],
        left=percent(lasso["unexplained"], 0),
        permuted=percent(lasso["permuted_unexplained"], 0),
        confidence=1 - certified["delta"],
        bound=at_most(certified["bounds"]["occam_binomial"]),
        bits=certified["bits"],
    )
