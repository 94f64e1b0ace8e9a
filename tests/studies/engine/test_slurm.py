"""Surface: the Slurm path through submitit, against stubs that run jobs at once, and on a real Slurm of one node."""

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lcfs.errors import InputError
from studies.engine.runner import run_cells
from studies.engine.scales import SCALES, SGD
from studies.engine.study import Cell

STUBS = {
    "sbatch": """
script="${@: -1}"
id=$((1000 + $(ls "$STUB_STATE" | wc -l)))
tasks=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for task in $(seq 0 "${tasks:-0}"); do
    name=$id${tasks:+_$task}
    touch "$STUB_STATE/$name"
    sed "s/%j/$name/g; s/%A/$id/g; s/%a/$task/g; s/%t/0/g" "$script" > "$STUB_STATE/$name.sh"
    export SLURM_JOB_ID=$name SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1
    if [[ -n "$tasks" ]]; then export SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$task; fi
    (bash "$STUB_STATE/$name.sh" > "$STUB_STATE/$name.log" 2>&1; echo COMPLETED > "$STUB_STATE/$name") \
        > /dev/null 2>&1 &
done
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
for state in $(ls "$STUB_STATE"/* | grep -v '[.]'); do
    id=$(basename "$state"); word=$(cat "$state"); echo "$id|${word:-RUNNING}|here"
done
""",
    "scancel": "exit 0",
}

DAEMONS = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
SLURM = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


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
    compare_with_this_process(tmp_path)


@pytest.fixture
def _real_slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of this machine alone: munged, slurmctld and slurmd in a folder of their own."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    if os.getuid() != 0 or any(shutil.which(program, path=DAEMONS) is None for program in programs):
        pytest.skip("needs root and Debian's slurm-wlm")
    monkeypatch.setenv("PATH", DAEMONS)
    monkeypatch.setattr("lcfs.tracking.available", lambda: False)
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/var/tmp") as name:  # munged wants parents of root's alone
        folder = Path(name)
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        for part in ("state", "spool"):
            (folder / part).mkdir()
        ports = [_free_port() for _ in range(2)]
        settings = SLURM.format(host=socket.gethostname().split(".")[0], folder=folder, ports=ports)
        (folder / "slurm.conf").write_text(settings)
        monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        munge = [f"--{part}-file={folder}/munge.{part}" for part in ("key", "pid", "log", "seed")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        commands = (["munged", "-F", "--force", f"--socket={folder}/munge.sock", *munge], ["slurmctld", "-D"])
        daemons = [subprocess.Popen(command, **quiet) for command in (*commands, ["slurmd", "-D"])]
        try:
            _wait_for_node()
            yield
        finally:
            for daemon in reversed(daemons):
                daemon.terminate()
                daemon.wait(30)


@pytest.mark.slow
@pytest.mark.usefixtures("_real_slurm")
@pytest.mark.filterwarnings("ignore")  # submitit's own; without accounting, sacct fails and submitit goes by the files
def test_a_real_slurm_of_one_node(tmp_path: Path) -> None:
    compare_with_this_process(tmp_path)


def compare_with_this_process(folder: Path) -> None:
    """Round trip: an array of two jobs, one of which fails, ends as the same cells here do."""
    good = replace(SCALES["smoke"].config("s-conv", SGD, 0), epochs=1)
    bad = replace(good, epochs=2, optimizer=replace(SGD, lr=1e30))
    cells = [Cell("good", good), Cell("bad", bad)]
    here = run_cells(cells, folder / "here")
    seen: list[str] = []
    there = run_cells(cells, folder / "there", executor="slurm", jobs=2, on_done=lambda r, *_: seen.append(r.status))
    assert sorted(seen) == ["diverged", "finished"]
    assert {name: record.metrics for name, record in there.items()} == {name: r.metrics for name, r in here.items()}
    scripts = [path.read_text() for path in (folder / "there" / "slurm").glob("*submission*.sh")]
    assert any("--array=0-1%2" in script for script in scripts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_node(seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while subprocess.run(["sinfo", "-h", "-t", "idle"], capture_output=True, text=True).stdout.count("idle") == 0:
        assert time.monotonic() < end, "slurmd did not come up"
        time.sleep(0.3)


def test_a_slurm_that_takes_no_job_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without srun on the path."""
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="Slurm took no job"):
        run_cells([Cell("one", SCALES["smoke"].config("s-conv", SGD, 0))], tmp_path / "runs", executor="slurm")
