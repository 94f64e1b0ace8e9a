"""Refusals: what keeps a cell from beginning is the user's to repair, and ends a study if it is in the way of all."""

from pathlib import Path

from lcfs.errors import InputError


class Refusals:
    """The errors of cells that have not even begun, as when data are missing."""

    def __init__(self) -> None:
        self._errors: list[InputError] = []

    def note(self, path: Path, error: BaseException | None) -> None:
        """Remember what a cell ended with. Raises InputError, the same, if another cell has said so before."""
        if not isinstance(error, InputError) or (path / "config.json").exists():
            return
        if any(str(other) == str(error) for other in self._errors):
            raise error
        self._errors.append(error)

    def check(self, ended: int) -> None:
        """Raises InputError, the first one, if all cells that have ended were refused."""
        if self._errors and len(self._errors) == ended:
            raise self._errors[0]
