"""Converters of convolutions under test: how one is named, what it may return, and which cases it is given."""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from scipy import sparse
from torch import Tensor, nn

from lcfs.embedding.operations import Shape
from lcfs.errors import InputError, brief
from lcfs.testing.strategies import Case, conv_layers, conv_nets

_PLAIN: dict[str, Any] = {
    "kinds": ["conv"],
    "padding_modes": ["zeros"],
    "groups": [1],
    "strides": [1],
    "dilations": [1],
}
_FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "stride": {"strides": [2, 3]},
    "dilation": {"dilations": [2, 3]},
    "groups": {"groups": [2, 3]},
    "same": {"kinds": ["same"]},
    "circular": {"padding_modes": ["circular"]},
    "reflect": {"padding_modes": ["reflect"]},
    "replicate": {"padding_modes": ["replicate"]},
    "transposed": {"kinds": ["transposed"]},
    "transposed-groups": {"kinds": ["transposed"], "groups": [2, 3], "strides": [1, 2]},
    "local": {"kinds": ["local"]},
}


@dataclass(frozen=True)
class Subject:
    """What a converter is asked to convert in one test.

    Attributes:
        name: of the test, as in a file of expected failures.
        cases: of integers, so that any order of summation and any type that holds them gives the same.
        layer: whether it is one layer, else a whole net.
    """

    name: str
    cases: st.SearchStrategy[Case]
    layer: bool


def subjects() -> list[Subject]:
    """All tests of the kit: each feature of convolutions on one, two and three axes, and nets on each.

    >>> [subject.name for subject in subjects()][:3]
    ['1d-plain', '1d-stride', '1d-dilation']
    """
    found = []
    for dims in (1, 2, 3):
        for name, limits in _FEATURES.items():
            if name != "local" or dims < 3:
                cases = conv_layers(exact=True, dims=[dims], **(_PLAIN | limits))
                found.append(Subject(f"{dims}d-{name}", cases, layer=True))
        found.append(Subject(f"{dims}d-net", conv_nets(exact=True, dims=[dims], **_PLAIN), layer=False))
    return found


def load_converter(name: str) -> Callable[..., Any]:
    """The function that "package.module:function" names.

    Raises:
        InputError: a name of another form, or of what there is not.
    """
    module, _, function = name.partition(":")
    if not function:
        raise InputError(f'LCFS_CONVERTER must be "package.module:function", got {name!r}')
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name} cannot be imported ({brief(error)}); is its folder on PYTHONPATH?") from error


def adapted(converted: Any, case: Case) -> nn.Module:
    """What a converter returned, as a net of images in float64.

    Args:
        converted: a module or function of images or of flat vectors, to outputs of the net's shape or flat ones; a
            matrix `[units after, units before]` of numpy, scipy.sparse or torch, dense or sparse; or a pair of a matrix
            and a bias `[units after]` or None.

    Raises:
        AssertionError: something else, or numbers of another count.
    """
    if isinstance(converted, tuple) and len(converted) == 2 and not isinstance(converted[0], nn.Module):
        matrix, bias = converted
        return _Adapted(_affine(matrix, bias), case)
    if sparse.issparse(converted) or isinstance(converted, np.ndarray | Tensor):
        return _Adapted(_affine(converted, None), case)
    if isinstance(converted, nn.Module):
        return _Adapted(converted.double(), case)
    if callable(converted):
        return _Adapted(converted, case)
    raise AssertionError(f"the converter returned a {type(converted).__name__}, which is no net and no matrix")


def _affine(matrix: Any, bias: Any) -> nn.Module:
    if isinstance(matrix, Tensor):
        dense = (matrix if matrix.layout == torch.strided else matrix.to_dense()).detach().double()
    else:
        dense = torch.from_numpy(np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, dtype=np.float64))
    layer = nn.Linear(dense.shape[1], dense.shape[0], bias=bias is not None, dtype=torch.float64)
    layer.weight = nn.Parameter(dense)
    if bias is not None:
        layer.bias = nn.Parameter(torch.as_tensor(bias).detach().double().flatten())
    return layer


class _Adapted(nn.Module):
    """A net that may take and return flat vectors."""

    def __init__(self, net: Callable[[Tensor], Any], case: Case) -> None:
        super().__init__()
        self.net = net
        with torch.no_grad():
            like = next(iter(case.model.parameters()), torch.empty(0))
            self.after: Shape = tuple(case.model(torch.zeros(1, *case.image).to(like)).shape[1:])
        self.flat = not self._takes(torch.zeros(2, *case.image, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.as_tensor(self.net(x.flatten(1) if self.flat else x)).double()
        if y.numel() != len(x) * math.prod(self.after):
            raise AssertionError(
                f"the net gives {self.after} for an image, what the converter returned {tuple(y.shape)[1:]}"
            )
        return y.reshape(len(x), *self.after)

    def _takes(self, x: Tensor) -> bool:
        """Whether the net takes images as they are; a linear layer takes flat vectors only."""
        if isinstance(self.net, nn.Linear):
            return False
        try:
            with torch.no_grad():
                found = torch.as_tensor(self.net(x))
        except Exception:  # whatever it raises for images, flat vectors are what is left
            return False
        return found.numel() == len(x) * math.prod(self.after)
