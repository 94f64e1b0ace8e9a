"""What the integers of a quantized net cost at their current frequencies: the price that training and search go by."""

import torch
from torch import Tensor

from lcfs.nets.quantized import QuantizedNet


def integer_costs(net: QuantizedNet, name: str) -> Tensor:
    """Bits of each integer −K…K of a tensor, `[2K + 1]`.

    Of an integer that occurs c times among n of A kinds, −log2 (c + ½) / (n + A/2): what the adaptive code charges for
    one more.
    """
    bound, latent = net.specification[name].bound, net.latent[name].detach()
    symbols = (latent.round().clamp(-bound, bound) + bound).long()
    counts = torch.bincount(symbols.flatten(), minlength=2 * bound + 1)
    return -torch.log2((counts + 0.5) / (symbols.numel() + bound + 0.5))


def price_bits(net: QuantizedNet) -> Tensor:
    """Bits of all tensors, linear between neighbouring integers; differentiable in the latent weights."""
    total = torch.zeros(())
    for name, tensor in net.specification.items():
        bound, latent, cost = tensor.bound, net.latent[name], integer_costs(net, name)
        below = latent.detach().floor().clamp(-bound, bound - 1)
        above = (latent - below).clamp(0, 1)
        i = (below + bound).long()
        total = total + (cost[i] * (1 - above) + cost[i + 1] * above).sum()
    return total
