"""Nets on signals: the same code on one axis, held to torch's Conv1d, to the printed geometry, and to every room."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lcfs
from lcfs.analysis.first_layer import first_layer
from lcfs.analysis.mask_locality import mask_locality
from lcfs.compaction import compact
from lcfs.exporting import load
from lcfs.exporting.net import lower
from lcfs.exporting.runs import export
from lcfs.nets.architectures import ARCHITECTURES, count_weights
from lcfs.nets.convolutions import chain, convolutions, structures_of
from lcfs.nets.folding import fold_batchnorm
from lcfs.testing.filling import fill

SIGNAL = (1, 40)
CHAINS = tuple(name for name in ARCHITECTURES if name != "resnet18")


def net(name: str, base_channels: int = 2, image: tuple[int, ...] = SIGNAL) -> nn.Module:
    torch.manual_seed(0)
    return fill(lcfs.build(name, base_channels=base_channels, image=image), 0, exact=False).eval()


def test_widths_are_those_of_the_prototype() -> None:
    layers = [[288, 122_880, 1920], [5760, 122_880, 1920], [25_600, 122_880, 1920]]
    for name, expected in zip(("s-conv", "s-local", "s-fc"), layers, strict=True):
        model = lcfs.build(name, base_channels=32, image=SIGNAL)
        assert [p.numel() for p in model.parameters() if p.ndim >= 2] == expected
    assert [c.out_spatial for c in chain(convolutions("d-fc"), 1, SIGNAL)] == [
        (n,) for n in (40, 20, 20, 10, 10, 5, 5, 3)
    ]
    assert count_weights(lcfs.build("3-fc", base_channels=192, image=SIGNAL)) == 192 * (40 + 192 + 10)


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_kernels_are_torchs_convolution_on_one_axis(channels: int) -> None:
    layer = lcfs.LocallyConnected(channels, 4, (11,), 5, stride=2, padding=2, bias=False).double()
    kernel = torch.randint(-4, 5, (4, channels, 5)).double()
    layer.weight.data[:] = kernel
    x = torch.randint(-4, 5, (3, channels, 11)).double()
    assert torch.equal(layer(x), F.conv1d(x, kernel, stride=2, padding=2))  # integers: every order is exact
    nn.init.normal_(layer.weight)
    y, padded = layer(x), F.pad(x, (2, 2))
    for i in range(6):
        expected = torch.einsum("bck,ock->bo", padded[:, :, 2 * i : 2 * i + 5], layer.weight[i])
        torch.testing.assert_close(y[:, :, i], expected, rtol=0, atol=1e-12)  # 15 products in float64


@pytest.mark.parametrize("name", CHAINS)
def test_a_signal_is_an_image_of_height_one(name: str) -> None:
    """The kernels of a 1-D net as the middle row of a 2-D one's, which sees nothing but zeros above and below."""
    model = net(name)
    x = torch.randn(3, *SIGNAL)
    y = model(x)
    assert y.shape == (3, 10)
    if name != "s-conv":
        return
    flat = nn.Conv2d(1, 2, 9, 2, 4, bias=False)
    nn.init.zeros_(flat.weight)
    flat.weight.data[:, :, 4] = model.conv1.weight
    torch.testing.assert_close(flat(x[:, :, None])[:, :, 0], model.conv1(x), rtol=1e-5, atol=1e-5)  # float32 sums


@pytest.mark.parametrize("family", ["s", "d"])
@pytest.mark.parametrize("into", ["local", "fc"])
def test_embedded_and_projected_back(family: str, into: str) -> None:
    model = net(f"{family}-conv").double()
    embedded = lcfs.embed(model, into, SIGNAL)
    x = torch.randn(3, *SIGNAL, dtype=torch.float64)
    torch.testing.assert_close(embedded(x), model(x), rtol=1e-9, atol=1e-9)  # float64
    if into == "local":
        assert type(embedded.get_submodule("conv1")) is lcfs.LocallyConnected
    shapes = {k: v.shape for k, v in lcfs.build(f"{family}-{into}", base_channels=2, image=SIGNAL).state_dict().items()}
    assert {k: v.shape for k, v in embedded.state_dict().items()} == shapes
    back = lcfs.project(embedded, model, SIGNAL)
    torch.testing.assert_close(back.model(x), model(x), rtol=1e-9, atol=1e-9)
    if into == "fc":
        structure = structures_of(f"{family}-fc", 2, SIGNAL)["conv1.weight"]
        kernel = model.conv1.weight.detach().numpy()
        np.testing.assert_array_equal(structure.csr(kernel).toarray(), embedded.conv1.weight.detach().numpy())


@pytest.mark.parametrize("name", CHAINS)
def test_folded_compacted_and_lowered(name: str) -> None:
    model = net(name)
    x = torch.randn(5, *SIGNAL)
    expected = model(x).detach()
    scale = float(expected.abs().max())
    assert (fold_batchnorm(model)(x) - expected).abs().max() < 1e-5 * scale  # float32, rounded once
    for layer in (model.get_submodule(layer) for layer in ("conv1", "fc1") if hasattr(model, layer)):
        part = (
            layer.weight.view(-1, *layer.weight.shape[-3:])
            if isinstance(layer, lcfs.LocallyConnected)
            else layer.weight
        )
        part.data[0] = 0.0
    expected = model(x).detach()
    lowered = lower(model, SIGNAL)
    assert (lowered(x) - expected).abs().max() < 1e-5 * expected.abs().max()
    small = compact(model).model
    torch.testing.assert_close(small(x), expected, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("s-conv", "safetensors"), ("d-local", "safetensors"), ("s-fc", "safetensors"), ("s-conv", "onnx")],
)
def test_a_run_on_signals_is_exported(name: str, suffix: str, tmp_path: Path) -> None:
    optimizer = lcfs.config.OptimizerConfig("beta-lasso", l1_conv=3e-3, l1_fc=1e-3, beta=20.0)
    config = lcfs.TrainConfig(
        name,
        2,
        data="signals",
        epochs=2,
        batch_size=100,
        permute_pixels=True,
        optimizer=optimizer,
        augment=lcfs.config.AugmentConfig(crop=2, shift=3, flip=True, noise=0.1, cutout=4),
    )
    lcfs.train(config, tmp_path / "run")
    exported = export(tmp_path / "run", tmp_path / f"net.{suffix}")
    assert exported.difference < 1e-5
    if suffix == "safetensors":
        test = lcfs.load_data("signals").test
        assert (load(tmp_path / "net.safetensors").classify(test.images) == test.labels).float().mean() > 0.15
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
        assert session.get_inputs()[0].type == "tensor(float)"
        assert session.run(None, {"images": np.zeros((3, *SIGNAL), np.float32)})[0].shape == (3, 10)


def test_a_planted_convolution_is_found_again() -> None:
    model = net("s-conv", 3)
    embedded = lcfs.embed(model, "fc", SIGNAL)
    shuffled = {name: tensor.clone() for name, tensor in embedded.state_dict().items()}
    shuffled["conv1.weight"] = shuffled["conv1.weight"][torch.randperm(60, generator=torch.Generator().manual_seed(1))]
    found = first_layer("s-fc", shuffled, SIGNAL)
    assert found.filters.shape == (60, 1, 1, 40)
    assert found.match is not None
    assert found.permuted is not None
    assert found.match.unexplained < 0.05 < 0.2 < found.permuted.unexplained
    gyration = found.measures[0]
    assert gyration.quantiles[1] < 4 < gyration.permuted
    locality = mask_locality(shuffled, SIGNAL)
    assert locality is not None
    assert locality.units == 60
    assert locality.radius < 4 < locality.random
    windows = first_layer("s-local", lcfs.embed(model, "local", SIGNAL).state_dict(), SIGNAL)
    assert windows.filters.shape == (60, 1, 1, 9)


def test_resnet18_takes_images_only() -> None:
    with pytest.raises(lcfs.InputError, match=r"resnet18 takes images \(channels, height, width\), got \(1, 40\)"):
        lcfs.build("resnet18", base_channels=2, image=SIGNAL)
    with pytest.raises(lcfs.InputError, match="or signals"):
        lcfs.build("s-fc", base_channels=2, image=(1, 4, 4, 4))
