"""Certificates as outputs of a sweep are those of `certify`, point by point."""

import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg
from mfgjax.sweeps.outputs import CERTIFIED

GAME = mfg.games.resource_allocation()
RHO = mfg.games.resource_allocation_reference(GAME)


def test_every_certificate_of_a_sweep_is_that_of_the_single_game(tmp_path):
    betas = np.array([0.5, 1.9, 3.0])
    swept = mfg.sweep(
        GAME,
        beta=betas,
        reference={"paper": RHO, "uniform": None},
        outputs=[*CERTIFIED, "terminal_law"],
        solver=mfg.Newton(),
        out=tmp_path / "sweep.zarr",
        progress=False,
    )
    uniform = GAME.available[0] / GAME.available[0].sum(axis=1, keepdims=True)
    for beta in betas:
        for name, reference in (("paper", RHO), ("uniform", uniform)):  # as tables, of one program
            report = mfg.certify(GAME, mfg.EntropyRegularized(beta, reference))
            point = swept.sel(beta=beta, reference=name)
            assert int(point.unique) == int(report.unique)
            numbers = {
                "unique_below": report["unique"].threshold,
                "certified_beta": report.certified_beta,
                "contraction_factor": report.factor,
                "local_radius": report["local_radius"].value,
                "critical_beta": report["critical_beta"].value,
            }
            for key, number in numbers.items():
                # the equilibria agree to 1e-10, the β to 24 halvings
                assert_close(float(point[key]), number, rtol=1e-6)
            # bounds on different residuals, both below the tolerance
            assert (float(point.distance) < 1e-8) == (report["distance"].word == "holds")
    assert swept.unique.dtype.kind == "i"
    assert swept.critical_beta.attrs["units"] == "1/reward"
    assert list(swept.unique.sel(reference="paper").values) == [1, 1, 0]


def test_games_of_several_shapes_are_certified_too():
    swept = mfg.sweep(
        mfg.games.ring_crowd,
        beta=[0.1, 2.0],
        congestion=[0.5, 2.0],
        num_states=[4, 5],
        horizon=[3],
        solver=mfg.Newton(),
        outputs=["certified_beta", "unique"],
        progress=False,
    )
    assert (swept.unique == 1).all()  # monotone
    # K = c at each of the times 1..3, and κ = 2c: 4/(3 · 2c)
    assert_close(swept.certified_beta.sel(congestion=0.5), np.full((2, 2, 1), 4 / 3), rtol=1e-9)
    assert_close(swept.certified_beta.sel(congestion=2.0), np.full((2, 2, 1), 1 / 3), rtol=1e-9)


def test_an_output_that_does_not_exist_is_refused_with_the_certificates_named():
    with pytest.raises(ValueError, match="certified_beta"):
        mfg.sweep(GAME, beta=[1.0], outputs=["certificate"], progress=False)
