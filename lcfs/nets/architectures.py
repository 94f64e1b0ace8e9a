"""The paper's eight networks, built from one table of layers.

CONV ⊂ LOCAL ⊂ FC: the three nets of a family (S or D) have the same units and differ in the connections between them.
Every layer but the last is linear (no bias) → BatchNorm → ReLU. Children are named after the layer of the
*convolutional* net that they stand for, so `conv1` of S-FC is the fully-connected layer that replaces S-CONV's
convolution; these are the "layers that correspond to convolutional layers", to which the paper gives a λ of their own.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Literal

from torch import Tensor, nn

from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.nets.convolutions import chain, convolutions
from lcfs.nets.layers import LocallyConnected
from lcfs.nets.resnet import ResNet18
from theory.operators import Convolution

Kind = Literal["conv", "local", "fc"]


_HIDDEN = {"s": 24, "d": 64}  # width of the fully-connected hidden layer in units of α; paper, Tables 3 and 4
_CONVOLUTION = {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d)}  # by the number of axes

ARCHITECTURES = ("s-conv", "s-local", "s-fc", "d-conv", "d-local", "d-fc", "3-fc", "resnet18")


def build(
    name: str,
    *,
    base_channels: int,
    image: tuple[int, ...] = (3, 32, 32),
    classes: int = 10,
    dropout: float = 0.0,
    kernel_size: int = 3,
) -> nn.Module:
    """One of the paper's networks, `[batch, *image]` → logits `[batch, classes]`.

    Args:
        name: one of `ARCHITECTURES`.
        base_channels: α of the paper; the hidden width for 3-fc; the channels of the first stage for resnet18.
        image: (channels, height, width), sides need not be equal, or (channels, length) of a signal; resnet18 takes no
            signals.
        classes: number of logits, ≥ 2.
        dropout: probability in [0, 1) applied to the inputs of the last two fully-connected layers; not for resnet18.
        kernel_size: odd side of every k×k kernel of resnet18 (Figure 5); not for the others.

    Returns:
        The net in training mode, its weights drawn from torch's generator.

    Raises:
        InputError: an unknown name, a value out of range, or an image too small for the net.
    Source: paper, Figure 1 and Tables 3–4; padding is "same" (the printed counts force it).

    >>> count_weights(build("s-conv", base_channels=2, image=(1, 8, 8)))
    2178
    """
    _check(name, base_channels, image, classes, dropout, kernel_size)
    if name == "resnet18":
        return ResNet18(image[0], classes, width=base_channels, kernel_size=kernel_size)
    if name == "3-fc":
        features = OrderedDict[str, nn.Module](flatten=nn.Flatten())
        _add_hidden(features, "fc1", math.prod(image), base_channels, dropout=0.0)
        _add_hidden(features, "fc2", base_channels, base_channels, dropout)
        return _finish(features, "fc3", base_channels, classes, dropout)
    letter, kind = name.split("-")
    replaced = chain(convolutions(name), base_channels, image)
    features, hidden = _feature_layers(kind, replaced), _hidden_width(letter, base_channels, len(image) - 1)
    _add_hidden(features, "fc1", replaced[-1].shape[0], hidden, dropout)
    return _finish(features, "fc2", hidden, classes, dropout)


def build_configured(config: TrainConfig, image: tuple[int, ...], classes: int) -> nn.Module:
    """The net of a run, for images (channels, *grid). Raises InputError as `build`."""
    return build(
        config.architecture,
        base_channels=config.base_channels,
        image=image,
        classes=classes,
        dropout=config.dropout,
        kernel_size=config.kernel_size,
    )


def weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weight arrays that the paper counts and regularizes: every parameter but biases and BatchNorm's."""
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.ndim >= 2)


def count_weights(model: nn.Module) -> int:
    """Number of weights without biases and BatchNorm, as in Tables 1, 3 and 4.

    Args:
        model: any net; its parameters of two dimensions or more are counted, zeros too.

    Returns:
        How many numbers they hold, ≥ 0.

    Raises:
        Nothing: a net without weights has 0.
    Source: paper, Tables 1, 3 and 4.

    >>> count_weights(build("s-fc", base_channels=150))
    256240800
    """
    return sum(parameter.numel() for _, parameter in weights(model))


def replaces_convolution(parameter_name: str) -> bool:
    """Whether a weight belongs to a convolution or to the layer that replaces one (the paper's first λ)."""
    return "conv" in parameter_name


def _feature_layers(kind: str, replaced: Sequence[Convolution]) -> OrderedDict[str, nn.Module]:
    """The layers that are or replace convolutions."""
    layers = OrderedDict[str, nn.Module]()
    if kind == "fc":
        layers["flatten"] = nn.Flatten()
    for i, c in enumerate(replaced, start=1):
        units, inputs = c.shape
        axis = c.axes[0]
        if kind == "conv":
            convolution, norm = _CONVOLUTION[len(c.axes)]
            layers[f"conv{i}"] = convolution(
                c.in_channels, c.out_channels, axis.kernel, axis.stride, axis.before, bias=False
            )
            layers[f"norm{i}"] = norm(c.out_channels)
        elif kind == "local":
            if i > 1:
                layers[f"unflatten{i}"] = nn.Unflatten(1, c.image)
            layers[f"conv{i}"] = LocallyConnected(
                c.in_channels,
                c.out_channels,
                c.spatial,
                axis.kernel,
                stride=axis.stride,
                padding=axis.before,
                bias=False,
            )
            layers[f"flatten{i}"] = nn.Flatten()
            layers[f"norm{i}"] = nn.BatchNorm1d(units)  # unshared, like the weights: one scale and shift per unit
        else:
            layers[f"conv{i}"] = nn.Linear(inputs, units, bias=False)
            layers[f"norm{i}"] = nn.BatchNorm1d(units)
        layers[f"relu{i}"] = nn.ReLU()
    if kind == "conv":
        layers["flatten"] = nn.Flatten()
    return layers


def _hidden_width(letter: str, base_channels: int, axes: int) -> int:
    """24α of S and 64α of D on the two axes of an image, as printed; a quarter of it on one axis.

    A convolution of stride 2 halves every axis, so a signal keeps twice the share of positions that an image does; a
    hidden layer a quarter as wide keeps the proportions of the layers about as they are (S: 20α → 6α at 40 samples,
    256α → 24α at 32 × 32 pixels).
    """
    return _HIDDEN[letter] * base_channels * 4**axes // 16


def _add_hidden(layers: OrderedDict[str, nn.Module], name: str, inputs: int, outputs: int, dropout: float) -> None:
    if dropout:
        layers[f"dropout_{name}"] = nn.Dropout(dropout)
    layers[name] = nn.Linear(inputs, outputs, bias=False)
    layers[f"norm_{name}"] = nn.BatchNorm1d(outputs)
    layers[f"relu_{name}"] = nn.ReLU()


def _finish(layers: OrderedDict[str, nn.Module], name: str, inputs: int, classes: int, dropout: float) -> nn.Sequential:
    if dropout:
        layers[f"dropout_{name}"] = nn.Dropout(dropout)
    layers[name] = nn.Linear(inputs, classes)
    return nn.Sequential(layers)


def _check(
    name: str, base_channels: int, image: tuple[int, ...], classes: int, dropout: float, kernel_size: int
) -> None:
    if name not in ARCHITECTURES:
        raise InputError(f"architecture must be one of {', '.join(ARCHITECTURES)}, got {name!r}")
    if base_channels < 1:
        raise InputError(f"base_channels must be at least 1, got {base_channels}")
    if classes < 2:
        raise InputError(f"classes must be at least 2, got {classes}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must lie in [0, 1), got {dropout}")
    if dropout and name == "resnet18":
        raise InputError(
            "dropout applies to the last two fully-connected layers and resnet18 has only one; set it to 0"
        )
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise InputError(f"kernel_size must be odd and positive to keep 'same' padding symmetric, got {kernel_size}")
    if kernel_size != 3 and name != "resnet18":
        raise InputError(f"kernel_size belongs to resnet18; the kernels of {name} are fixed by the paper")
    if len(image) not in (2, 3) or (name == "resnet18" and len(image) != 3):
        signals = "" if name == "resnet18" else " or signals (channels, length)"
        raise InputError(f"{name} takes images (channels, height, width){signals}, got {image}")
    side = _smallest_side(name)
    if min(image) < 1 or min(image[1:]) < side:
        raise InputError(f"an image of {image} is too small for {name}: its sides must be at least {side} pixels")


def _smallest_side(name: str) -> int:
    """Below it, taps of the first kernel never meet the image, or a map is one pixel before the last stride."""
    if name == "3-fc":
        return 1
    if name == "resnet18":
        return 4
    rows = convolutions(name)
    return max(rows[0].kernel // 2 + 1, math.prod(row.stride for row in rows) // 2)
