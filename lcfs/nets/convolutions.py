"""The chains of convolutions that the S- and D-nets are or replace: their rows in the paper, and their geometry."""

from dataclasses import dataclass

from theory.operators import Convolution


@dataclass(frozen=True)
class ConvolutionRow:
    """A row of Table 3 or 4: a convolution of one kernel side on all axes with "same" padding."""

    kernel: int
    channels: int  # in units of α
    stride: int


ROWS = {  # paper, Tables 3 and 4
    "s": (ConvolutionRow(9, 1, 2),),
    "d": tuple(ConvolutionRow(3, c, s) for c, s in ((1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2))),
}


def convolutions(name: str) -> tuple[ConvolutionRow, ...]:
    """The convolutions of the S or D family that `conv1`, `conv2`, … of a net of that family are or replace."""
    return ROWS[name[0]]


def chain(rows: tuple[ConvolutionRow, ...], base_channels: int, image: tuple[int, ...]) -> tuple[Convolution, ...]:
    """The geometry of rows applied one after the other to an image (channels, *grid), of as many axes as the grid has.

    >>> [c.out_image for c in chain(convolutions("d-conv"), 4, (1, 40))][-2:]
    [(32, 5), (64, 3)]
    """
    made: list[Convolution] = []
    for row in rows:
        made.append(
            Convolution(image, row.channels * base_channels, row.kernel, stride=row.stride, padding=row.kernel // 2)
        )
        image = made[-1].out_image
    return tuple(made)


def structures_of(architecture: str, base_channels: int, image: tuple[int, ...]) -> dict[str, Convolution]:
    """`conv1.weight` … of S-FC and D-FC as the convolutions of S-CONV and D-CONV; empty for the other nets.

    >>> structures_of("s-fc", 150, (3, 32, 32))["conv1.weight"].shape
    (38400, 3072)
    """
    if not architecture.endswith("-fc") or architecture == "3-fc":
        return {}
    replaced = chain(convolutions(architecture), base_channels, image)
    return {f"conv{i}.weight": convolution for i, convolution in enumerate(replaced, start=1)}


def replaced_by(architecture: str, units: int, image: tuple[int, ...]) -> Convolution:
    """The first convolution of the family (S's for 3-FC) with enough channels to give each of `units` a slot.

    On one axis as a convolution of an image of height 1.

    >>> replaced_by("3-fc", 65, (1, 40)).out_image
    (4, 1, 20)
    """
    row = convolutions("s-fc" if architecture == "3-fc" else architecture)[0]
    (one,) = chain((ConvolutionRow(row.kernel, 1, row.stride),), 1, image)
    flat = len(image) == 2
    return Convolution(
        (image[0], 1, image[1]) if flat else image,
        -(-units // one.shape[0]),
        (1, row.kernel) if flat else row.kernel,
        stride=(1, row.stride) if flat else row.stride,
        padding=(0, row.kernel // 2) if flat else row.kernel // 2,
    )
