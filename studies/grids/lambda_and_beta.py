"""How λ and β share the work, and whether the first layer wants a larger λ than the others.

Claim: sparsity is set by the threshold βλ as much as by λ, so that a smaller λ with a larger β keeps as few weights at
    less cost in accuracy; beyond some βλ, above most of the initial weights, the first layer dies at the first step.
    At about the same sum of both, λ higher on the layers that replace convolutions is better than equal or lower.
Paper item: section 4 and A.2 (λ "chosen separately", "higher on the former is better"; no grid is printed).
Command: lcfs study lambda_and_beta --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 12 core-minutes (20 runs of 4 epochs at α = 4);
    signals 7 core-minutes (25 runs).
Expected: at laptop size a ridge of the best accuracy along falling λ and rising β; at the largest λ with β = 50 fewer
    than 1 % of the first layer's weights and the lowest accuracy; higher − lower λ of the first layer +1 point or more.
    On signals the same, at the largest λ with β = 50 chance or near it.
"""

from dataclasses import replace

from lcfs.config import OptimizerConfig
from studies.engine.findings import Rows, accuracy, density, gain
from studies.engine.records import Record
from studies.engine.scales import Scale
from studies.engine.study import Cell, Study
from studies.engine.tables import accuracy_table

STRENGTHS = (0.25, 1.0, 4.0)  # of λ, in units of the scale's own


def cells(scale: Scale) -> list[Cell]:
    """λ × β with one seed, and three ways to share λ between first layer and others with all of them."""
    betas = sorted({0.0, 1.0, scale.beta, 50.0})
    grid = [
        _cell(scale, scale.l1_conv * strength, scale.l1_fc * strength, beta, scale.seeds[0])
        for strength in STRENGTHS
        for beta in betas
    ]
    equal = (scale.l1_conv * scale.l1_fc) ** 0.5
    ways = ((scale.l1_conv, scale.l1_fc), (equal, equal), (scale.l1_fc, scale.l1_conv))
    shared = [_cell(scale, conv, fc, scale.beta, seed) for conv, fc in ways for seed in scale.seeds]
    return list(dict.fromkeys([*grid, *shared]))


def _cell(scale: Scale, l1_conv: float, l1_fc: float, beta: float, seed: int) -> Cell:
    optimizer: OptimizerConfig = replace(scale.beta_lasso(beta), l1_conv=l1_conv, l1_fc=l1_fc)
    row = f"λ = {l1_conv:.3g} / {l1_fc:.3g}, β = {beta:g}"
    return Cell(row, scale.short_config("s-fc", scale.narrow, optimizer, seed))


def found(rows: Rows) -> str:
    """The best of the grid, the sparsest within a point of it, the worst, and what a larger λ on layer 1 is worth."""
    strengths = {name: _strengths(runs[0]) for name, runs in rows.items()}
    grid = [name for name, (conv, fc, _) in strengths.items() if conv > 1.1 * fc]
    best, worst = (pick(grid, key=lambda name: accuracy(rows[name]).mean) for pick in (max, min))
    close = [name for name in grid if accuracy(rows[name]).mean > accuracy(rows[best]).mean - 1]
    sparsest = min(close, key=lambda name: density(rows[name]).mean)
    lower = next(name for name, (conv, fc, _) in strengths.items() if fc > 1.1 * conv)
    conv, fc, beta = strengths[lower]
    higher = next(name for name, strength in strengths.items() if strength == (fc, conv, beta))
    shown = {"best": best, "sparsest within a point of it": sparsest, "worst": worst}
    parts = [
        f"{what} {name}: {accuracy(rows[name]):.2f} % with {density(rows[name]).mean:.1f} % of the weights"
        for what, name in shown.items()
    ]
    return f"{'; '.join(parts)}; λ of layer 1 higher − lower: {gain(rows[higher], rows[lower])} points"


def _strengths(record: Record) -> tuple[float, float, float]:
    optimizer = record.config["optimizer"]
    return optimizer["l1_conv"], optimizer["l1_fc"], optimizer["beta"]


STUDY = Study(
    claim="a smaller λ with a larger β costs less accuracy for as few weights; λ is better higher on the first layer",
    item="section 4, A.2",
    expected="a ridge along falling λ and rising β; higher − lower λ of the first layer: +1 point or more",
    cells=cells,
    tables=accuracy_table,
    found=found,
    figures=("beta_lambda",),
)
