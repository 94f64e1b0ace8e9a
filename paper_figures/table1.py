"""Table 1: test accuracy of the seven nets by SGD, ours beside the paper's.

Command: python -m paper_figures.table1 [--folder FOLDER]. Reads the records of the study sharing_and_locality of a
laptop and, where there are some, of a GPU: mean ± standard error. The paper's nets are larger and trained for longer;
its order is the claim.
"""

from pathlib import Path

from matplotlib import pyplot as plt

from paper_figures.tools import style
from paper_figures.tools.dots import draw_ours, draw_paper, finish, row
from paper_figures.tools.paper import tables
from paper_figures.tools.selecting import SOURCES, by_row
from studies.engine.findings import accuracy
from studies.grids import sharing_and_locality

_PAPER_MARKS = {400: "D", 4000: "^"}  # by epochs


def draw(folder: Path) -> None:
    """Write table1.pdf, .png and .csv."""
    style.apply()
    figure, axis = plt.subplots(figsize=(style.TEXT_WIDTH * 0.8, 3.0))
    nets, rows = tables()["table1"]["rows"], []
    for column, epochs in enumerate(tables()["table1"]["epochs"]):
        values = {net.upper(): accuracies[0][column] for net, accuracies in nets.items()}
        draw_paper(axis, values.values(), _PAPER_MARKS[epochs], f"paper, {epochs} epochs")
        rows += [row(net, f"paper, {epochs} epochs", value) for net, value in values.items()]
    for source in SOURCES:
        ours = by_row(sharing_and_locality.cells, source)
        runs = [ours.get(f"{net.upper()}, SGD", []) for net in nets]
        draw_ours(axis, runs, accuracy, source)
        rows += [
            row(net.upper(), f"ours, {source.label}", accuracy(of), of[0])
            for net, of in zip(nets, runs, strict=True)
            if of
        ]
    finish(axis, [net.upper() for net in nets], "test accuracy on CIFAR-10, %")
    figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    style.save(figure, "table1", rows, folder)


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
