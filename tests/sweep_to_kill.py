"""A sweep to be killed at any moment: `python sweep_to_kill.py FOLDER`. The tests import it, too."""

import os
import sys

import numpy as np

import mfgjax as mfg

BETAS = np.geomspace(0.1, 1.5, 8)
FIELDS = np.linspace(-0.3, 0.3, 6)


def swept(out=None, **changed):
    """Two places that people avoid, by plain iteration; one point of the grid to a tile, 48 tiles."""
    options = {
        "game": mfg.games.coordination(strength=-1.0),
        "response": mfg.EntropyRegularized(1.0),
        "solver": mfg.Picard(),
        "outputs": ("mean_field", "exploitability", "q"),
        "beta": BETAS,
        "reward.L.field": FIELDS,
        "chunk": 1,
        "progress": False,
    }
    options |= changed
    return mfg.sweep(options.pop("game"), options.pop("response"), out=out, **options)


if __name__ == "__main__":
    os.nice(5)  # so that whoever watches the folder gets a turn before all is done
    swept(sys.argv[1])
