"""The search for the nearest convolution against noise: units put right, and energy left over.

Command: python -m paper_figures.planted_convolution [--folder FOLDER]. Reads studies/records/planted_convolution.json.
"""

import json
from pathlib import Path

from matplotlib import pyplot as plt

from paper_figures.tools import style
from studies.engine.records import RECORDS

RECORD = RECORDS / "planted_convolution.json"
_CURVES = (
    ("right", "units right", style.BLUE, "o-"),
    ("unexplained", "energy left over", style.VERMILION, "s--"),
    ("noise_energy", "energy of the noise", style.GREY, ":"),
)


def draw(folder: Path) -> None:
    """Write planted_convolution.pdf, .png and .csv."""
    style.apply()
    points = json.loads(RECORD.read_text())
    figure, axis = plt.subplots(figsize=(style.TEXT_WIDTH / 2, 2.3))
    for key, label, colour, look in _CURVES:
        x, y = [p["noise"] for p in points], [p[key]["mean"] for p in points]
        axis.plot(x, y, look, color=colour, markersize=3.5, label=label)
    axis.set(xlabel="noise ÷ weight, standard deviations", ylabel="share", ylim=(-0.02, 1.04))
    axis.legend(fontsize=7)
    axis.grid(axis="y")
    rows = [
        {
            "noise": p["noise"],
            **{f"{key}_{part}": p[key][part] for key, *_ in _CURVES for part in ("mean", "standard_error")},
        }
        for p in points
    ]
    style.save(figure, "planted_convolution", rows, folder)


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
