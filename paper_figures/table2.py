"""Table 2: S-FC by SGD and by β-LASSO between S-CONV and 3-FC, ours beside the paper's: test accuracy and non-zeros.

Command: python -m paper_figures.table2 [--folder FOLDER]. Reads the records of the study training_fully_connected of a
laptop and, where there are some, of a GPU: mean ± standard error. The largest β is the paper's 50 at its
size and the laptop's own; the paper's share of non-zeros is read off the end of Figure 3, at α ≈ 230 (inferred).
"""

from pathlib import Path

from matplotlib import pyplot as plt

from paper_figures.figure3 import paper_density
from paper_figures.tools import style
from paper_figures.tools.dots import draw_ours, draw_paper, finish, row
from paper_figures.tools.paper import tables
from paper_figures.tools.selecting import SOURCES, by_row
from studies.engine.findings import accuracy, density
from studies.engine.scales import SCALES
from studies.grids import training_fully_connected


def draw(folder: Path) -> None:
    """Write table2.pdf, .png and .csv."""
    style.apply()
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.TEXT_WIDTH, 2.9), sharey=True, width_ratios=(1.2, 1))
    paper = {line: accuracies[0] for line, accuracies in tables()["table2"]["rows"].items()}
    largest = list(paper)[-1]
    lines = {line: f"{line}; ours {SCALES['laptop'].beta:g}" if line == largest else line for line in paper}
    draw_paper(left, paper.values(), "^", "paper, 4000 epochs")
    rows = [{"panel": "accuracy", **row(line, "paper, 4000 epochs", value)} for line, value in paper.items()]
    shares = [paper_density() if line == largest else float("nan") for line in paper]
    draw_paper(right, shares, "^", "paper")
    rows.append({"panel": "density", **row(largest, "paper, Figure 3", paper_density())})
    for source in SOURCES:
        ours = by_row(training_fully_connected.cells, source)
        beta = f"S-FC, β = {SCALES[source.scale].beta:g}"
        runs = {line: ours.get(beta if line == largest else line, []) for line in paper}
        for panel, axis, measure in (("accuracy", left, accuracy), ("density", right, density)):
            draw_ours(axis, list(runs.values()), measure, source)
            rows += [
                {"panel": panel, **row(beta if line == largest else line, f"ours, {source.label}", measure(of), of[0])}
                for line, of in runs.items()
                if of
            ]
    finish(left, list(lines.values()), "test accuracy on CIFAR-10, %")
    finish(right, list(lines.values()), "weights that are not zero, %")
    right.set_xscale("log")
    right.set_xlim(right=150)
    right.set_xticks([1, 10, 100], labels=["1", "10", "100"])
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7)
    style.save(figure, "table2", rows, folder)


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
