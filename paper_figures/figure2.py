"""Figure 2: train and test accuracy on CIFAR-10 against the number of weights: ResNet18, D-CONV, S-CONV and 3-FC.

Command: python -m paper_figures.figure2 [--folder FOLDER]. Ours: records of the study scaling, SGD, mean ± standard
error; train accuracy without augmentation. The paper's: 400 epochs, its train accuracy apparently with augmentation, as
its small nets have more on test images (inferred).
"""

from pathlib import Path

from matplotlib import pyplot as plt

from paper_figures.tools import style
from paper_figures.tools.accuracy_curves import draw_curves, legend, our_curves, paper_curves, rows


def draw(folder: Path) -> None:
    """Write figure2.pdf, .png and .csv."""
    style.apply()
    figure, axes = plt.subplots(1, 2, figsize=(style.TEXT_WIDTH, 3.0), sharey=True)
    ours = our_curves("cifar10")
    curves = [*paper_curves("cifar10"), *ours]
    for axis, split in zip(axes, ("train", "test"), strict=True):
        draw_curves(axis, curves, split)
        axis.set(title=f"{split} accuracy", xlabel="weights")
    axes[0].set(ylabel="CIFAR-10, %", ylim=(15, 102))
    legend(figure, ours)
    style.save(figure, "figure2", rows(curves), folder)


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
