"""What is wrong with a stationary game, or with what is asked of one, is named with its place and value."""

import jax.numpy as jnp
import numpy as np
import pytest

import mfgjax as mfg

HALF = np.full((2, 2, 2), 0.5)
PAY = [[1.0, 0.0], [0.0, 1.0]]


def game(kernel=HALF, reward=PAY, discount=0.9, **options):
    return mfg.StationaryGame(kernel, reward, discount, **options)


class Silent:
    """A kernel or reward whose `__call__` was forgotten."""


def leaning(z):
    """Rows that sum to 1 only where half are in each state."""
    return jnp.full((2, 2, 2), 0.5) + (z[0] - 0.5)


GAMES = {
    "discount of 1": ({"discount": 1.0}, r"`discount` is 1.0, but it must lie in \(0, 1\)"),
    "discount above 1": ({"discount": 1.5}, r"`discount` is 1.5, but it must lie in \(0, 1\)"),
    "discount of 0": ({"discount": 0}, r"`discount` is 0.0, but it must lie in \(0, 1\)"),
    "discounts": ({"discount": [0.5, 0.6]}, "`discount` must be one number"),
    "rows": ({"kernel": HALF * 0.9}, r"`kernel\[0, 0\]` sums to 0.9, but probabilities must sum to 1"),
    "negative": ({"kernel": HALF + np.array([0.6, -0.6])}, r"`kernel\[0, 0, 1\]` is -0.09.*must not be negative"),
    "kernel over time": ({"kernel": HALF[None].repeat(3, 0)}, "`kernel` has 3 times; a stationary game needs one"),
    "kernel of some z": ({"kernel": leaning}, r"`kernel\[0, 0\]` with all in the first state sums to 2"),
    "kernel shape": ({"kernel": lambda z: jnp.ones((2, 2))}, r"`kernel` must have shape \(2, 2, 2\)"),
    "kernel without a call": (
        {"kernel": Silent()},
        r"`kernel` must be an array or a function; got <.*Silent object at .*>, which has no `__call__`\.",
    ),
    "reward without a call": (
        {"reward": Silent()},
        r"`reward` must be an array or a function; got <.*Silent object at .*>, which has no `__call__`\.",
    ),
    "kernel of (t, z)": ({"kernel": lambda t, z: HALF}, r"`kernel` must be a function of \(z\)"),
    "reward shape": ({"reward": np.zeros((3, 2))}, r"`reward` must have shape \(2, 2\) or \(2, 1\)"),
    "reward over time": ({"reward": np.zeros((4, 2, 2))}, r"`reward` must have shape \(2, 2\) .*; got \(4, 2, 2\)"),
    "reward over states": ({"reward": [1.0, 2.0]}, r"`reward` must have shape \(2, 2\) or \(2, 1\) .*; got \(2,\)"),
    "reward of other states than the law": (
        {"kernel": lambda z: HALF, "reward": np.zeros((3, 2)), "initial": [0.5, 0.5]},
        r"`reward` must have shape \(2, any\) .*; got \(3, 2\)",
    ),
    "initial as a dict": ({"initial": {"0": 1.0}}, r"in an array or a `pandas.Series` .* got the dict {'0': 1.0}"),
    "available as a dict": ({"available": {"0": 1}}, r"must hold booleans, in an array or a `pandas.DataFrame`"),
    "reward NaN": ({"reward": [[1.0, np.nan], [0, 0]]}, r"`reward\[0, 1\]` is nan, but it must be a finite number"),
    "reward of some z": (
        {"reward": lambda z: jnp.log(z)[:, None] * jnp.ones((2, 2))},
        r"`reward\[1, 0\]` with all in the first state is -inf",
    ),
    "initial": ({"initial": [0.5, 0.6]}, "`initial` sums to 1.1"),
    "initial shape": ({"initial": [1.0]}, r"`initial` must have shape \(2,\)"),
    "no action": (
        {"available": [[True, True], [False, False]]},
        r"`available\[1\]` is all False, but every state needs",
    ),
    "available over time": ({"available": np.ones((2, 2, 2), bool)}, r"`available` must have shape \(2, 2\)"),
    "callables alone": (
        {"kernel": lambda z: HALF, "reward": lambda z: jnp.zeros((2, 2))},
        r"`state_labels` and `action_labels`, or `available` \(booleans \[S, A\]\), must be given",
    ),
    "observes": ({"observes": "prices"}, "`observes` must be one of 'states', 'state_actions'"),
    "labels": ({"state_labels": ["a", "a"]}, r"`state_labels\[1\]` is 'a', the same as `state_labels\[0\]`"),
}


@pytest.mark.parametrize("case", GAMES)
def test_a_wrong_game_is_refused(case):
    options, sentence = GAMES[case]
    with pytest.raises(ValueError, match=sentence):
        game(**options)


MASKED = game(available=[[True, False], [True, True]])

CALLS = {
    "epsilon below 0": (lambda: mfg.Trembling(-0.1), r"`epsilon` is -0.1, but it must lie in \[0, 1\)"),
    "epsilon of 1": (lambda: mfg.EpsilonGreedy(1.0), r"`epsilon` is 1.0, but it must lie in \[0, 1\)"),
    "tie": (lambda: mfg.Trembling(0.1, "first"), "`tie` must be one of 'smallest', 'largest'"),
    "epsilon for two actions": (
        lambda: mfg.solve(game(), mfg.Trembling(0.6)),
        r"`epsilon` is 0.6, but where 2 actions are available it must lie in \[0, 1/2\]",
    ),
    "epsilon in lanes": (
        lambda: mfg.solve_batch(game(), mfg.Trembling(0.1), axes={"epsilon": [0.1, 0.7]}),
        r"`epsilon\[1\]` is 0.7, but where 2 actions",
    ),
    "discount in lanes": (
        lambda: mfg.solve_batch(game(), mfg.Trembling(0.1), axes={"discount": [0.5, 1.0]}),
        r"`discount\[1\]` is 1.0, but it must lie in \(0, 1\)",
    ),
    "guess": (
        lambda: mfg.solve(game(), mfg.Greedy(), guess=[[0.5, 0.5]]),
        r"`guess` must have shape \(2,\) \(states\)",
    ),
    "guess sum": (lambda: mfg.solve(game(), mfg.Greedy(), guess=[0.5, 0.6]), "`guess` sums to 1.1"),
    "reference": (
        lambda: mfg.solve(MASKED, mfg.EntropyRegularized(1.0, [[0.5, 0.5], [0.5, 0.5]])),
        r"`reference` is 0.5 at \(time, state, action\) = \(0, 0, 1\), an action that is not available",
    ),
    "no criterion": (
        lambda: mfg.exploitability(game(), jnp.full((2, 2), 0.5), mfg.EpsilonGreedy(0.1)),
        "EpsilonGreedy policies maximise no criterion",
    ),
    "lagged, finite horizon": (
        lambda: mfg.solve(mfg.games.left_right(), mfg.Greedy(), mfg.solvers.Lagged()),
        r"`solver=Lagged\(...\)` is for a `StationaryGame`",
    ),
    "epsilon-greedy, finite horizon": (
        lambda: mfg.solve(mfg.games.left_right(), mfg.EpsilonGreedy(0.1)),
        "`EpsilonGreedy` policies maximise no known criterion",
    ),
    "mean field, finite horizon": (
        lambda: mfg.propagate(mfg.games.left_right(), jnp.full((2, 3, 2), 0.5), jnp.ones(3) / 3),
        "`mean_field` is for stationary games",
    ),
    "trade_off": (
        lambda: mfg.design.trade_off(game(), {"discount": None}, sum, sum, [0.5]),  # pyright: ignore
        "`game` must be a `FiniteHorizonGame`, or a function from `parameters` to one; got StationaryGame",
    ),
    **{
        f"finite.{function.__name__}": (
            lambda function=function, options=options: function(game(), np.ones((2, 2)) / 2, 10, **options),
            "`game` must be a `FiniteHorizonGame`; got StationaryGame",
        )
        for function, options in [
            (mfg.finite.compare, {}),
            (mfg.finite.deviation_gain, {}),
            (mfg.finite.law, {}),
            (mfg.finite.simulate, {"num_runs": 1, "key": None}),
            (mfg.finite.smallest_population, {}),
        ]
    },
    "certify": (lambda: mfg.certify(game(), mfg.Greedy()), "`game` must be a `FiniteHorizonGame`"),  # pyright: ignore
    "restart": (lambda: mfg.kernels.RestartKernel([[1.0]], 2), r"`law` must have shape \(any,\)"),
    "mixture": (lambda: mfg.kernels.MixtureKernel([mfg.DenseKernel(HALF)], [0.5, 0.5]), "got 2 for 1"),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_wrong_call_is_refused(case):
    call, sentence = CALLS[case]
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_state_without_a_choice_does_not_tremble_and_does_not_bound_epsilon():
    policy = mfg.respond(MASKED, MASKED.initial, mfg.Trembling(0.5)).policy
    np.testing.assert_allclose(policy, [[1, 0], [0.5, 0.5]], atol=1e-15)


def test_a_kernel_that_fails_where_the_population_gets_to_is_a_result():
    """Stochastic at all laws that are tried, and not at the equilibrium."""

    def kernel(z):
        away = z[0] * z[1] * (z[0] - 0.5) * 4
        return jnp.array([[[0.9, 0.1]] * 2] * 2) + away

    found = mfg.solve(game(kernel=kernel), mfg.Trembling(0.1), throw=False)
    assert found.result.name == "not_stochastic"
