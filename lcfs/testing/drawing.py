"""What drawn layers may be, and the numbers of one axis that fit each other."""

import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from hypothesis import strategies as st
from torch import nn

from lcfs.errors import InputError
from theory.operators import PADDING_MODES

_P = ParamSpec("_P")
_T = TypeVar("_T")
Shape = tuple[int, ...]
Draw = Callable[..., Any]  # Hypothesis' own DrawFn is a protocol that type checkers cannot check at run time
KINDS = ("conv", "same", "transposed", "local")
LARGEST = (9, 5, 3)  # side of an image of 1, 2 and 3 axes
SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Limits:
    """Values that layers are drawn from; `conv_layers` documents them."""

    dims: tuple[int, ...] = (1, 2, 3)
    kinds: tuple[str, ...] = KINDS
    padding_modes: tuple[str, ...] = PADDING_MODES
    groups: tuple[int, ...] = (1, 2, 3)
    strides: tuple[int, ...] = (1, 2, 3)
    dilations: tuple[int, ...] = (1, 2, 3)

    @classmethod
    def of(cls, **given: Sequence[Any]) -> "Limits":
        """The limits that a strategy is given, in tuples.

        Raises:
            InputError: no value at all, or one that no layer has.
        """
        known = {"dims": (1, 2, 3), "kinds": KINDS, "padding_modes": PADDING_MODES}
        for name, values in given.items():
            wrong = [value for value in values if (value not in known[name] if name in known else value < 1)]
            if wrong or not values:
                allowed = ", ".join(map(str, known[name])) if name in known else "integers from 1 on"
                raise InputError(f"{name} must hold one or more of {allowed}, got {tuple(values)}")
        if tuple(given.get("kinds", ())) == ("local",) and not {1, 2} & set(given.get("dims", (2,))):
            raise InputError("locally connected layers have one axis or two; put 1 or 2 into dims")
        return cls(**{name: tuple(values) for name, values in given.items()})


def strategy(body: Callable[Concatenate[Draw, _P], _T]) -> Callable[_P, st.SearchStrategy[_T]]:
    """st.composite that hides random numbers: torch initializes layers with some, beartype checks types at random."""

    @wraps(body)
    def guarded(draw: Draw, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        state = random.getstate()
        _say_once_about_even_kernels()
        try:
            with torch.random.fork_rng(devices=[]):
                return body(draw, *args, **kwargs)
        finally:
            random.setstate(state)

    return st.composite(guarded)


def draw_image(draw: Draw, limits: Limits, dims: int) -> Shape:
    """(channels, *spatial): up to four channels for each of some number of groups."""
    channels = draw(st.sampled_from(limits.groups)) * draw(st.integers(1, 4))
    return (channels, *(draw(st.integers(1, LARGEST[dims - 1])) for _ in range(dims)))


def draw_axis(draw: Draw, limits: Limits, size: int, mode: str, even: bool = False) -> tuple[int, int, int, int, int]:
    """(kernel, stride, before, after, dilation) that fit an axis of this size."""
    widest = min(3, {"reflect": size - 1, "circular": size}.get(mode, 3))
    before = draw(st.integers(0, widest))
    after = before if even else draw(st.integers(0, widest))
    fitting = [d for d in limits.dilations if d < size + before + after] or limits.dilations
    dilation = draw(st.sampled_from(fitting))
    fits = (size + before + after - 1) // dilation + 1
    return draw(st.integers(1, min(fits, 5))), draw(st.sampled_from(limits.strides)), before, after, dilation


def draw_groups(draw: Draw, limits: Limits, channels: int) -> int:
    """A number of groups that divides the channels, if the limits have one."""
    return draw(st.sampled_from([n for n in limits.groups if channels % n == 0] or [1]))


def _say_once_about_even_kernels() -> None:
    """Let torch give its warning, which comes once a process, where nobody turns warnings into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.functional.conv1d(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2), padding="same")
