"""lcfs figure: the figures of the package paper_figures, from records to pictures."""

import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

import tyro

from lcfs.cli.arguments import nearest, parse
from lcfs.errors import InputError

_Positional = tyro.conf.Positional


def figure(arguments: list[str]) -> int:
    """Draw a figure of the paper or of ours from the run records."""

    def options(name: _Positional[str], folder: Path = Path("figures")) -> tuple[str, Path]:
        """Draw one figure as PDF and PNG, with the numbers behind it as CSV.

        Args:
            name: The number of a figure of the paper, or a name; lcfs figure list lists them.
            folder: Where to write.
        """
        return name, folder

    name, folder = parse(options, arguments, "lcfs figure")
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
