"""From a state dict to the net that was trained, or one sentence that says why not."""

from torch import Tensor, nn

from lcfs.config import TrainConfig
from lcfs.nets.architectures import build_configured
from lcfs.runs.checkpoints import load_into


def net_of(
    config: TrainConfig, state: dict[str, Tensor], image: tuple[int, ...], classes: int, *, origin: str
) -> nn.Module:
    """The net that a configuration describes, with the tensors of a state dict, in evaluation mode.

    Args:
        image, classes: (channels, *grid) and number of classes of the data that it was trained on.
        origin: where the state dict comes from, for the errors.

    Raises:
        InputError: other keys or shapes than the net's, infinite or NaN values.
    """
    net = build_configured(config, image, classes).eval()
    load_into(net, state, origin=origin, wanted=f"this {config.architecture}")
    return net
