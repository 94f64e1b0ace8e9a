"""What the embedder knows: which calls of a net are linear, elementwise, or reshape only; all else is refused by name.

Modules are known by their exact type: a subclass may compute something else.
"""

import operator
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import fx, nn
from torch.nn import functional as F

from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.units import AnyType, MaxOf, Rearrange
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected

Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = Literal["linear", "norm", "average", "max", "reshape", "move", "elementwise", "kept"]
Forward: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed: TypeAlias = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
LinearMap: TypeAlias = Forward | Transposed | LocallyConnected | SparseLinear | nn.Linear
Norm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
AveragePool: TypeAlias = nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d
AdaptivePool: TypeAlias = nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d

MaxPool: TypeAlias = nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d
AdaptiveMaxPool: TypeAlias = nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool3d

_ACTIVATIONS = """ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Tanhshrink Hardtanh
    Hardswish Hardsigmoid Softplus Softsign Softshrink Hardshrink Threshold Identity Dropout PReLU"""
_MOVES = """ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d ReflectionPad2d
    ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d CircularPad1d CircularPad2d CircularPad3d
    PixelShuffle PixelUnshuffle ChannelShuffle UpsamplingNearest2d"""
_KEPT = """Softmax LogSoftmax Softmax2d Dropout1d Dropout2d Dropout3d GroupNorm LayerNorm"""
_MODULES: dict[Kind, tuple[type, ...]] = {
    "linear": get_args(LinearMap),
    "norm": get_args(Norm),
    "average": (*get_args(AveragePool | AdaptivePool), nn.UpsamplingBilinear2d, AnyType),
    "max": (*get_args(MaxPool | AdaptiveMaxPool), MaxOf),
    "reshape": (nn.Flatten, nn.Unflatten),
    "move": (*(getattr(nn, name) for name in _MOVES.split()), Rearrange),
    "elementwise": tuple(getattr(nn, name) for name in _ACTIVATIONS.split()),
    "kept": tuple(getattr(nn, name) for name in _KEPT.split()),
}
_FUNCTIONS: dict[Kind, str] = {  # and methods, which torch.fx keeps apart and torch spells alike
    "average": "mean sum avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d",
    "max": "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    "reshape": "flatten unflatten reshape view squeeze unsqueeze contiguous",
    "move": """pad cat concat stack chunk split tensor_split unbind getitem permute transpose movedim swapaxes roll flip
        narrow select expand expand_as repeat index_select pixel_shuffle pixel_unshuffle channel_shuffle""",
    "elementwise": """relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid logsigmoid tanh tanhshrink hardtanh
        hardswish hardsigmoid softplus softsign softshrink hardshrink threshold dropout
        add sub mul div truediv neg abs square clamp iadd isub imul itruediv maximum minimum clone""",
    "kept": "softmax log_softmax dropout1d dropout2d dropout3d group_norm layer_norm",
}
_KIND_OF_MODULE = {module: kind for kind, modules in _MODULES.items() for module in modules}
_KIND_OF_FUNCTION = {name: kind for kind, names in _FUNCTIONS.items() for name in names.split()}
_LAYERS_AS_FUNCTIONS = ("conv1d", "conv2d", "conv3d", "linear", "prelu")
_SPACES = (torch, F, operator)


def kind_of(node: fx.Node, modules: dict[str, nn.Module]) -> Kind:
    """What a call of a traced net does.

    Raises:
        InputError: a call that is not known to embed, by its name in the net.
    """
    name = called(node, modules)
    if name in ("Upsample", "interpolate", "upsample"):
        return _kind_of_upsampling(node, modules)
    if node.op == "call_module":
        kind, where = _KIND_OF_MODULE.get(type(modules[str(node.target)])), f"{node.target} ({name})"
    else:
        kind, where = _KIND_OF_FUNCTION.get(name) if _is_torch(node.target) else None, f"a call of {name}"
    if kind is not None:
        return kind
    if node.op != "call_module" and name in _LAYERS_AS_FUNCTIONS:
        raise InputError(
            f"{where} with weights that depend on the image has no embedding; weights must be the net's own"
        )
    raise InputError(
        f"{where} has no exact embedding here; convolutions, LocallyConnected, Linear, BatchNorm, pooling, padding, "
        "moves of numbers as cat and permute, sums, products and elementwise activations have one"
    )


def _kind_of_upsampling(node: fx.Node, modules: dict[str, nn.Module]) -> Kind:
    """Nearest pixels are moved; linear interpolation is an average."""
    if node.op == "call_module":
        mode: Any = getattr(modules[str(node.target)], "mode", None)
    else:
        mode = node.kwargs.get("mode", node.args[3] if len(node.args) > 3 else "nearest")
    if mode in ("nearest", "nearest-exact"):
        return "move"
    if mode in ("linear", "bilinear", "trilinear"):
        return "average"
    raise InputError(
        f"{node.target if node.op == 'call_module' else 'interpolate'} has the mode {mode!r}; nearest and "
        "linear ones embed"
    )


def called(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """The class of a module; the name of a function or method without the underscore of its in-place form."""
    target: Any = node.target
    if node.op == "call_module":
        return type(modules[target]).__name__
    return (target if isinstance(target, str) else target.__name__).removesuffix("_")


def layer_name(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """The module that a call is of, or the name for a module that stands for a function, which is no other module's."""
    name = str(node.target) if node.op == "call_module" else node.name
    while node.op != "call_module" and name in modules:
        name += "_"
    return name


def sized_name(name: str, image: Shape, images: dict[str, Shape]) -> str:
    """The layer that stands for another at this size of image; underscores mark the second, third … size.

    Args:
        images: the sizes met so far by name, to which this one is added.
    """
    while images.setdefault(name, image) != image:
        name += "_"
    return name


def axes_of(name: str) -> int | None:
    """Spatial axes that a linear or averaging call works on, by its name; None for one that takes any number."""
    if name in ("Linear", "SparseLinear"):
        return 0
    return int(name[-2]) if name[-2:] in ("1d", "2d", "3d") else None


def _is_torch(target: Any) -> bool:
    """Whether this is a tensor's method or torch's own function, and no other of that name."""
    return isinstance(target, str) or any(getattr(space, target.__name__, None) is target for space in _SPACES)
