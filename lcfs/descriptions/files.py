"""A file's numbers as what is described, or the reason why no bound follows from them."""

import re
from pathlib import Path

import torch
from torch import Tensor

from lcfs.analysis.counts import StateSummary
from lcfs.errors import InputError
from lcfs.reading import NetState, read_state
from lcfs.runs import Run
from lcfs.terminal import printable

_NAMED = 3
_ADAPTER = re.compile(r"\blora_|\badapter|\bia3_", re.IGNORECASE)
_AVERAGE = re.compile(r"(^|[._])(ema|model_ema|swa)([._]|$)", re.IGNORECASE)


def read_net(path: Path, *, key: str | None = None, exclude: tuple[str, ...] = ()) -> NetState:
    """The net of a file, of a folder of shards, or of the newest checkpoint of a run; see `lcfs.reading.read_state`."""
    if not is_run(path):
        return read_state(path, key=key, exclude=exclude)
    return read_state(Run.open(path).newest_checkpoint(), key=key, exclude=exclude)


def is_run(path: Path) -> bool:
    """Whether `lcfs train` began to write a folder; others have a config.json too."""
    return (path / "environment.json").is_file() or (path / "checkpoints").is_dir()


def described_numbers(state: NetState) -> dict[str, Tensor]:
    """All numbers of a net: its tensors, and plain numbers among them as scalars of 64 bits, bools of one."""
    scalars = {name: torch.tensor(number, dtype=_dtype(number)) for name, number in state.numbers.items()}
    return {**state.tensors, **scalars}


def assumptions(summary: StateSummary) -> tuple[str, ...]:
    """What a length takes for granted beside a fixed architecture, a sentence for each tensor or kind of tensor."""
    put_together = [f"{row.name}: {row.note}" for row in summary.tensors if row.note and row.role != "constant"]
    names = [row.name for row in summary.tensors]
    hints = []
    if any(_ADAPTER.search(name) for name in names):
        hints.append("an adapter: bounds hold only if the net that it is added to was fixed before the data")
    if averaged := [name for name in names if _AVERAGE.search(name)]:
        hints.append(f"{averaged[0]} looks like a moving average, which is counted too; --exclude leaves it out")
    return (*put_together, *hints)


def refuse_partial(path: Path, state: NetState) -> None:
    """Refuse a bound where the file holds, or should hold, something that a net may need and that was not read.

    Raises:
        InputError: with what it is, and what to do.
    """
    lacking = [left for left in state.left_out if left.blocks]
    if not lacking:
        return
    named = "; ".join(f"{left.name}: {left.what}" if left.name else left.what for left in lacking[:_NAMED])
    more = f"; and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    raise InputError(
        f"there is no bound for {path}, of which a part was not read ({printable(named)}{more}); "
        "--exclude PATTERN says that the "
        "net predicts without it, --key KEY which part is the net"
    )


def _dtype(number: float) -> torch.dtype:
    if isinstance(number, bool):
        return torch.bool
    return torch.int64 if isinstance(number, int) else torch.float64
