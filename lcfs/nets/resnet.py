"""ResNet18 as in the paper: He et al.'s, with a stride-1 first convolution, no max-pool, and any kernel size."""

from torch import Tensor, nn
from torch.nn import functional as F


class ResNet18(nn.Module):
    """Four stages of two basic blocks with 1, 2, 4 and 8 × `width` channels, global average pooling, a linear layer.

    Args:
        channels, classes: input channels and number of logits.
        width: channels of the first stage (64 in He et al.).
        kernel_size: odd side of every kernel but those of the 1×1 shortcuts (3 … 15 in Figure 5).
    Source: He et al. 2016; paper §2.1 (small images) and Figure 5 (kernel sizes).
    """

    def __init__(self, channels: int = 3, classes: int = 10, *, width: int = 64, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, width, kernel_size, 1)
        self.norm1 = nn.BatchNorm2d(width)
        widths = (width, 2 * width, 4 * width, 8 * width)
        blocks, before = [], width
        for stage, after in enumerate(widths):
            for stride in ((1 if stage == 0 else 2), 1):
                blocks.append(BasicBlock(before, after, stride, kernel_size))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, channels, H, W]` → `[B, classes]`."""
        x = self.blocks(F.relu(self.norm1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


class BasicBlock(nn.Module):
    """Two convolutions, and a shortcut around them: the identity, or a 1×1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernel_size: int) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs, outputs, kernel_size, stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = _convolution(outputs, outputs, kernel_size, 1)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, H, W]` → `[B, outputs, H', W']`."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def _convolution(inputs: int, outputs: int, kernel_size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=False)
