"""Algebra: an exported net computes what its model does. Round trip: a file gives the same net back. Negative controls:
files that were tampered with are refused before anything is computed from them."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import lcfs
from lcfs import cli, data, exporting
from lcfs.augmentation import augment
from lcfs.compaction.chain import chain
from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.errors import InputError
from lcfs.exporting import csr, load, save, simplify
from lcfs.exporting.csr import BLOCK, csr_is_faster, csr_of
from lcfs.exporting.net import lower
from lcfs.exporting.onnx import save_onnx
from lcfs.nets.architectures import build_configured
from lcfs.nets.layers import LocallyConnected
from lcfs.training.loop import train

IMAGE = (3, 8, 10)
NETS = ("s-fc", "s-local", "s-conv", "d-fc", "d-local", "d-conv", "3-fc")


def net_of(name: str, *, density: float = 1.0, dead: bool = True) -> nn.Module:
    """A net far from its start, with some units without incoming and some without outgoing weights, constants of both
    signs among them; its BatchNorm keeps the images apart, however deep and sparse it is."""
    torch.manual_seed(1)
    net = lcfs.build(name, base_channels=48 if name == "3-fc" else 4, image=IMAGE, classes=5, dropout=0.1)
    x = torch.randn(64, *IMAGE)
    with torch.no_grad():
        for stage in chain(net)[:-1]:
            if not isinstance(stage.layer, nn.Conv2d):  # with so few weights it would let nothing through
                stage.layer.weight *= torch.rand_like(stage.layer.weight) < density
        for stage, after in pairwise(chain(net)):
            assert stage.norm is not None
            stage.norm.momentum = 1.0
            stage.norm.bias.uniform_(-1, 1)
            if dead:
                stage.layer.weight.movedim(stage.dims[0], 0)[1:3] = 0
                each = after.layer.in_features // stage.channels if isinstance(after.layer, nn.Linear) else 1
                after.layer.weight.movedim(after.dims[1], 0)[3 * each : 4 * each] = 0
        net(x)
        for stage in chain(net)[:-1]:
            assert stage.norm is not None
            assert stage.norm.running_mean is not None
            assert stage.norm.running_var is not None
            stage.norm.running_mean += torch.empty_like(stage.norm.running_mean).uniform_(-0.3, 0.3)
            stage.norm.running_var.clamp_(min=1e-3).mul_(torch.empty_like(stage.norm.running_var).uniform_(0.5, 2))
        logits = net.eval()(x)
    assert relative(logits[1:], logits[:-1]) > 1e-2, "a constant net would pass every test"
    return net


@pytest.fixture
def always_csr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse layers are used however small they are, as those of these tests."""
    monkeypatch.setattr(csr, "LEAST_WEIGHTS", 1)


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("name", NETS)
def test_simplify_keeps_the_function_with_fewer_units(name: str) -> None:
    net = net_of(name).double()
    small = simplify(net)
    x = torch.randn(6, *IMAGE, dtype=torch.float64)
    torch.testing.assert_close(small(x), net(x), rtol=1e-9, atol=1e-9)
    before, after = ([stage.channels for stage in chain(n)] for n in (net, small))
    # At least the unread unit goes everywhere; constants too unless the next layer pads or its units differ.
    assert all(a < b for a, b in zip(after[:-1], before[:-1], strict=True))
    if name in ("s-fc", "d-fc", "3-fc"):
        assert [b - a for a, b in zip(after, before, strict=True)] == [3] * (len(before) - 1) + [0]
    assert simplify(net_of(name, dead=False)).state_dict().keys() == small.state_dict().keys()


def test_a_constant_before_the_last_layer_goes_into_its_bias() -> None:
    net = net_of("s-fc", dead=False).double()
    with torch.no_grad():
        net.fc1.weight[7] = 0
        net.norm_fc1.bias[7] = 2.0
        net.norm_fc1.running_mean[7] = 0
    small = simplify(net)
    assert small.fc1.out_features == net.fc1.out_features - 1
    torch.testing.assert_close(small.fc2.bias, net.fc2.bias + 2 * net.fc2.weight[:, 7], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("density", [0.05, 1.0])
@pytest.mark.usefixtures("always_csr")
def test_lowered_saved_and_loaded(name: str, density: float, tmp_path: Path) -> None:
    model = net_of(name, density=density)
    net = lower(model, IMAGE)
    assert any(spec.kind == "csr" for spec in net.spec.layers) is (density < 1)
    save(net, tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    assert again.spec == net.spec
    assert all(torch.equal(t, net.state_dict()[name]) for name, t in again.state_dict().items())
    for batch in (1, 5):
        x = torch.randn(batch, *IMAGE)
        assert relative(net(x), model(x)) < 1e-5  # float32, two orders of summation
        assert relative(again(x), net(x)) < 1e-6  # where tensors lie in memory may change the order of a sum
    save(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "net.safetensors").read_bytes()


@pytest.mark.parametrize("shape", [(7, 50), (30, 2 * BLOCK + 17), (3, BLOCK)])
@pytest.mark.parametrize("batch", [1, 4])
def test_csr_of_a_linear_layer(shape: tuple[int, int], batch: int) -> None:
    layer = nn.Linear(shape[1], shape[0]).requires_grad_(False)
    layer.weight *= torch.rand_like(layer.weight) < 0.03
    layer.weight[2] = 0
    made = csr_of(layer)
    made.check()
    x = torch.randn(batch, shape[1])
    torch.testing.assert_close(made(x), layer(x), rtol=1e-4, atol=1e-5)  # some hundred float32 terms
    assert len(made.values) == layer.weight.count_nonzero()


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (1, 2)])
def test_csr_of_a_local_layer(stride: int, padding: int) -> None:
    layer = LocallyConnected(2, 3, (6, 5), 3, stride=stride, padding=padding).requires_grad_(False)
    layer.weight *= torch.rand_like(layer.weight) < 0.5
    x = torch.randn(4, 2, 6, 5)
    torch.testing.assert_close(csr_of(layer)(x.flatten(1)), layer(x).flatten(1), rtol=1e-4, atol=1e-5)


def test_csr_is_used_where_it_is_faster_only() -> None:
    layer = nn.Linear(200, 100).requires_grad_(False)
    assert not csr_is_faster(layer), "dense"
    layer.weight[:88] = 0
    assert csr_is_faster(layer)
    small = nn.Linear(20, 10).requires_grad_(False)
    small.weight.zero_()
    assert not csr_is_faster(small)
    assert not csr_is_faster(nn.Conv2d(3, 3, 3))


def _description(change: Callable[[dict], Any]) -> Callable[[dict, dict], None]:
    def changed(description: dict, tensors: dict) -> None:
        change(description)

    return changed


def _tensor(name: str, change: Callable[[Tensor], Any]) -> Callable[[dict, dict], None]:
    def changed(description: dict, tensors: dict) -> None:
        made = change(tensors[name])
        if isinstance(made, Tensor) and made is not tensors[name]:
            tensors[name] = made

    return changed


TAMPERED: dict[str, Callable[[dict, dict], Any]] = {
    "a column out of range": _tensor("conv1.columns", lambda t: t[3].fill_(10_000)),
    "a negative column": _tensor("conv1.columns", lambda t: t[3].fill_(-1)),
    "columns in disorder": _tensor("conv1.columns", lambda t: t.flip(0)),
    "a start before the beginning": _tensor("conv1.starts", lambda t: t[0].fill_(-5)),
    "a start in the middle out of range": _tensor("conv1.starts", lambda t: t[5].fill_(1 << 30)),
    "starts that fall": _tensor("conv1.starts", lambda t: t[5].fill_(0)),
    "fewer entries than starts": _tensor("conv1.starts", lambda t: t[-1].sub_(1)),
    "another shape": _tensor("conv1.bias", lambda t: t[1:].contiguous()),
    "another type": _tensor("conv1.bias", lambda t: t.double()),
    "64-bit indices": _tensor("conv1.columns", lambda t: t.long()),
    "a tensor too few": lambda d, t: t.pop("fc1.bias"),
    "a tensor too many": lambda d, t: t.update(extra=torch.zeros(1)),
    "an unknown kind": _description(lambda d: d["layers"][0].update(kind="python")),
    "a layer named like a method": _description(lambda d: d["layers"][0].update(name="forward")),
    "a name with a dot": _description(lambda d: d["layers"][0].update(name="conv1.weight")),
    "a name that is a list": _description(lambda d: d["layers"][0].update(name=["conv1"])),
    "a kind that is a list": _description(lambda d: d["layers"][0].update(kind=["csr"])),
    "a huge size": _description(lambda d: d["layers"][0].update(outputs=1 << 62)),
    "a true size": _description(lambda d: d["layers"][0].update(outputs=True)),
    "a fractional size": _description(lambda d: d["layers"][0].update(outputs=4.0)),
    "layers that do not fit": _description(lambda d: d["layers"].pop(1)),
    "no layers": _description(lambda d: d["layers"].clear()),
    "an unknown field": _description(lambda d: d["layers"][0].update(code="import os")),
    "an image without sides": _description(lambda d: d.update(image=[3])),
    "statistics that are text": _description(lambda d: d.update(mean=["a", "b", "c"])),
    "no data": _description(lambda d: d.pop("data")),
    "a permutation that is not there": _description(lambda d: d.update(permuted=True)),
    "a stride of zero": _description(lambda d: d["layers"][0].update(kind="conv", stride=0)),
}


@pytest.mark.parametrize("how", TAMPERED)
@pytest.mark.usefixtures("always_csr")
def test_files_that_were_tampered_with_are_refused(how: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save(lower(net_of("s-fc", density=0.05), IMAGE), path)
    with safe_open(path, "pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
    whole = json.loads(metadata["lcfs"])
    description = whole["net"]
    assert description["layers"][0]["kind"] == "csr"
    TAMPERED[how](description, tensors)
    save_file(tensors, path, {"lcfs": json.dumps(whole)})
    with pytest.raises(InputError, match="no valid exported net"):
        load(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "damaged"),
        (b"\xff" * 8 + b"{}", "damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=words):
        load(tmp_path / "x.safetensors")


def test_files_of_others(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="no net that lcfs export wrote"):
        load(tmp_path / "a.safetensors")
    for description in ("[" * 100_000, "", "null", '{"format": "lcfs exported net 2", "net": {}}'):
        save_file({"a": torch.zeros(2)}, tmp_path / "b.safetensors", {"lcfs": description})
        with pytest.raises(InputError, match="no valid exported net"):
            load(tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="not there"):
        load(tmp_path / "c.safetensors")


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    optimizer = OptimizerConfig("beta-lasso", l1_conv=2e-2, l1_fc=1e-3, beta=5.0)
    train(TrainConfig("s-fc", 4, epochs=4, batch_size=128, permute_pixels=True, optimizer=optimizer), path)
    return path


@pytest.mark.usefixtures("always_csr")
def test_export_of_a_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.safetensors"
    code, out, _ = call(capsys, "export", str(run), "-o", str(file))
    assert code == 0
    assert "difference" in out
    net, dataset = load(file), data.load("digits")
    assert net.spec.data == "digits"
    config = exporting.runs.Run.open(run).config()
    model = lcfs.build("s-fc", base_channels=4, image=(1, 8, 8)).eval()
    model.load_state_dict(lcfs.load_state(exporting.runs.Run.open(run).newest_checkpoint()))
    permutation = data.pixel_permutation(config.seed, (1, 8, 8))
    images = dataset.test.images
    logits = model(augment.normalize(images, dataset.mean, dataset.std, permutation))
    assert (net.classify(images) == logits.argmax(1)).float().mean() > 0.99  # ties of rounding
    assert relative(net(augment.normalize(images, dataset.mean, dataset.std, permutation)), logits) < 1e-5
    assert net.stored_bytes() < 0.75 * 4 * lcfs.count_weights(model)


def outputs(path: Path, images: Tensor) -> Tensor:
    """Logits of an ONNX file in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    return torch.from_numpy(logits)


@pytest.mark.parametrize("name", ["s-fc", "s-conv", "s-local", "resnet18"])
def test_onnx_of_a_run(name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reference: onnxruntime gives the logits of the torch net for images as they are, whatever the batch."""
    if name != "s-fc":
        run = tmp_path / "run"
        train(TrainConfig(name, 2, epochs=2, batch_size=64, augment=AugmentConfig(crop=0, flip=False)), run)
    file = tmp_path / "net.onnx"
    code, out, err = call(capsys, "export", str(run), "-o", str(file))
    assert (code, err) == (0, "")
    assert "difference" in out
    opened, dataset = exporting.runs.Run.open(run), data.load("digits")
    config = opened.config()
    model = build_configured(config, (1, 8, 8), 10).eval()
    model.load_state_dict(lcfs.load_state(opened.newest_checkpoint()))
    permutation = data.pixel_permutation(config.seed, (1, 8, 8)) if config.permute_pixels else None
    for batch in (1, 2, 77):
        images = dataset.test.images[:batch]
        expected = model(augment.normalize(images, dataset.mean, dataset.std, permutation))
        assert batch == 1 or relative(expected[1:], expected[:-1]) > 1e-2, "a constant net would pass"
        assert relative(outputs(file, images), expected) < 1e-5  # float32, two orders of summation
    graph = onnx.load(file)
    onnx.checker.check_model(graph, full_check=True)
    assert {opset.domain for opset in graph.opset_import} <= {""}, "only operators that every runtime has"
    assert str(Path(lcfs.__file__).parent).encode() not in file.read_bytes(), "no paths of the machine it was made on"


@pytest.mark.parametrize("name", ["3-fc", "d-conv", "d-local"])
def test_onnx_of_other_nets(name: str, tmp_path: Path) -> None:
    """Reference: the same far from the start, with three channels and unequal sides."""
    model = net_of(name)
    net = lower(model, IMAGE, sparse=False)
    permutation = torch.randperm(80)
    mean, std = (0.1, 0.4, 0.5), (0.2, 0.3, 0.25)
    save_onnx(net, tmp_path / "net.onnx", image=IMAGE, mean=mean, std=std, permutation=permutation)
    images = torch.randint(256, (5, *IMAGE), dtype=torch.uint8)
    expected = model(augment.normalize(images, mean, std, permutation))
    assert relative(outputs(tmp_path / "net.onnx", images), expected) < 1e-5
    assert relative(outputs(tmp_path / "net.onnx", images.flip(3)), expected) > 1e-3, "negative control"


def test_onnx_that_cannot_be_written_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(words: str) -> None:
        code, _, err = call(capsys, "export", str(run), "-o", str(tmp_path / "net.onnx"))
        assert (code, err.count("\n")) == (2, 1)
        assert words in err
        assert not (tmp_path / "net.onnx").exists()

    def fails(*_: Any, **__: Any) -> None:
        raise torch.onnx.OnnxExporterError("no decomposition\nand much more")

    def fixes_the_batch(*arguments: Any, dynamic_shapes: Any, **options: Any) -> Any:
        return original(*arguments, **options)

    original = torch.onnx.export
    for exporter, words in ((fails, "(no decomposition); update onnx"), (fixes_the_batch, "one size of batch")):
        monkeypatch.setattr(torch.onnx, "export", exporter)
        refused(words)
    monkeypatch.setattr(exporting.onnx, "_MOST_BYTES", 1000)
    refused("ONNX files end at 2 GiB")
    monkeypatch.setattr(exporting.onnx.importlib.util, "find_spec", lambda name: None)
    refused("pip install onnx onnxscript")


def test_bad_input_is_one_sentence(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(lcfs.build("s-conv", base_channels=1, image=(1, 8, 8)).state_dict(), tmp_path / "other.pt")
    diverged = lcfs.load_state(exporting.runs.Run.open(run).newest_checkpoint())
    torch.save(diverged | {"fc2.bias": torch.full((10,), torch.inf)}, tmp_path / "diverged.pt")
    residual = exporting.runs.Run.create(tmp_path / "residual", TrainConfig("resnet18", 2)).path
    for arguments, words in (
        ((str(run), "-o", str(tmp_path / "net.pt")), ".safetensors"),
        (("/nonexistent", "-o", str(tmp_path / "net.safetensors")), "config.json"),
        ((str(run), "-o", "/nonexistent/net.safetensors"), "/nonexistent"),
        (
            (str(run), "-o", str(tmp_path / "n.safetensors"), "--checkpoint", str(tmp_path / "other.pt")),
            "no checkpoint",
        ),
        ((str(run), "-o", str(tmp_path / "n.onnx"), "--checkpoint", str(tmp_path / "diverged.pt")), "infinite or NaN"),
        ((str(residual), "-o", str(tmp_path / "n.safetensors")), "ends in .onnx"),
    ):
        code, _, err = call(capsys, "export", *arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert words in err
    with pytest.raises(InputError, match="ResNet18"):
        lower(lcfs.build("resnet18", base_channels=2), (3, 32, 32))
