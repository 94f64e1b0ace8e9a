"""Numbers for the arrays of a net: integers whose sums no order of addition rounds, or Gaussian ones."""

import torch
from torch import Tensor, nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fill(model: nn.Module, seed: int, *, exact: bool) -> nn.Module:
    """The net itself in evaluation mode with every parameter and statistic drawn anew.

    Args:
        exact: integers in [−2, 2]; BatchNorm with ε = 0 and variances ¼, 1 or 4, a scale of two's powers, so that a
            few layers on small integers compute without any rounding in float64. Else Gaussian, variances in [½, 2].
    """
    random = torch.Generator().manual_seed(seed)

    def draw(like: Tensor) -> Tensor:
        if exact:
            return torch.randint(-2, 3, like.shape, generator=random).to(like)
        return torch.randn(like.shape, generator=random, dtype=torch.float64).to(like)

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(draw(parameter))
        for norm in (module for module in model.modules() if isinstance(module, _NORMS)):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(draw(norm.running_mean))
            power = torch.randint(-1, 2, norm.running_var.shape, generator=random)
            norm.running_var.copy_(4.0**power if exact else 2.0**power)
            norm.eps = 0.0 if exact else norm.eps
    return model.eval()


_EXPONENTS = (0, 0, 3, -3, 6)
_EXACT_EXPONENTS = (0, 0, 4)


def image_batch(batch: int, image: tuple[int, ...], seed: int, *, exact: bool) -> Tensor:
    """Images `[batch, *image]` in float64: integers in [−4, 4], or Gaussian numbers, each image times a power of two.

    Large images wake units whatever their bias is, small ones keep those that saturate in their range.
    """
    random = torch.Generator().manual_seed(seed)
    exponents = _EXACT_EXPONENTS if exact else _EXPONENTS
    sizes = 2.0 ** torch.tensor([exponents[i % len(exponents)] for i in range(batch)], dtype=torch.float64)
    if exact:
        numbers = torch.randint(-4, 5, (batch, *image), generator=random).double()
    else:
        numbers = torch.randn((batch, *image), generator=random, dtype=torch.float64)
    return numbers * sizes.reshape(-1, *[1] * len(image))
