"""Two nets side by side, layer by layer: what reaches a layer is compared, and then both go on with fresh numbers."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from lcfs.embedding.operations import Shape
from lcfs.testing.filling import image_batch
from lcfs.testing.rounding import Arrivals, Roundings, Running, RunningError

_MOST_IMAGES = 256
_INFORMATIVE = 0.01  # a bound above this share of the numbers compared says nothing about them
_ALIKE = 0.01  # two layers of one name whose inputs differ by less are given the same numbers
_LAYERS = ("linear", "norm")

Net = Callable[[Tensor], Tensor]
Call = tuple[str, int]
"""A module's name, and which call of it in a run: 0 for the first."""


@dataclass(frozen=True)
class _Trial:
    """One batch of images and fresh inputs, and what the net makes of them."""

    x: Tensor
    arrivals: Arrivals
    found: Running
    sleeps: bool


class Comparison:
    """A net with which others are compared, in float64.

    Args:
        net: traced.
        exact, roundings, seed: see `assert_embeds`.
    """

    def __init__(
        self,
        net: fx.GraphModule,
        image: Shape,
        *,
        exact: bool,
        roundings: Roundings,
        seed: int,
    ) -> None:
        self._net, self._image = net, image
        self._exact, self._roundings, self._seed = exact, roundings, seed
        self._calls = _layer_calls(net)
        self._order = {node: place for place, node in enumerate(net.graph.nodes)}
        self._unlike: list[fx.Node] = []

    def run(self, embedding: Net, batch: int) -> None:
        """Compare on so many images and more.

        Args:
            embedding: a module, or any function of images.

        Raises:
            AssertionError: see `assert_embeds`.
        """
        common = self._common(embedding)
        trial = self._trial(batch, common)
        while trial.sleeps and batch < _MOST_IMAGES:
            batch *= 2
            trial = self._trial(batch, common)
        fresh = {call: trial.arrivals.fresh[node] for call, node in common.items()}
        with _forced(embedding, fresh) as reached:
            found = _output(embedding, trial.x)
        if found.shape != trial.found.value.shape:
            raise AssertionError(
                f"the net gives {tuple(trial.found.value.shape)}, its embedding {tuple(found.shape)} for "
                f"{len(found)} images"
            )
        equal: set[fx.Node] = set()
        for call, node in sorted(common.items(), key=lambda item: self._order[item[1]]):
            (source,) = node.all_input_nodes
            if call not in reached:
                raise AssertionError(f"{self._first_unlike(source, equal)} or what follows it leaves {call[0]} out")
            self._compare(trial.arrivals.seen[node], reached[call], source, equal)
            equal.add(source)
        result = next(node for node in self._net.graph.nodes if node.op == "output").all_input_nodes[0]
        self._compare(trial.found, found, result, equal)

    def _common(self, embedding: Net) -> dict[Call, fx.Node]:
        """The calls of layers that both nets make by the same name on the same numbers."""
        seen: dict[fx.Node, Tensor] = {}
        x = image_batch(2, self._image, self._seed, exact=self._exact)
        theirs = _inputs(embedding, x, {name for name, _ in self._calls})
        RunningError(self._net, watch=lambda node, given, _: seen.update({node: given[0].value})).bounded(x)
        return {call: node for call, node in self._calls.items() if call in theirs and _alike(seen[node], theirs[call])}

    def _trial(self, batch: int, common: dict[Call, fx.Node]) -> _Trial:
        x = image_batch(batch, self._image, self._seed, exact=self._exact)
        fresh = {
            node: image_batch(batch, node.all_input_nodes[0].meta["shape"], self._seed + index, exact=self._exact)
            for index, node in enumerate(common.values(), start=1)
        }
        arrivals, sleeping = Arrivals(fresh), []

        def watch(node: fx.Node, given: list[Running], gives: Running) -> None:
            if node.meta["kind"] == "elementwise" and len(given) == 1:
                asleep = (gives.value == gives.value[:1]).all(0) & (given[0].value != given[0].value[:1]).any(0)
                sleeping.append(bool(asleep.any()))

        found = RunningError(self._net, arrivals, self._roundings, watch).bounded(x)
        return _Trial(x, arrivals, found, any(sleeping))

    def _compare(self, ours: Running, theirs: Tensor, node: fx.Node, equal: set[fx.Node]) -> None:
        """Two values of one place, ours with the running error."""
        expected, found = ours.value, theirs.reshape(ours.value.shape)
        bound = torch.zeros_like(expected) if self._exact else 2 * ours.error
        difference = (found - expected).abs()
        if not bool((difference <= bound).all()):  # so that a NaN fails
            excess = (difference - bound).nan_to_num(nan=math.inf)
            worst = tuple(int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape))
            raise AssertionError(
                f"{self._first_unlike(node, equal)} differs: behind it, number {list(worst)} is "
                f"{float(expected[worst]):.9g} and embedded {float(found[worst]):.9g}; they differ by "
                f"{float(difference[worst]):.3g}, of which rounding explains {float(bound[worst]):.3g}"
            )
        share = _size(bound) / max(_size(expected), 1e-300)
        if share > _INFORMATIVE:
            raise AssertionError(
                f"from {self._first_unlike(node, equal)} on nothing is known: rounding alone may explain {share:.0%} "
                "of the numbers compared; let the embedding keep the names of the net's layers, or embed a part of it"
            )

    def _first_unlike(self, node: fx.Node, equal: set[fx.Node]) -> str:
        """The first layer on the way to a node that is not yet known to be alike."""
        behind = _ancestors(node, equal)
        # The first layer to be given other numbers than in the net lies right behind the one that made them.
        suspects = [each for each in self._unlike if each in behind]
        nearest = bool(suspects)
        before = _ancestors(suspects[0], equal) - {suspects[0]} if nearest else behind
        layers = [each for each in before if each.meta.get("kind") in (*_LAYERS, "average")]
        first = (max if nearest else min)(layers or [node], key=lambda each: self._order[each])
        return str(first.target) if first.op == "call_module" else first.name


def _ancestors(node: fx.Node, equal: set[fx.Node]) -> set[fx.Node]:
    """A node and those that it depends on, but not beyond those whose values are known to be equal."""
    front, found = [node], {node}
    while front:
        new = set(front.pop().all_input_nodes) - equal - found
        front += new
        found |= new
    return found


def _layer_calls(net: fx.GraphModule) -> dict[Call, fx.Node]:
    counts: Counter[str] = Counter()
    calls = {}
    for node in net.graph.nodes:
        if node.op == "call_module" and node.meta.get("kind") in _LAYERS:
            calls[str(node.target), counts[str(node.target)]] = node
            counts[str(node.target)] += 1
    return calls


@contextmanager
def _forced(net: Net, fresh: dict[Call, Tensor]) -> Iterator[dict[Call, Tensor]]:
    """Give these calls of layers other numbers than reach them; collects what did."""
    reached: dict[Call, Tensor] = {}
    counts: Counter[str] = Counter()

    def hook(name: str) -> Callable[[nn.Module, Any], Any]:
        def force(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            call = name, counts[name]
            counts[name] += 1
            if call not in fresh:
                return None
            reached[call] = given[0]
            return (fresh[call].reshape(given[0].shape), *given[1:])

        return force

    modules = dict(net.named_modules()) if isinstance(net, nn.Module) else {}
    handles = [modules[name].register_forward_pre_hook(hook(name)) for name in {name for name, _ in fresh}]
    try:
        yield reached
    finally:
        for handle in handles:
            handle.remove()


def _inputs(net: Net, x: Tensor, names: set[str]) -> dict[Call, Tensor]:
    """What reaches each call of the modules of these names."""
    if not isinstance(net, nn.Module):
        return {}
    found: dict[Call, Tensor] = {}
    counts: Counter[str] = Counter()

    def note(name: str) -> Callable[[nn.Module, Any], None]:
        def see(_: nn.Module, given: tuple[Any, ...]) -> None:
            if len(given) and isinstance(given[0], Tensor):
                found[name, counts[name]] = given[0].clone()  # an activation may work in place
            counts[name] += 1

        return see

    handles = [m.register_forward_pre_hook(note(name)) for name, m in net.named_modules() if name in names]
    try:
        _output(net, x)
    finally:
        for handle in handles:
            handle.remove()
    return found


@torch.no_grad()
def _output(net: Net, x: Tensor) -> Tensor:
    return net(x.clone()).to(x)


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    if ours.numel() != theirs.numel() or len(ours) != len(theirs):
        return False
    return bool((theirs.reshape(ours.shape) - ours).abs().max() <= _ALIKE * ours.abs().max())


def _size(numbers: Tensor) -> float:
    return float(numbers.square().mean().sqrt())
