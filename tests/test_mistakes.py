"""Mistakes that people made who used the library for the first time: one sentence says what to do."""

import re
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mfgjax as mfg
from mfgjax.design.variables import LAW, POSITIVE, Variable, coordinates_of
from mfgjax.multiplicity.branch_points import Tracer
from mfgjax.multiplicity.branch_walk import walk
from mfgjax.solvers.path import path_start

MOVES, ZERO = mfg.MovesKernel([[0, 1], [1, 0]]), np.zeros((2, 2))
ROWS = np.random.default_rng(0).dirichlet(np.ones(2), (2, 2))  # states, actions, next states
HUGE = 10**400
EDGES = [("a", "a"), ("a", "b"), ("b", "b")]
HALF, SOFT = np.full((2, 2), 0.5), mfg.EntropyRegularized(1.0)
NO_GAME = "`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got"


def game(kernel=MOVES, reward=ZERO, initial=(1.0, 0.0), **params):
    return mfg.FiniteHorizonGame(kernel, reward, np.asarray(initial), 3, params=params or None)


def single(**params):
    ready = np.zeros((2, 2), np.float32), np.array([1, 0], np.float32)
    kernel = mfg.DenseKernel(np.full((2, 2, 2), 0.5, np.float32))
    return mfg.FiniteHorizonGame(kernel, lambda t, z, toll: toll + ready[0], ready[1], 3, params=params)


def by_position(t, mu, fun, crowd, /):
    return fun - crowd * mu[:, None]


def tune(objective):
    return mfg.design.tune(game(), {"beta": None}, objective, response=SOFT, progress=False)


MISTAKES = {
    "parameters by position": (
        lambda: game(reward=by_position, fun=1.0, crowd=1.0),
        "`reward` gets parameters by name, so its arguments must not end with `/`: they are (t, mu, fun, crowd, /).",
    ),
    "too large for a float": (lambda: game(reward=[[HUGE, 0.5], [0, 0]]), "`reward[0, 0]` is 1000", "too large"),
    "a β too large for a float": (lambda: mfg.EntropyRegularized(HUGE), "`beta` is 1000", "too large"),
    "too large for single precision": (
        lambda: single(toll=1e300),
        "`params['toll']` is 1e+300, but float32 holds no number as large.",
    ),
    "a value too large for single precision": (
        lambda: mfg.sweep(single(toll=1.0), mfg.EntropyRegularized(1.0), toll=[1.0, 1e300]),
        "`toll[1]` is 1e+300, but float32 holds no number as large.",
    ),
    "a β too large for single precision": (
        lambda: mfg.solve(single(toll=1.0), mfg.EntropyRegularized(1e300)),
        "`beta` is inf in float32, but it must lie in (0, inf).",
    ),
    "arguments swapped": (
        lambda: game(reward=lambda mu, t: -mu[:, None]),
        "`reward` is called with (t, mean_field), in this order, but its arguments are (mu, t).",
    ),
    "arguments swapped, and no error of JAX": (
        lambda: game(reward=lambda mu, t: t - mu + ZERO),
        "`reward` is called with (t, mean_field), in this order, but its arguments are (mu, t).",
    ),
    "too many shares": (
        lambda: game(reward=lambda t, mu: -mu[:, None], initial=[1.0, 0, 0]),
        "`kernel` is for 2 states, but `initial` has 3.",
    ),
    "a policy in the place of the game": (
        lambda: mfg.exploitability(HALF, game()),
        f"{NO_GAME} array([[0.5, 0.5], [0.5, 0.5]]). The game comes first.",
    ),
    "a policy in the place of the game, propagated": (lambda: mfg.propagate(HALF, game()), NO_GAME),
    "a policy in the place of the game, valued": (lambda: mfg.policy_value(HALF, game(), [1.0, 0.0]), NO_GAME),
    "a policy in the place of the game, mapped": (lambda: mfg.mean_field_map(HALF, SOFT), NO_GAME),
    "a policy in the place of the game, answered": (lambda: mfg.respond(HALF, [1.0, 0.0], SOFT), NO_GAME),
    "a policy in the place of the game, validated": (lambda: mfg.validate(HALF), NO_GAME),
    "a policy in the place of the game, by its edges": (lambda: mfg.games.edges_of_policy(HALF, game()), NO_GAME),
    "weights in the place of the game": (lambda: mfg.games.policy_on_edges({}, game()), NO_GAME),
    "a reference by names": (
        lambda: mfg.EntropyRegularized(1.0, {"a": 0.5}),
        "`reference` must hold real numbers, in an array in the order of states and actions; got the dict {'a': 0.5}.",
    ),
    "an axis misspelt, and no response": (
        lambda: mfg.sweep(mfg.games.ring_crowd, congstion=[1.0]),
        "There is no parameter 'congstion' in game, response or solver",
        "; did you mean 'congestion'?",
    ),
    "a reference with an action too many": (
        lambda: mfg.solve(game(), mfg.EntropyRegularized(1.0, np.full((2, 3), 1 / 3))),
        "`reference` must have shape (2, 2) or (4, 2, 2) (states, actions; or times first); got (2, 3).",
    ),
    "a reference with actions before states": (
        lambda: mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(1.0, np.full((2, 3), 1 / 3))),
        "`reference` has shape (2, 3), with actions before states; it must be (states, actions): "
        "`numpy.swapaxes(reference, -2, -1)`.",
    ),
    "names in the place of numbers of states": (
        lambda: game(mfg.MovesKernel([["home", "bar"], ["bar", "home"]])),
        "`next_state[0, 0]` is 'home', but it must be a whole number, the number of a state.",
    ),
    "a reward of a node that does not exist": (
        lambda: mfg.games.graph_game(EDGES, horizon=2, initial={"a": 1}, running=mfg.games.NodeReward({"c": 1.0})),
        "`running.value` has the key 'c', but there is no such node: they are 'a', 'b'.",
    ),
    "a node misspelt": (
        lambda: mfg.games.graph_game([("home", "home")], horizon=2, initial={"hom": 1}),
        "`initial` has the key 'hom', but there is no such node (did you mean 'home'?): they are 'home'.",
    ),
    "a share too many on a graph": (
        lambda: mfg.games.graph_game(EDGES, horizon=2, initial=[1, 0, 0]),
        "`initial` must have shape (2,) (one share for each node); got (3,).",
    ),
    "a graph that pays nothing": (
        lambda: mfg.games.graph_game(EDGES, horizon=2, initial={"a": 1}),
        "`running` and `terminal` are both missing, but a game needs one of them to pay something",
    ),
    "values that turn": (
        lambda: mfg.hysteresis(game(), SOFT, "beta", [0.1, 0.5, 0.2]),
        "`values[2]` is 0.2, but the values before it rise to 0.5: they must all rise; the way back is followed, too.",
    ),
    "a function of the equilibrium alone as an output": (
        lambda: mfg.sweep(game(), SOFT, beta=[1.0], outputs={"c": lambda e: e.mean_field}),
        "`outputs['c']` must be a function of (game, response, equilibrium), but its arguments are (e).",
    ),
    "a number of what JAX traces as an output": (
        lambda: mfg.sweep(game(), SOFT, beta=[1.0], outputs={"c": lambda g, r, e: float(e.mean_field[0, 0])}),
        "`outputs['c']` needs the value of an array, but JAX compiles it once for all values",
    ),
    "a number of what JAX traces as an objective": (
        lambda: tune(lambda e: float(e.mean_field[-1, 0])),
        "`objective` needs the value of an array, but JAX compiles it once for all values",
    ),
    "NumPy in an objective": (
        lambda: tune(lambda e: np.asarray(e.mean_field)[-1, 0]),
        "`objective` passes an argument to NumPy",
        "use the functions and arrays of `jax.numpy`.",
    ),
    "a name as an index in an objective": (
        lambda: tune(lambda e: e.mean_field[-1, "bar"]),
        "`objective` fails at an equilibrium with TypeError: JAX does not support string indexing",
    ),
    "next states first": (
        lambda: game(np.moveaxis(ROWS, -1, 0)),
        "its sums over the axis of states are 1: if next states are there, move them last, "
        "`numpy.moveaxis(kernel, -3, -1)`.",
    ),
    "actions last": (
        lambda: game(lambda t, mu: jnp.asarray(np.moveaxis(ROWS, -1, 1))),
        "`kernel[0, 0]` at t = 0 sums to",
        "its sums over the axis of actions are 1",
        "`numpy.moveaxis(kernel, -2, -1)`.",
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("do", "parts"), [(do, parts) for do, *parts in MISTAKES.values()], ids=list(MISTAKES))
def test_a_mistake_ends_in_one_sentence(do, parts):
    with pytest.raises(ValueError, match=re.escape(parts[0])) as caught:
        do()
    assert all(part in str(caught.value) for part in parts)


def test_whole_numbers_of_more_than_64_bits_do():
    assert game(reward=[[10**20, 0.5], [0, 0]]).reward_at(0, jnp.array([1.0, 0.0]))[0, 0] == 1e20


def test_the_hint_on_the_order_of_axes_is_right():
    for wrong, move in ((np.moveaxis(ROWS, -1, 0), (-3, -1)), (np.moveaxis(ROWS, -1, 1), (-2, -1))):
        assert (np.moveaxis(wrong, *move) == ROWS).all()


def test_a_column_of_pandas_names_states_and_actions():
    names = pd.Series(["stay", "go"], index=[5, 3])
    named = mfg.FiniteHorizonGame(MOVES, ZERO, {"b": 1.0}, 3, state_labels=pd.Index(["a", "b"]), action_labels=names)
    assert named.state_labels == ("a", "b") and named.action_labels == ("stay", "go")
    assert named.initial.tolist() == [0, 1]


def test_a_slope_that_is_not_finite_ends_a_path_with_this_reason():
    """As of a square root at a share of 0; stand-ins for the steps of a path, so that nothing is compiled."""
    start = path_start(jnp.array([1.0, 0.0]), jnp.zeros(()), 0.1)
    failed = SimpleNamespace(failed=True, finished=False, accepted=False)
    infinite = Tracer(lambda *_: (start, failed), lambda *_: np.full((2, 2), np.inf), lambda *_: False, 1e-5)
    assert infinite.knot([1.0, 0.0], 0.0, 1.0, [0.0, 0.0]).above is None
    message = walk(infinite, start, 1.0, 0.1, 10, float, str).message
    assert message.startswith("The path was lost near 0: the derivative of the map is not finite (a reward or kernel")


def test_a_variable_that_ends_at_a_bound_is_named():
    beta = coordinates_of("beta", POSITIVE, Variable(1.0, upper=1.2), np.asarray(1.0))
    assert beta.at_bounds(np.asarray(1.19999)) == ["beta ends at its upper bound, 1.2 (within 0.1%)."]
    assert beta.at_bounds(np.asarray(1.19)) == []
    law = coordinates_of("law", LAW, Variable([0.5, 0.5], lower=0.1), np.array([0.5, 0.5]))
    assert law.at_bounds(np.array([0.9, 0.1])) == ["law[1] ends at its lower bound, 0.1 (within 0.1%)."]
