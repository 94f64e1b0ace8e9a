"""BatchNorm and dropout over a batch of which all ranks hold equal parts, as one process would compute them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs.ranks.ranks import Ranks


class _Normalize(torch.autograd.Function):
    """x̂ = (x − mean) / √(variance + ε) per channel, over the rows of all ranks.

    With δ = ∂L/∂x̂ the gradient is (δ − mean(δ) − x̂ mean(δ x̂)) / √(variance + ε), and these means, too, are over the
    rows of all ranks. torch's SyncBatchNorm computes the same, on GPUs only.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, ranks: Ranks) -> tuple[Tensor, Tensor, Tensor]:
        dims = [0, *range(2, x.ndim)]
        # Each rank's own variance plus the variance of their means: no small difference of large sums.
        variances, means = ranks.gather(torch.stack(torch.var_mean(x, dims, correction=0))).unbind(1)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        scale = torch.rsqrt(variance + eps)
        normalized = (x - _columns(mean, x)) * _columns(scale, x)
        ctx.save_for_backward(normalized, scale)
        ctx.ranks, ctx.dims = ranks, dims
        ctx.mark_non_differentiable(mean, variance)
        return normalized, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        normalized, scale = ctx.saved_tensors
        delta, dims = gradients[0], ctx.dims
        means = torch.stack([delta.mean(dims), (delta * normalized).mean(dims)])
        first, second = ctx.ranks.sum(means).div_(ctx.ranks.count)
        x = delta - _columns(first, delta) - normalized * _columns(second, delta)
        return x * _columns(scale, delta), None, None


class _RanksBatchNorm(nn.modules.batchnorm._BatchNorm):
    ranks: Ranks

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        normalized, mean, variance = _Normalize.apply(x, self.eps, self.ranks)
        self._follow(mean, variance, self.ranks.whole(x.numel() // x.shape[1]))
        if self.weight is not None:
            normalized = torch.addcmul(_columns(self.bias, x), normalized, _columns(self.weight, x))
        return normalized.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, samples: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_((variance * (samples / (samples - 1))).to(self.running_var.dtype), share)


class RanksBatchNorm1d(_RanksBatchNorm, nn.BatchNorm1d):
    """BatchNorm1d over the rows of all ranks."""


class RanksBatchNorm2d(_RanksBatchNorm, nn.BatchNorm2d):
    """BatchNorm2d over the rows of all ranks."""


class RanksDropout(nn.Dropout):
    """Dropout that draws for the rows of all ranks and keeps its own, so that each has masks of its own."""

    ranks: Ranks

    def forward(self, input: Tensor) -> Tensor:
        """`[B, …]` → the same."""
        if not self.training:
            return input
        whole = input.new_ones(self.ranks.whole(len(input)), *input.shape[1:])
        return input * self.ranks.own(F.dropout(whole, self.p))


_OF_ALL_RANKS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: RanksBatchNorm1d,
    nn.BatchNorm2d: RanksBatchNorm2d,
    nn.Dropout: RanksDropout,
}


def join_ranks(model: nn.Module, ranks: Ranks) -> None:
    """Make BatchNorm and dropout of a net, in place, those of the batch of all ranks; the parameters stay the same."""
    for module in model.modules():
        if type(module) in _OF_ALL_RANKS:
            module.__class__ = _OF_ALL_RANKS[type(module)]  # as fully_shard does: nothing that refers to it changes
            setattr(module, "ranks", ranks)  # noqa: B010


def _columns(values: Tensor, like: Tensor) -> Tensor:
    """One number per channel, ready to be broadcast over `[batch, channels, …]`."""
    return values.view(1, -1, *[1] * (like.ndim - 2))
