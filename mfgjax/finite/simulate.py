"""Simulation of populations of any size."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike, Float, Int
from ..model import FiniteHorizonGame, LaneGame
from ..responses import AbstractResponse, EntropyRegularized
from .arguments import (
    checked_agents,
    checked_criterion,
    checked_game,
    checked_key,
    checked_policy,
    normalized,
    penalty,
)
from .draws import Stream
from .groups import Crowd, Group, Labelled
from .moves import Moves
from .precision import DOUBLE, as_double, as_precision, double, game_as_double
from .rounding import share
from .simulation import Simulation

_ENTRIES_AT_ONCE = 1 << 17  # numbers that may be in memory: as many runs at once as fit


@as_it_is_now
def simulate(
    game: FiniteHorizonGame,
    policy: ArrayLike,
    num_agents: ArrayLike,
    num_runs: int,
    *,
    key: Array,
    deviation: ArrayLike | None = None,
    labelled: bool = False,
    response: AbstractResponse | None = None,
    runs_at_once: int | None = None,
) -> Simulation:
    """Simulate N agents who follow a policy, for any N up to 1e9 at the same cost.

    Agents are exchangeable, so it is enough to simulate the numbers n_t(s) of agents in each state. They are drawn from

        n_{t+1} = Σ_{s,a} Multinomial(m_t(s,a), P_t(·|s,a,·)),   m_t(s,·) ~ Multinomial(n_t(s), π_t(·|s))

    Kernels and rewards that depend on the population get the empirical law n_t/N (or m_t/N). Counts are always drawn in
    double precision: they add up to N exactly, and have the right moments also at N = 1e9.

    The k-th run depends only on the key and on k: more runs, or another `runs_at_once`, do not change its counts. The
    populations of a batch share their random numbers, so that differences between them are less noisy; runs are
    independent of each other.

    Args:
      game: a game with a finite horizon; its kernel may depend on the population.
      policy: of all agents, `[T, S, A]` or `[S, A]`. Trailing axes stand for several policies; they broadcast with the
        axes of `num_agents` to `*batch`.
      num_agents: N in 1..1e9, one number or an array; may be an argument inside `jit`.
      num_runs: number of independent runs.
      key: random key, such as `jax.random.key(0)`.
      deviation: the policy of one of the N agents who leaves `policy`; this agent is followed separately.
      labelled: whether to follow every agent separately, to get trajectories. This needs one known N; memory and time
        grow with N.
      response: None for rewards alone; `EntropyRegularized` subtracts log(π/ρ)/β for every action taken.
      runs_at_once: number of runs that are simulated together, which bounds the memory; None: chosen by the size of the
        game.

    Returns:
      A `Simulation`.

    Raises:
      ValueError: naming the argument, the place and the value.

    Example:
      >>> import jax, mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> eq = mfg.solve(game, response)
      >>> runs = mfg.finite.simulate(game, eq.policy, 1000, 5, key=jax.random.key(0))
      >>> runs.counts.shape, int(runs.counts[1].sum(axis=0)[0])  # time, state, run
      ((2, 3, 5), 1000)

    Source: Guan et al. (2021), arXiv:2110.07469, section II-A for N agents, eq. (23) for the deviator.
    """
    found = simulate_in_double(game, policy, num_agents, num_runs, key, deviation, labelled, response, runs_at_once)
    with double():
        return as_precision(found, game.dtype)


def simulate_in_double(
    game: FiniteHorizonGame,
    policy: ArrayLike,
    num_agents: ArrayLike,
    num_runs: int,
    key: Array | None,
    deviation: ArrayLike | None = None,
    labelled: bool = False,
    response: AbstractResponse | None = None,
    runs_at_once: int | None = None,
) -> Simulation:
    """Return what `simulate` does, in double precision."""
    game = checked_game(game)
    runs = _checks.integer_at_least("num_runs", num_runs, 1)
    key = checked_key(key, "simulations are random")
    labelled = _checks.boolean("labelled", labelled)
    criterion = checked_criterion(game, response, "simulate")
    numbers: Array = checked_agents(num_agents)
    tables = [checked_policy(game, policy)]
    if deviation is not None:
        tables.append(checked_policy(game, deviation, "deviation"))
    try:
        batch = jnp.broadcast_shapes(numbers.shape, *(table.shape[3:] for table in tables))
    except ValueError as error:
        shapes = " and ".join(str(table.shape[3:]) for table in tables)
        message = f"`num_agents` has shape {numbers.shape}, which does not broadcast with axes {shapes} of policies."
        raise ValueError(message) from error
    size = math.prod(batch)
    flat = [_with_lanes(table, batch) for table in tables]
    num_labelled = None
    if labelled:
        if numbers.ndim or _checks.is_traced(numbers):
            raise ValueError("`num_agents` must be one known number for labelled agents: arrays have a row for each.")
        num_labelled = int(numbers)
        if num_labelled == 1 and deviation is not None:
            raise ValueError("`num_agents` is 1, the deviator, who has a label anyway: leave `labelled` out.")
    most_runs = runs if runs_at_once is None else _checks.integer_at_least("runs_at_once", runs_at_once, 1)
    if runs_at_once is None:
        entries = game.num_states * game.num_actions * _num_successors(game) * size + (num_labelled or 0)
        most_runs = max(_ENTRIES_AT_ONCE // entries, 1)
    # chunks of one size, as they share a program: the last is filled up, and cut off below
    num_chunks = -(-runs // most_runs)
    with double():
        counts, rewards, labels, deviator = _run(
            game,
            flat,
            jnp.broadcast_to(numbers, batch).reshape(size),
            criterion,
            key,
            num_labelled,
            -(-runs // num_chunks),
            num_chunks,
        )

    def shaped(x: Any) -> Any:
        # [chunks, T, ..., B, runs of a chunk]
        if x is None:
            return None
        x = jnp.moveaxis(x, 0, -2)
        return x.reshape(*x.shape[:-3], *batch, -1)[..., :runs]

    states, actions = labels if labels is not None else (None, None)
    deviator_paths = deviator if deviator is not None else (None, None, None)
    with double():
        return Simulation(
            jnp.broadcast_to(numbers, batch),
            shaped(counts),
            shaped(rewards),
            as_double(game.discount),
            *(shaped(x) for x in (states, actions, *deviator_paths)),
            state_labels=game.state_labels,
        )


def _with_lanes(table: Array, batch: tuple[int, ...]) -> Float[Array, "T S A B"]:
    """Return policies with trailing axes that broadcast to `batch`, with one axis for all of them."""
    lanes = table.shape[3:]
    aligned = table.reshape(*table.shape[:3], *(1,) * (len(batch) - len(lanes)), *lanes)
    return jnp.broadcast_to(aligned, (*table.shape[:3], *batch)).reshape(*table.shape[:3], -1)


def _num_successors(game: FiniteHorizonGame) -> int:
    return getattr(getattr(game.kernel, "probabilities", None), "shape", (game.num_states,))[-1]


@eqx.filter_jit
def _run(
    game: FiniteHorizonGame,
    policies: list[Array],
    num_agents: Int[Array, " B"],
    criterion: EntropyRegularized | None,
    key: Array,
    num_labelled: int | None,
    runs_at_once: int,
    num_chunks: int,
) -> tuple[Array, Array, Any, Any]:
    """Return counts, rewards, `(states, actions)` and the deviator's `(states, actions, rewards)`, chunks leading."""
    game, criterion = game_as_double(game), as_double(criterion)
    tables = [normalized(policy) for policy in policies]
    costs = [penalty(game, table, criterion) for table in tables]
    deviates = len(tables) == 2
    if num_labelled is None:
        crowd: Group = Crowd(tables[0], costs[0], num_agents - deviates)  # the deviator is one of the N
    else:
        crowd = Labelled(tables[0], costs[0], num_labelled - deviates)
    groups = [crowd, Labelled(tables[1], costs[1], 1)] if deviates else [crowd]

    def chunk(runs):
        return _simulate(game, groups, num_agents, Stream.of_runs(key, runs))

    runs = jnp.arange(num_chunks * runs_at_once, dtype=jnp.uint32).reshape(num_chunks, runs_at_once)
    counts, earned, acted = jax.lax.map(chunk, runs)
    rewards = sum(earned) / num_agents[:, None]
    deviator_paths = None
    if deviates:
        states, actions = (x[:, :, 0] for x in acted[1])
        deviator_paths = (states, actions, earned[1])
    labels = None
    if num_labelled is not None:
        # the deviator leads
        labels = tuple(jnp.concatenate(by_group[::-1], axis=2) for by_group in zip(*acted, strict=True))
    return counts, rewards, labels, deviator_paths


def _simulate(
    game: FiniteHorizonGame, groups: list[Group], num_agents: Array, stream: Stream
) -> tuple[Array, list[Array], list[Any]]:
    """Return counts `[T, S, B, runs]`; of each group what it earns `[T, B, runs]`, states and actions if labelled."""
    lanes = (*num_agents.shape, stream.words.shape[1])
    num_lanes = lanes[0] * lanes[1]
    games = LaneGame(game, (False,) * len(jax.tree.leaves(game)), num_lanes)
    number = num_agents.astype(DOUBLE)[:, None]

    def draws(time, group, stage):  # a stream for each, so that no random number is used twice
        return stream.fold((time * len(groups) + group) * 2 + stage)

    def step(states, t):
        actions_by_group = [
            g.act(draws(t + 1, i, 0), t, state) for i, (g, state) in enumerate(zip(groups, states, strict=True))
        ]
        masses = [mass for mass, _ in actions_by_group]
        mass = sum(masses[1:], masses[0])
        counts = mass.sum(axis=1, dtype=jnp.int32)
        seen = share(game.observe(t, counts.astype(DOUBLE), mass.astype(DOUBLE)), number)
        flat = seen.reshape(*seen.shape[:-2], num_lanes)
        reward = games.reward_at(t, flat).reshape(*mass.shape[:2], *lanes)
        earned = [_earned(m, reward, g.cost[t]) for m, g in zip(masses, groups, strict=True)]

        def move():
            moves = Moves.of(game, t, seen)
            return [
                g.move(draws(t + 1, i, 1), moves, state, m, actions)
                for i, (g, state, (m, actions)) in enumerate(zip(groups, states, actions_by_group, strict=True))
            ]

        states_after = jax.lax.cond(t < game.horizon, move, lambda: states)  # nobody moves at H
        paths = [None if a is None else (state, a) for state, (_, a) in zip(states, actions_by_group, strict=True)]
        return states_after, (counts, earned, paths)

    start = [g.start(draws(0, i, 0), game) for i, g in enumerate(groups)]
    _, outputs = jax.lax.scan(step, start, jnp.arange(game.horizon + 1, dtype=jnp.int32))
    return outputs


def _earned(mass: Array, reward: Array, cost: Array) -> Array:
    """Return what a group earns in all at one time, `[B, runs]`; nobody takes actions that are not available."""
    pay = jnp.where(mass > 0, reward - cost[..., None], 0)
    return (mass * pay).sum(axis=(0, 1))
