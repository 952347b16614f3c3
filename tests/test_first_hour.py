"""What goes wrong in a first hour: each mistake ends in one sentence that names the field, the place and the value.

Nearly all are found before anything is compiled. What a newcomer may well write, and what works, is at the end.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mfgjax as mfg

SWAP, SOFT = mfg.MovesKernel([[0, 1], [1, 0]]), mfg.EntropyRegularized(1.0)
HALF, ZERO, START = np.full((2, 2, 2), 0.5), np.zeros((2, 2)), [0.5, 0.5]
FLOW, POLICY = np.full((4, 2), 0.5), np.full((4, 2, 2), 0.5)


def game(kernel=SWAP, reward=ZERO, initial=START, horizon=3, **options):
    return mfg.FiniteHorizonGame(kernel, reward, initial, horizon, **options)


def paid(reward, **options):
    return lambda: game(reward=reward, **options)


def rest(kernel=SWAP, reward=ZERO, discount=0.5, **options):
    return mfg.StationaryGame(kernel, reward, discount, **options)


def swept(*arguments, **axes):
    return lambda: mfg.sweep(*(arguments or (game(),)), progress=False, **axes)


def in_place(array):
    def reward(t, mu):
        table = array.zeros((2, 2))
        table[0, 0] = mu[0]
        return table

    return reward


def equilibrium():
    shapes = jax.eval_shape(lambda: mfg.solve(game(), SOFT))  # nothing is compiled
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def in_single_precision(call):
    def made():
        with jax.enable_x64(False):
            return call()

    return made


class Toll(eqx.Module):
    toll: float = 1  # a whole number, which is no parameter

    def __call__(self, t, mu):
        return -self.toll * mu[:, None]


GAMES = {
    "actions first": (
        lambda: game(np.full((3, 2, 2), 0.5), np.zeros((2, 3))),
        "`kernel` has shape (3, 2, 2), with actions before states; it must be (states, actions, next states): "
        "`numpy.moveaxis(kernel, 0, 1)`.",
    ),
    "a matrix": (
        lambda: game(np.eye(2)),
        "`kernel` must have shape [S, A, S'] or [H, S, A, S'] (states, actions, next states; or times first); "
        "got (2, 2).",
    ),
    "columns that sum to 1": (
        lambda: game([[[0.9, 0.2], [0.5, 0.5]], [[0.1, 0.8], [0.0, 1.0]]]),
        "`kernel[0, 0]` sums to 1.1, but probabilities must sum to 1.",
    ),
    "a function with wrong rows": (
        lambda: game(lambda t, mu: 0.8 * jnp.asarray(HALF)),
        "`kernel[0, 0]` at t = 0 sums to 0.8, but probabilities must sum to 1.",
    ),
    "a kernel for each decision": (
        lambda: game(np.full((4, 2, 2, 2), 0.5)),
        "`kernel` has 4 times, but with horizon = 3 there are 3 moves: give it 3 times, or one for all.",
    ),
    "a kernel that does not see z": (
        lambda: rest(lambda: HALF, available=np.ones((2, 2), bool)),
        "`kernel` must be a function of (z), with z the mean field, but it takes no arguments.",
    ),
    "a reward over moves": (
        paid(np.zeros((3, 2, 2))),
        "`reward` has shape (3, 2, 2), that is 3 times, but with horizon = 3 it needs 4 times, from 0 to 3.",
    ),
    "a reward of states": (paid([1.0, 0.0]), "got (2,): if it does not depend on the action, append `[:, None]`."),
    "a function of states": (
        paid(lambda t, mu: -mu),
        "got (2,): if it does not depend on the action, append `[:, None]`.",
    ),
    "a reward that is a list": (
        paid(lambda t, mu: [0.0, -mu[1]]),
        "`reward` must return an array (states, actions or 1, at one time); got a list of 2: write "
        "`jax.numpy.array(...)` around it.",
    ),
    "a reward that is a number": (
        paid(lambda t, mu: mu[0]),
        "`reward` must have shape (2, 2) or (2, 1) (states, actions or 1, at one time); got ().",
    ),
    "no return": (paid(lambda t, mu: None), "got None, as from a function without `return`."),
    "a reward of z alone": (
        paid(lambda mu: -mu[:, None]),
        "`reward` must be a function of (t, mean_field), but its arguments are (mu).",
    ),
    "a reward of one state and action": (
        paid(lambda s, a, mu: -mu[s]),
        "`reward` must be a function of (t, mean_field), but its arguments are (s, a, mu): further arguments are "
        "given by `params={...}`.",
    ),
    "a time in a stationary game": (
        lambda: rest(reward=lambda t, z: z[:, None]),
        "`reward` must be a function of (z), with z the mean field, but its arguments are (t, z)",
    ),
    "if": (
        paid(lambda t, mu: ZERO if mu[0] > 0.5 else ZERO + 1),
        "`reward` needs the value of an array, but JAX compiles it once for all values, so t, mean_field and all "
        "that is computed from them have only shapes: use `jax.numpy.where` in place of `if`",
    ),
    "and": (
        paid(lambda t, mu: jnp.where((mu > 0.2) and (mu < 0.8), 1.0, 0.0)[:, None]),
        "combine conditions by `&` and `|`, and use `jax.numpy.where` in place of `if`.",
    ),
    "NumPy": (
        paid(lambda t, mu: np.log(mu)[:, None]),
        "`reward` passes an argument to NumPy or to `range`, or uses it as an index of a list or a NumPy array, but "
        "JAX compiles it once for all values, so t, mean_field have only shapes: use the functions and arrays of "
        "`jax.numpy`.",
    ),
    "math": (paid(lambda t, mu: jnp.full((2, 2), math.exp(mu[0]))), "`reward` needs the value of an array"),
    "a list over time": (
        paid(lambda t, mu: [ZERO, ZERO, ZERO, ZERO][t]),
        "uses it as an index of a list or a NumPy array",
    ),
    "in place": (
        paid(in_place(jnp)),
        "JAX arrays are immutable and do not support in-place item assignment. Instead of x[idx] = y, use x = "
        "x.at[idx].set(y)",
    ),
    "in place in NumPy": (paid(in_place(np)), "`x.at[i].set(y)` in place of `x[i] = y`, and no `float()`."),
    "past the end of a table": (
        paid(lambda t, mu: jnp.zeros((3, 2, 2))[t]),
        "past its end at t = 3: index 3 of an axis of length 3; if the last entry is meant, write",
    ),
    "a horizon that is a float": (
        lambda: game(horizon=3.0),
        "`horizon` must be a whole number of at least 1; got 3.0.",
    ),
    "initial and horizon swapped": (
        lambda: game(initial=3, horizon=START),
        "(kernel, reward, initial, horizon), in this order; `initial` is 3, `horizon` is [0.5, 0.5].",
    ),
    "kernel and reward swapped": (
        lambda: game(ZERO, SWAP),
        "`FiniteHorizonGame` takes (kernel, reward, initial, horizon), in this order; `reward` is a MovesKernel.",
    ),
    "a discount of 1 for ever": (lambda: rest(discount=1.0), "`discount` is 1.0, but it must lie in (0, 1)."),
    "a state in place of a law": (lambda: game(initial=0), "`initial` must have shape [S] (states); got ()."),
    "a law of 1.1": (lambda: game(initial=[0.5, 0.6]), "`initial` sums to 1.1, but probabilities must sum to 1."),
    "a word for a law": (lambda: game(initial="uniform"), "`initial` must hold real numbers; got 'uniform'."),
    "rows of two lengths": (
        lambda: game(reward=[[0.0, 1.0], [0.0]]),
        "`reward` must hold real numbers (in a rectangular array); got [[0.0, 1.0], [0.0]].",
    ),
    "an unknown label": (
        lambda: game(initial={"home": 0.8, "baar": 0.2}, state_labels=["home", "bar"]),
        "`initial` has an entry for 'baar', but there is no such state (did you mean 'bar'?): they are 'home', 'bar'.",
    ),
    "no action": (
        lambda: game(available=[[False, False], [True, True]]),
        "`available[0]` is all False, but every state needs an action.",
    ),
    "whole numbers for a mask": (
        lambda: game(available=[[0, 1], [1, 1]]),
        "`available` must hold booleans; got [[0, 1], [1, 1]] of dtype int64.",
    ),
    "functions alone": (
        lambda: rest(lambda z: HALF, lambda z: z[:, None]),
        "`state_labels` and `action_labels`, or `available` (booleans [S, A]), must be given: the numbers of states "
        "and actions cannot be inferred from functions.",
    ),
    "params: a misspelt argument": (
        paid(lambda t, mu, crowdng: -crowdng * mu[:, None], params={"crowding": 2.0}),
        "`reward` has the argument 'crowdng', which `params` does not have; did you mean 'crowding'?",
    ),
    "params: nobody takes it": (
        paid(lambda t, mu: -mu[:, None], params={"fun": 1.0}),
        "`params` has 'fun', which is no argument of `reward`: add it, `def reward(t, mean_field, fun)`, "
        "or remove it from `params`.",
    ),
    "params: no function": (
        lambda: game(params={"fun": 1.0}),
        "`params` has 'fun', but neither `kernel` nor `reward` is a function to take it.",
    ),
    "params: not given": (
        paid(lambda t, mu, fun: fun - mu[:, None]),
        "`reward` must be a function of (t, mean_field), but its arguments are (t, mu, fun): further arguments are "
        "given by `params={...}`.",
    ),
    "params: as one argument": (
        paid(lambda t, mu, params: params["fun"] - mu[:, None], params={"fun": 1.0}),
        "`reward` has the argument 'params', which `params` does not have: write one argument for each parameter, "
        "`(t, mean_field, fun)`.",
    ),
    "params: first": (
        paid(lambda fun, t, mu: fun - mu[:, None], params={"fun": 1.0}),
        "`reward` must be a function of (t, mean_field, fun), parameters last, but its arguments are (fun, t, mu).",
    ),
    "params: a list": (
        paid(lambda t, mu, fun: fun - mu[:, None], params=[1.0]),
        "`params` must map names to numbers or arrays, as {'toll': 1.0}; got [1.0].",
    ),
    "params: a word": (
        paid(lambda t, mu, fun: fun - mu[:, None], params={"fun": "high"}),
        "`params['fun']` must hold real numbers; got 'high'.",
    ),
    "params: time": (
        paid(lambda t, mu: -mu[:, None], params={"t": 1.0}),
        "`params` has 't', but a function gets an argument of this name from the game: choose another name.",
    ),
}

CALLS = {
    "β = 0": (lambda: mfg.EntropyRegularized(0), "`beta` is 0.0, but it must lie in (0, inf)."),
    "β < 0": (lambda: mfg.Boltzmann(-1.0), "`beta` is -1.0, but it must lie in (0, inf)."),
    "several β": (lambda: mfg.EntropyRegularized([1, 2]), "`beta` must be one number; got an array of shape (2,)."),
    "a reference that is no policy": (
        lambda: mfg.EntropyRegularized(1.0, np.ones((2, 2))),
        "`reference[0]` sums to 2, but probabilities must sum to 1.",
    ),
    "a law for a reference": (
        lambda: mfg.EntropyRegularized(1.0, START),
        "`reference` must have shape [S, A] or [T, S, A] (states, actions; or times first); got (2,).",
    ),
    "a number for a response": (
        lambda: mfg.solve(game(), 3.0),
        "`response` must be a response such as `EntropyRegularized(beta)`; got 3.0.",
    ),
    "a class for a response": (
        lambda: mfg.solve(game(), mfg.EntropyRegularized),
        "`response` must be a response such as `EntropyRegularized(beta)`; got the class EntropyRegularized.",
    ),
    "a policy for a response": (
        lambda: mfg.certify(game(), POLICY),
        "`response` must be a response such as `EntropyRegularized(beta)`; got array(",
    ),
    "response and game swapped": (
        lambda: mfg.solve(SOFT, game()),
        "`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got EntropyRegularized. The game comes first.",
    ),
    "the name of a game": (
        lambda: mfg.solve("ring_crowd", SOFT),
        "`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got 'ring_crowd': write `games.ring_crowd()`.",
    ),
    "a game that is not called": (
        lambda: mfg.solve(mfg.games.ring_crowd, SOFT),
        "got the function ring_crowd: call it, `ring_crowd(...)`.",
    ),
    "a class for a solver": (
        lambda: mfg.solve(game(), SOFT, mfg.Picard),
        "`solver` must be a solver such as `Auto()`; got the class Picard.",
    ),
    "an equilibrium for a policy": (
        lambda: mfg.exploitability(game(), equilibrium()),
        "Did you mean its `.policy`?",
    ),
    "a flow for a policy": (
        lambda: mfg.exploitability(game(), FLOW),
        "`policy` must have shape (2, 2) or (4, 2, 2) (states, actions; or times first); got (4, 2).",
    ),
    "a policy for a guess": (
        lambda: mfg.solve(game(), SOFT, guess=POLICY),
        "`guess` must have shape (4, 2) (times, states); got (4, 2, 2).",
    ),
    "response before mean field": (
        lambda: mfg.respond(game(), SOFT, FLOW),
        "`response` must be a response such as `EntropyRegularized(beta)` in `respond(game, mean_field, response)`",
    ),
    "a seed for a key": (
        lambda: mfg.finite.simulate(game(), POLICY, 10, 2, key=0),
        "`key` must be a random key such as `jax.random.key(0)`: simulations are random; got 0.",
    ),
    "the gradient of what jumps": (
        lambda: jax.grad(lambda r: mfg.solve(game(reward=r), mfg.Greedy(), throw=False).mean_field[-1, 0])(ZERO),
        "An equilibrium of the `Greedy` response has no derivative: its policy jumps where two actions are "
        "equally good.",
    ),
    "single precision": (
        in_single_precision(lambda: mfg.solve(game(), SOFT, mfg.Picard(atol=1e-10))),
        "`atol` is 1.0e-10, which float32 cannot reach: rounding errors of the residual are about 9.5e-07. Use a "
        "larger `atol`, or "
        'make the game in double precision, after `jax.config.update("jax_enable_x64", True)`.',
    ),
    "a wrong parameter of a ready-made game": (
        lambda: mfg.games.ring_crowd(num_states=2.5),
        "`num_states` must be a whole number of at least 3; got 2.5.",
    ),
    "a misspelt parameter of a path": (
        lambda: mfg.branch(game(), SOFT, "betta", start=1, stop=2),
        "There is no parameter 'betta' in game, response or solver; did you mean 'beta'?",
    ),
    "a misspelt design": (
        lambda: mfg.design.tune(game(), {"reward.tabel": None}, mfg.design.TargetLaw([1, 0]), response=SOFT),
        "There is no parameter 'reward.tabel' in game, response or solver; did you mean 'reward.table'?",
    ),
    "a folder that is not there": (
        lambda: mfg.io.load_game("not/there.nc"),
        "`path` is not/there.nc, but there is no such file.",
    ),
    "a function in a file": (
        lambda: mfg.io.save_game("game.nc", game(reward=lambda t, mu: -mu[:, None])),
        "`game.reward` is a function, but a file holds tables only",
    ),
    "a misspelt axis": (
        swept(betta=[1.0]),
        "There is no parameter 'betta' in game, response or solver; did you mean 'beta'?",
    ),
    "one value for an axis": (
        swept(beta=1.0),
        "`beta` must be a list of values, or a mapping from labels to values; got 1.0.",
    ),
    "a negative value of an axis": (swept(beta=[1.0, -1.0]), "`beta[1]` is -1.0, but it must lie in (0, inf)."),
    "words for an axis": (swept(beta=["1", "2"]), "`beta[0]` must be a real number; got '1'."),
    "nothing to sweep": (swept(), "`sweep` needs something to sweep, such as `beta=[0.5, 1.0, 2.0]`."),
    "a horizon to sweep": (
        swept(beta=[1.0], horizon=[3, 4]),
        "`horizon` changes the shape of a game: give `sweep` a function `(horizon) -> game` that builds each game.",
    ),
    "a field without its place": (
        swept(game(reward=Toll(2.0)), beta=[1.0], toll=[1.0]),
        "There is no parameter 'toll' in game, response or solver; did you mean 'reward.toll'?",
    ),
    "a field that is a whole number": (
        swept(game(reward=Toll()), beta=[1.0], **{"reward.toll": [1.0]}),
        "A number that a function uses is a parameter only if it is in `params` of the game, or a floating-point "
        "field (2.0",
    ),
    "a number of a closure": (
        swept(game(reward=lambda t, mu: -mu[:, None]), beta=[1.0], toll=[1.0]),
        "A number that a function uses is a parameter only if it is in `params` of the game, or a floating-point "
        "field (2.0",
    ),
    "a misspelt parameter": (
        swept(game(reward=lambda t, mu, toll: -toll * mu[:, None], params={"toll": 1}), SOFT, tol=[1.0]),
        "There is no parameter 'tol' in game, response or solver; did you mean 'toll'?",
    ),
    "a misspelt parameter of a builder": (
        swept(mfg.games.ring_crowd, beta=[1.0], congestoin=[1.0]),
        "no such argument of the function that builds the game; did you mean 'congestion'?",
    ),
    "a parameter that a builder needs": (
        swept(lambda toll: game(), beta=[1.0]),
        "`game` is a function that needs `toll`: sweep it, `toll=[...]`, or give it a default.",
    ),
    "the name of a game to sweep": (
        swept("ring_crowd", beta=[1.0]),
        "`game` must be a game or a function that returns one; got 'ring_crowd': write `games.ring_crowd()`.",
    ),
    "one output": (
        swept(beta=[1.0], outputs="mean_field"),
        "`outputs` must be a list of names; got 'mean_field': write `outputs=['mean_field']`.",
    ),
    "a misspelt output": (
        swept(beta=[1.0], outputs=["meanfield"]),
        "`outputs` has 'meanfield'; did you mean 'mean_field'?",
    ),
    "a folder with something else": (
        swept(beta=[1.0], out="tests"),
        "`out` is tests, which exists, but is not a sweep that this version of mfgjax can resume: give another folder.",
    ),
}


@pytest.mark.parametrize(("typed", "sentence"), (GAMES | CALLS).values(), ids=list(GAMES | CALLS))
def test_a_mistake_ends_in_one_sentence(typed, sentence):
    with pytest.raises(ValueError) as caught:
        typed()
    message = str(caught.value)
    assert sentence in message
    assert "\n" not in message and len(message) < 330 and message[-1] in ".?"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (lambda: mfg.solv, "module 'mfgjax' has no attribute 'solv'; did you mean 'solve'?"),
        (lambda: mfg.entropyregularized, "did you mean 'EntropyRegularized'?"),
        (lambda: mfg.games.ring_crwd, "module 'mfgjax.games' has no attribute 'ring_crwd'; did you mean 'ring_crowd'?"),
        (lambda: mfg.design.tun, "did you mean 'tune'?"),
        (lambda: mfg.io.save_equilibrum, "did you mean 'save_equilibrium'?"),
        (lambda: mfg.plot.plot_flw, "did you mean 'plot_flow'?"),
        (lambda: mfg.finite.zzz, "module 'mfgjax.finite' has no attribute 'zzz'."),
    ],
)
def test_a_misspelt_name_suggests_the_nearest(typed, sentence):
    with pytest.raises(AttributeError) as caught:
        typed()
    assert str(caught.value).endswith(sentence)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            lambda: mfg.games.ring_crowd(num_state=3),
            "ring_crowd() has no argument 'num_state'; did you mean 'num_states'?",
        ),
        (lambda: mfg.games.left_right(sides=2), "left_right() has no argument 'sides'; it has none."),
        (lambda: mfg.solve(game(), SOFT, max_step=3), "solve() has no argument 'max_step'; did you mean 'max_steps'?"),
        (
            lambda: game(discoutn=1.0),
            "FiniteHorizonGame.__init__() has no argument 'discoutn'; did you mean 'discount'?",
        ),
    ],
)
def test_a_misspelt_argument_suggests_the_nearest(typed, sentence):
    with pytest.raises(TypeError) as caught:
        typed()
    assert str(caught.value) == sentence


def test_single_precision_is_named_where_it_is_not_enough():
    with jax.enable_x64(False):
        for code in (mfg.RESULTS.precision, mfg.RESULTS.ill_conditioned):
            assert 'after `jax.config.update("jax_enable_x64", True)`.' in mfg.results.Result(code).message
    assert "jax.config" not in mfg.results.Result(mfg.RESULTS.precision).message  # it is on already


def test_labels_tell_how_many_states_and_actions_there_are():
    made = rest(lambda z: HALF, lambda z: z[:, None], state_labels=["home", "bar"], action_labels=["stay", "go"])
    assert (made.num_states, made.num_actions) == (2, 2)
    joint = game(lambda t, m: HALF, lambda t, m: -m, observes="state_actions", action_labels=["stay", "go"])
    assert joint.seen_shape == (2, 2)


def test_a_law_may_be_given_by_labels():
    made = game(initial={"bar": 0.2, "home": 0.8}, state_labels=["home", "bar"])
    assert made.initial.tolist() == [0.8, 0.2]
    assert game(initial={"bar": 1}, state_labels=["home", "bar"]).initial.tolist() == [0.0, 1.0]


def test_whole_numbers_do():
    made = game([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], [[0, 1], [1, 0]], [1, 0])
    assert made.reward.table.tolist() == [[[0.0, 1.0], [1.0, 0.0]]]


def test_what_is_printed_shows_numbers():
    assert repr(mfg.EntropyRegularized(3.0)) == "EntropyRegularized(beta=3.0, reference uniform)"
    assert repr(mfg.Boltzmann(2.0, HALF[0])) == "Boltzmann(beta=2.0, prior of shape (2, 2))"
    assert repr(mfg.Picard(0.5)) == "Picard(damping=0.5, averaging=None, atol=None)"
    run = mfg.learners.Run(np.array([[[0.5, 0.5], [0.25, 0.75]]]), POLICY[:1], None, 1, 0)
    assert repr(run) == "Run(1 seeds, 1 steps; mean state at the end: 0.750)"
    there, back = np.array([[1.0, 0.0], [np.nan, np.nan]]), np.array([[0.5, 0.5], [0.0, 1.0]])
    path = mfg.results.Hysteresis("cost", np.array([1.0, 2.0]), there, back, False, np.zeros((2, 2)))
    assert "cost from 1 to 2 and back, 2 values, 1 solves failed" in repr(path)
    assert "by up to 0.5 in total variation" in repr(path)
