"""Negative controls: an embedding passes, and twins of it with a fault do not."""

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from lcfs.embedding import embed
from lcfs.embedding.layers import Into
from lcfs.testing.embeds import comparison_with, in_float64
from lcfs.testing.filling import image_batch
from lcfs.testing.layerwise import Comparison, Net

_IMAGES = 64
_VISIBLE = 1e-6  # relative: a twin that differs by less on all images may be right for all that these images say


def assert_only_embeds(
    model: nn.Module,
    into: Into | Net,
    image: Sequence[int],
    *,
    exact: bool = False,
    rounded: torch.dtype | None = None,
    batch: int = 16,
    seed: int = 0,
) -> None:
    """Assert that an embedding passes `assert_embeds`, and that it would not with a fault.

    The faults: a function that returns zeros, one output number that is off by a hundredth, and one weight that is off
    by a hundredth of its layer's largest. A twin whose fault no image shows, as in a unit that nothing wakes, is passed
    over.

    Args:
        model, into, image, exact, rounded, batch: as for `assert_embeds`.
        seed: of the images, and of the weight that is changed.

    Raises:
        AssertionError: as `assert_embeds`; or a twin passes, so that the assertion says nothing about this net.
        InputError: as `lcfs.embed`.
    """
    right: Net = in_float64(embed(model, into, image) if isinstance(into, str) else into)
    comparison = comparison_with(model, image, exact=exact, rounded=rounded, seed=seed)
    comparison.run(right, batch)
    x = image_batch(_IMAGES, tuple(image), seed, exact=exact)
    with torch.no_grad():
        expected = right(x.clone())
        visible = 0.0 if exact else _VISIBLE * float(expected.abs().max())
        for fault, twin in _twins(right, seed, exact=exact):
            if bool(((twin(x.clone()) - expected).abs() > visible).any()) and _passes(comparison, twin, batch):
                raise AssertionError(
                    f"a twin of the embedding with {fault} passes as well: nothing is known of this net"
                )


def _passes(comparison: Comparison, twin: Net, batch: int) -> bool:
    try:
        comparison.run(twin, batch)
    except AssertionError:
        return False
    return True


def _twins(net: Net, seed: int, *, exact: bool) -> Iterator[tuple[str, nn.Module]]:
    yield "zeros as its output", _Output(net, torch.zeros_like)
    yield "one wrong number", _Output(net, lambda y: _off(y, exact))
    twin = copy.deepcopy(net)
    weights = [p for p in twin.parameters() if p.numel()] if isinstance(twin, nn.Module) else []
    if isinstance(twin, nn.Module) and weights:
        random = torch.Generator().manual_seed(seed)
        weight = weights[int(torch.randint(len(weights), (), generator=random))]
        place = int(torch.randint(weight.numel(), (), generator=random))
        weight.data = weight.detach().clone()  # also where several numbers share one place in memory
        weight.data.view(-1)[place] += 1 if exact else weight.detach().abs().max() / 100 + 1e-3
        yield "one wrong weight", twin


def _off(y: Tensor, exact: bool) -> Tensor:
    """The first number of each example changed."""
    flat = y.flatten(1).clone()
    flat[:, 0] += 1 if exact else 0.01 * flat[:, 0].abs() + 0.01
    return flat.reshape(y.shape)


class _Output(nn.Module):
    """A net with something done to its output."""

    def __init__(self, net: Net, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.net(x))
