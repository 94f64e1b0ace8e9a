"""Reference: every operation equals Pillow. Algebra: draws are independent, uniform and owned by the generator."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from lcfs.augmentation import pixel_operations
from lcfs.augmentation.augment import Augment, normalize
from lcfs.augmentation.policy import FAST_AUTOAUGMENT, TRIVIAL_WIDE, load_policy
from lcfs.config import AugmentConfig
from lcfs.errors import InputError

PLAIN = AugmentConfig(policy="none", crop=0, flip=False, cutout=0)
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
SHAPES = [(3, 32, 32), (1, 28, 28), (3, 7, 11), (1, 2, 5), (3, 1, 1)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth_and_noisy(count, shape, seed=0):
    """Noise of every range: full, narrow (for auto-contrast and equalize) and constant."""
    images = torch.randint(256, (count, *shape), generator=generator(seed), dtype=torch.uint8)
    images[1::3] = images[1::3] // 5 + 60
    images[2::9] = 77
    return images


def to_pillow(image):
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def from_pillow(image):
    array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def affine(image, *matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


WITH_MAGNITUDE = {
    "shear_x": (lambda image, m: affine(image, 1, m, 0, 0, 1, 0), -0.99, 0.99),
    "shear_y": (lambda image, m: affine(image, 1, 0, 0, m, 1, 0), -0.99, 0.99),
    "translate_x": (lambda image, m: affine(image, 1, 0, m, 0, 1, 0), -33, 33),
    "translate_y": (lambda image, m: affine(image, 1, 0, 0, 0, 1, m), -33, 33),
    "rotate": (lambda image, m: image.rotate(m), -180, 180),
    "solarize": (lambda image, m: ImageOps.solarize(image, m), 0, 256),
    "posterize": (lambda image, m: ImageOps.posterize(image, int(m)), 1, 8),
    "contrast": (lambda image, m: ImageEnhance.Contrast(image).enhance(m), 0, 2),
    "color": (lambda image, m: ImageEnhance.Color(image).enhance(m), 0, 2),
    "brightness": (lambda image, m: ImageEnhance.Brightness(image).enhance(m), 0, 2),
    "sharpness": (lambda image, m: ImageEnhance.Sharpness(image).enhance(m), 0, 2),
}
WITHOUT_MAGNITUDE = {
    "auto_contrast": ImageOps.autocontrast,
    "invert": ImageOps.invert,
    "equalize": ImageOps.equalize,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WITH_MAGNITUDE)
def test_operation_with_magnitude_equals_pillow(name, shape):
    reference, low, high = WITH_MAGNITUDE[name]
    # 121 steps contain the round values (0, 1, ±90°, whole pixels); the others are arbitrary.
    grid = torch.linspace(low, high, 121, dtype=torch.float64)
    magnitude = torch.cat([grid, low + (high - low) * torch.rand(80, dtype=torch.float64, generator=generator(3))])
    images = smooth_and_noisy(len(magnitude), shape)
    before = images.clone()
    expected = torch.stack(
        [from_pillow(reference(to_pillow(i), m.item())) for i, m in zip(images, magnitude, strict=True)]
    )
    torch.testing.assert_close(getattr(pixel_operations, name)(images, magnitude), expected, rtol=0, atol=0)
    assert torch.equal(images, before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WITHOUT_MAGNITUDE)
def test_operation_without_magnitude_equals_pillow(name, shape):
    images = smooth_and_noisy(100, shape)
    expected = torch.stack([from_pillow(WITHOUT_MAGNITUDE[name](to_pillow(image))) for image in images])
    torch.testing.assert_close(getattr(pixel_operations, name)(images), expected, rtol=0, atol=0)


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_cutout_equals_the_rectangle_that_pillow_draws(shape):
    images = smooth_and_noisy(100, shape)
    c, h, w = shape
    side = torch.rand(100, dtype=torch.float64, generator=generator(1)) * 0.5 * w
    side[:5] = 0
    center = torch.rand(100, 2, dtype=torch.float64, generator=generator(2)) * torch.tensor([w, h])
    expected = []
    for image, v, (x, y) in zip(images, side.tolist(), center.tolist(), strict=True):
        picture = to_pillow(image)
        left, top = int(max(0, x - v / 2)), int(max(0, y - v / 2))
        if v > 0:
            fill = (125, 123, 114) if c == 3 else 123
            ImageDraw.Draw(picture).rectangle((left, top, min(w, left + v), min(h, top + v)), fill)
        expected.append(from_pillow(picture))
    assert torch.equal(pixel_operations.cutout(images, side, center), torch.stack(expected))


def test_more_than_three_channels_are_refused():
    with pytest.raises(InputError, match="2 channels, expected 1 or 3"):
        pixel_operations.contrast(torch.zeros(1, 2, 4, 4, dtype=torch.uint8), torch.ones(1))


def reference_pipeline(policy, table, image, drawn, uniforms):
    """One image in plain Python, operation by operation, from the draws of the batch."""
    for (name, probability, level), uniform in zip(policy[drawn], uniforms, strict=True):
        operation = table[name]
        magnitude = level * (operation.high - operation.low) + operation.low
        if operation.signed and uniform[1] < 0.5:
            magnitude = -magnitude
        if uniform[0] < probability:
            image = operation.apply(image[None], torch.tensor([magnitude], dtype=torch.float64), uniform[None, 2:])[0]
    return image


@pytest.mark.parametrize(("name", "table"), [("fa-cifar10", FAST_AUTOAUGMENT), ("trivial", TRIVIAL_WIDE)])
def test_grouping_by_operation_equals_one_image_at_a_time(name, table):
    images = smooth_and_noisy(300, (3, 16, 16))
    policy, steps = load_policy(name), 1 if name == "trivial" else 2
    state = generator(5)
    drawn = torch.randint(len(policy), (300,), generator=state)
    uniforms = torch.stack([torch.rand(300, 4, dtype=torch.float64, generator=state) for _ in range(steps)], dim=1)
    expected = torch.stack(
        [reference_pipeline(policy, table, *each) for each in zip(images, drawn, uniforms, strict=True)]
    )
    config = AugmentConfig(policy=name, crop=0, flip=False, cutout=0)
    actual = Augment(config, MEAN, STD)(images, generator(5))
    assert torch.equal(actual, normalize(expected, MEAN, STD))


def test_trivial_augment_has_the_published_space():
    policy = load_policy("trivial")
    assert len(TRIVIAL_WIDE) == 14
    assert len(policy) == 14 * 31
    assert {step[1] for sub in policy for step in sub} == {1.0}


def test_posterize_of_trivial_augment_keeps_torchvisions_bits():
    operation = TRIVIAL_WIDE["Posterize"]
    image = torch.full((31, 1, 1, 1), 255, dtype=torch.uint8)
    levels = torch.arange(31, dtype=torch.float64) / 30
    magnitude = levels * (operation.high - operation.low) + operation.low
    kept = operation.apply(image, magnitude, torch.zeros(31, 2)).flatten().tolist()
    bits = (8 - (torch.arange(31) / (30 / 6)).round()).int().tolist()
    assert kept == [256 - 2 ** (8 - n) for n in bits]


@pytest.mark.parametrize(("name", "count"), [("fa-cifar10", 493), ("fa-svhn", 497)])
def test_published_policies_parse(name, count):
    policy = load_policy(name)
    assert len(policy) == count
    assert {len(sub) for sub in policy} == {2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[["Twirl", 0.5, 0.5]]]', "operation 'Twirl'"),
        ('[[["Rotate", 1.5, 0.5]]]', r"probability 1\.5; it must lie in \[0, 1\]"),
        ('[[["Rotate", -0.1, 0.5]]]', "probability -0.1"),
        ('[[["Rotate", NaN, 0.5]]]', "probability nan"),
        ('[[["Rotate", 0.5, "high"]]]', "level 'high'"),
        ('[[["Rotate", true, 0.5]]]', "probability True"),
        ('[[["Rotate", 0.5]]]', "expected .operation, probability, level"),
        ("[[]]", "sub-policy 0"),
        ("[]", "one or more sub-policies"),
        ('{"a": 1}', "one or more sub-policies"),
        ("[[", "is not JSON"),
    ],
)
def test_bad_policy_files_are_refused(tmp_path, text, message):
    path = tmp_path / "policy.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_policy(str(path))


def test_missing_policy_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the policy .*one of trivial, fa-cifar10, fa-svhn"):
        Augment(AugmentConfig(policy=str(tmp_path / "none.json")), MEAN, STD)


def test_sub_policies_of_different_length(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps([[["Invert", 1, 0]], [["Invert", 1, 0], ["Invert", 1, 0]]]), encoding="utf-8")
    image = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4).repeat(200, 1, 1, 1)
    output = Augment(AugmentConfig(policy=str(path), crop=0, flip=False), (0.0,), (1.0,))(image, generator())
    inverted = (output[:, 0, 0, 0] == 1).sum().item()
    assert abs(inverted - 100) < 36  # five standard deviations


def test_zero_config_is_plain_normalization():
    images = smooth_and_noisy(8, (3, 32, 32))
    state = generator()
    before = state.get_state()
    output = Augment(PLAIN, MEAN, STD)(images, state)
    expected = (images.double() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(output.double(), expected, rtol=0, atol=2e-6)  # float32 rounding of values below 3
    assert torch.equal(output, normalize(images, MEAN, STD))
    assert torch.equal(state.get_state(), before)


@pytest.mark.parametrize("policy", ["none", "trivial", "fa-svhn"])
def test_generator_alone_determines_the_result(policy):
    images = smooth_and_noisy(64, (3, 32, 32))
    augment = Augment(AugmentConfig(policy=policy, cutout=8), MEAN, STD)
    before = images.clone()
    first = augment(images, generator(1))
    torch.manual_seed(99)
    assert torch.equal(first, augment(images, generator(1)))
    assert not torch.equal(first, augment(images, generator(2)))
    assert torch.equal(images, before)


@pytest.mark.parametrize("policy", ["none", "trivial", "fa-cifar10"])
def test_a_sample_does_not_depend_on_the_others(policy):
    augment = Augment(AugmentConfig(policy=policy, cutout=6), (0.5,), (0.5,))
    images = smooth_and_noisy(40, (1, 12, 12))
    changed = images.clone()
    changed[1::2] = 255 - changed[1::2]
    assert torch.equal(augment(images, generator(4))[::2], augment(changed, generator(4))[::2])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", [1, 4])
def test_crop_and_flip_equal_slices_of_one_image_at_a_time(shape, padding):
    images = smooth_and_noisy(50, shape)
    state, (c, h, w) = generator(8), shape
    tops, lefts = torch.randint(2 * padding + 1, (2, 50), generator=state).tolist()
    flips = (torch.rand(50, generator=state) < 0.5).tolist()
    expected = []
    for image, top, left, flip in zip(images, tops, lefts, flips, strict=True):
        crop = torch.nn.functional.pad(image, (padding,) * 4)[:, top : top + h, left : left + w]
        expected.append(crop.flip(-1) if flip else crop)
    config = AugmentConfig(policy="none", crop=padding, flip=True)
    found = Augment(config, MEAN[:c], STD[:c])(images, generator(8))
    assert torch.equal(found, normalize(torch.stack(expected), MEAN[:c], STD[:c]))


def test_crop_and_flip_are_uniform_and_independent():
    """Chi-squared over the 3 × 3 × 2 outcomes of an asymmetric image; each equals its own slice of the padded one."""
    image = torch.arange(1, 26, dtype=torch.uint8).view(1, 5, 5)
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    outcomes = []
    for top, left, flip in itertools.product(range(3), range(3), (False, True)):
        crop = padded[:, top : top + 5, left : left + 5]
        outcomes.append(crop.flip(-1) if flip else crop)
    n = 3600
    config = AugmentConfig(policy="none", crop=1, flip=True)
    output = Augment(config, (0.0,), (1 / 255,))(image.repeat(n, 1, 1, 1), generator()).round().to(torch.uint8)
    matches = (output[:, None] == torch.stack(outcomes)[None]).flatten(2).all(dim=2)
    assert (matches.sum(dim=1) == 1).all()
    expected = n / len(outcomes)
    statistic = ((matches.sum(dim=0) - expected) ** 2 / expected).sum().item()
    assert statistic < 17 + 5 * math.sqrt(34)  # mean and five standard deviations of chi-squared with 17 degrees


@pytest.mark.parametrize("side", [1, 3, 4])
def test_cutout_is_a_clipped_square_of_zeros_around_a_uniform_pixel(side):
    n, h, w = 2000, 6, 9
    images = torch.full((n, 1, h, w), 255, dtype=torch.uint8)
    config = AugmentConfig(policy="none", crop=0, flip=False, cutout=side)
    output = Augment(config, (0.5,), (0.5,))(images, generator())
    masks = set()
    for y, x in itertools.product(range(h), range(w)):
        expected = torch.ones(h, w)
        expected[max(0, y - side // 2) : y - side // 2 + side, max(0, x - side // 2) : x - side // 2 + side] = 0
        masks.add(tuple(expected.flatten().tolist()))
    # 2000 draws of 54 centres miss one of them with probability below 54·exp(-37); the seed is fixed.
    assert {tuple(row) for row in output.flatten(1).tolist()} == masks


def test_permutation_comes_last_and_its_inverse_restores_the_image():
    images = smooth_and_noisy(16, (3, 8, 10))
    permutation = torch.randperm(80, generator=generator(7))
    config = AugmentConfig(policy="trivial", crop=2, cutout=4)
    plain = Augment(config, MEAN, STD)(images, generator(1))
    permuted = Augment(config, MEAN, STD, permutation)(images, generator(1))
    assert not torch.equal(permuted, plain)
    assert torch.equal(permuted.flatten(2)[:, :, permutation.argsort()].view_as(plain), plain)
    direct = normalize(images, MEAN, STD).flatten(2)[:, :, permutation].view(16, 3, 8, 10)
    assert torch.equal(normalize(images, MEAN, STD, permutation), direct)


def test_what_does_not_fit_is_refused():
    images = smooth_and_noisy(2, (3, 4, 4))
    with pytest.raises(InputError, match="3 channels, but mean has 1"):
        normalize(images, (0.5,), STD)
    with pytest.raises(InputError, match="9 entries, expected 16"):
        normalize(images, MEAN, STD, torch.arange(9))
    with pytest.raises(InputError, match="each of 0…3 once"):
        Augment(PLAIN, MEAN, STD, torch.tensor([0, 1, 1, 3]))
    with pytest.raises(InputError, match=r"augment\.crop must be 0 or more"):
        Augment(AugmentConfig(crop=-1), MEAN, STD)
