"""What a reward or kernel reads from outside is read at each call, differentiates, and compiles once for each program.

The share of the population in state 1 at the end is compared with that of plain loops for the number that the function
reads at that moment.
"""

import functools
import gc
import os
import types
import weakref
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import COMPILED

import mfgjax as mfg
from mfgjax.model import Staged, trace_game

PLACES = np.array([0.0, 1.0])
RESPONSE = mfg.EntropyRegularized(1.0)
OUTSIDE = types.SimpleNamespace(toll=0.5)


def game_with(reward):
    return mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), reward, [0.9, 0.1], 3)


def closure(toll):
    return lambda t, m: (toll * PLACES - m)[:, None]


def by_loops(toll, bend=lambda x: x):
    stay = np.eye(2)
    plain = oracle.PlainGame(
        lambda t, m: np.stack([stay, stay[::-1]], axis=1),
        lambda t, m: np.repeat(bend(toll * PLACES - m)[:, None], 2, axis=1),
        np.array([0.9, 0.1]),
        3,
        np.ones((4, 2, 2), bool),
    )
    return oracle.equilibrium(plain, oracle.soft(1.0, oracle.uniform_reference(plain)))[-1, 1]


def share(game):
    return float(mfg.solve(game, RESPONSE).mean_field[-1, 1])


def reading_a_global(t, m):
    return (OUTSIDE.toll * PLACES - m)[:, None]


class Keeper:
    toll = 0.5

    def reward(self, t, m):
        return (self.toll * PLACES - m)[:, None]


@jax.jit
def compiled_by_the_user(m):
    return OUTSIDE.toll * PLACES - m


def body(carry, m):
    return carry + OUTSIDE.toll * PLACES - m, None


@jax.custom_jvp
def with_a_rule(m):
    return OUTSIDE.toll * PLACES - m


with_a_rule.defjvp(lambda primals, tangents: (with_a_rule(primals[0]), -tangents[0]))


@jax.custom_vjp
def with_a_reverse_rule(m):
    return OUTSIDE.toll * PLACES - m


with_a_reverse_rule.defvjp(lambda m: (with_a_reverse_rule(m), None), lambda _, g: (-g,))


def tolls(places):
    return OUTSIDE.toll * places


A_UFUNC = jnp.frompyfunc(tolls, 1, 1)
A_MAP = jax.jit(jax.lax.map, static_argnums=0)
BESIDE_JAX = {"jax": jax, "tolls": tolls}  # a package that is not JAX, but whose name begins so
exec(
    compile("@jax.jit\ndef beside(places): return tolls(places)", f"{os.path.dirname(jax.__file__)}_tolls.py", "exec"),
    BESIDE_JAX,
)

READERS = {
    "a global": reading_a_global,
    "a global, inside a function that the user jitted": lambda t, m: compiled_by_the_user(m)[:, None],
    "a global, in the body of a loop": lambda t, m: jax.lax.scan(body, jnp.zeros(2), m[None])[0][:, None],
    "a global, in a branch": lambda t, m: jax.lax.cond(t < 9, reading_a_global, lambda t, m: 0 * m[:, None], t, m),
    "a global, in a function with a rule of its own": lambda t, m: with_a_rule(m)[:, None],
    "a global, in a function that JAX's own jitted ones call": lambda t, m: (
        jnp.piecewise(PLACES + 0 * m, [m < 2], [tolls]) - m
    )[:, None],
    "a global, in an update": lambda t, m: (jnp.asarray(PLACES).at[1].apply(tolls) - m)[:, None],
    "a global, in a ufunc": lambda t, m: (A_UFUNC(PLACES) - m)[:, None],
    "a global, in a map that the user jitted": lambda t, m: (A_MAP(tolls, PLACES + 0 * m) - m)[:, None],
    "a global, in a package beside JAX": lambda t, m: (BESIDE_JAX["beside"](PLACES) - m)[:, None],
}


@pytest.fixture(autouse=True)
def toll_of_one_half():
    OUTSIDE.toll = 0.5


@pytest.mark.parametrize("name", READERS)
def test_a_global_that_changes_counts_at_the_next_solve(name):
    game = game_with(READERS[name])
    assert share(game) == pytest.approx(by_loops(0.5), abs=1e-9)
    OUTSIDE.toll = 3.0
    assert share(game) == pytest.approx(by_loops(3.0), abs=1e-9)
    OUTSIDE.toll = 0.5
    assert share(game) == pytest.approx(by_loops(0.5), abs=1e-9)


def test_a_method_of_an_object_that_changes_counts_at_the_next_solve():
    keeper = Keeper()
    game = game_with(keeper.reward)
    assert share(game) == pytest.approx(by_loops(0.5), abs=1e-9)
    keeper.toll = 3.0
    assert share(game) == pytest.approx(by_loops(3.0), abs=1e-9)


def test_a_table_that_is_changed_in_place_counts_at_the_next_solve():
    table = 0.5 * PLACES
    game = game_with(lambda t, m: (table - m)[:, None])
    assert share(game) == pytest.approx(by_loops(0.5), abs=1e-9)
    table *= 6
    assert share(game) == pytest.approx(by_loops(3.0), abs=1e-9)


def test_arrays_that_are_given_are_copied():
    """A table is the game's own, as is a mask: changing the user's later changes no game."""
    table, mask = np.array([[0.0, 0.0], [0.5, 0.5]]), np.ones((2, 2), bool)
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), table, [0.9, 0.1], 3, available=mask)
    before = share(game)
    table *= 6
    mask[0, 1] = False
    assert share(game) == before and np.asarray(game.available).all()


def test_all_numbers_of_one_game_are_of_one_moment():
    game = game_with(reading_a_global)
    policy = mfg.solve(game, RESPONSE).policy
    OUTSIDE.toll = 3.0
    gain = mfg.finite.deviation_gain(game, policy, [10**8])
    assert float(gain.exploitability) == pytest.approx(float(mfg.exploitability(game, policy)), abs=1e-12)
    assert float(gain.exploitability) > 0.1
    swept = mfg.sweep(game, beta=[1.0], progress=False)
    assert float(swept.mean_field[0, -1, 1]) == pytest.approx(by_loops(3.0), abs=1e-9)
    lanes = mfg.solve_batch(game, RESPONSE, axes={"beta": jnp.ones(2)})
    np.testing.assert_allclose(lanes.mean_field[-1, 1], by_loops(3.0), atol=1e-9)


# what JAX remembers; all functions are read in the same way
REMEMBERED = ("a global, inside a function that the user jitted", "a global, in the body of a loop")


@pytest.mark.parametrize("name", REMEMBERED)
def test_maps_of_a_game_are_of_the_same_moment_as_its_equilibria(name):
    """JAX remembers what users jitted and bodies of loops, outside of `jit`, too."""
    game = game_with(READERS[name])

    def numbers(of):
        found = mfg.solve(game, RESPONSE)
        flow, policy = found.mean_field, found.policy
        again = (mfg.mean_field_map(of, RESPONSE)(flow), mfg.respond(of, flow, RESPONSE).policy)
        gain, value = mfg.exploitability(of, policy, RESPONSE), mfg.policy_value(of, policy, flow, RESPONSE)
        return again, (flow, policy), gain, value - flow[0] @ found.values[0]

    for toll in (0.5, 3.0):
        OUTSIDE.toll = toll
        again, found, gain, lost = numbers(game)
        for one, other in zip(again, found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-9)
        assert abs(gain) < 1e-9 and abs(lost) < 1e-9


def test_certificates_are_of_the_reward_as_it_is():
    def steep(t, m):
        return -OUTSIDE.toll * m[:, None]

    game, constants = game_with(steep), []
    for toll in (0.5, 3.0):
        OUTSIDE.toll = toll
        constants.append(np.asarray(mfg.certify(game, RESPONSE, critical=False).lipschitz.reward).max())
    assert constants[1] == pytest.approx(6 * constants[0], rel=1e-6)  # exactly in proportion to the slope


def test_a_sweep_on_disk_is_not_gone_on_with_when_what_its_reward_reads_has_changed(tmp_path):
    game = game_with(reading_a_global)
    mfg.sweep(game, beta=[1.0], out=tmp_path / "s", progress=False)
    mfg.sweep(game, beta=[1.0], out=tmp_path / "s", progress=False)
    OUTSIDE.toll = 3.0
    with pytest.raises(ValueError, match="a number that the function `reward` reads changed"):
        mfg.sweep(game, beta=[1.0], out=tmp_path / "s", progress=False)


def test_a_function_of_a_sweep_that_reads_a_global_is_what_it_is_now():
    game = game_with(closure(0.5))
    found = []
    for toll in (0.5, 3.0):
        OUTSIDE.toll = toll
        outputs = {"scaled": (lambda game, response, eq: OUTSIDE.toll * eq.mean_field[-1, 1], ())}
        found.append(float(mfg.sweep(game, beta=[1.0], outputs=outputs, progress=False).scaled[0]))
    assert found == pytest.approx([0.5 * by_loops(0.5), 3 * by_loops(0.5)], abs=1e-9)


def test_an_objective_that_reads_a_global_is_what_it_is_now():
    """The objective is the number outside times a function of the design: six times the number, six times the value."""

    def objective(eq):
        return OUTSIDE.toll * (eq.mean_field[-1, 1] - 0.9) ** 2 + OUTSIDE.toll

    values = []
    for toll in (0.5, 3.0):
        OUTSIDE.toll = toll
        tuned = mfg.design.tune(
            game_with(closure(0.5)), {"beta": 1.0}, objective, response=RESPONSE, max_steps=1, progress=False
        )
        values.append(tuned.value)
    assert values[1] == pytest.approx(6 * values[0], rel=1e-9)


def test_what_is_tuned_keeps_the_users_own_function():
    class Bar(eqx.Module):
        toll: float

        def __call__(self, t, m):
            return (self.toll * PLACES - m)[:, None]

    tuned = mfg.design.tune(
        game_with(Bar(0.5)),
        {"reward.toll": None},
        mfg.design.TargetLaw({"1": by_loops(3.0)}),
        response=RESPONSE,
        progress=False,
    )
    assert type(tuned.game.reward).__name__ == "Bar"
    assert float(tuned.game.reward.toll) == pytest.approx(3.0, abs=1e-3)


def central(function, x, step=1e-5):
    return (function(x + step) - function(x - step)) / (2 * step)


def test_the_gradient_goes_through_a_closure():
    def final(toll, solver=None):
        return mfg.solve(game_with(closure(toll)), RESPONSE, solver).mean_field[-1, 1]

    def by_one_method(toll):
        return final(toll, mfg.Anderson())

    slope = central(by_loops, 0.7)
    assert float(jax.grad(final)(0.7)) == pytest.approx(slope, rel=1e-6)
    assert float(jax.jit(jax.grad(by_one_method))(0.7)) == pytest.approx(slope, rel=1e-6)
    assert float(jax.jvp(by_one_method, (0.7,), (1.0,))[1]) == pytest.approx(slope, rel=1e-6)
    np.testing.assert_allclose(
        jax.vmap(by_one_method)(jnp.array([0.5, 3.0])), [by_loops(0.5), by_loops(3.0)], atol=1e-9
    )


def test_the_gradient_goes_through_a_theta_and_through_a_stationary_game():
    def final(bend):
        L = mfg.PairwiseReward(lambda t, m: (3 * PLACES - m)[:, None], lambda t, x: bend * x)
        return mfg.solve(game_with(L), RESPONSE).mean_field[-1, 1]

    expected = central(lambda bend: by_loops(3.0, lambda x: bend * x), 0.7)
    assert float(jax.grad(final)(0.7)) == pytest.approx(expected, rel=1e-6)

    rows = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.1, 0.9]]])

    def resting(c):
        game = mfg.StationaryGame(
            lambda z: (1 - c * z[0]) * jnp.asarray(rows) + c * z[0] / 2,
            lambda z: (c * PLACES - z)[:, None],
            0.5,
            available=np.ones((2, 2), bool),
        )
        return mfg.solve(game, RESPONSE).mean_field[1]

    assert float(jax.grad(resting)(0.3)) == pytest.approx(float(central(resting, 0.3)), rel=1e-6)


def test_a_traced_number_where_none_can_be_handed_on_is_refused_in_a_sentence():
    def final(toll):
        @jax.custom_jvp
        def own(m):
            return toll * PLACES - m

        own.defjvp(lambda primals, tangents: (own(primals[0]), -tangents[0]))
        return mfg.solve(game_with(lambda t, m: own(m)[:, None]), RESPONSE).mean_field[-1, 1]

    with pytest.raises(ValueError, match="make the number an argument"):
        jax.grad(final)(0.7)


def num_compiled():
    return len(COMPILED)


def test_functions_with_one_program_compile_once_and_are_not_kept():
    share(game_with(closure(0.5)))
    before, held = num_compiled(), []
    for toll in np.linspace(0.1, 2.0, 20):
        reward = closure(float(toll))
        held.append(weakref.ref(reward))
        assert share(game_with(reward)) == pytest.approx(by_loops(toll), abs=1e-9)
        del reward
    gc.collect()
    assert num_compiled() == before
    assert not any(function() is not None for function in held)


def test_a_float_in_a_module_is_an_array_of_the_game():
    class Bar(eqx.Module):
        toll: float

        def __call__(self, t, m):
            return (self.toll * PLACES - m)[:, None]

    share(game_with(Bar(0.5)))
    before = num_compiled()
    for toll in (0.7, 1.1):
        assert share(game_with(Bar(toll))) == pytest.approx(by_loops(toll), abs=1e-9)
    assert num_compiled() == before
    lanes = mfg.solve_batch(game_with(Bar(0.5)), RESPONSE, axes={"reward.toll": jnp.array([0.5, 3.0])})
    np.testing.assert_allclose(lanes.mean_field[-1, 1], [by_loops(0.5), by_loops(3.0)], atol=1e-9)


def test_a_builder_that_makes_closures_is_one_family_of_games():
    tolls = np.array([0.5, 1.0, 3.0])
    swept = mfg.sweep(lambda toll: game_with(closure(toll)), RESPONSE, toll=tolls, progress=False)
    np.testing.assert_allclose(swept.mean_field[:, -1, 1], [by_loops(toll) for toll in tolls], atol=1e-9)
    from mfgjax.sweeps.games import build_games
    from mfgjax.sweeps.grid import Points, parse_axes

    def builder(toll):
        return game_with(closure(toll))

    games = build_games(builder, Points(parse_axes({"toll": tolls}, builder), False))
    assert len(games.families) == 1


def test_two_functions_whose_programs_print_alike_are_not_taken_for_one():
    """Two rules of one function, and two tables, have the same text."""
    first, second = (lambda k: jax.custom_jvp(lambda m: m * k))(1.0), None
    first.defjvp(lambda p, t: (first(p[0]), t[0]))
    second = jax.custom_jvp(lambda m: m * 1.0)
    second.defjvp(lambda p, t: (second(p[0]), 2 * t[0]))
    from mfgjax._traced import trace

    spec = jax.ShapeDtypeStruct((2,), float)
    assert trace(lambda m: first(m), spec).program != trace(lambda m: second(m), spec).program
    assert trace(lambda m: first(m), spec).program == trace(lambda m: first(m), spec).program


def late(t, m):
    return jnp.where((t == 2) & (m[0] < 0.6), jnp.nan, 0.0) * jnp.ones((2, 1))


def test_functions_are_tried_at_every_time_and_at_several_laws():
    with pytest.raises(ValueError, match=r"`reward\[0, 0\]` at t = 2 at the uniform law is nan"):
        game_with(late)

    def leaky(t, m):
        rows = jnp.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
        return jnp.where((t == 1) & (m[1] > 0.99), 0.5, 1.0) * rows

    with pytest.raises(ValueError, match=r"`kernel\[0, 0\]` at t = 1 with 99% in the last state sums to 0.5"):
        mfg.FiniteHorizonGame(leaky, np.zeros((2, 2)), [0.9, 0.1], 3)


class ForAllLanes(eqx.Module):
    scale: jax.Array
    takes_lanes: ClassVar[bool] = True

    def __call__(self, t, m):
        places = PLACES.reshape(2, *(1,) * (m.ndim - 1))
        return (self.scale * OUTSIDE.toll * places - m)[:, None]


def test_a_function_that_takes_lanes_is_what_it_is_now():
    game, scales = game_with(ForAllLanes(jnp.array(1.0))), jnp.array([1.0, 2.0])
    for toll in (0.5, 1.5):
        OUTSIDE.toll = toll
        lanes = mfg.solve_batch(game, RESPONSE, axes={"reward.scale": scales})
        np.testing.assert_allclose(lanes.mean_field[-1, 1], [by_loops(toll), by_loops(2 * toll)], atol=1e-9)
        assert share(game) == pytest.approx(by_loops(toll), abs=1e-9)


INDICES, MASK, SINGLE, SCALE = np.array([1, 0]), np.array([True, False]), np.float32([0.3, 0.7]), jnp.float32(2.0)
KEY = jax.random.key(3)


def in_steps(carry, x):
    return carry * 0.9 + x * jnp.sin(carry), carry


FUNCTIONS = {
    "whole numbers": lambda t, m: jnp.array([[1], [0]]),
    "weak numbers": lambda t, m: jnp.zeros((2, 1)) + t * 0.5,
    "a key": lambda t, m: jax.random.normal(KEY, (2, 1)) * m[:, None],
    "indices": lambda t, m: m[INDICES][:, None],
    "a mask": lambda t, m: jnp.where(MASK, m, 0.0)[:, None],
    "single precision": lambda t, m: (SINGLE * m * SCALE)[:, None],
    "scan": lambda t, m: jax.lax.scan(in_steps, m, jnp.ones((3, 2)))[0][:, None],
    "while": lambda t, m: jax.lax.fori_loop(0, t + 1, lambda i, c: c * SINGLE + i * 0.1, m)[:, None],
    "cond": lambda t, m: jax.lax.cond(t > 1, lambda x: x * SINGLE, lambda x: x * 2.0, m)[:, None],
    "relu": lambda t, m: jax.nn.relu(m - 0.2)[:, None],
    "softmax": lambda t, m: jax.nn.softmax(3 * m)[:, None],
    "powers": lambda t, m: (m**1.5 + m**0.5 + m**3 + jnp.power(m, SCALE))[:, None],
    "solve": lambda t, m: jnp.linalg.solve(jnp.eye(2) * 2 + 0.1, m)[:, None],
    "interp": lambda t, m: jnp.interp(m, np.linspace(0, 1, 5), np.array([0, 1, 3, 2, 0.5]))[:, None],
    "a derivative": lambda t, m: jax.grad(lambda x: (x**3).sum())(m)[:, None],
    "a partial": functools.partial(lambda k, t, m: (k * m)[:, None], np.array([1.0, 2.0])),
    "checkpoint": jax.checkpoint(lambda t, m: jnp.sin(m)[:, None]),
    "sort": lambda t, m: jnp.sort(m)[:, None],
    "filter_jit": eqx.filter_jit(lambda t, m: (m * SINGLE)[:, None]),
    "segments": lambda t, m: jax.ops.segment_sum(m, INDICES, 2)[:, None],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_program_returns_what_the_function_returns_and_its_derivative(name):
    game = game_with(FUNCTIONS[name])
    program, m = trace_game(game), jnp.array([0.35, 0.65])
    for t in map(jnp.int32, range(3)):
        np.testing.assert_allclose(program.reward_at(t, m), game.reward_at(t, m), rtol=1e-12)
    there = [jax.jacfwd(lambda m, g=g: g.reward_at(jnp.int32(2), m))(m) for g in (program, game)]
    np.testing.assert_allclose(*there, rtol=1e-10)
    assert trace_game(game).reward.program is program.reward.program


class Turning(mfg.kernels.AbstractKernel):
    """Action 0 stays and action 1 moves; the other way round where the number outside is 1."""

    probabilities: jax.Array

    def at(self, t):
        return self

    def _rows(self):
        return jnp.where(OUTSIDE.toll == 1, self.probabilities[0, :, ::-1], self.probabilities[0])

    def expect(self, values):
        return jnp.tensordot(self._rows(), values, axes=1)

    def push(self, mass):
        return jnp.tensordot(jnp.moveaxis(self._rows(), 2, 0), mass, axes=2)

    @property
    def num_states(self):
        return 2

    @property
    def num_actions(self):
        return 2

    @property
    def num_times(self):
        return 1


def test_a_kernel_of_ones_own_class_is_what_it_is_now():
    rows = jnp.stack([jnp.eye(2), jnp.eye(2)[::-1]], axis=1)[None]
    game = mfg.FiniteHorizonGame(Turning(rows), closure(0.7), [0.9, 0.1], 3)
    turned = mfg.FiniteHorizonGame(mfg.MovesKernel([[1, 0], [0, 1]]), closure(0.7), [0.9, 0.1], 3)
    straight = game_with(closure(0.7))
    for number, same in ((0.5, straight), (1.0, turned), (0.5, straight)):
        OUTSIDE.toll = number
        np.testing.assert_allclose(mfg.solve(game, RESPONSE).policy, mfg.solve(same, RESPONSE).policy, atol=1e-9)


class Tolled(eqx.Module):
    """A function of the user's that stands inside of one of the library's, and holds nothing but arrays."""

    places: jax.Array

    def __call__(self, t, x):
        return OUTSIDE.toll * self.places + x


def test_a_module_of_the_user_inside_of_the_librarys_own_is_what_it_is_now():
    L = mfg.rewards.OwnStateInteraction(np.zeros((2, 1)), -np.ones((2, 1)))
    own = Tolled(jnp.array(PLACES)[:, None])
    for theta in (own, Staged(own, own, 3)):
        game = game_with(mfg.PairwiseReward(L, theta))
        for toll in (0.5, 3.0):
            OUTSIDE.toll = toll
            assert share(game) == pytest.approx(by_loops(toll), abs=1e-9)
        OUTSIDE.toll = 0.5


class Hasty(mfg.EntropyRegularized):
    """A response of the user's own class, which reads how much payoffs count from outside."""

    def backup(self, t, q, available, band=0.0):
        return super().backup(t, OUTSIDE.toll * q, available, band)


class Slow(mfg.Picard):
    """A solver of the user's own class, which stops where it stands."""

    def step(self, problem, state):
        state, progress = super().step(problem, state)
        return state, progress._replace(failed=jnp.array(OUTSIDE.toll > 1))


def test_responses_and_solvers_of_the_users_own_classes_are_compiled_as_they_are_now():
    """With a weight w in the response the policy at the values returned is that of β = w."""
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), closure(0.3), [0.9, 0.1], 1)
    for OUTSIDE.toll in (0.5, 3.0, 0.5):
        found = mfg.solve(game, Hasty(1.0))
        batched = mfg.solve_batch(game, Hasty(1.0), axes={"initial": np.array([[0.9], [0.1]])})
        q = found.q[0]
        likely = np.exp(OUTSIDE.toll * (q - q.max(axis=1, keepdims=True)))
        likely /= likely.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.policy[0], likely, rtol=1e-9)
        np.testing.assert_allclose(np.reshape(batched.policy, found.policy.shape)[0], likely, rtol=1e-9)
        code = mfg.solve(game, RESPONSE, Slow(), throw=False).result.name
        assert code == ("stalled" if OUTSIDE.toll > 1 else "converged")


class LawAlone(NamedTuple):
    z: jax.Array


class Drift(mfg.learners.AbstractLearner):
    """A learner of the user's own class: the population moves to state 0 by a share that is read from outside."""

    def init(self, task, key, z):
        return LawAlone(z)

    def step(self, task, state, key):
        return LawAlone((1 - OUTSIDE.toll) * state.z + OUTSIDE.toll * jnp.array([1.0, 0.0]))

    def policy(self, task, state):
        return jnp.full((2, 2), 0.5)


def test_learners_of_the_users_own_classes_are_compiled_as_they_are_now():
    game = mfg.StationaryGame(mfg.MovesKernel([[0, 1], [1, 0]]), np.zeros((2, 2)), 0.5, initial=[0.25, 0.75])
    for OUTSIDE.toll in (0.5, 0.25):
        run = mfg.learners.run(game, mfg.Trembling(0.1), Drift(), num_steps=1)
        np.testing.assert_allclose(run.laws[0, 1, 1], (1 - OUTSIDE.toll) * 0.75, rtol=1e-12)
