"""Random games, twice: as the library's objects, and as NumPy functions for the oracle.

All games have the same sizes, so that a jitted function of a game compiles once for each kind. A new kind of
game needs one entry in `GAMES`; the conformance tests do the rest. `KERNELS` has every kernel that the library
offers, by hand where its table should not come from itself.
"""

import entries
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from entries import A, S, built, classes
from oracle import PlainGame

import mfgjax as mfg
from mfgjax.model import DenseInteraction

COMPILED = []
"""The name of each program that XLA compiled in this process, such as "jit(solve)"."""


def _note(event, _, **about):
    if event.endswith("backend_compile_duration"):
        COMPILED.append(about.get("fun_name"))


jax.monitoring.register_event_duration_secs_listener(_note)

K, H = 2, 4
T = H + 1


class Squash(eqx.Module):
    """Θ(x) = tanh(c x)."""

    steepness: jax.Array

    def __call__(self, t, x):
        return jnp.tanh(self.steepness * x)


class CrowdReward(eqx.Module):
    """R_t(s,a,μ) = table_t(s,a) − weight · μ(s)²."""

    table: jax.Array
    weight: jax.Array

    def __call__(self, t, mean_field):
        return self.table[t] - self.weight * mean_field[:, None] ** 2


class CrowdKernel(eqx.Module):
    """P_t(s'|s,a,μ) ∝ base_t(s,a,s') · exp(pull · μ(s')), as a table."""

    base: jax.Array
    pull: jax.Array

    def __call__(self, t, mean_field):
        crowd = mean_field if mean_field.ndim == 1 else mean_field.sum(axis=1)
        weights = self.base[t] * jnp.exp(self.pull * crowd)
        return weights / weights.sum(axis=-1, keepdims=True)


class HesitantMoves(eqx.Module):
    """Two successors for each pair; the first with probability exp(−pull · μ(s))·p, the second else."""

    kernel: mfg.SuccessorKernel
    first: jax.Array
    pull: jax.Array

    def __call__(self, t, mean_field):
        first = self.first[t] * jnp.exp(-self.pull * mean_field)[:, None]
        return self.kernel.with_probabilities(jnp.stack([first, 1 - first], axis=-1))


# --- random ingredients -------------------------------------------------------------------------------


def random_mask(rng, *shape):
    """Booleans with at least one true entry in each row of the last axis."""
    mask = rng.random(shape) < 0.7
    keep = rng.integers(shape[-1], size=shape[:-1])
    np.put_along_axis(mask, keep[..., None], True, axis=-1)
    return mask


def random_policy(rng, available, zeros=False):
    """Rows that are positive exactly on the mask, or, with `zeros`, on part of it."""
    weights = rng.dirichlet(np.ones(available.shape[-1]), size=available.shape[:-1]) + 0.05
    if zeros:
        weights = weights * random_mask(rng, *available.shape) + 1e-300
    weights = np.where(available, weights, 0)
    policy = weights / weights.sum(axis=-1, keepdims=True)
    return np.where(policy < 1e-200, 0, policy)


def random_flow(rng, joint=False):
    size = S * A if joint else S
    flow = rng.dirichlet(np.ones(size), size=T)
    return flow.reshape(T, S, A) if joint else flow


# --- kernels ------------------------------------------------------------------------------------------


def table_of_successors(successors, probabilities):
    """P[t,s,a,s'] by loops, from lists of successors [S,A,K] and probabilities [T,S,A,K]."""
    times, num_states, num_actions, count = probabilities.shape
    table = np.zeros((times, num_states, num_actions, num_states))
    for t, s, a, k in np.ndindex(times, num_states, num_actions, count):
        if successors[s, a, k] >= 0:
            table[t, s, a, successors[s, a, k]] += probabilities[t, s, a, k]
    return table


def dense_kernel(rng):
    table = rng.dirichlet(np.ones(S), size=(S, A))
    return mfg.DenseKernel(table), table[None]


def dense_kernel_over_time(rng):
    table = rng.dirichlet(np.ones(S), size=(H, S, A))
    return mfg.DenseKernel(table), table


def successor_kernel(rng):
    successors = rng.integers(0, S, size=(S, A, K))  # may name a state twice
    probabilities = rng.dirichlet(np.ones(K), size=(S, A))
    return mfg.SuccessorKernel(successors, probabilities), table_of_successors(successors, probabilities[None])


def successor_kernel_with_gaps(rng):
    successors = rng.integers(0, S, size=(S, A, K))
    gaps = rng.random((S, A)) < 0.4
    successors[..., 1] = np.where(gaps, -1, successors[..., 1])
    first = np.where(gaps, 1.0, rng.random((H, S, A)))
    probabilities = np.stack([first, 1 - first], axis=-1)
    return mfg.SuccessorKernel(successors, probabilities), table_of_successors(successors, probabilities)


def moves_kernel(rng):
    table = rng.integers(0, S, size=(S, A))
    return mfg.MovesKernel(table), table_of_successors(table[..., None], np.ones((1, S, A, 1)))


def moves_kernel_with_gaps(rng):
    table = np.where(random_mask(rng, S, A), rng.integers(0, S, size=(S, A)), -1)
    return mfg.MovesKernel(table), table_of_successors(table[..., None], np.ones((1, S, A, 1)))


def restart_kernel(rng):
    law = rng.dirichlet(np.ones(S))
    return mfg.kernels.RestartKernel(law, A), np.tile(law, (1, S, A, 1))


def mixture_kernel(rng):
    """Moves, lists of successors and a fresh start, each with its probability."""
    parts, tables = zip(*(make(rng) for make in (moves_kernel, successor_kernel, restart_kernel)), strict=True)
    weights = rng.dirichlet(np.ones(3))
    return mfg.kernels.MixtureKernel(parts, weights), sum(w * table for w, table in zip(weights, tables, strict=True))


def star(rng, num_states=65):
    """All leaves lead to the hub 0 and to their right neighbour, the hub to the first leaves: in-degrees 64, 2, 1."""
    table = np.zeros((num_states, A), dtype=int)
    table[1:, 1] = np.arange(1, num_states) % (num_states - 1) + 1
    table[1:, 2] = -1
    table[0] = [1, 2, 3]
    return mfg.MovesKernel(table), table_of_successors(table[..., None], np.ones((1, num_states, A, 1)))


def successor_star(rng, num_states=33):
    """Every pair leads to the hub 0 with some probability and to a random state otherwise."""
    successors = np.stack([np.zeros((num_states, A), int), rng.integers(0, num_states, size=(num_states, A))], -1)
    probabilities = rng.dirichlet(np.ones(2), size=(num_states, A))
    return mfg.SuccessorKernel(successors, probabilities), table_of_successors(successors, probabilities[None])


def pushed_kernel(kind):
    """A kernel of any class, built by the names of its arguments, with the table of what it pushes from each pair."""

    def make(rng):
        kernel = built(kind, entries.KERNELS, rng)
        units = np.eye(S * A).reshape(S * A, S, A)
        rows = [[kernel.at(jnp.int32(t)).push(unit) for unit in units] for t in range(kernel.num_times)]
        return kernel, np.array(rows).reshape(kernel.num_times, S, A, S)

    return make


KERNELS = {
    "dense": dense_kernel,
    "dense over time": dense_kernel_over_time,
    "successors": successor_kernel,
    "successors with gaps over time": successor_kernel_with_gaps,
    "moves": moves_kernel,
    "moves with gaps": moves_kernel_with_gaps,
    "restart": restart_kernel,
    "mixture": mixture_kernel,
    "star of moves": star,
    "star of successors": successor_star,
}
# kernels of which there is no table by hand
_BY_HAND = {type(make(np.random.default_rng(0))[0]) for make in KERNELS.values()}
KERNELS |= {name: pushed_kernel(kind) for name, kind in classes("kernels").items() if kind not in _BY_HAND}


# --- games --------------------------------------------------------------------------------------------


def repeat(table, times):
    """A table with a leading time axis of length 1 or `times`, as one of length `times`."""
    return np.broadcast_to(table, (times, *table.shape[1:]))


def pairwise(interaction, steepness):
    """R_t(s,a,μ) = tanh(c Σ L(s,a,.) μ(.)) as a function of NumPy arrays."""
    return lambda t, seen: np.tanh(
        steepness * np.array([[np.sum(row * seen) for row in rows] for rows in interaction[t]])
    )


def squared(table, weight):
    return lambda t, seen: np.array([[table[t, s, a] - weight * seen[s] ** 2 for a in range(A)] for s in range(S)])


def pulled(base, pull):
    """The rows of `CrowdKernel`, one by one."""

    def kernel(t, seen):
        crowd = seen if seen.ndim == 1 else np.array([sum(row) for row in seen])
        table = np.zeros((S, A, S))
        for s, a in np.ndindex(S, A):
            weights = [base[t, s, a, n] * np.exp(pull * crowd[n]) for n in range(S)]
            table[s, a] = np.array(weights) / sum(weights)
        return table

    return kernel


# the same lists of successors in all games: how they are stored depends on them, and with it the program
SUCCESSORS = np.random.default_rng(11).integers(0, S, size=(S, A, K))


def dense_game(rng, cast):
    P, L = cast(rng.dirichlet(np.ones(S), size=(S, A))), cast(rng.standard_normal((S, A, S)))
    c, mu, mask = cast(1.5), cast(rng.dirichlet(np.ones(S))), random_mask(rng, S, A)
    game = mfg.FiniteHorizonGame(P, mfg.PairwiseReward(L, Squash(jnp.asarray(c))), mu, H, available=mask)
    plain = PlainGame(lambda t, _: P, pairwise(repeat(L[None], T), c), mu, H, repeat(mask[None], T))
    return game, plain


def dense_game_over_time(rng, cast):
    """With actions that come and go, absent rows of the kernel, a discount, and empty states at the start."""
    mask = random_mask(rng, T, S, A)
    P = cast(rng.dirichlet(np.ones(S), size=(H, S, A)) * mask[:H, ..., None])
    L, c, g = cast(rng.standard_normal((T, S, A, S))), cast(0.8), cast(0.9)
    mu = cast([0.25, 0.0, 0.75, 0.0])
    reward = mfg.PairwiseReward(L, Squash(jnp.asarray(c)))
    game = mfg.FiniteHorizonGame(P, reward, mu, H, available=mask, discount=g)
    return game, PlainGame(lambda t, _: P[t], pairwise(L, c), mu, H, mask, float(g))


def crowd_game(rng, cast):
    """Kernel and reward depend on the crowd."""
    base, table = cast(rng.dirichlet(np.ones(S), size=(H, S, A))), cast(rng.standard_normal((T, S, A)))
    pull, weight, g = cast(0.7), cast(1.3), cast(0.95)
    mu, mask = cast([0.0, 0.5, 0.25, 0.25]), random_mask(rng, S, A)
    kernel = CrowdKernel(jnp.asarray(base), jnp.asarray(pull))
    reward = CrowdReward(jnp.asarray(table), jnp.asarray(weight))
    game = mfg.FiniteHorizonGame(kernel, reward, mu, H, available=mask, discount=g)
    plain = PlainGame(pulled(base, pull), squared(table, weight), mu, H, repeat(mask[None], T), float(g))
    return game, plain


def successor_game(rng, cast):
    probabilities = cast(np.stack([first := rng.random((H, S, A)), 1 - first], axis=-1))
    L, c, mu = cast(rng.standard_normal((S, A, S))), cast(1.2), cast(rng.dirichlet(np.ones(S)))
    mask = random_mask(rng, T, S, A)
    kernel = mfg.SuccessorKernel(SUCCESSORS, probabilities)
    game = mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(L, Squash(jnp.asarray(c))), mu, H, available=mask)
    P = table_of_successors(SUCCESSORS, probabilities)
    return game, PlainGame(lambda t, _: P[t], pairwise(repeat(L[None], T), c), mu, H, mask)


def hesitant_game(rng, cast):
    """Lists of successors whose probabilities depend on the crowd."""
    first, pull = cast(rng.random((H, S, A))), cast(0.9)
    table, weight, mu = cast(rng.standard_normal((T, S, A))), cast(0.6), cast([0.5, 0.5, 0.0, 0.0])
    mask = random_mask(rng, T, S, A)
    lists = mfg.SuccessorKernel(SUCCESSORS, cast(np.full((S, A, K), 1 / K)))
    kernel = HesitantMoves(lists, jnp.asarray(first), jnp.asarray(pull))
    reward = CrowdReward(jnp.asarray(table), jnp.asarray(weight))
    game = mfg.FiniteHorizonGame(kernel, reward, mu, H, available=mask)

    def move(t, seen):
        p = np.array([[first[t, s, a] * np.exp(-pull * seen[s]) for a in range(A)] for s in range(S)])
        return table_of_successors(SUCCESSORS, np.stack([p, 1 - p], axis=-1)[None])[0]

    return game, PlainGame(move, squared(table, weight), mu, H, mask)


def moves_game(rng, cast):
    """Deterministic moves, some absent; the reward is paid by the place where the move leads."""
    table = np.where(random_mask(np.random.default_rng(12), S, A), SUCCESSORS[..., 0], -1)
    mask = table >= 0
    base, weight = cast(rng.standard_normal((T, S, A))), cast(rng.standard_normal((S, A)))
    mu, g = cast([0.0, 0.0, 1.0, 0.0]), cast(0.9)
    reward = mfg.PairwiseReward(mfg.rewards.SuccessorInteraction(base, weight, table))
    game = mfg.FiniteHorizonGame(mfg.MovesKernel(table), reward, mu, H, available=mask, discount=g)
    P = table_of_successors(table[..., None], np.ones((1, S, A, 1)))[0]

    def pay(t, seen):
        there = np.maximum(table, 0)
        return np.array([[base[t, s, a] + weight[s, a] * seen[there[s, a]] for a in range(A)] for s in range(S)])

    return game, PlainGame(lambda t, _: P, pay, mu, H, repeat(mask[None], T), float(g))


def joint_game(rng, cast):
    """Payoffs and moves see the joint law of states and actions."""
    base, L = cast(rng.dirichlet(np.ones(S), size=(H, S, A))), cast(rng.standard_normal((S, A, S, A)))
    pull, c, g = cast(0.7), cast(1.0), cast(0.9)
    mu, mask = cast([0.5, 0.25, 0.25, 0.0]), random_mask(rng, T, S, A)
    kernel = CrowdKernel(jnp.asarray(base), jnp.asarray(pull))
    reward = mfg.PairwiseReward(DenseInteraction(L, 2), Squash(jnp.asarray(c)))
    game = mfg.FiniteHorizonGame(kernel, reward, mu, H, available=mask, discount=g, observes="state_actions")
    plain = PlainGame(pulled(base, pull), pairwise(repeat(L[None], T), c), mu, H, mask, float(g), joint=True)
    return game, plain


GAMES = {
    "dense": dense_game,
    "dense over time": dense_game_over_time,
    "crowd kernel": crowd_game,
    "successors": successor_game,
    "crowd successors": hesitant_game,
    "moves": moves_game,
    "joint law": joint_game,
}


def random_game(kind, rng, dtype=np.float64):
    """Return the same random game for the library and for the oracle; the numbers are rounded to `dtype` first."""
    return GAMES[kind](rng, lambda x: np.asarray(x, dtype))


def assert_close(actual, expected, atol=0.0, rtol=0.0):
    """Compare with stated tolerances; NaN equals nothing."""
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), atol=atol, rtol=rtol, equal_nan=False)


# --- the example of Guan et al., from its description ------------------------------------------------------

EDGES = {1: [1, 2, 5], 2: [2, 3, 4], 3: [3, 4], 4: [3, 4, 5], 5: [1, 5]}
COORDINATOR = {1: [0.01, 0.98, 0.01], 2: [0.02, 0.49, 0.49], 3: [0.5, 0.5], 4: [0.5, 0.49, 0.01], 5: [0.99, 0.01]}


def resource_allocation_by_hand(preset="paper"):
    """The example and its reference policy `[6, 5, 3]` for the oracle."""
    scale, discount = {"paper": (1.0, 1.0), "author-code": (0.6, 0.9)}[preset]
    moves, reference = np.zeros((5, 3, 5)), np.zeros((5, 3))
    for node, targets in EDGES.items():
        for a, target in enumerate(targets):
            moves[node - 1, a, target - 1] = 1
            reference[node - 1, a] = COORDINATOR[node][a]

    def reward(t, seen):
        worth = np.array([0, 0, 1.5, 1, 0]) - seen
        return np.repeat((scale * worth**2 * (t == 5))[:, None], 3, axis=1)

    mask = repeat((reference > 0)[None], 6)
    initial = np.array([0.3, 0.2, 0.3, 0.1, 0.1])
    return PlainGame(lambda t, _: moves, reward, initial, 5, mask, discount), repeat(reference[None], 6)
