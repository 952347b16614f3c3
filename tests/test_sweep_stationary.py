"""Sweeps of stationary games: every point is the equilibrium of its own game, told without time."""

import functools
import shutil

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stationary_oracle as oracle
import xarray as xr
from helpers import assert_close
from stationary_games import random_game, random_reference

import mfgjax as mfg
from mfgjax import RESULTS

ATOL = 1e-10  # the default tolerance
EPSILONS, INTENSITIES, DISCOUNTS = [0.1, 0.2], [0.05, 0.1, 0.3], [0.5, 0.6]


@functools.cache
def spread():
    """Three axes on Infection Spread, of which the builder makes two."""
    outputs = ("mean_field", "policy", "exploitability", "values", "q", "state_law", "log_policy", "mean_state")
    axes = {"epsilon": EPSILONS, "discount": DISCOUNTS, "c_f": INTENSITIES}
    return mfg.sweep(mfg.games.infection_spread, mfg.Trembling, outputs=outputs, progress=False, **axes)


def test_there_is_no_time_in_what_comes_back():
    ds = spread()
    assert set(ds.dims) == {"epsilon", "discount", "c_f", "state", "action"}
    assert set(ds.coords) == set(ds.dims)
    lanes = ("epsilon", "discount", "c_f")
    for name in ("mean_field", "state_law", "values"):
        assert ds[name].dims == (*lanes, "state")
    for name in ("policy", "log_policy", "q"):
        assert ds[name].dims == (*lanes, "state", "action")
    for name in ("mean_state", "exploitability", "residual", "result_code", "num_steps"):
        assert ds[name].dims == lanes
    assert ds.c_f.values.tolist() == INTENSITIES
    assert ds.attrs["game"] == "infection_spread" and ds.attrs["criterion"] == "residual"
    assert "horizon" not in ds.attrs and '"kind": "Trembling", "epsilon": "swept"' in ds.attrs["response"]


def test_every_point_is_what_solve_gives_for_it():
    ds = spread()
    assert (ds.result_code == RESULTS.converged).all()
    for epsilon in EPSILONS:
        for discount in DISCOUNTS:
            for c_f in INTENSITIES:
                point = ds.sel(epsilon=epsilon, discount=discount, c_f=c_f)
                eq = mfg.solve(mfg.games.infection_spread(c_f, discount=discount), mfg.Trembling(epsilon))
                assert int(point.num_steps) == int(eq.num_steps)
                names = ("mean_field", "policy", "exploitability", "values", "q", "state_law", "log_policy")
                for name in (*names, "residual", "mean_state"):
                    assert_close(point[name], getattr(eq, name), atol=1e-12)  # sums in another order


def test_the_mean_health_is_that_of_the_law():
    """The numbers are those of the docstring of `infection_spread`, found by both ends of the order."""
    ds = spread()
    assert_close(ds.mean_state, (ds.mean_field * np.arange(25)).sum("state"), rtol=1e-14)
    found = ds.mean_state.sel(epsilon=0.2, discount=0.5)
    assert_close(found, [20.359148, 19.569801, 13.778329], atol=1e-6)


def test_the_mean_state_of_a_flow_has_times():
    game = mfg.games.ring_crowd(num_states=4, horizon=3)
    ds = mfg.sweep(game, beta=[0.1, 0.2], outputs=["mean_state", "mean_field"], progress=False)
    assert ds.mean_state.dims == ("beta", "time")
    assert_close(ds.mean_state, (ds.mean_field * np.arange(4)).sum("state"), rtol=1e-14)


# --- a game with callables and missing actions --------------------------------------------------------------


@functools.cache
def crowded():
    rng = np.random.default_rng(5)
    game, plain = random_game(rng)
    return game, plain, random_reference(rng, game)


def test_soft_responses_are_swept_over_beta_reference_and_any_array():
    game, plain, rho = crowded()
    even = np.asarray(plain.available) / plain.available.sum(axis=1, keepdims=True)
    axes = {"reference": {"own": rho, "even": None}, "beta": [0.5, 4.0], "reward.weight": [0.1, 0.9]}
    ds = mfg.sweep(game, outputs=["mean_field", "policy", "q"], progress=False, **axes)
    assert ds.mean_field.dims == ("reference", "beta", "reward.weight", "state")
    assert (ds.result_code == RESULTS.converged).all()
    assert (ds.q.isnull().any(["reference", "beta", "reward.weight"]).values == ~plain.available).all()
    table = plain.reward(np.zeros(5))  # with nobody there
    for name, reference in (("own", rho), ("even", even)):
        for beta in axes["beta"]:
            for weight in axes["reward.weight"]:
                point = ds.sel({"reference": name, "beta": beta, "reward.weight": weight})
                z = point.mean_field.values
                by_hand = oracle.PlainStationary(
                    plain.kernel,
                    lambda z, weight=weight: table - weight * z[:, None] ** 2,
                    plain.initial,
                    plain.available,
                    plain.discount,
                )
                _, policy, _ = oracle.best_response(by_hand, z, oracle.soft(beta, np.asarray(reference)))
                assert_close(point.policy, policy, atol=1e-10)  # value iteration of the oracle ends at 1e-14/(1 − γ)
                assert np.abs(oracle.step(by_hand, z, policy) - z).sum() / 2 <= ATOL


def test_points_go_side_by_side_and_start_where_they_are_told():
    game, *_ = crowded()
    start = np.eye(5)[2]
    options = {"zipped": True, "discount": [0.3, 0.5, 0.7], "epsilon": [0.1, 0.2, 0.3], "progress": False}
    ds = mfg.sweep(game, mfg.EpsilonGreedy, guess=start, **options)
    assert ds.mean_field.dims == ("point", "state") and ds.discount.dims == ("point",)
    for i, (discount, epsilon) in enumerate(zip(options["discount"], options["epsilon"], strict=True)):
        own = eqx.tree_at(lambda g: g.discount, game, jnp.asarray(discount))
        eq = mfg.solve(own, mfg.EpsilonGreedy(epsilon), guess=start, throw=False)
        assert int(ds.result_code[i]) == int(eq.result.code) and int(ds.num_steps[i]) == int(eq.num_steps)
        assert_close(ds.mean_field[i], eq.mean_field, atol=1e-12)
    first = mfg.sweep(game, mfg.EpsilonGreedy, guess=start, **options | {"max_steps": 1}).mean_field
    assert_close(first, np.tile(start, (3, 1)))  # whatever was judged best after one step is where it began


def test_neighbours_start_from_one_another():
    """Through the tipping point: which equilibrium is found may differ, that it is one may not."""
    game = mfg.games.infection_tipping()
    axes = {"kernel.c_f": np.linspace(0.05, 0.1, 20)}  # where there is one
    cold = mfg.sweep(game, mfg.Trembling(0.1), outputs=["mean_state"], progress=False, **axes)
    warm = mfg.sweep(game, mfg.Trembling(0.1), outputs=["mean_state"], warm_start="kernel.c_f", progress=False, **axes)
    assert_close(warm.mean_state, cold.mean_state, atol=1e-6)  # 24 times what residuals of 1e-10 can be off
    assert warm.num_steps.sum() < cold.num_steps.sum()


@pytest.mark.parametrize("solver", [mfg.solvers.Lagged(), mfg.solvers.StationaryLaw(), mfg.Picard()])
def test_any_solver_for_stationary_games_can_be_swept(solver):
    game = mfg.games.infection_spread()
    axes = {"damping": [0.5, 1.0], "kernel.c_f": [0.1, 0.3]}
    ds = mfg.sweep(game, mfg.Trembling(0.2), solver=solver, outputs=["mean_state"], progress=False, **axes)
    assert (ds.result_code == RESULTS.converged).all()
    assert_close(ds.mean_state, [[19.569801, 13.778329]] * 2, atol=1e-6)


def test_averaged_iteration_is_judged_by_its_exploitability():
    ds = mfg.sweep(
        mfg.games.infection_spread(),
        mfg.Trembling(0.2),
        solver=mfg.Picard(averaging="uniform"),
        outputs=["exploitability"],
        max_steps=20,
        progress=False,
        discount=[0.5, 0.6],
    )
    assert ds.attrs["criterion"] == "exploitability"
    assert_close(ds.residual, ds.exploitability, atol=1e-12)


def test_joint_laws_have_states_and_actions():
    rng = np.random.default_rng(3)
    game = mfg.StationaryGame(
        rng.dirichlet(np.ones(3), (3, 2)),
        lambda z: -z,
        0.6,
        available=np.ones((3, 2), bool),
        observes="state_actions",
    )
    ds = mfg.sweep(game, beta=[0.5, 1.0], outputs=["mean_field", "state_law", "mean_state"], progress=False)
    assert ds.mean_field.dims == ("beta", "state", "action") and ds.attrs["observes"] == "state_actions"
    assert_close(ds.mean_field.sum("action"), ds.state_law, atol=1e-14)
    assert_close(ds.mean_state, ds.state_law @ xr.DataArray(np.arange(3.0), dims="state"), atol=1e-14)
    eq = mfg.solve(game, mfg.EntropyRegularized(0.5))
    assert_close(ds.mean_field[0], eq.mean_field, atol=1e-12)
    assert_close(eq.mean_state, np.arange(3) @ np.asarray(eq.mean_field).sum(axis=1), rtol=1e-14)


def test_functions_of_one_s_own_see_one_game():
    def spent(game, response, equilibrium):
        assert equilibrium.policy.shape == (25, 5)
        return equilibrium.mean_field @ (equilibrium.policy @ jnp.arange(5.0))

    outputs = {"effort": (spent, ()), "policy": None, "mean_field": None}
    ds = mfg.sweep(mfg.games.mturk(), mfg.Trembling, outputs=outputs, epsilon=[0.1, 0.2], progress=False)
    assert ds.effort.dims == ("epsilon",)
    assert_close(ds.effort, ((ds.policy * np.arange(5)).sum("action") * ds.mean_field).sum("state"), rtol=1e-12)


def _even(num_states: int = 2):
    """Whatever is done, all are everywhere alike."""
    kernel = np.full((num_states, 2, num_states), 1 / num_states)
    return mfg.StationaryGame(kernel, np.zeros((num_states, 2)), 0.5)


def test_games_of_several_sizes_are_padded():
    ds = mfg.sweep(_even, mfg.Trembling(0.1), num_states=[2, 4], outputs=["mean_field", "mean_state"], progress=False)
    assert_close(ds.mean_field[1], np.full(4, 0.25))
    np.testing.assert_array_equal(ds.mean_field[0], [0.5, 0.5, np.nan, np.nan])
    assert_close(ds.mean_state, [0.5, 1.5])


def test_single_precision_stays_single():
    with jax.enable_x64(False):
        game = mfg.games.infection_spread()
        ds = mfg.sweep(game, mfg.Trembling, epsilon=[0.2], outputs=["mean_state"], progress=False)
    assert ds.attrs["dtype"] == "float32" and ds.mean_state.dtype == np.float32
    assert_close(ds.mean_state, [19.569801], atol=24 * 1e-4)  # residuals of 1e-5, ten times that in the law


# --- what is refused ----------------------------------------------------------------------------------------


def _either(kind: str = "finite"):
    return mfg.games.left_right() if kind == "finite" else mfg.games.mturk()


REFUSED = {
    "a last time": (
        {"outputs": ["terminal_law"]},
        "`outputs` has 'terminal_law', but in a stationary game there is no",
    ),
    "certificates": ({"outputs": ["unique"]}, "`outputs` has 'unique', but in a stationary game the theorems of"),
    "no class without its number": ({"epsilon": None, "discount": [0.5]}, r"`epsilon` is not swept: give `epsilon=\["),
    "an ε beyond the even share": (
        {"epsilon": [0.1, 0.9]},
        r"`epsilon\[1\]` is 0.9, but where 5 actions .* \[0, 4/5\]",
    ),
    "a discount of one": ({"discount": [0.5, 1.0]}, r"`discount\[1\]` is 1.*\(0, 1\)"),
    "what is not there": (
        {"c_f": [0.1]},
        "There is no parameter 'c_f' in game, response or solver; did you mean 'kernel.c_f'",
    ),
    "a flow as a guess": ({"guess": np.full((2, 25), 1 / 25)}, r"`guess` .*\(2, 25\)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(what):
    changed, sentence = REFUSED[what]
    arguments = {"epsilon": [0.1, 0.2], "progress": False} | changed
    arguments = {key: value for key, value in arguments.items() if value is not None}
    with pytest.raises(ValueError, match=sentence):
        mfg.sweep(mfg.games.infection_spread(), mfg.Trembling, **arguments)


def test_games_of_both_kinds_are_swept_apart():
    with pytest.raises(ValueError, match="`game` returns games with a finite horizon and stationary ones"):
        mfg.sweep(_either, kind=["finite", "stationary"], beta=[1.0])


# --- on disk ------------------------------------------------------------------------------------------------


def stored(out, game=mfg.games.infection_spread, **changed):
    options = {"epsilon": EPSILONS, "c_f": INTENSITIES, "chunk": 2, "progress": False, **changed}
    return mfg.sweep(game, options.pop("response", mfg.Trembling), out=out, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "sweep"
    stored(out)
    return out


def test_a_sweep_on_disk_is_the_one_in_memory_and_goes_on_where_it_was(finished, tmp_path):
    expected = stored(None)
    out = tmp_path / "sweep"
    shutil.copytree(finished, out)
    codes = sorted(path for path in (out / "result_code").glob("*.*") if path.name[0].isdigit())
    codes[0].unlink()  # the file written last of a tile: that tile is computed again
    found = stored(out)
    assert "time" not in found.dims and found.mean_field.dims == ("epsilon", "c_f", "state")
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name], expected[name])


def costly(c_f):
    return mfg.games.infection_spread(c_f, delta=(0.7, 0.2, 0.01))


CHANGED = {
    "the reward": ({"game": costly}, "`reward.delta3`"),
    "the tie": ({"response": mfg.Trembling(0.1, "largest")}, "the response"),
    "another way to tremble": ({"response": mfg.EpsilonGreedy}, "the response"),
    "a value of ε": ({"epsilon": [0.1, 0.15]}, "`epsilon`"),
    "the intensity": ({"c_f": [0.05, 0.1, 0.2]}, "`c_f`"),
    "the solver": ({"solver": mfg.solvers.Lagged()}, "the solver"),
    "the start": ({"guess": np.full(25, 1 / 25)}, "the solver"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_another_sweep_is_not_taken_for_this_one(what, finished):
    changed, part = CHANGED[what]
    with pytest.raises(ValueError, match=f"holds another sweep: .*{part}"):
        stored(finished, **changed)


# --- in pictures --------------------------------------------------------------------------------------------


def test_the_phase_diagram_shows_the_law_in_equilibrium():
    ds = spread()
    panels = mfg.plot.plot_phase(ds, along="c_f")
    assert [ax.get_title() for ax in panels] == [f"ε = {e}\ndiscount = {d}" for e in EPSILONS for d in DISCOUNTS]
    assert panels[0].figure.axes[4].get_ylabel() == "share of the population in the stationary law"
    law = ds.mean_field.sel(epsilon=0.1, discount=0.5).transpose("state", "c_f")
    np.testing.assert_array_equal(panels[0].collections[0].get_array(), law)
    mfg.plot.plot_sweep(ds)
    ax = mfg.plot.plot_sweep_map(ds, "mean_state", along="c_f")
    assert ax.get_xlabel() == "c_f"


def test_a_picture_needs_a_law():
    ds = spread().drop_vars(["mean_field", "state_law"])
    with pytest.raises(
        ValueError, match=r"has neither `terminal_law` nor `mean_field`: .*of a stationary game the latter"
    ):
        mfg.plot.plot_sweep(ds)
