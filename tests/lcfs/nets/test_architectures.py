"""Oracle: the printed counts of Tables 1, 3 and 4 (with the corrected D-LOCAL column). Surface: every net runs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lcfs
from lcfs.config import _ARCHITECTURES
from lcfs.nets.architectures import weights


def counts(name: str, alpha: int, side: int = 32, classes: int = 10) -> int:
    with torch.device("meta"):
        return lcfs.count_weights(lcfs.build(name, base_channels=alpha, image=(3, side, side), classes=classes))


def test_printed_sizes() -> None:
    assert counts("s-conv", 150) == 138_312_450
    assert counts("s-local", 150) == 147_607_200
    assert counts("s-fc", 150) == 256_240_800
    assert counts("d-conv", 15) == 1_445_955
    assert counts("d-local", 15) == 11_713_920
    assert counts("3-fc", 14_540) == 256_223_880  # 14,540: the width that comes nearest to S-FC's size
    assert counts("resnet18", 64) == 11_164_352  # He et al.'s 11,164,352 with a 3×3 first convolution and 10 classes


@given(st.integers(1, 40), st.sampled_from([16, 32, 64]), st.integers(2, 200))
def test_formulas_of_tables_3_and_4(a: int, s: int, c: int) -> None:
    s_head = 6 * s**2 * a**2 + 24 * c * a
    d_head = 4 * s**2 * a**2 + 64 * c * a
    assert counts("s-conv", a, s, c) == 243 * a + s_head
    assert counts("s-local", a, s, c) == 243 * s**2 * a // 4 + s_head
    assert counts("s-fc", a, s, c) == 3 * s**4 * a // 4 + s_head
    assert counts("d-conv", a, s, c) == 27 * a + (18 + 36 + 72 + 144 + 288 + 576 + 1152) * a**2 + d_head
    assert counts("d-local", a, s, c) == 49 * s**2 * a**2 + (27 * s**2 + 64 * c) * a
    squares = sum(s**4 * a**2 // d for d in (2, 4, 8, 16, 32, 64, 128))
    assert counts("d-fc", a, s, c) == 3 * s**4 * a + squares + d_head


@pytest.mark.parametrize("name", lcfs.ARCHITECTURES)
@pytest.mark.parametrize("image", [(1, 8, 8), (3, 12, 17), (2, 33, 16)])
def test_any_image(name: str, image: tuple[int, int, int]) -> None:
    model = lcfs.build(name, base_channels=2, image=image, classes=7)
    logits = model(torch.randn(3, *image))
    logits.sum().backward()
    assert logits.shape == (3, 7)
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", lcfs.ARCHITECTURES)
def test_no_bias_before_batchnorm(name: str) -> None:
    names = [n for n, _ in lcfs.build(name, base_channels=2).named_parameters()]
    biases = [n for n in names if n.endswith("bias") and "norm" not in n]
    assert len(biases) == 1, "only the last layer, which has no BatchNorm behind it, has a bias"


@pytest.mark.parametrize("family", ["s", "d"])
def test_the_three_nets_of_a_family_have_the_same_units(family: str) -> None:
    sizes = []
    for kind in ("conv", "local", "fc"):
        outputs: list[int] = []
        model = lcfs.build(f"{family}-{kind}", base_channels=2, image=(3, 16, 16)).eval()
        for child in model.children():
            if isinstance(child, torch.nn.ReLU):
                child.register_forward_hook(lambda _m, _i, y, out=outputs: out.append(y[0].numel()))
        model(torch.randn(1, 3, 16, 16))
        sizes.append(outputs)
    assert sizes[0] == sizes[1] == sizes[2]


def test_dropout_is_on_the_inputs_of_the_last_two_layers() -> None:
    model = lcfs.build("s-fc", base_channels=2, dropout=0.5)
    names = [name for name, _ in model.named_children()]
    assert names[names.index("fc1") - 1] == "dropout_fc1"
    assert names[names.index("fc2") - 1] == "dropout_fc2"
    without = lcfs.build("s-fc", base_channels=2)
    assert list(model.state_dict()) == list(without.state_dict()), "checkpoints do not depend on dropout"


def test_resnet_kernel_sizes() -> None:
    model = lcfs.build("resnet18", base_channels=2, kernel_size=15)
    assert {w.shape[-1] for name, w in weights(model) if "conv" in name and "shortcut" not in name} == {15}
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "s-cnv"}, "architecture must be one of"),
        ({"base_channels": 0}, "base_channels"),
        ({"classes": 1}, "classes"),
        ({"dropout": 1.0}, "dropout"),
        ({"image": (3, 4, 32)}, "too small for s-conv"),
        ({"name": "d-fc", "image": (3, 7, 7)}, "too small for d-fc"),
        ({"kernel_size": 5}, "belongs to resnet18"),
        ({"name": "resnet18", "kernel_size": 4}, "odd"),
        ({"name": "resnet18", "dropout": 0.1}, "resnet18"),
    ],
)
def test_bad_input(arguments: dict, words: str) -> None:
    with pytest.raises(lcfs.InputError, match=words):
        lcfs.build(**{"name": "s-conv", "base_channels": 2, **arguments})


def test_the_config_lists_the_same_nets() -> None:
    assert _ARCHITECTURES == lcfs.ARCHITECTURES
