"""Surface: the Slurm path through submitit, against stubs of sbatch, srun, sacct and scancel that run jobs at once."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from studies.runner import run_cells
from studies.scales import SCALES, SGD
from studies.study import Cell

STUBS = {
    "sbatch": """
script="${@: -1}"
id=$((1000 + $(ls "$STUB_STATE" | wc -l)))
touch "$STUB_STATE/$id"
sed "s/%j/$id/g; s/%A/$id/g; s/%t/0/g" "$script" > "$STUB_STATE/$id.sh"
(SLURM_JOB_ID=$id SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1 \\
    bash "$STUB_STATE/$id.sh" > "$STUB_STATE/$id.log" 2>&1; echo COMPLETED > "$STUB_STATE/$id") > /dev/null 2>&1 &
echo "Submitted batch job $id"
""",
    "srun": """
while [[ $# -gt 0 && "$1" == -* ]]; do
    case "$1" in --output|--error) shift 2 ;; *) shift ;; esac
done
exec "$@"
""",
    "sacct": """
echo "JobID|State|NodeList"
for state in "$STUB_STATE"/????; do
    id=$(basename "$state"); word=$(cat "$state"); echo "$id|${word:-RUNNING}|here"
done
""",
    "scancel": "exit 0",
}


@pytest.fixture
def _slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    folder, state = tmp_path / "bin", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    for name, script in STUBS.items():
        path = folder / name
        path.write_text(f"#!/usr/bin/env bash\n{script}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STUB_STATE", str(state))
    monkeypatch.setattr("lcfs.tracking.available", lambda: False)


@pytest.mark.usefixtures("_slurm")
@pytest.mark.filterwarnings("ignore")  # submitit's own
def test_jobs_of_a_cluster_give_the_same_as_this_process(tmp_path: Path) -> None:
    cells = [Cell("one", replace(SCALES["smoke"].config("s-conv", SGD, 0), epochs=1))]
    (here,) = run_cells(cells, tmp_path / "here").values()
    seen: list[str] = []
    (there,) = run_cells(
        cells, tmp_path / "there", executor="slurm", on_done=lambda record, *_: seen.append(record.status)
    ).values()
    assert seen == ["finished"]
    assert there.metrics == here.metrics
    assert list((tmp_path / "there" / "slurm").glob("*_submission.sh"))
