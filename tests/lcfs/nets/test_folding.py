"""Algebra: folding changes no net's function; negative control: nets on batch statistics are refused."""

import pytest
import torch
from torch import nn

import lcfs
from lcfs.errors import InputError
from lcfs.nets.folding import fold_batchnorm


def _shaken(net: nn.Module) -> nn.Module:
    """Every BatchNorm with statistics and parameters far from 0 and 1."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -2, 2),
                (module.running_var, 0.1, 3),
                (module.weight.data, -2, 2),
                (module.bias.data, -2, 2),
            ):
                tensor.uniform_(low, high)
    return net.eval()


@pytest.mark.parametrize("name", lcfs.ARCHITECTURES)
def test_the_function_stays_the_same(name: str) -> None:
    net = _shaken(lcfs.build(name, base_channels=2, image=(3, 8, 10), classes=5)).double()
    folded = fold_batchnorm(net)
    x = torch.randn(6, 3, 8, 10, dtype=torch.float64)
    # float64; a dozen layers of at most a few thousand terms each
    torch.testing.assert_close(folded(x), net(x), rtol=1e-9, atol=1e-9)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in folded.modules())
    assert sum(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in net.modules()), "the original is kept"


def test_a_net_on_batch_statistics_is_refused() -> None:
    net = lcfs.build("s-conv", base_channels=2, image=(1, 8, 8))
    net.norm1 = nn.BatchNorm2d(2, track_running_stats=False)
    with pytest.raises(InputError, match="norm1 has no running statistics"):
        fold_batchnorm(net)
