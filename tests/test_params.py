"""Parameters of a game without a class: arguments of its functions, and arrays of the game like any other.

People go to one of two places, worth `fun` and 0, and agents with β answer in one step: with no moves that matter the
share that goes is σ(β (fun − crowding m)), a fixed point that bisection finds.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import COMPILED

import mfgjax as mfg

BETA, MOVES = 2.0, [[0, 1], [0, 1]]  # action a leads to place a, from both
SOFT = mfg.EntropyRegularized(BETA)


def pay(t, mean_field, fun, crowding):
    return jnp.array([0.0, fun - crowding * mean_field[1]])[:, None]


def bar(fun=1.0, crowding=2.0, **options):
    return mfg.FiniteHorizonGame(
        mfg.MovesKernel(MOVES), pay, [1.0, 0.0], 1, params={"fun": fun, "crowding": crowding}, **options
    )


def share(fun, crowding):
    """Return the share at the bar at time 1: m = σ(β (fun − crowding m)), by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        m = (low + high) / 2
        low, high = (m, high) if m < 1 / (1 + np.exp(-BETA * (fun - crowding * m))) else (low, m)
    return m


def slope(fun, crowding):
    """Return d m / d fun = β m (1 − m)/(1 + β crowding m (1 − m)), by the implicit function theorem."""
    m = share(fun, crowding)
    return BETA * m * (1 - m) / (1 + BETA * crowding * m * (1 - m))


def last(equilibrium):
    return equilibrium.mean_field[-1, 1]


def test_functions_take_parameters_by_name():
    np.testing.assert_allclose(last(mfg.solve(bar(), SOFT)), share(1, 2), atol=1e-9)
    np.testing.assert_allclose(last(mfg.solve(bar(fun=2, crowding=1), SOFT)), share(2, 1), atol=1e-9)


def test_parameters_are_axes_of_a_sweep_by_either_name():
    found = mfg.sweep(bar(), SOFT, fun=[1.0, 2.0], **{"params.crowding": [1.0, 2.0, 3.0]}, progress=False)
    wanted = [[share(fun, crowding) for crowding in (1, 2, 3)] for fun in (1, 2)]
    np.testing.assert_allclose(found.mean_field[..., -1, 1], wanted, atol=1e-8)


def test_parameters_have_lanes_in_a_batch():
    found = mfg.solve_batch(bar(), SOFT, axes={"fun": [0.5, 1.0, 2.0]})
    np.testing.assert_allclose(found.mean_field[-1, 1], [share(fun, 2) for fun in (0.5, 1, 2)], atol=1e-8)


def test_a_parameter_differentiates_where_it_is_given_and_where_it_is_held():
    by_making = jax.grad(lambda fun: last(mfg.solve(bar(fun), SOFT)))(1.0)
    held = bar()
    by_place = eqx.filter_grad(lambda game: last(mfg.solve(game, SOFT)))(held).params.fun
    np.testing.assert_allclose([by_making, by_place], slope(1, 2), atol=1e-8)


def test_sensitivity_names_parameters():
    found = mfg.design.sensitivity(bar(), SOFT, last)
    np.testing.assert_allclose(found.derivatives["params.fun"], slope(1, 2), atol=1e-8)


def test_a_parameter_can_be_tuned():
    wanted = mfg.design.TargetLaw([1 - share(0.5, 2), share(0.5, 2)])
    tuned = mfg.design.tune(bar(), {"fun": None}, wanted, response=SOFT, progress=False)
    np.testing.assert_allclose(tuned.parameters["fun"], 0.5, atol=1e-3)


def test_a_population_is_led_along_a_parameter():
    path = mfg.hysteresis(bar(), SOFT, "fun", [0.5, 1.0])
    np.testing.assert_allclose(path.there[:, -1, 1], [share(0.5, 2), share(1, 2)], atol=1e-8)


def test_a_branch_follows_a_parameter_by_name():
    path = mfg.branch(bar(), SOFT, "fun", start=0.5, stop=1.0, resolution=4)
    np.testing.assert_allclose(last(path.at(0.75)[0]), share(0.75, 2), atol=1e-8)


def test_proofs_see_parameters():
    """Where δ more are at the bar, in total variation, it pays 2 δ less."""
    slopes = mfg.certify(bar(), SOFT, critical=False).lipschitz.reward
    np.testing.assert_allclose(np.asarray(slopes).max(), 2.0, rtol=1e-9)


def test_finite_populations_see_what_a_closure_would():
    """The same numbers, read from outside in place of `params`."""
    closed = mfg.FiniteHorizonGame(
        mfg.MovesKernel(MOVES), lambda t, m: jnp.array([0.0, 1.0 - 2.0 * m[1]])[:, None], [1.0, 0.0], 1
    )
    policy = np.full((2, 2, 2), 0.5)
    gain = [mfg.finite.deviation_gain(game, policy, [2, 10], SOFT).gain for game in (bar(), closed)]
    np.testing.assert_allclose(*gain, rtol=1e-12)


def drift(z, up):
    stay = jnp.eye(2)
    return jnp.stack([stay, (1 - up) * stay + up * jnp.array([[0.0, 1.0], [0.0, 1.0]])], axis=1)


def test_kernel_and_reward_share_a_parameter_of_one_array():
    game = mfg.StationaryGame(
        drift,
        lambda z, up: -up * z[:, None],
        0.5,
        params={"up": 0.25},
        state_labels=["a", "b"],
        action_labels=["x", "y"],
    )
    assert [leaf.shape for leaf in jax.tree.leaves(game.params)] == [()]
    np.testing.assert_allclose(game.kernel_at(0, game.initial).probabilities[0, 0, 1], [0.75, 0.25])
    np.testing.assert_allclose(game.reward_at(0, jnp.array([0.5, 0.5])), -0.125 * np.ones((2, 2)))


def test_a_function_takes_only_what_it_names_and_keeps_its_defaults():
    def toll(t, mean_field, charge, *, scale=2.0):
        return -scale * charge * mean_field[:, None]

    game = mfg.FiniteHorizonGame(
        lambda t, mean_field, slip: jnp.stack([jnp.eye(2), slip / 2 + (1 - slip) * jnp.eye(2)], axis=1),
        toll,
        [0.5, 0.5],
        1,
        params={"slip": 0.5, "charge": 3},
    )
    np.testing.assert_allclose(game.reward_at(0, game.initial)[:, 0], [-3.0, -3.0])
    np.testing.assert_allclose(game.kernel_at(0, game.initial).probabilities[0, 0, 1], [0.75, 0.25])


def test_new_values_compile_nothing():
    mfg.solve(bar(), SOFT)
    count = len(COMPILED)
    mfg.solve(bar(0.25, 0.5), SOFT)
    assert len(COMPILED) == count


def test_a_sweep_on_disk_goes_on_only_with_the_same_game_and_names_what_changed_alone(tmp_path):
    folder = tmp_path / "sweep.zarr"

    def squared(t, mean_field, fun, crowding):
        return pay(t, mean_field**2, fun, crowding)

    def run(values=(1.0, 2.0, 3.0), reward=pay, fun=1.0, initial=(1.0, 0.0), horizon=1, moves=MOVES):
        params = {"fun": fun, "crowding": 1.0}
        game = mfg.FiniteHorizonGame(mfg.MovesKernel(moves), reward, np.array(initial), horizon, params=params)
        return mfg.sweep(game, SOFT, crowding=values, out=folder, progress=False)

    run()
    for changes, what in (
        ({"fun": 1.5}, "`params.fun`"),
        ({"reward": squared}, "the function `reward`"),
        ({"reward": squared, "fun": 1.5}, "`params.fun` and the function `reward`"),
        ({"initial": (0.5, 0.5)}, "`initial`"),
        ({"horizon": 2}, "`horizon`"),
        ({"moves": [[1, 0], [0, 1]]}, "`kernel.next_state`"),
        ({"values": (1.0, 2.0)}, "`crowding`"),
    ):
        with pytest.raises(ValueError, match=f"which holds another sweep: {what} changed"):
            run(**changes)


def test_a_name_that_could_be_two_arrays_is_refused():
    game = mfg.FiniteHorizonGame(
        mfg.MovesKernel(MOVES), lambda t, m, beta: -beta * m[:, None], [1.0, 0.0], 1, params={"beta": 1.0}
    )
    with pytest.raises(ValueError, match=r"'beta' may be 'response\.beta' or 'params\.beta'"):
        mfg.sweep(game, SOFT, beta=[1.0, 2.0], progress=False)
