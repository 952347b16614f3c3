"""Many games at once: every lane has its own derivative."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import GENTLE, GOOD, LANES, parameters, places, share
from helpers import A, S, T, assert_close, random_game, random_policy

import mfgjax as mfg

WEIGHTS = np.array([1.0, -0.5, 0.7, 2.0, 0.3])


def total(p, kept):
    """Weighted shares over the lanes that are kept."""
    found = solved_exactly(p)
    return jnp.where(kept, WEIGHTS * found.mean_field[1, 1], 0).sum()


def solved_exactly(p):
    game, response = places(p)
    axes = {"beta": p["beta"], "initial": p["initial"]}
    return mfg.solve_batch(game, response, mfg.Picard(atol=1e-14), axes=axes)


gradient = jax.jit(jax.grad(total))
ALL, OTHERS = np.ones(LANES, bool), np.arange(LANES) != 1


def closed_gradient(p, kept):
    """Sums over lanes for what they share; for what is their own, the lanes side by side."""
    parts = [share(p, lane)[1] for lane in range(LANES)]
    weights = np.where(kept, WEIGHTS, 0)
    result = {}
    for name in p:
        lanes = np.stack([part[name] * w for part, w in zip(parts, weights, strict=True)], axis=-1)
        result[name] = lanes if name in ("beta", "initial") else lanes.sum(axis=-1)
    return result


def test_the_gradient_of_a_sum_over_lanes_equals_the_closed_form():
    actual, expected = gradient(GENTLE, ALL), closed_gradient(GENTLE, ALL)
    for name in GENTLE:
        # x is known to 1e-14, and contracts by 1/3 at worst
        assert_close(actual[name], expected[name], atol=1e-12)


def test_a_masked_lane_that_failed_leaves_finite_gradients_which_equal_the_closed_form():
    actual, expected = gradient(parameters(), OTHERS), closed_gradient(parameters(), OTHERS)
    for name in GENTLE:
        assert np.isfinite(actual[name]).all()
        assert_close(actual[name], expected[name], atol=1e-12)
    assert actual["beta"][1] == 0


def test_a_lane_that_failed_and_counts_makes_what_it_bears_on_nan_and_no_more():
    actual, expected = gradient(parameters(), ALL), closed_gradient(parameters(), ALL)
    assert np.isnan(actual["beta"]).tolist() == [lane == 1 for lane in range(LANES)]
    assert np.isnan(actual["field"]) and np.isnan(actual["strength"]) and np.isnan(actual["reference"]).any()
    for name in ("beta", "initial"):
        assert_close(actual[name][..., OTHERS], expected[name][..., OTHERS], atol=1e-12)


def test_forward_mode_equals_the_closed_form_lane_by_lane(rng):
    p = parameters()
    direction = jax.tree.map(lambda leaf: rng.standard_normal(np.shape(leaf)), p)
    move = jax.jit(lambda p, v: jax.jvp(lambda p: solved_exactly(p).mean_field[1, 1], (p,), (v,))[1])
    moved = move(p, direction)
    assert np.isnan(moved).tolist() == [lane == 1 for lane in range(LANES)]
    for lane in GOOD:
        own = direction | {name: direction[name][..., lane] for name in ("beta", "initial")}
        parts = share(p, lane)[1]
        assert_close(moved[lane], sum(np.vdot(parts[name], own[name]) for name in p), atol=1e-12)


MASK = random_game("joint law", np.random.default_rng(2))[0].available
SCORES = np.random.default_rng(4).standard_normal((3, T, S, A, 3))
OWN = ("beta", "initial", "steepness")


def rich_parameters():
    """Lanes of a game whose kernel and rewards see the joint law, with masks that change and empty states."""
    rng = np.random.default_rng(2)
    game, plain = random_game("joint law", rng)
    return {
        "beta": np.array([0.3, 0.8, 1.5]),
        "initial": np.stack([np.asarray(game.initial), [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0]], axis=-1),
        "steepness": np.array([1.0, 0.7, 1.2]),
        "reference": random_policy(rng, plain.available),
        "interaction": np.asarray(game.reward.L.table),
        "pull": np.asarray(game.kernel.pull),
        "discount": np.asarray(game.discount),
    }


def rich_game(p):
    game, _ = random_game("joint law", np.random.default_rng(2))
    return eqx.tree_at(
        lambda g: (g.reward.L.table, g.kernel.pull, g.discount), game, (p["interaction"], p["pull"], p["discount"])
    )


RICH_SOLVER = mfg.Picard(0.5, atol=1e-13)


def score(eq, weights, mask):
    """A number that depends on everything."""
    seen = (eq.mean_field, eq.policy, eq.q)
    return sum((w * jnp.where(mask, x, 0)).sum() for w, x in zip(weights, seen, strict=True))


def rich_total(p):
    axes = {"beta": p["beta"], "initial": p["initial"], "reward.theta.steepness": p["steepness"]}
    found = mfg.solve_batch(rich_game(p), mfg.EntropyRegularized(1.0, p["reference"]), RICH_SOLVER, axes=axes)
    return score(found, SCORES, MASK[..., None])


rich = jax.jit(jax.value_and_grad(rich_total))


def difference(function, p, direction):
    """Derivative along a direction, by central differences at h, h/2, h/4, twice extrapolated: of order h⁶ = 1e-12."""
    steps = []
    for h in (1e-2, 5e-3, 2.5e-3):
        plus, minus = (function(jax.tree.map(lambda x, v, h=s * h: x + h * v, p, direction)) for s in (1, -1))
        steps.append((plus - minus) / (2 * h))
    coarse, middle, fine = steps
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    return (16 * second - first) / 15


def test_gradients_of_rich_lanes_equal_differences_in_each_lane_and_in_what_lanes_share(rng):
    """In a random direction of each array, for what lanes have of their own in one lane after the other."""
    p = rich_parameters()
    _, actual = rich(p)
    own = [(name, (..., lane)) for name in OWN for lane in range(3)]
    for name, place in own + [(name, ...) for name in p if name not in OWN]:
        direction = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf)), p)
        entries = np.asarray(p[name])[place]
        moves = entries * rng.standard_normal(entries.shape)
        direction[name][place] = moves - entries * moves.sum() if name == "initial" else moves
        moved = np.vdot(actual[name], direction[name])
        assert abs(moved) > 1e-4 or (name == "initial" and entries.max() == 1)  # all are at one place
        assert_close(moved, difference(lambda p: rich(p)[0], p, direction), rtol=1e-6)


def test_the_memory_of_a_gradient_grows_with_the_block_and_not_with_all_matrices():
    """512 lanes of 420 unknowns: their matrices alone, all at once, would take 720 MB."""
    lanes, block = 512, 4
    game = mfg.games.random_dense(num_states=20, num_actions=2, horizon=20)
    unknowns = (game.horizon + 1) * game.num_states
    numbers = unknowns * game.num_actions  # in one policy

    def spread(betas):
        found = mfg.solve_batch(
            game, mfg.EntropyRegularized(1.0), mfg.Picard(), axes={"beta": betas}, max_steps=10, block=block
        )
        return (found.mean_field[-1] ** 2).sum()

    compiled = jax.jit(jax.grad(spread)).lower(jax.ShapeDtypeStruct((lanes,), float)).compile()
    # matrix, factors and copy of the lanes of a block, and all columns pushed through policies and action
    # values; of every lane some dozens of policies
    bound = 8 * (block * unknowns * (3 * unknowns + 4 * numbers) + lanes * 40 * numbers)
    assert bound < 8 * lanes * unknowns**2 / 3
    assert compiled.memory_analysis().temp_size_in_bytes < bound


def test_greedy_lanes_have_no_derivative_and_say_so():
    game = mfg.games.coordination(field=0.3)

    def shares(fields):
        axes = {"reward.L.field": fields}
        return mfg.solve_batch(game, mfg.Greedy(), mfg.Picard(), axes=axes).mean_field[1, 1].sum()

    with pytest.raises(ValueError, match=r"`Greedy` response has no derivative.*EntropyRegularized"):
        jax.eval_shape(jax.grad(shares), jnp.array([0.3, 0.4]))
