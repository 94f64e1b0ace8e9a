"""Discrete descent: the integers of a trained net moved one by one where that lowers loss plus price of the bits.

Straight-through training ends with many weights undecided between two integers; which one each takes is then chance.
Here a move of one weight by one is proposed by a second-order prediction on a sample of the training images and kept if
it helps on them by more than chance explains.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lcfs.nets.quantized import QuantizedNet
from studies.quantized.price import integer_costs

_BATCH = 125
_SCREEN = 4  # the first, cheap look at a move takes one image in so many
_REST = 4  # rounds for which a rejected move is not proposed again


@dataclass(frozen=True)
class SearchRound:
    """What one round did: moves tried, moves kept, and the sum of the predicted falls of the objective in nats."""

    tried: int
    kept: int
    gain: float


def unrejected(net: QuantizedNet) -> dict[str, Tensor]:
    """Round in which each move was last rejected, `[2, *shape]` for up and down: long ago."""
    return {name: torch.full((2, *latent.shape), -_REST - 1) for name, latent in net.latent.items()}


def search_round(
    net: QuantizedNet,
    features: Tensor,
    labels: Tensor,
    *,
    bit_price: float,
    number: int,
    rejected: dict[str, Tensor],
    images: int = 6000,
    moves: int = 60,
) -> SearchRound:
    """Try the most promising moves on a random sample; net and `rejected` are changed in place.

    Args:
        net: in training mode with hardness 0, its latent weights integers (`QuantizedNet.settle`).
        features: floats `[n, f, rows, columns]`, what `front_end` computed.
        labels: int64 `[n]`.
        bit_price: nats of cross-entropy that a bit may cost.
        number: of this round, from 0; seeds the sample.
        rejected: from `unrejected`, kept between rounds.
    """
    sample = torch.randperm(len(labels), generator=torch.Generator().manual_seed(number))[:images]
    x, y = features[sample].float(), labels[sample]
    prices = {name: bit_price * _price_of_moves(net, name) for name in net.specification}
    scores = _predicted(net, x, y)
    for name, score in scores.items():
        score += prices[name]
        score[rejected[name] >= number - _REST] = torch.inf
    losses, kept, gain = _losses(net, x, y), 0, 0.0
    chosen = _best(scores, moves)
    for name, direction, position in chosen:
        weight, step = net.latent[name].data.view(-1), 1 - 2 * direction
        price = prices[name][direction].flatten()[position].item()
        weight[position] += step
        helps, moved = _helps(net, x, y, losses, price)
        if helps:
            gain -= (moved - losses).mean().item() + price
            losses, kept = moved, kept + 1
        else:
            weight[position] -= step
            rejected[name][direction].view(-1)[position] = number
    return SearchRound(len(chosen), kept, gain)


def _predicted(net: QuantizedNet, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Change of the mean loss by each move, `[2, *shape]`: ±g + h/2.

    g is the gradient. h, the curvature, is taken for the diagonal of the Fisher matrix, the variance of the gradients
    of single images: that of batches, times their size.
    """
    first = {name: torch.zeros_like(latent) for name, latent in net.latent.items()}
    second = {name: torch.zeros_like(latent) for name, latent in net.latent.items()}
    batches = list(zip(x.split(_BATCH), y.split(_BATCH), strict=True))
    for images, labels in batches:
        gradients = torch.autograd.grad(F.cross_entropy(net.classify(images), labels), list(net.latent.values()))
        for name, gradient in zip(net.latent, gradients, strict=True):
            first[name] += gradient / len(batches)
            second[name] += gradient**2 / len(batches)
    scores = {}
    for name, g in first.items():
        curvature = (second[name] - g**2).clamp_min(0) * _BATCH
        scores[name] = torch.stack([g, -g]) + curvature / 2
    return scores


def _price_of_moves(net: QuantizedNet, name: str) -> Tensor:
    """Bits of each move at the current frequencies of the integers, `[2, *shape]`; ∞ where it leaves the range."""
    bound, cost = net.specification[name].bound, integer_costs(net, name)
    symbols = (net.latent[name].detach() + bound).long()
    padded = torch.cat([cost, torch.tensor([torch.inf])])  # index −1 and 2K + 1 are both beyond
    up, down = symbols + 1, symbols - 1
    return torch.stack([padded[up] - cost[symbols], padded[down] - cost[symbols]])


def _best(scores: dict[str, Tensor], moves: int) -> list[tuple[str, int, int]]:
    """(name, direction, position) of the moves predicted to help most, each weight at most once, best first."""
    names = list(scores)
    better, directions = zip(*(scores[name].flatten(1).min(0) for name in names), strict=True)
    whole = torch.cat(better)
    values, places = whole.topk(min(moves, len(whole)), largest=False)
    starts = torch.tensor([0, *(len(part) for part in better)]).cumsum(0)
    chosen = []
    for place in places[values < 0].tolist():
        i = int(torch.searchsorted(starts, place, right=True)) - 1
        position = place - int(starts[i])
        chosen.append((names[i], int(directions[i][position]), position))
    return chosen


@torch.no_grad()
def _helps(net: QuantizedNet, x: Tensor, y: Tensor, losses: Tensor, price: float) -> tuple[bool, Tensor]:
    """(whether loss plus price fell by more than 1.5 standard errors, loss of each image); looks at a part first."""
    first = len(x) // _SCREEN
    start = _losses(net, x[:first], y[:first])
    mean, error = _mean_and_error(start - losses[:first])
    if mean + price > error / 2:
        return False, losses
    moved = torch.cat([start, _losses(net, x[first:], y[first:])])
    mean, error = _mean_and_error(moved - losses)
    return mean + price < -1.5 * error, moved


@torch.no_grad()
def _losses(net: QuantizedNet, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy in nats of each image."""
    parts = zip(x.split(_BATCH), y.split(_BATCH), strict=True)
    return torch.cat([F.cross_entropy(net.classify(a), b, reduction="none") for a, b in parts])


def _mean_and_error(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), values.std().item() / len(values) ** 0.5
