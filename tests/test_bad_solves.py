"""Responses, solvers and guesses with a fault are refused in one sentence that names it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faults import (
    ABOVE_ONE,
    FLOW,
    INITIAL,
    MASK,
    NEGATIVE,
    NONE,
    REFERENCE,
    REWARD,
    A,
    H,
    S,
    assert_refused,
    game,
    inf,
    nan,
    over_time,
    put,
    traced,
    under,
    whole,
)

import mfgjax as mfg
from mfgjax import (
    RESULTS,
    Anderson,
    Auto,
    Boltzmann,
    Continuation,
    EntropyRegularized,
    Greedy,
    MirrorDescent,
    Newton,
    Picard,
    solve,
)

UNIFORM = np.full((S, A), 0.5)


def started(guess, observes="states"):
    return lambda: solve(game(observes=observes), EntropyRegularized(1.0), guess=guess)


RESPONSES = {
    **under("beta", [NONE, ("zero", 0.0, "0.0"), NEGATIVE], EntropyRegularized),
    **{f"Boltzmann {key}": case for key, case in under("beta", [NONE, NEGATIVE], Boltzmann).items()},
    "beta-traced": (traced(EntropyRegularized, (2,)), "`beta`", "(2,)"),
    "beta-traced complex": (lambda: jax.eval_shape(Boltzmann, jnp.ones((), complex)), "`beta`", "complex"),
    "beta-changed": (
        lambda: solve(game(), EntropyRegularized(1.0).with_beta(jnp.array(-1.0))),
        "`beta`",
        "-1.0",
    ),
    "tie-other": (lambda: Greedy("first"), "`tie`", "'first'"),
    "tie-none": (lambda: Greedy(None), "`tie`", "None"),
    "tie-number": (lambda: Greedy(0), "`tie`", "0"),
    "tie-list": (lambda: Greedy(["smallest"]), "`tie`", "['smallest']"),
    "response-class": (lambda: solve(game(), Greedy), "`response`", "Greedy"),
    "response-number": (lambda: solve(game(), 2.0), "`response`", "2.0"),
    "response-none": (lambda: solve(game(), None), "`response`", "None"),
}
for kind, build in (("reference", EntropyRegularized), ("prior", Boltzmann)):
    log = f"log_{kind}"

    def given_table(table, build=build):
        return build(1.0, table)

    def given_log(table, build=build, log=log):
        return build(1.0, **{log: table})

    def played(table, build=build, **options):
        return solve(game(available=MASK), build(1.0, table), **options)

    RESPONSES |= {
        f"{kind}-{fault}": (lambda make=make, table=table: make(table), *needles)
        for fault, make, table, *needles in [
            ("nan", given_table, put(REFERENCE, (2, 1), nan), f"`{kind}[2, 1]`", "nan"),
            ("inf", given_table, put(REFERENCE, (2, 1), inf), f"`{kind}[2, 1]`", "inf"),
            ("negative", given_table, put(REFERENCE, 2, [-0.5, 1.5]), f"`{kind}[2, 0]`", "-0.5"),
            ("sum", given_table, put(REFERENCE, (2, 1), 0.5), f"`{kind}[2]`", "0.75"),
            ("sum at a time", given_table, put(over_time(UNIFORM, 2), (1, 2), 1.0), f"`{kind}[1, 2]`", "2"),
            ("list", given_table, [0.5, 0.5], f"`{kind}`", "(2,)"),
            ("string", given_table, "uniform", f"`{kind}`", "'uniform'"),
            ("bool", given_table, MASK, f"`{kind}`", "bool"),
            ("complex", given_table, REFERENCE * 1j, f"`{kind}`", "complex"),
            ("ragged", given_table, [[1.0], [0.5, 0.5]], f"`{kind}`", "[[1.0], [0.5, 0.5]]"),
            ("dict", given_table, {}, f"`{kind}`", "{}"),
            ("log nan", given_log, put(REFERENCE, (0, 1), nan), f"`{log}[0, 1]`", "nan"),
            ("log inf", given_log, put(REFERENCE, (0, 1), inf), f"`{log}[0, 1]`", "inf"),
            ("log row", given_log, put(REFERENCE, 1, -inf), f"`{log}[1]`", "-inf"),
            ("log list", given_log, [0.0, 0.0], f"`{log}`", "(2,)"),
            ("log string", given_log, "uniform", f"`{log}`", "'uniform'"),
            ("other states", played, np.full((4, A), 0.5), f"`{kind}`", "(4, 2)"),
            ("other actions", played, np.full((S, 4), 0.25), f"`{kind}`", "(3, 4)"),
            ("times", played, over_time(REFERENCE, H), f"`{kind}`", "(4, 3, 2)"),
            ("zero, available", played, put(REFERENCE, 2, [0, 1]), f"`{kind}`", "is 0", "(0, 2, 0)"),
            ("positive, unavailable", played, UNIFORM, f"`{kind}`", "is 0.5", "(0, 1, 1)"),
            (
                "zero at a time",
                played,
                put(over_time(REFERENCE, H + 1), (3, 0), [1, 0]),
                f"`{kind}`",
                "is 0",
                "(3, 0, 1)",
            ),
        ]
    }
    RESPONSES[f"{kind}-twice"] = (
        lambda build=build, log=log: build(1.0, UNIFORM, **{log: np.log(UNIFORM)}),
        f"`{kind}`",
        f"`{log}`",
    )
    RESPONSES[f"{kind}-traced"] = (traced(lambda table, make=played: make(table), (S, 3)), f"`{kind}`", "(3, 3)")
SOLVERS = {
    "game-none": (lambda: solve(None, Greedy()), "`game`", "None"),
    "solver-string": (lambda: solve(game(), Greedy(), "picard"), "`solver`", "'picard'"),
    "solver-class": (lambda: solve(game(), Greedy(), Picard), "`solver`", "Picard"),
    "throw-string": (lambda: solve(game(), Greedy(), throw="no"), "`throw`", "'no'"),
    "throw-none": (lambda: solve(game(), Greedy(), throw=None), "`throw`", "None"),
    **whole("max_steps", lambda value: solve(game(), Greedy(), max_steps=value)),
    "guess-nan": (started(put(FLOW, (3, 1), nan)), "`guess[3, 1]`", "nan"),
    "guess-inf": (started(put(FLOW, (3, 1), inf)), "`guess[3, 1]`", "inf"),
    "guess-negative": (started(put(FLOW, 2, [-0.5, 1, 0.5])), "`guess[2, 0]`", "-0.5"),
    "guess-sum": (started(put(FLOW, (2, 0), 0.25)), "`guess[2]`", "0.75"),
    "guess-one time": (started(INITIAL), "`guess`", "(3,)"),
    "guess-times": (started(FLOW[:-1]), "`guess`", "(4, 3)"),
    "guess-states": (started(np.full((H + 1, 4), 0.25)), "`guess`", "(5, 4)"),
    "guess-joint": (started(np.full((H + 1, S, A), 1 / 6)), "`guess`", "(5, 3, 2)"),
    "guess-not joint": (started(FLOW, "state_actions"), "`guess`", "(5, 3)"),
    "guess-joint sum": (
        started(put(np.full((H + 1, S, A), 1 / 6), (1, 0), 0), "state_actions"),
        "`guess[1]`",
        "0.6666",
    ),
    "guess-string": (started("uniform"), "`guess`", "'uniform'"),
    "guess-dict": (started({}), "`guess`", "{}"),
    "guess-bool": (started(FLOW > 0), "`guess`", "bool"),
    "guess-complex": (started(FLOW + 0j), "`guess`", "complex"),
    "guess-ragged": (started([[0.5, 0.5], [1]]), "`guess`", "[[0.5, 0.5], [1]]"),
    "guess-traced": (
        traced(lambda flow: started(flow)(), (H, S)),
        "`guess`",
        "(4, 3)",
    ),
    **under("damping", [NONE, ("zero", 0, "0.0"), NEGATIVE, ABOVE_ONE], Picard),
    "damping-averaging": (lambda: Picard(0.5, "uniform"), "`damping`", "0.5", "'uniform'"),
    "averaging-other": (lambda: Picard(averaging="mean"), "`averaging`", "'mean'"),
    "averaging-bool": (lambda: Picard(averaging=True), "`averaging`", "True"),
    "averaging-number": (lambda: Picard(averaging=0), "`averaging`", "0"),
    "averaging-array": (lambda: Picard(averaging=np.zeros(2)), "`averaging`", "array"),
    **whole("memory", Anderson),
    **under("mixing", [NONE, ("zero", 0, "0.0"), NEGATIVE, ABOVE_ONE], lambda value: Anderson(mixing=value)),
    **under("learning_rate", [NONE, ("zero", 0, "0.0"), NEGATIVE], MirrorDescent),
    "learning_rate-signature": (lambda: MirrorDescent(lambda: 0.5), "`learning_rate`", "(step)", "no arguments"),
    "learning_rate-shape": (lambda: MirrorDescent(lambda k: jnp.ones(2)), "`learning_rate`", "(2,)"),
    "learning_rate-returns": (lambda: MirrorDescent(lambda k: "fast"), "`learning_rate`", "'fast'"),
    "learning_rate-if": (lambda: MirrorDescent(lambda k: 1.0 if k < 9 else 0.1), "`learning_rate`", "where"),
    **whole("prior_steps", lambda value: MirrorDescent(prior_steps=value)),
    **under("prior_beta", [NONE, ("zero", 0, "0.0"), NEGATIVE], lambda value: MirrorDescent(prior_beta=value)),
    **under("start", [("zero", 0, "0.0"), NEGATIVE], lambda value: Continuation(start=value)),
    **under("largest_step", [NONE, ("zero", 0, "0.0"), NEGATIVE], lambda value: Continuation(largest_step=value)),
    "largest_step-traced": (
        traced(lambda x: Continuation(largest_step=x), ()),
        "`largest_step`",
        "traced",
    ),
    "through_folds-number": (lambda: Continuation(1), "`through_folds`", "1"),
    "through_folds-string": (lambda: Continuation("yes"), "`through_folds`", "'yes'"),
    "through_folds-none": (lambda: Continuation(None), "`through_folds`", "None"),
    **{
        f"{solver.__name__} {key}": case
        for solver in (Picard, Anderson, MirrorDescent, Newton, Continuation, Auto)
        for key, case in under("atol", [NEGATIVE], lambda value, solver=solver: solver(atol=value)).items()
    },
    "atol-traced": (traced(lambda x: Auto(atol=x), ()), "`atol`", "traced"),
    "atol-unreachable": (lambda: solve(game(), Greedy(), Auto(atol=1e-30)), "`atol`", "1.0e-30"),
    "Anderson-greedy": (lambda: solve(game(), Greedy(), Anderson()), "`solver=Anderson(...)`", "`Greedy`"),
    "Newton-greedy": (lambda: solve(game(), Greedy(), Newton()), "`solver=Newton(...)`", "`Greedy`"),
    "MirrorDescent-boltzmann": (
        lambda: solve(game(), Boltzmann(1.0), MirrorDescent()),
        "`solver=MirrorDescent(...)`",
        "`Boltzmann`",
    ),
    "prior_steps-smooth": (
        lambda: solve(game(), EntropyRegularized(1.0), MirrorDescent(prior_steps=5)),
        "`prior_steps=5`",
        "`Greedy`",
    ),
}


@pytest.mark.parametrize("fault", RESPONSES)
def test_a_faulty_response_is_refused_in_one_sentence_with_field_place_and_value(fault):
    assert_refused(RESPONSES[fault])


@pytest.mark.parametrize("fault", SOLVERS)
def test_a_faulty_solver_or_guess_is_refused_in_one_sentence_with_field_place_and_value(fault):
    assert_refused(SOLVERS[fault])


def test_values_unknown_while_traced_end_as_a_result_code():
    @jax.jit
    def code(reward):
        return solve(game(reward=reward), EntropyRegularized(1.0), Picard(), max_steps=3).result.code

    assert code(jnp.asarray(REWARD)) == RESULTS.converged
    assert code(jnp.full((S, A), jnp.nan)) != RESULTS.converged


SOFT = mfg.EntropyRegularized(1.0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda game, flow, rho: mfg.respond(game, SOFT, flow), "`response` must be a response .* in `respond"),
        (
            lambda game, flow, rho: mfg.respond(game, SOFT, SOFT),
            r"the order is `respond\(game, mean_field, response\)`",
        ),
        (
            lambda game, flow, rho: mfg.respond(game, flow[:2], SOFT),
            r"`mean_field` must have shape \(6, 5\) \(times, st",
        ),
        (lambda game, flow, rho: mfg.propagate(game, SOFT), r"`policy` is a response.*`propagate\(game, policy\)`"),
        (lambda game, flow, rho: mfg.propagate(game, rho[:, :2]), r"`policy` must have shape \(5, 3\) or \(6, 5, 3\)"),
        (lambda game, flow, rho: mfg.policy_value(game, flow, rho), "`policy` must have shape"),
        (lambda game, flow, rho: mfg.exploitability(game, SOFT), "`policy` is a response"),
    ],
)
def test_operators_say_what_is_in_the_wrong_place(call, sentence):
    example = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(example)
    with pytest.raises(ValueError, match=sentence):
        call(example, mfg.propagate(example, rho), rho)


def test_a_policy_without_times_holds_at_all():
    example = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(example)
    always = jnp.broadcast_to(rho, (example.horizon + 1, *rho.shape))
    flow = mfg.propagate(example, rho)
    assert (flow == mfg.propagate(example, always)).all()
    assert mfg.exploitability(example, rho) == mfg.exploitability(example, always)
    assert mfg.policy_value(example, rho, flow) == mfg.policy_value(example, always, flow)
