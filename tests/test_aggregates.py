"""Payoffs that see a few numbers of the population: NumPy loops, games that see the whole law, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
import stationary_oracle
from helpers import assert_close
from scipy.optimize import brentq

import mfgjax as mfg

S, A, H, M, BETA, DISCOUNT = 4, 2, 3, 2, 3.0, 0.8
SOFT = mfg.EntropyRegularized(BETA)
KINDS = ("states", "states over time", "state_actions", "state_actions over time", "curved", "curved of actions")


def drawn(kind):
    """Return weights or a function, which law it is of, and the same as a function of NumPy arrays (t, law)."""
    rng = np.random.default_rng(KINDS.index(kind))
    of = "state_actions" if "actions" in kind else "states"
    times = (H + 1,) if "over time" in kind else ()
    weights = rng.normal(size=(*times, M, *(S, A)[: 1 + (of == "state_actions")]))

    def plain(t, law):
        own = weights[t] if times else weights
        linear = np.array([(own[j] * law).sum() for j in range(M)])
        return linear**2 + linear if "curved" in kind else linear

    def curved(*time_and_law):
        linear = jnp.tensordot(jnp.asarray(weights), time_and_law[-1], axes=weights.ndim - 1)
        return linear**2 + linear

    return (curved if "curved" in kind else weights), of, plain


def tables():
    rng = np.random.default_rng(9)
    base, slope = rng.normal(size=(S, A)), rng.normal(size=(M, S, A)) / 3
    moves = rng.dirichlet(np.ones(S), size=(2, S, A))
    return base, slope, moves, rng.dirichlet(np.ones(S))


BASE, SLOPE, ROWS, INITIAL = tables()


def pay(*time_and_m):
    return BASE + jnp.tensordot(time_and_m[-1], SLOPE, axes=1)


def move(*time_and_m):
    share = jax.nn.sigmoid(time_and_m[-1][0])
    return share * ROWS[0] + (1 - share) * ROWS[1]


def plain_pay(m):
    return BASE + sum(m[j] * SLOPE[j] for j in range(M))


def plain_move(m):
    share = 1 / (1 + np.exp(-m[0]))
    return share * ROWS[0] + (1 - share) * ROWS[1]


@pytest.mark.parametrize("kind", KINDS)
def test_flows_are_those_of_loops(kind):
    seen, of, plain = drawn(kind)
    game = mfg.FiniteHorizonGame(
        move, pay, INITIAL, H, observes=mfg.Aggregate(seen, of=of), available=np.ones((S, A), bool), discount=DISCOUNT
    )
    eq = mfg.solve(game, SOFT)
    loops = oracle.PlainGame(
        lambda t, law: plain_move(plain(t, law)),
        lambda t, law: plain_pay(plain(t, law)),
        INITIAL,
        H,
        np.ones((H + 1, S, A), bool),
        DISCOUNT,
        joint=of == "state_actions",
    )
    flow = np.asarray(eq.mean_field)
    assert eq.converged
    assert_close(oracle.gamma(loops, flow, oracle.soft(BETA, oracle.uniform_reference(loops))), flow, atol=1e-9)
    assert_close(eq.aggregate, np.array([plain(t, flow[t]) for t in range(H + 1)]), atol=1e-12)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "over time" not in kind])
@pytest.mark.parametrize("response", [SOFT, mfg.Trembling(0.2)], ids=["soft", "trembling"])
def test_laws_at_rest_are_those_of_loops(kind, response):
    seen, of, plain = drawn(kind)
    game = mfg.StationaryGame(
        move, pay, DISCOUNT, initial=INITIAL, observes=mfg.Aggregate(seen, of=of), available=np.ones((S, A), bool)
    )
    eq = mfg.solve(game, response)
    assert eq.converged
    joint = np.asarray(eq.mean_field)
    law = joint if of == "states" else joint.sum(axis=1)
    m = plain(0, joint)
    loops = stationary_oracle.PlainStationary(
        lambda _: plain_move(m), lambda _: plain_pay(m), INITIAL, np.ones((S, A), bool), DISCOUNT
    )
    own = stationary_oracle.soft(BETA, np.full((S, A), 1 / A)) if response is SOFT else stationary_oracle.trembling(0.2)
    _, policy, _ = stationary_oracle.best_response(loops, law, own)
    assert_close(stationary_oracle.step(loops, law, policy), law, atol=1e-9)
    assert_close(eq.aggregate, m, atol=1e-12)
    if of == "state_actions":
        assert_close(joint, law[:, None] * policy, atol=1e-9)


def large(stationary, seen, kind="aggregate", size=150):
    """A line of places, more than are solved for their law: people like to be away from the mean, and from a place."""
    places = np.arange(size) / size
    weights = np.stack([places, np.cos(3 * places)])
    moves = np.clip(np.arange(size)[:, None] + np.arange(-1, 2), 0, size - 1)

    def aggregate(law):
        return jnp.asarray(weights) @ law if seen == "weights" else (jnp.asarray(weights) @ law) ** 2

    def away(m, scale):
        pay = 3 * (jnp.asarray(places) - m[0]) ** 2 - m[1] * jnp.sin(9 * jnp.asarray(places))
        return scale * pay[:, None] - jnp.array([[0.1, 0.0, 0.1]])

    own = mfg.Aggregate(weights if seen == "weights" else lambda *time_and_law: aggregate(time_and_law[-1]))
    observes = own if kind == "aggregate" else "states"

    def m_of(seen):
        return seen if kind == "aggregate" else aggregate(seen)

    if stationary:
        # with probability .2 everybody starts anew at the middle
        kernel = mfg.kernels.SuccessorKernel(
            np.stack([moves, np.full_like(moves, size // 2)], axis=2), np.broadcast_to([0.8, 0.2], (size, 3, 2))
        )
        return lambda scale: mfg.StationaryGame(kernel, lambda z: away(m_of(z), scale), DISCOUNT, observes=observes)
    initial = np.full(size, 1 / size)
    return lambda scale: mfg.FiniteHorizonGame(
        mfg.MovesKernel(moves), lambda t, law: away(m_of(law), scale), initial, H, observes=observes
    )


@pytest.mark.parametrize("seen", ["weights", "curved"])
@pytest.mark.parametrize("stationary", [False, True], ids=["flow", "at rest"])
def test_of_many_states_the_aggregate_is_solved_for(stationary, seen):
    """The equation in m has the solution, the derivative and the lanes of the equation in the law."""
    short, long = large(stationary, seen), large(stationary, seen, "law")
    response = mfg.EntropyRegularized(30.0)
    eq, other = mfg.solve(short(1.0), response), mfg.solve(long(1.0), response)
    assert_close(eq.mean_field, other.mean_field, atol=1e-9)
    assert eq.residual <= eq.tolerance and abs(eq.exploitability) < 1e-12

    def tilt(scale, game):
        return mfg.solve(game(scale), response).mean_field[..., :50].sum()

    slope = jax.grad(tilt)(1.0, short)
    step = 1e-4
    ahead, behind = (float(tilt(1 + sign * step, long)) for sign in (1, -1))
    assert_close(slope, (ahead - behind) / (2 * step), atol=1e-6)

    betas = np.array([3.0, 30.0])
    batch = mfg.solve_batch(short(1.0), response, axes={"beta": betas})
    swept = mfg.sweep(short(1.0), beta=betas, outputs=["mean_field", "aggregate"], progress=False)
    assert_close(batch.mean_field[..., 1], eq.mean_field, atol=1e-9)
    assert_close(swept.mean_field.sel(beta=30.0), eq.mean_field, atol=1e-9)
    assert_close(swept.aggregate.sel(beta=30.0), eq.aggregate, atol=1e-9)
    again = mfg.solve(short(1.0), response, guess=eq)
    assert_close(again.aggregate, eq.aggregate, atol=1e-9)
    assert again.num_steps <= 2


def whole(game_of, weights):
    """Return a game that sees an aggregate of states, and the same game as one that sees their law."""
    short = game_of(mfg.Aggregate(weights, labels=["load", "price"]), pay)
    return short, game_of("states", lambda t, law: pay(t, weights @ law))


def finite(observes, reward):
    return mfg.FiniteHorizonGame(mfg.kernels.DenseKernel(ROWS[0]), reward, INITIAL, H, observes=observes)


def test_certificates_gains_and_derivatives_are_those_of_the_game_that_sees_the_law():
    weights = np.abs(np.random.default_rng(5).normal(size=(M, S)))
    short, long = whole(finite, weights)
    first, second = mfg.solve(short, SOFT), mfg.solve(long, SOFT)
    assert_close(first.mean_field, second.mean_field, atol=1e-10)
    assert_close(first.exploitability, second.exploitability, atol=1e-12)
    ours, others = (mfg.certify(game, mfg.EntropyRegularized(0.05)).to_dict() for game in (short, long))
    assert jax.tree.structure(ours) == jax.tree.structure(others)
    for ours_at, others_at in zip(jax.tree.leaves(ours), jax.tree.leaves(others), strict=True):
        if isinstance(ours_at, float):
            assert_close(ours_at, others_at, rtol=1e-9, atol=1e-15)
        else:
            assert ours_at == others_at
    gain = mfg.finite.deviation_gain(short, first.policy, 3).gain
    assert_close(gain, mfg.finite.deviation_gain(long, first.policy, 3).gain, rtol=1e-9)

    def price(scale, aggregated):
        def scaled(t, seen):
            return scale * pay(t, seen if aggregated else weights @ seen)

        game = finite(mfg.Aggregate(weights) if aggregated else "states", scaled)
        return mfg.solve(game, SOFT).mean_field[-1] @ weights[1]

    assert_close(jax.grad(price)(1.0, True), jax.grad(price)(1.0, False), atol=1e-8)


def test_a_rule_that_hides_the_derivative_of_an_aggregate_proves_nothing():
    def hidden(t, law):
        return jax.lax.stop_gradient(law[:1])

    def steps(t, law):
        return jnp.round(8 * law[:1]) / 8

    def paid(t, m):
        return 5 * m[0] * jnp.arange(S)[:, None]

    plain, hides, jumps = (
        mfg.certify(finite(mfg.Aggregate(seen), paid), mfg.EntropyRegularized(0.5))
        for seen in (lambda t, law: law[:1], hidden, steps)
    )
    assert_close(hides.factor, plain.factor, rtol=1e-12)
    assert "changes in steps" in jumps.explain("local_radius")
    assert jumps["unique"].status != "holds"


def test_a_price_is_a_function_of_parameters_that_are_swept():
    """Two sellers' goods: m = choke − slope · supply, and supply at the second place is paid m."""

    def price(t, law, choke, slope):
        return (choke - slope * law[1])[None]

    game = mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [0, 1]]),
        lambda t, m: m[0] * jnp.array([[0.0], [1.0]]),
        [1.0, 0.0],
        1,
        observes=mfg.Aggregate(price, labels=["price"]),
        params={"choke": 2.0, "slope": 3.0},
    )
    found = mfg.sweep(game, mfg.EntropyRegularized(1.0), slope=[1.0, 3.0], outputs=["aggregate"], progress=False)
    for slope in (1.0, 3.0):
        low, high = 0.0, 1.0
        for _ in range(60):  # supply = σ(price)
            supply = (low + high) / 2
            low, high = (supply, high) if supply < 1 / (1 + np.exp(slope * supply - 2)) else (low, supply)
        last = found.aggregate.sel(slope=slope, time=1, component="price")
        assert_close(last, 2 - slope * supply, atol=1e-9)


def cleared(wealth):
    """Return the price at which a share σ(p) sells, and buyers want wealth/p − 1/2."""
    return brentq(lambda p: wealth / p - 0.5 - 1 / (1 + np.exp(-p)), 1e-6, 20)


def market(wealth, start=1.0):
    def excess(t, p, law, wealth):
        return wealth / p - 0.5 - law[1]

    return mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [0, 1]]),
        lambda t, p: p[0] * jnp.array([[0.0], [1.0]]),
        [1.0, 0.0],
        1,
        observes=mfg.Aggregate.from_equation(excess, [start], labels=["price"]),
        params={"wealth": wealth},
    )


def test_a_price_that_clears_the_market_is_the_root_of_an_equation():
    one = mfg.EntropyRegularized(1.0)

    def price(wealth):
        return mfg.solve(market(wealth), one).aggregate[-1, 0]

    wealths = [0.25, 1.0, 4.0]
    found, slope = jax.value_and_grad(price)(1.0)
    assert_close(found, cleared(1.0), atol=1e-9)
    assert_close(slope, (cleared(1 + 1e-5) - cleared(1 - 1e-5)) / 2e-5, atol=1e-6)
    swept = mfg.sweep(market(1.0), one, wealth=wealths, outputs=["aggregate"], progress=False)
    assert_close(swept.aggregate.sel(time=1, component="price"), list(map(cleared, wealths)), atol=1e-9)
    # at the time 0 nobody sells
    assert_close(swept.aggregate.sel(time=0, component="price"), 2 * np.array(wealths), atol=1e-9)


def test_two_prices_at_rest_solve_two_equations():
    """Nobody chooses, so that half are in each state: p q = 1/2 and p − q = 1/4."""

    def off(m, z):
        return jnp.array([m[0] * m[1] - z[0], m[0] - m[1] - 0.5 * z[1]])

    game = mfg.StationaryGame(
        np.full((2, 1, 2), 0.5), lambda m: m[:, None], 0.5, observes=mfg.Aggregate.from_equation(off, [1.0, 1.0])
    )
    # p (p − 1/4) = 1/2
    p = (0.25 + np.sqrt(0.0625 + 2)) / 2
    assert_close(mfg.solve(game, SOFT).aggregate, [p, p - 0.25], atol=1e-9)


def test_what_an_aggregate_reads_now_counts():
    weights = np.array([0.0, 1.0, 2.0, 3.0])
    game = finite(mfg.Aggregate(lambda t, law: (weights * law).sum()[None]), lambda t, m: -m[0] * np.eye(S)[:, :A])
    before = mfg.solve(game, SOFT).aggregate
    weights[:] *= 2
    after = mfg.solve(game, SOFT)
    assert_close(after.aggregate[:, 0], np.asarray(after.mean_field) @ weights, atol=1e-12)
    assert abs(after.aggregate - before).max() > 0.1


def test_the_aggregate_is_kept_with_an_equilibrium(tmp_path):
    short, _ = whole(finite, np.abs(np.random.default_rng(5).normal(size=(M, S))))
    eq = mfg.solve(short, SOFT)
    loaded = mfg.io.load_equilibrium(mfg.io.save_equilibrium(tmp_path / "eq.nc", short, eq))
    assert_close(loaded.aggregate.sel(component="price"), eq.aggregate[:, 1])
    assert "payoffs see 2 numbers of the law of the states: load, price" in repr(short)


def seen_by(observes, reward=pay):
    return lambda: finite(observes, reward)


REFUSED = {
    "weights of another size": (seen_by(mfg.Aggregate(np.ones((M, 3)))), r"shape \(3,\) \(states\), but .* has \(4,\)"),
    "pairs": (seen_by(mfg.Aggregate(np.ones((M, S, A)))), 'of states and actions write `of="state_actions"`'),
    "times": (seen_by(mfg.Aggregate(np.ones((3, M, S)))), "`observes.weights` has 3 times, but must have 4 times"),
    "no number": (lambda: mfg.Aggregate([0.0, np.nan]), r"`weights\[1\]` is nan"),
    "labels": (lambda: mfg.Aggregate(np.ones((M, S)), labels=["load"]), "`labels` must be 2 names; got 1: load"),
    "bare weights": (seen_by([0.0, 1.0, 2.0, 3.0]), r"`observes` must be 'states', 'state_actions' or an `Aggregate"),
    "a number": (seen_by(mfg.Aggregate(lambda t, law: law[0])), r"`observes` must have shape \(any,\).*; got \(\)"),
    "no time": (seen_by(mfg.Aggregate(lambda law: law[:2])), r"`observes` must be a function of \(t, law\)"),
    "a law": (seen_by(mfg.Aggregate(np.ones(S)), lambda t, law: law @ np.ones(S)), r"`reward` fails .* \(t, m\)"),
    "no root": (
        seen_by(mfg.Aggregate.from_equation(lambda t, m, law: m**2 + law[0] + 1, [1.0]), lambda t, m: m * BASE),
        r"`observes\[0\]` at t = 0 is nan, but the aggregate must be a finite number; an equation may have no root",
    ),
    "no equation": (lambda: mfg.Aggregate.from_equation(3.0, [1.0]), r"`equation` must be a function of \(t, m, law\)"),
    "no start": (lambda: mfg.Aggregate.from_equation(lambda t, m, law: m, 1.0), r"`start` must have shape \[M\]"),
    "pairwise": (
        seen_by(mfg.Aggregate(np.ones(S)), mfg.PairwiseReward(lambda t, law: law[:, None])),
        "`reward` is a PairwiseReward, .* but `observes` is an `Aggregate`",
    ),
    "another output": (
        lambda: mfg.sweep(mfg.games.left_right(), beta=[1.0], outputs=["aggregate"], progress=False),
        "`outputs` has 'aggregate', but the payoffs of the game see the whole law",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_aggregate_is_refused(name):
    make, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=sentence):
        make()
