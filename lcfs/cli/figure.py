"""lcfs figure: the figures of the package paper_figures, from records to pictures."""

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import tyro

from lcfs.cli.arguments import parse
from lcfs.errors import InputError, nearest


@dataclass(frozen=True)
class FigureOptions:
    """Draw one figure as PDF and PNG, with the numbers behind it as CSV."""

    name: tyro.conf.Positional[str]
    """The number of a figure of the paper, or a name; lcfs figure list lists them."""
    folder: Path = Path("figures")
    """Where to write."""


def figure(arguments: list[str]) -> int:
    """Draw a figure of the paper or of ours from the run records."""
    options = parse(FigureOptions, arguments, "lcfs figure")
    name, folder = options.name, options.folder
    figures = _figures()
    if name == "list":
        for each, module in figures.items():
            print(f"{each}  {(module.__doc__ or '').splitlines()[0]}")
        return 0
    wanted = f"figure{name}" if name.isdigit() else name
    if wanted not in figures:
        raise InputError(f"there is no figure {name!r}{nearest(wanted, figures)}; lcfs figure list lists them")
    figures[wanted].draw(folder)
    print(f"{folder / wanted}.pdf, .png and .csv")
    return 0


def _figures() -> dict[str, ModuleType]:
    """The modules with a `draw(folder)` by name."""
    import paper_figures

    modules = {
        each.name: import_module(f"paper_figures.{each.name}") for each in pkgutil.iter_modules(paper_figures.__path__)
    }
    return {name: module for name, module in modules.items() if hasattr(module, "draw")}
