"""A sweep whose blocks the ranks of MPI compute: `mpiexec -n 3 python -m mpi4py.futures cluster_sweep.py FOLDER`."""

import sys

from sweep_to_kill import swept

FEW = {"beta": [0.5, 1.0, 1.5], "reward.L.field": [0.0, 0.2]}

if __name__ == "__main__":
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as executor:
        swept(sys.argv[1], executor=executor, **FEW)
