"""Sweeps in a process of their own: `python sweep_on_devices.py RESULTS DEVICES [FOLDER PORT PROCESS PROCESSES]`.

RESULTS is where the datasets go, as arrays by name; FOLDER one that all processes share. The tests import it, too.
"""

import sys
from pathlib import Path

import numpy as np

import mfgjax as mfg

BETAS = np.geomspace(0.1, 1.5, 5)
FIELDS = np.linspace(-0.3, 0.3, 5)


def iterated(out=None, **changed):
    """25 points by plain iteration; no number of devices divides them."""
    axes = {"beta": BETAS, "reward.L.field": FIELDS}
    options = {"solver": mfg.Picard(), "block": 2, **axes, **changed}
    game, response = mfg.games.coordination(strength=-1.0), mfg.EntropyRegularized(1.0)
    return mfg.sweep(game, response, outputs=("mean_field", "policy"), out=out, chunk=10, progress=False, **options)


def cornered():
    """Newton's method, which factorises a matrix for every lane; from the uniform law it converges at any β here."""
    return iterated(solver=mfg.Newton(), beta=[0.5, 20.0])


def stationary():
    """10 stationary games, each with its own number of steps."""
    axes = {"epsilon": [0.1, 0.2], "kernel.c_f": np.linspace(0.05, 0.5, 5)}
    outputs, game = ("mean_field", "policy", "mean_state"), mfg.games.infection_spread()
    return mfg.sweep(game, mfg.Trembling, outputs=outputs, block=2, chunk=10, progress=False, **axes)


def arrays(**datasets):
    """All variables of datasets, under "dataset/variable"."""
    return {f"{key}/{name}": ds[name].values for key, ds in datasets.items() for name in ds.data_vars}


def refusal(function):
    """What a function is refused with."""
    try:
        function()
    except ValueError as error:
        return str(error)
    return ""


def main(results, devices, folder=None, port=None, process=None, processes=None):
    mfg.use_cpu_cores(int(devices))
    if folder is None:
        found = arrays(iterated=iterated(), cornered=cornered(), stationary=stationary())
    else:
        import jax

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            f"localhost:{port}", num_processes=int(processes), process_id=int(process), initialization_timeout=60
        )
        assert jax.device_count() == int(devices) * int(processes)
        out = Path(folder) / "sweep"
        found = arrays(iterated=iterated(), stored=iterated(out), again=iterated(out))
        found["refusal"] = refusal(lambda: iterated(out, beta=BETAS + 1))
        jax.distributed.shutdown()
    np.savez(results, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
