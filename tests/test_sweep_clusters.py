"""The schedulers that people have compute a sweep, each by the recipe of the guide, with the numbers of one process."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_sweep import FEW
from sweep_to_kill import swept
from test_sweep_workers import assert_whole

import mfgjax as mfg

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def in_memory():
    return swept(**FEW)


def test_workers_of_dask_of_which_one_is_killed(tmp_path, in_memory):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        cluster.adapt(minimum=2, maximum=2)
        first = next(iter(client.run(os.getpid).values()))
        os.kill(first, signal.SIGKILL)
        assert_whole(swept(tmp_path / "sweep", executor=client, **FEW), in_memory)


def test_ranks_of_mpi(tmp_path, in_memory):
    pytest.importorskip("mpi4py")
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where its wheel puts it
    mpiexec = shutil.which("mpiexec", path=beside)
    if mpiexec is None or subprocess.run([mpiexec, "-n", "1", "true"], check=False, capture_output=True).returncode:
        pytest.skip("MPI cannot start processes here")
    command = [
        mpiexec,
        "-n",
        "2",
        sys.executable,
        "-m",
        "mpi4py.futures",
        HERE / "cluster_sweep.py",
        tmp_path / "sweep",
    ]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=600, capture_output=True)
    assert_whole(swept(tmp_path / "sweep", **FEW), in_memory)


def test_a_job_array_of_slurm_joins_in(tmp_path, in_memory):
    """The script of the guide, with a stand-in for `sbatch` that starts the jobs of the array here."""
    out = tmp_path / "sweep"
    whole = swept(out, **FEW)
    for chunk in (out / "result_code").glob("[0-9]*"):
        chunk.unlink()
    guide = (HERE.parent / "docs" / "clusters.md").read_text(encoding="utf-8")
    script = guide.partition("```sh\n#!/bin/bash\n#SBATCH")[2].partition("```")[0]
    job = tmp_path / "join.sh"
    job.write_text(f"#!/bin/bash\n#SBATCH{script}".replace("results/sweep.zarr", str(out)))
    programs = {
        "sbatch": 'for SLURM_ARRAY_TASK_ID in 0 1; do bash "$1" & done\nwait',
        "mfgjax": f'exec {sys.executable} -m mfgjax "$@"',  # the tests may run without an installation
    }
    for name, lines in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{lines}\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    environment = ENVIRONMENT | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([tmp_path / "sbatch", job], env=environment, check=True, timeout=600, capture_output=True)
    left = {path.name for path in (out / "result_code").glob("[0-9]*")}
    assert len(left) == 6
    assert_whole(swept(out, **FEW), in_memory)
    assert_whole(whole, in_memory)
    assert mfg.join_sweep(out, progress=False) == 0
