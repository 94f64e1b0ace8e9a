"""The numbers of Algorithm 1, as every form of the update takes them."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rule:
    """One step of β-LASSO, ready to be applied to a tensor.

    lr: η; a number, or a scalar tensor on the device of the weights (a captured CUDA graph then sees it change).
    l1: λ ≥ 0.
    threshold: βλ ≥ 0; weights below it become zero; 0 with `one_sided` false keeps everything. If `soft`, weights
        shrink by ηβλ instead.
    momentum: in [0, 1).
    one_sided: compare θ itself and not |θ| with the threshold.
    """

    lr: float | Tensor
    l1: float
    threshold: float
    momentum: float = 0.0
    one_sided: bool = False
    soft: bool = False

    @classmethod
    def of(
        cls,
        lr: float | Tensor,
        l1: float,
        beta: float,
        momentum: float = 0.0,
        one_sided: bool = False,
        soft: bool = False,
    ) -> "Rule":
        """From the paper's letters; without λ there is no threshold either, and a soft one stands for λ sign θ."""
        if soft and l1 > 0:
            return cls(lr, 0.0, beta * l1, momentum, one_sided, soft=True)
        return cls(lr, l1, beta * l1, momentum, one_sided and l1 > 0)
