"""Claim: games made of closures compile once, keep 15 KiB of JAX's traces each, and cost milliseconds a sweep point.

Run: python benchmarks/closures_compile_once.py
"""

import platform
import resource
import time

import jax
import numpy as np

import mfgjax as mfg

PLACES, RESPONSE = np.array([0.0, 1.0]), mfg.EntropyRegularized(1.0)


def built(toll):
    """A game whose reward is a closure over a number."""
    moves = mfg.MovesKernel([[0, 1], [1, 0]])
    return mfg.FiniteHorizonGame(moves, lambda t, m: (toll * PLACES - m)[:, None], [0.9, 0.1], 10)


def memory():
    """Peak memory of the process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    print(f"{jax.devices()[0].device_kind}, float32, jax {jax.__version__}, Python {platform.python_version()}")
    mfg.solve(built(0.1), RESPONSE)
    mfg.solve(built(0.2), RESPONSE)
    before, start = memory(), time.process_time()
    for toll in np.linspace(0.1, 2.0, 100):
        mfg.solve(built(float(toll)), RESPONSE)
    each = (time.process_time() - start) * 10
    print(f"100 fresh closures: {memory() - before:.1f} MiB more, {each:.1f} ms of processor each")
    for count in (4, 64):
        start = time.process_time()
        found = mfg.sweep(built, RESPONSE, toll=np.linspace(0.1, 2.0, count), progress=False)
        spent, residual = time.process_time() - start, float(found.residual.max())
        print(f"sweep of {count} closures: {spent:.2f} s of processor, largest residual {residual:.1e}")


if __name__ == "__main__":
    main()
