"""Negative control: a call whose process dies takes no other along, where each has a process of its own."""

import os
from pathlib import Path

from studies.engine.executors import run_all


def die_or_write(path: str, threads: int) -> None:
    if path.endswith("bad"):
        os._exit(threads)
    Path(path).touch()


def test_a_process_that_dies_takes_no_other_along(tmp_path: Path) -> None:
    calls = {name: (str(tmp_path / name),) for name in ("bad", "good", "left out")}
    ended = dict(
        run_all(
            die_or_write, calls, "local", 1, tmp_path, may_start=lambda name: name != "left out", own_processes=True
        )
    )
    assert ended.keys() == {"bad", "good"}
    assert ended["bad"] is not None
    assert ended["good"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["good"]
