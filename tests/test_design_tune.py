"""Tuning: gradients equal differences, targets are reached, the best is kept, and failures are told.

The example of Guan et al. at β = 3, where 67% of the crowd end at node 3 and 33% at node 4, is steered to half each.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import A, S, T, assert_close, random_game, random_policy

import mfgjax as mfg
from mfgjax.design import (
    Cost,
    Entropy,
    Inequality,
    Occupancy,
    ReferenceChange,
    TargetFlow,
    TargetLaw,
    Variable,
    trade_off,
    tune,
)
from mfgjax.design.minimax import balanced, smallest_gradient
from mfgjax.design.space import design_space, equilibria, first_fields, judge, single

GAME = mfg.games.resource_allocation()
RHO = mfg.games.resource_allocation_reference(GAME)
HALF = TargetLaw({"3": 0.5, "4": 0.5})
RESPONSE = mfg.EntropyRegularized(3.0, RHO)


def tv(law, target):
    return np.abs(np.asarray(law) - target).sum() / 2


def same(first, second):
    """Compare histories, in which designs that were not accepted are NaN."""
    assert (np.isnan(first) == np.isnan(second)).all()
    assert_close(first[~np.isnan(first)], second[~np.isnan(second)], rtol=1e-6)


# --- gradients --------------------------------------------------------------------------------------------


def objective(game, response, equilibrium):
    weights = jnp.cos(jnp.arange(T * S)).reshape(T, S)
    return (weights * equilibrium.mean_field**2).sum() + equilibrium.values[0] @ game.initial


def radius(game, response, flow):
    matrix = jax.jit(jax.jacfwd(mfg.mean_field_map(game, response)))(flow).reshape(flow.size, flow.size)
    return np.abs(np.linalg.eigvals(matrix)).max()


@pytest.mark.parametrize(("kind", "place", "strength"), [
    ("dense over time", "reward.theta.steepness", 2.0),
    ("crowd kernel", "reward.weight", 10.0),
])  # fmt: skip
def test_gradients_in_coordinates_equal_differences_up_to_beta_30(kind, place, strength, rng):
    """Logits of a reference that changes with time on a mask, log β, logits of the initial law, and rewards."""
    game, _ = random_game(kind, rng)
    mask = np.broadcast_to(np.asarray(game.available), (T, S, A))
    names = {"reference": None, "beta": None, "initial": None, place: strength}
    plan = design_space(game, names, mfg.EntropyRegularized(1.0, random_policy(rng, mask)), mfg.Auto(atol=1e-13), None)
    value = eqx.filter_jit(lambda points, found: judge(plan, (objective,), points, found)[0, 0, 0])
    both = eqx.filter_jit(jax.value_and_grad(lambda points, found: judge(plan, (objective,), points, found)[0, 0, 0]))
    diverges = []
    for beta in (0.3, 3.0, 30.0):
        points = {name: jnp.asarray(value[:, None]) for name, value in plan.origin.items()}
        points["beta"] = jnp.full((1, 1), np.log(beta))
        points["reference"] += rng.standard_normal(points["reference"].shape)
        ways = {name: rng.standard_normal(value.shape) for name, value in points.items()}

        def moved(h, points=points, ways=ways):
            return {name: start + h * ways[name] for name, start in points.items()}

        found = equilibria(plan, points, first_fields(plan, points))
        _, slopes = both(points, found)
        slope = sum(np.vdot(ways[name], slopes[name]) for name in points)
        near = found.candidate.mean_field
        at = [float(value(moved(h), equilibria(plan, moved(h), near))) for h in (1e-3, -1e-3, 2e-3, -2e-3)]
        expected = (8 * (at[0] - at[1]) - (at[2] - at[3])) / 12e-3
        # of fourth order in 1e-3, times β; values are exact to 1e-12
        assert_close(slope, expected, rtol=1e-6, atol=1e-8)
        diverges.append(radius(*single(plan, points), near[..., 0]))
    if kind == "crowd kernel":
        assert max(diverges) > 1, "at one of these β plain iteration must diverge"


# --- what is reached --------------------------------------------------------------------------------------


def test_the_example_is_steered_to_half_and_half_with_little_change():
    found = tune(GAME, {"reference": None}, HALF + 1e-5 * ReferenceChange(RHO), response=RESPONSE)
    assert found.num_steps <= 200
    assert tv(found.equilibrium.mean_field[-1], [0, 0, 0.5, 0.5, 0]) < 1e-4
    assert found.equilibrium.converged
    assert found.parameters["reference"].shape == (1, 5, 3)  # shared over time
    assert_close(found.parameters["reference"][0] > 0, np.asarray(GAME.available)[0])
    assert found.value == np.nanmin(found.history)
    # the equilibrium is that of the reference: solved anew from scratch
    again = mfg.solve(GAME, mfg.EntropyRegularized(3.0, found.parameters["reference"][0]))
    assert tv(again.mean_field[-1], [0, 0, 0.5, 0.5, 0]) < 1e-4
    # and it changes less than one found without the penalty
    free = tune(GAME, {"reference": None}, HALF, response=RESPONSE)
    change = [
        float(ReferenceChange(RHO)(GAME, mfg.EntropyRegularized(3.0, one.parameters["reference"][0]), one.equilibrium))
        for one in (found, free)
    ]
    assert change[0] < change[1]


def test_restarts_are_the_same_searches_side_by_side():
    alone = tune(GAME, {"reference": None}, HALF, response=RESPONSE, max_steps=12)
    together = tune(GAME, {"reference": None}, HALF, response=RESPONSE, max_steps=12, restarts=3, key=jax.random.key(0))
    assert together.history.shape == (12, 3)
    # the first starts from the start; rounding grows along the way
    same(together.history[:6, 0], alone.history[:6, 0])
    assert together.value == min(together.values)
    assert together.restarts["reference"].shape == (1, 5, 3, 3)
    assert np.ptp(together.history[0]) > 1e-3
    assert "Best of 3 restarts" in str(together)


BETAS = (0.5, 1.0, 1.5)


def test_robust_designs_over_betas_trade_the_mean_for_the_worst():
    problem = mfg.games.coordination(), {"reward.L.field": 0.3}, TargetLaw({"1": 0.7})
    options = dict(response=mfg.EntropyRegularized(1.0), scenarios={"beta": BETAS})
    mean, worst = tune(*problem, **options), tune(*problem, over="worst", **options)
    assert mean.scenario_values.shape == (3,)
    assert_close(mean.value, mean.scenario_values.mean(), rtol=1e-6)
    assert max(worst.scenario_values) < max(mean.scenario_values)
    assert worst.scenario_values.mean() > mean.scenario_values.mean()
    assert_close(worst.value, max(worst.scenario_values), rtol=1e-6)
    assert worst.value == np.nanmin(worst.history)


def law_of_state_1(beta, field):
    """x = σ(β (2x − 1 + field)), the greatest one, by iteration from above."""
    x = 1.0
    for _ in range(2_000):
        x = 1 / (1 + np.exp(-beta * (2 * x - 1 + field)))
    return x


@pytest.mark.parametrize(("target", "start"), [(0.7, 0.3), (0.6, 0.0), (0.9, 3.0)])
def test_the_least_worst_is_where_two_scenarios_tie(target, start):
    """Over β the law of state 1 moves apart; the least worst of (x − target)² is at the field where both ends tie."""
    low, high = -1.0, 6.0
    for _ in range(60):  # the share rises with the field, fastest for the largest β
        field = (low + high) / 2
        gaps = [law_of_state_1(beta, field) - target for beta in BETAS]
        low, high = (field, high) if max(gaps) + min(gaps) < 0 else (low, field)
    least = max(abs(gap) for gap in gaps) ** 2
    found = tune(mfg.games.coordination(), {"reward.L.field": start}, TargetLaw({"1": target}), over="worst",
                 response=mfg.EntropyRegularized(1.0), scenarios={"beta": BETAS})  # fmt: skip
    assert_close(found.value, least, rtol=2e-5)
    assert_close(found.value, max(found.scenario_values), rtol=1e-12)
    assert "To first order no change lowers all" in found.status[0]


def test_a_worst_that_was_only_smoothed_or_cut_short_is_not_called_converged():
    given = dict(response=mfg.EntropyRegularized(1.0), scenarios={"beta": BETAS}, over="worst")
    problem = mfg.games.coordination(), {"reward.L.field": 0.3}, TargetLaw({"1": 0.7})
    cut = tune(*problem, max_steps=4, **given)
    assert cut.status == ("All steps were used up.",)
    assert cut.value == max(cut.scenario_values) == np.nanmin(cut.history)
    # a method of optax that is done with the smoothed worst, 0.2 · log 3 below the largest at most
    smoothed = tune(*problem, optax.sgd(2.0), smoothing=0.2, **given)
    assert "may not have converged" in smoothed.status[0] and (smoothed.gradient_norm < 1e-7).any()
    assert_close(smoothed.value, max(smoothed.scenario_values), rtol=1e-12)


def test_the_condition_of_first_order_is_that_of_a_hand_computation():
    """Of (1, 0) and (−1, 1) the mean of least norm is (1, 2)/5; a scenario that is not worst does not count."""
    slopes = np.array([[1.0, 0.0], [-1.0, 1.0], [0.0, -1.0]])
    assert_close(smallest_gradient(np.array([1.0, 1.0, 0.9]), slopes), 0.4, rtol=1e-9)
    assert_close(smallest_gradient(np.array([1.0, 0.9, 1.0]), slopes), 0.5, rtol=1e-9)
    # 0 = (1, 0)/3 + (−1, 1)/3 + (0, −1)/3
    assert_close(smallest_gradient(np.array([1.0, 1.0, 1.0]), slopes), 0.0, atol=1e-9)
    assert balanced(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), np.stack([slopes] * 2, axis=1), 1e-8).tolist() == [
        True,
        False,
    ]
    assert smallest_gradient(np.array([1.0, np.nan]), slopes[:2]) == np.inf


def test_games_can_be_scenarios():
    crowded = eqx.tree_at(lambda g: g.reward.L.weight, GAME, 2 * GAME.reward.L.weight)
    found = tune(GAME, {"reference": None}, HALF, response=RESPONSE, scenarios=[GAME, crowded], max_steps=5)
    first = mfg.solve(crowded, found.response)
    assert_close(found.scenario_values[1], HALF(crowded, found.response, first), rtol=1e-6)


def test_a_front_of_two_aims_falls_and_its_ends_are_the_best_of_each():
    weights = [0.0, 0.1, 0.5, 1.0]
    front = trade_off(GAME, {"reference": None}, HALF, ReferenceChange(RHO), weights, response=RESPONSE, max_steps=60)
    assert (np.diff(front.first) > 0).all()
    assert (np.diff(front.second) < 0).all()
    assert front.efficient.all()
    assert front.first[0] < 1e-6
    assert front.second[-1] < 1e-9
    assert front.parameters["reference"].shape == (1, 5, 3, 4)
    assert "weight" in str(front)


def test_a_builder_makes_any_game_of_any_parameters():
    def build(parameters):
        logs = jnp.where(GAME.available, parameters["logits"], -jnp.inf)
        return GAME, mfg.EntropyRegularized(3.0, log_reference=logs)

    start = {"logits": np.log(np.where(RHO > 0, RHO, 1.0))}
    found = tune(build, start, HALF, max_steps=12)
    named = tune(GAME, {"reference": None}, HALF, response=RESPONSE, max_steps=12)
    same(found.history[:6], named.history[:6])  # the same coordinates
    assert set(found.parameters) == {"logits"}


# --- bounds, methods -------------------------------------------------------------------------------


def test_bounds_hold_and_what_is_fixed_stays():
    last = np.arange(6)[:, None, None] == 5
    found = tune(
        GAME,
        {
            "beta": Variable(lower=1.0, upper=4.0),
            "reference": Variable(lower=0.009),
            "reward.L.weight": Variable(upper=-0.5, where=last),
        },
        lambda eq: (eq.mean_field[-1, 2] - 0.5) ** 2,
        response=RESPONSE,
        max_steps=10,
    )
    assert 1 < found.parameters["beta"] < 4
    reference, weight = found.parameters["reference"][0], found.parameters["reward.L.weight"]
    assert (reference[np.asarray(GAME.available)[0]] > 0.009).all()
    assert_close(weight[:-1], GAME.reward.L.weight[:-1])
    assert (weight[-1] < -0.5).all()
    assert np.ptp(weight[-1]) > 0
    assert_close(found.game.reward.L.weight, weight)
    assert_close(found.response.beta, found.parameters["beta"])


def test_a_method_that_climbs_does_not_lose_the_best():
    found = tune(GAME, {"beta": None}, lambda eq: (eq.mean_field[-1, 2] - 0.63) ** 2, optax.sgd(800.0),
                 response=RESPONSE, max_steps=15)  # fmt: skip
    assert (np.diff(found.history[:, 0]) > 0).any(), "this step is far too long"
    assert found.value == np.nanmin(found.history)
    assert_close((found.equilibrium.mean_field[-1, 2] - 0.63) ** 2, found.value, atol=1e-9)


def test_steps_to_designs_without_an_equilibrium_are_shortened_and_told():
    """Plain iteration diverges from some β on, where DΓ has an eigenvalue of size 1: the search gets close to it."""
    found = tune(GAME, {"beta": 1.0}, lambda eq: -eq.mean_field[-1, 2], response=RESPONSE, max_steps=40,
                 solver=mfg.Picard(atol=1e-10))  # fmt: skip
    assert found.failed.any()
    assert np.isnan(found.history[found.failed]).all()
    assert found.equilibrium.converged
    assert 0.95 < radius(GAME, found.response, found.equilibrium.mean_field) < 1
    assert "no equilibrium was found" in str(found)


def test_a_start_without_an_equilibrium_is_refused():
    with pytest.raises(mfg.ConvergenceError, match="No equilibrium was found at any start; the best residual is"):
        tune(GAME, {"beta": 50.0}, lambda eq: -eq.mean_field[-1, 2], response=RESPONSE, solver=mfg.Picard(atol=1e-10))


def test_a_search_ends_at_its_goal_by_a_callback_and_by_ctrl_c():
    found = tune(GAME, {"reference": None}, HALF, response=RESPONSE, goal=1e-3)
    assert found.value <= 1e-3
    assert found.status == ("The objective reached `goal`.",)

    def third(told):
        return told["step"] == 2

    found = tune(GAME, {"reference": None}, HALF, response=RESPONSE, callback=third)
    assert found.num_steps == 3
    assert found.status == ("The search was stopped from outside.",)

    def interrupt(told):
        if told["step"] == 4:
            raise KeyboardInterrupt

    found = tune(GAME, {"reference": None}, HALF, response=RESPONSE, callback=interrupt)
    assert found.num_steps == 5
    assert found.equilibrium.converged


# --- objectives, by loops ---------------------------------------------------------------------------------


def test_objectives_equal_their_definitions():
    eq = mfg.solve(GAME, RESPONSE)
    mu, pi, V = (np.asarray(x) for x in (eq.mean_field, eq.policy, eq.values))
    law = np.array([0.1, 0.2, 0.3, 0.2, 0.2])
    expected = {
        "law": (TargetLaw(law, 2), sum((mu[2][s] - law[s]) ** 2 for s in range(5))),
        "named": (TargetLaw({"4": 0.25}), (mu[5][3] - 0.25) ** 2),
        "flow": (TargetFlow(np.tile(law, (6, 1))), sum((mu[t][s] - law[s]) ** 2 for t in range(6) for s in range(5))),
        "inside": (Occupancy(["1", "5"]), sum(mu[t][s] for t in range(6) for s in (0, 4))),
        "outside": (Occupancy("3", outside=True), sum(mu[t][s] for t in range(6) for s in (0, 1, 3, 4))),
        "entropy": (Entropy(0), -sum(p * np.log(p) for p in (0.3, 0.2, 0.3, 0.1, 0.1))),
    }
    value = [1.5 * (s == 2) + 1.0 * (s == 3) for s in range(5)]
    pay = sum(mu[5][s] * (value[s] - mu[5][s]) ** 2 for s in range(5))  # only the last time pays
    expected["cost"] = (Cost(), -pay)
    start = [0.3, 0.2, 0.3, 0.1, 0.1]
    mean = sum(p * v for p, v in zip(start, V[0], strict=True))
    expected["inequality"] = (Inequality(), sum(p * (v - mean) ** 2 for p, v in zip(start, V[0], strict=True)))
    uniform = np.asarray(GAME.available)[0] / np.asarray(GAME.available)[0].sum(axis=1, keepdims=True)
    rho = np.asarray(RHO)
    change = sum(rho[s, a] * np.log(rho[s, a] / uniform[s, a]) for s in range(5) for a in range(3) if rho[s, a] > 0) / 5
    expected["change"] = (ReferenceChange(uniform), change)
    for name, (one, number) in expected.items():
        assert_close(one(GAME, RESPONSE, eq), number, atol=1e-12), name
    first, second = expected["inside"][0], expected["entropy"][0]
    both = 2.0 * first - second + (lambda eq: eq.mean_field[-1, 2])
    assert_close(both(GAME, RESPONSE, eq), 2 * expected["inside"][1] - expected["entropy"][1] + mu[-1, 2], atol=1e-12)
    assert pi.shape == (6, 5, 3)


def test_a_reference_changes_by_no_negative_number():
    """Of a policy and itself, up to rounding, Σ p log(p/q) may be −1e-17; of small ε it is Σ p ε²/2 to first order."""
    given = np.asarray(RHO)
    rounded = np.where(given > 0, given * (1 + np.array([1e-16, -1e-16, 1e-16])), 0)
    change, eq = ReferenceChange(rounded), mfg.solve(GAME, RESPONSE)
    assert 0 <= change(GAME, RESPONSE, eq) < 1e-30
    tilt = np.where(given > 0, given * np.exp(1e-9 * np.arange(3)), 0)
    tilt = tilt / tilt.sum(axis=1, keepdims=True)
    mean = (given * np.arange(3)).sum(axis=1, keepdims=True)
    expected = 1e-18 * (given * (np.arange(3) - mean) ** 2).sum() / 2 / len(given)  # half the variance
    assert_close(ReferenceChange(tilt)(GAME, RESPONSE, eq), expected, rtol=1e-5)  # logs have an error of 1e-16 of 1e-9


# --- bad input --------------------------------------------------------------------------------------------

BAD = [
    (dict(parameters={}), "`parameters` must map names"),
    (dict(parameters={"rho": None}), "There is no parameter 'rho'"),
    # also where the response has none yet
    (dict(parameters={"refrence": None}, response=mfg.EntropyRegularized(2.0)), "solver; did you mean 'reference'?"),
    (dict(parameters={"prio": None}, response=mfg.Boltzmann(2.0)), "solver; did you mean 'prior'?"),
    (
        dict(parameters={"zzz": None}, response=mfg.EntropyRegularized(2.0)),
        r"there are beta, discount, initial, log_reference, reference, reward\.",
    ),
    (dict(parameters={"solver.damping": None}, solver=mfg.Picard(0.5)), "the solver does not change the equilibrium"),
    (dict(parameters={"beta": Variable(3.0, upper=2.0)}), r"`parameters\['beta'\].start` is 3.0, but it must lie"),
    (dict(parameters={"beta": Variable(lower=-1.0)}), r"`parameters\['beta'\].lower` is -1.0, but it must be at least"),
    (dict(parameters={"reference": np.ones((5, 3)) / 3}), r"positive exactly on the available actions"),
    (dict(parameters={"reference": Variable(upper=0.5)}), "give `lower`"),
    (dict(parameters={"reference": Variable(lower=0.4)}), r"must lie in \[0, 0.333333\)"),
    (dict(parameters={"reward.L.weight": np.ones((5, 2))}), "does not broadcast"),
    (dict(parameters={"initial": Variable(where=[False] * 5)}), "does not broadcast"),
    (dict(response=mfg.Greedy()), "`response` must be smooth"),
    (dict(objective=3.0), "`objective` must be an objective or a function"),
    (dict(objective=lambda a, b: a), "its arguments are"),
    (dict(objective=lambda eq: eq.mean_field), "`objective` must return one real number; got shape"),
    (dict(objective=lambda eq: None), r"`objective` must return one real number; it returned None\."),
    (dict(game=mfg.games.mturk()), "`game` must be a `FiniteHorizonGame`, or a function .* got StationaryGame"),
    (
        dict(game=lambda x: mfg.games.mturk(), parameters={"x": 1.0}),
        "`game` must return a `FiniteHorizonGame`; got StationaryGame",
    ),
    (dict(objective=TargetLaw({"7": 1.0})), "has the state '7', but the states are"),
    (dict(objective=TargetLaw(np.ones(5) / 5, 9)), "`time` is 9, but the last time of the game is 5"),
    (dict(optimizer=0.1), "`optimizer` must be one of optax"),
    (dict(restarts=2), "`key` must be a random key"),
    (dict(restarts=0), "`restarts` must be at least 1"),
    (dict(max_steps=0), "`max_steps` must be at least 1"),
    (dict(over="best"), "`over` must be one of 'mean', 'worst'"),
    (dict(scenarios={"beta": [1.0, -1.0]}), r"beta"),
    (dict(scenarios={"reference": np.ones((5, 3, 2)) / 3}), r"available|both set"),
    (dict(scenarios=[GAME, mfg.games.ring_crowd(5, 5)]), r"`scenarios\[1\]` must be a game that differs from `game`"),
]


@pytest.mark.parametrize(("changed", "sentence"), BAD, ids=[sentence[:30] for _, sentence in BAD])
def test_bad_input_is_named(changed, sentence):
    given = dict(game=GAME, parameters={"reference": None}, objective=HALF, response=RESPONSE) | changed
    with pytest.raises(ValueError, match=sentence):
        tune(given.pop("game"), given.pop("parameters"), given.pop("objective"), given.pop("optimizer", None), **given)
