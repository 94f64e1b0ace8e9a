"""The assertion that one net is another one embedded."""

import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from lcfs.embedding import embed
from lcfs.embedding.layers import Into
from lcfs.embedding.tracing import example_parameter, trace
from lcfs.testing.filling import image_batch
from lcfs.testing.layerwise import Comparison, Net
from lcfs.testing.rounding import Roundings

NetT = TypeVar("NetT", bound=Net)


def assert_embeds(
    model: nn.Module,
    into: Into | Callable[[Tensor], Tensor],
    image: Sequence[int],
    *,
    exact: bool = False,
    rounded: torch.dtype | None = None,
    batch: int = 16,
    seed: int = 0,
) -> None:
    """Assert that an embedding computes what the net computes, on random images and on random inputs of each layer.

    Both compute in float64, whatever their type, and may differ by the rounding of two orders of summation, for which
    a running error bound holds; no tolerance is chosen. That bound grows with depth. Therefore each layer that both
    nets call by the same name starts anew: what reaches it is compared, and then both are given fresh Gaussian numbers
    of several sizes there. So no layer hides behind units that sleep, and the first that differs is named. A net
    whose layers are not found in this way (other names, units in another order) is compared from end to end.

    Args:
        model: a net that `lcfs.embed` takes, in evaluation mode; it is left as it is.
        into: what claims to be its embedding, a module or any function of images; or "local" or "fc", to check that of
            `lcfs.embed`.
        image: shape of one image, (channels, *spatial).
        exact: give small integers and ask for equality, bit by bit; for nets of such numbers, as those of
            `conv_nets(exact=True)`.
        rounded: the type in which the embedding's weights were computed, if they are not the net's own: folding
            BatchNorm in float32 rounds them. Averages, and weights that several taps meet in, may always be rounded to
            the net's own type.
        batch: least number of images; there are more, up to 256, while a unit sleeps that some input wakes.

    Raises:
        AssertionError: the outputs differ, in shape or by more than rounding, or the bound on rounding exceeds 1 % of
            the numbers compared and so says nothing; it names the layer, where and by how much.
        InputError: as `lcfs.embed`.
    """
    embedding = embed(model, into, image) if isinstance(into, str) else into
    comparison_with(model, image, exact=exact, rounded=rounded, seed=seed).run(in_float64(embedding), batch)


def comparison_with(
    model: nn.Module, image: Sequence[int], *, exact: bool, rounded: torch.dtype | None, seed: int
) -> Comparison:
    """The comparison with a net, of which `assert_embeds` documents the arguments, to be run on several others.

    Raises:
        AssertionError: the trace of the net, which is compared layer by layer, is not the net.
        InputError: as `lcfs.embed`.
    """
    reference = in_float64(model)
    net = trace(reference, tuple(image))
    x = image_batch(2, tuple(image), seed, exact=exact)
    with torch.no_grad():
        if not torch.equal(reference(x.clone()), net(x.clone())):
            raise AssertionError(
                "the net computes something else than its trace by torch.fx; does it branch on numbers?"
            )
    roundings = Roundings(
        of_layers=0.0 if rounded is None else 2 * torch.finfo(rounded).eps,
        of_sums=0.0 if exact else _own_rounding(example_parameter(model).dtype),
    )
    return Comparison(net, tuple(image), exact=exact, roundings=roundings, seed=seed)


def _own_rounding(dtype: torch.dtype) -> float:
    """Relative error of one number rounded to a type; float64 has none beyond that of the computation."""
    return 0.0 if dtype == torch.float64 else torch.finfo(dtype).eps / 2


def in_float64(net: NetT) -> NetT:
    """A copy in float64, to which every shorter type converts exactly; a function as it is."""
    return copy.deepcopy(net).double() if isinstance(net, nn.Module) else net
