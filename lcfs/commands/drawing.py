"""lcfs figure: the figures of the package paper_figures, from records to pictures."""

import pkgutil
import runpy
import sys
from importlib import import_module
from pathlib import Path

import tyro

from lcfs.commands.arguments import nearest, parse
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
    package = import_module("paper_figures")  # by its name: the core does not depend on the figures
    known = [module.name for module in pkgutil.iter_modules(package.__path__) if module.name != "style"]
    if name == "list":
        for each in known:
            print(f"{each}  {(import_module(f'paper_figures.{each}').__doc__ or '').splitlines()[0]}")
        return 0
    module = f"figure{name}" if name.isdigit() else name
    if module not in known:
        raise InputError(f"there is no figure {name!r}{nearest(module, known)}; lcfs figure list lists them")
    before = sys.argv
    sys.argv = [f"lcfs figure {name}", "--folder", str(folder)]
    try:
        runpy.run_module(f"paper_figures.{module}", run_name="__main__")
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); choose another --folder") from error
    finally:
        sys.argv = before
    print(f"{folder / module}.pdf, .png and .csv")
    return 0
