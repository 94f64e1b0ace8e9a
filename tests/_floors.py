"""Who may import whom: the floors of the house, and a checker of one file's imports."""

import ast
from collections.abc import Iterator

PACKAGES = ("theory", "lcfs", "studies", "paper_figures", "lcfs.cli")
"""From the cellar to the attic: a package imports those before it. The attic imports whom it likes, nobody it."""

ROOMS = (
    ("errors", "interrupts"),
    ("config", "reading", "terminal"),
    ("data", "nets", "ranks"),
    ("augmentation", "optim", "runs", "embedding"),
    ("analysis", "compaction", "testing"),
    ("descriptions", "exporting", "tracking"),
    ("certificates", "training"),
)
"""Floors inside lcfs, from the lowest: a room imports rooms of lower floors, and none of its own."""

EXCEPTIONS: frozenset[tuple[str, str]] = frozenset()
"""(importing, imported) modules that are not mended yet; the list only shrinks."""


def violations(module: str, source: str) -> list[str]:
    """One sentence for every import of a module that runs the wrong way, inside functions too.

    Args:
        module: the dotted name, `lcfs.data` for lcfs/data/__init__.py.
        source: what stands in its file.
    """
    sentences = {
        _against_packages(module, imported)
        or _against_rooms(module, imported)
        or _against_libraries(module, imported)
        or ""
        for imported in imports(source)
        if not any(module == ours and imported.startswith(theirs) for ours, theirs in EXCEPTIONS)
    }
    return sorted(sentences - {""})


def imports(source: str) -> Iterator[str]:
    """Dotted names that a file imports: by statements, and by `import_module` of a string that begins constant."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "relative imports are not in use here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            yield _constant_start(node.args[0])


def _constant_start(name: ast.expr) -> str:
    """`studies.` of both "studies.engine" and f"studies.{name}": at least its first words."""
    if isinstance(name, ast.JoinedStr):
        name = name.values[0]
    return str(name.value) if isinstance(name, ast.Constant) else ""


def _against_packages(module: str, imported: str) -> str | None:
    ours, theirs = _package(module), _package(imported)
    if theirs is None or ours == "lcfs.cli" or module == imported:
        return None
    if theirs == "lcfs.cli" or PACKAGES.index(theirs) > PACKAGES.index(ours or "lcfs.cli"):
        return f"{module} imports {imported}, and {ours} lies below {theirs}"
    return None


def _against_rooms(module: str, imported: str) -> str | None:
    ours, theirs = _room(module), _room(imported)
    if ours is None or ours == theirs or _package(module) != "lcfs" or _package(imported) != "lcfs":
        return None
    if imported == "lcfs.__version__":
        return None
    if theirs is None or _floor(theirs) is None:
        return f"{module} imports {imported} from the face of lcfs; import the room that it comes from"
    if _floor(theirs) >= _floor(ours):
        return f"{module} imports {imported}, and the room {ours} does not lie above {theirs}"
    return None


def _against_libraries(module: str, imported: str) -> str | None:
    library = imported.split(".")[0]
    if library == "mlflow" and not module.startswith("lcfs.tracking"):
        return f"{module} imports mlflow, which lcfs.tracking alone knows"
    if library == "torch" and module.split(".")[0] == "theory":
        return f"{module} imports torch, which theory does not know"
    return None


def _package(name: str) -> str | None:
    """The package of `PACKAGES` that a dotted name lies in."""
    if name == "lcfs.cli" or name.startswith("lcfs.cli."):
        return "lcfs.cli"
    first = name.split(".")[0]
    return first if first in PACKAGES else None


def _room(name: str) -> str | None:
    """`data` of `lcfs.data.datasets`; None for the face and outside lcfs."""
    first, _, rest = name.partition(".")
    return rest.split(".")[0] or None if first == "lcfs" else None


def _floor(room: str | None) -> int | None:
    return next((floor for floor, rooms in enumerate(ROOMS) if room in rooms), None)
