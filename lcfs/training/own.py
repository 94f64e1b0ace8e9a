"""A data set or a net of the caller's own: whether it can be trained, and the name by which it is known again."""

import hashlib

import torch
from torch import nn

from lcfs.config import TrainConfig
from lcfs.data import Dataset
from lcfs.errors import InputError, brief
from lcfs.runs.handed_in import HandedIn

_DIGITS = 12  # of a digest


def named(dataset: Dataset | None, model: nn.Module | None) -> HandedIn:
    """The kind of each, with a digest of the training images, and of the names and shapes of parameters and buffers."""
    names: dict[str, str] = {}
    if dataset is not None:
        names["data"] = f"{dataset.name}@{dataset.train.fingerprint()[:_DIGITS]}"
    if model is not None:
        shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
        digest = hashlib.sha256(repr(shapes).encode()).hexdigest()
        names["architecture"] = f"{type(model).__qualname__}@{digest[:_DIGITS]}"
    return HandedIn(**names)


def check_fields(config: TrainConfig, dataset: Dataset | None, model: nn.Module | None) -> None:
    """Raises InputError if a field asks for what cannot be had from a data set or net that is handed in."""
    if dataset is not None and config.validation:
        raise InputError(
            f"validation is {config.validation}, but a data set that is handed in has validation images of its own; "
            "set validation to 0"
        )
    if model is not None and config.compact:
        raise InputError("compact knows the nets of lcfs.build only; leave compact out for a model of your own")


@torch.no_grad()
def checked(model: nn.Module, dataset: Dataset) -> nn.Module:
    """The net itself, if it takes the images of the data set and gives a logit for each of its classes.

    Raises:
        InputError: it does not.
    """
    training, example, name = model.training, dataset.train.images[:2].float(), type(model).__name__
    expected = (len(example), dataset.classes)
    try:
        output = model.eval()(example)
    except Exception as error:  # the net's own code may fail in any way
        raise InputError(
            f"model ({name}) does not take images of shape {tuple(example.shape)} ({brief(error)}); "
            "hand in a net for this data set"
        ) from error
    finally:
        model.train(training)
    shape = tuple(getattr(output, "shape", ()))
    if shape != expected:
        raise InputError(
            f"model ({name}) gives {shape or type(output).__name__} for {len(example)} images, not logits of shape "
            f"{expected}; hand in a net for this data set"
        )
    return model
