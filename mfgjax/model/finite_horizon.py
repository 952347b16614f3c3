"""Games with a finite horizon."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array, ArrayLike, Bool, Float, Scalar
from ..kernels import AbstractKernel, DenseKernel
from ..kernels.base import time_slice
from .rewards import PairwiseReward, TableReward


class FiniteHorizonGame(eqx.Module):
    """A mean-field game over times 0..H: `horizon=H` means H moves and H+1 decisions.

    The action at H still earns its reward, but nobody moves after it. The game is the physics alone: how
    agents act on it is a response (`EntropyRegularized`, `Boltzmann`, `Greedy`).

    Args:
      kernel: how an agent moves between t and t+1, for t = 0..H−1: an array `[S, A, S]` or `[H, S, A, S]`
        of P(s'|s,a), a kernel object (`DenseKernel`, `SuccessorKernel`, `MovesKernel`), or a callable
        `(t, mean_field) -> array or kernel object` when it depends on the population.
      reward: an array `[S, A]` or `[H+1, S, A]`, a `PairwiseReward`, or a callable
        `(t, mean_field) -> [S, A]` with t a traced int32 in 0..H; A may be 1 where all actions earn the same.
      initial: law of the states at time 0, `[S]`.
      horizon: H ≥ 1.
      available: which actions exist where, booleans `[S, A]` or `[H+1, S, A]`; None: all.
      discount: γ in (0, 1], per step.
      observes: what `mean_field` is in rewards and kernels: "states", the law `[S]` of the states, or
        "state_actions", the joint law `[S, A]` of states and actions at that time.
      state_labels: names of the states, for tables and pictures.
      action_labels: names of the actions.

    All floating arrays are brought to one precision, the widest given. Parameters that one wants to sweep
    or differentiate live in an `equinox.Module` with `__call__`: arrays captured by a lambda are constants.

    Raises:
      ValueError: naming the field, the first offending place and its value.

    Source: Guan et al. (2021), arXiv:2110.07469, section II; the pairwise class there is `PairwiseReward`.
    """

    kernel: AbstractKernel | Callable[[Scalar, Array], Any]
    reward: Callable[[Scalar, Array], Array]
    initial: Float[Array, "S *batch"]
    available: Bool[Array, "#T S A"]
    discount: Float[Array, "*batch"]
    horizon: int = eqx.field(static=True)
    observes: str = eqx.field(static=True)
    state_labels: tuple[str, ...] = eqx.field(static=True)
    action_labels: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        kernel: ArrayLike | AbstractKernel | Callable,
        reward: ArrayLike | Callable,
        initial: ArrayLike,
        horizon: int,
        *,
        available: ArrayLike | None = None,
        discount: ArrayLike = 1.0,
        observes: str = "states",
        state_labels: Sequence[str] | None = None,
        action_labels: Sequence[str] | None = None,
    ):
        self.horizon = _checks.integer_at_least("horizon", horizon, 1)
        _checks.one_of("observes", observes, ("states", "state_actions"))
        self.observes = observes
        initial = _checks.as_numbers("initial", initial)
        _checks.shape_is("initial", initial, [(None,)], "states")
        discount = _checks.scalar_in("discount", discount, 0, 1, "(0, 1]")
        if not isinstance(kernel, AbstractKernel) and not callable(kernel):
            kernel = DenseKernel(kernel)
        if not callable(reward):
            table = _checks.as_numbers("reward", reward)
            _checks.shape_is(
                "reward", table, [(None,) * 2, (None,) * 3], "states, actions; or times, states, actions"
            )
            reward = TableReward(table[None] if table.ndim == 2 else table)
        num_states = initial.shape[0]
        num_actions = _num_actions(kernel, reward, available, initial, observes)
        dtype = jnp.result_type(
            *(leaf.dtype for leaf in jax.tree.leaves((kernel, reward, initial)) if eqx.is_inexact_array(leaf))
        )
        self.kernel, self.reward, self.initial, self.discount = jax.tree.map(
            lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) and leaf.dtype != dtype else leaf,
            (kernel, reward, initial, discount),
        )
        self.available = _available(available, num_states, num_actions, self.horizon)
        self.state_labels = _labels("state_labels", state_labels, num_states)
        self.action_labels = _labels("action_labels", action_labels, num_actions)
        _check_kernel_shape(self)
        _check_reward_shape(self)
        validate(self)

    @property
    def num_states(self) -> int:
        return self.initial.shape[0]

    @property
    def num_actions(self) -> int:
        return self.available.shape[2]

    @property
    def dtype(self) -> jnp.dtype:
        return self.initial.dtype

    def kernel_at(self, t: Scalar, mean_field: Array) -> AbstractKernel:
        """Return the kernel of the move from t to t+1 in a population with that mean field at t."""
        if isinstance(self.kernel, AbstractKernel):
            return self.kernel.at(t)
        kernel = self.kernel(t, mean_field)
        return (kernel if isinstance(kernel, AbstractKernel) else DenseKernel(kernel)).at(jnp.int32(0))

    def reward_at(self, t: Scalar, mean_field: Array) -> Array:
        """Return R_t(s,a,mean_field) as `[S, A]`."""
        reward = jnp.asarray(self.reward(t, mean_field)).astype(self.dtype)
        return jnp.broadcast_to(reward, (self.num_states, self.num_actions))

    def available_at(self, t: Scalar) -> Array:
        """Return which actions exist at time t, `[S, A]`."""
        return time_slice(self.available, t)

    def observe(self, mu: Array, mass: Array) -> Array:
        """Return what payoffs see of the law of states `mu` and the joint law `mass` of one time."""
        return mu if self.observes == "states" else mass

    @property
    def num_seen_axes(self) -> int:
        """Return how many axes the mean field of one time has."""
        return 1 if self.observes == "states" else 2


def _labels(name: str, labels: Sequence[str] | None, count: int) -> tuple[str, ...]:
    names = tuple(map(str, range(count) if labels is None else labels))
    if len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"`{name}` must be {count} different names; got {len(names)}: {', '.join(names)[:60]}."
        )
    return names


def _num_actions(kernel: Any, reward: Any, available: Any, initial: Array, observes: str) -> int:
    if isinstance(kernel, AbstractKernel):
        return kernel.num_actions
    if available is not None:
        shape = np.shape(available)
        if len(shape) in (2, 3):
            return shape[-1]
    shape = ()
    if isinstance(reward, TableReward):
        shape = reward.table.shape[1:]
    elif observes == "states":
        shape = jax.eval_shape(reward, jnp.int32(0), initial).shape
    if len(shape) == 2 and shape[1] > 1:
        return shape[1]
    raise ValueError(
        "The number of actions is not known from callables alone: give `available`, booleans [S, A]."
    )


def _available(available: Any, num_states: int, num_actions: int, horizon: int) -> Array:
    if available is None:
        return jnp.ones((1, num_states, num_actions), dtype=bool)
    if not isinstance(available, jax.core.Tracer):
        array = np.asarray(available)
        if array.dtype != bool:
            raise ValueError(
                f"`available` must hold booleans; got {array.dtype}: {str(array.ravel()[:3])[:40]}."
            )
        shapes = [
            (num_states, num_actions),
            (1, num_states, num_actions),
            (horizon + 1, num_states, num_actions),
        ]
        _checks.shape_is("available", array, shapes, "states, actions; or times, states, actions")
        rows = array.any(axis=-1)
        _checks.all_true("available", rows, rows, "every state needs an available action")
    array = jnp.asarray(available)
    return array[None] if array.ndim == 2 else array


def _probe(game: FiniteHorizonGame, t: int) -> tuple[Scalar, Array]:
    """Return a time and a mean field at which callables are tried: the initial law, uniform actions."""
    if game.observes == "states":
        return jnp.int32(t), game.initial
    uniform = game.available_at(jnp.int32(t)).astype(game.dtype)
    return jnp.int32(t), game.initial[:, None] * uniform / uniform.sum(axis=1, keepdims=True)


def _check_kernel_shape(game: FiniteHorizonGame) -> None:
    S, A, H = game.num_states, game.num_actions, game.horizon
    if isinstance(game.kernel, AbstractKernel):
        if (game.kernel.num_states, game.kernel.num_actions) != (S, A):
            raise ValueError(
                f"`kernel` is for {game.kernel.num_states} states and {game.kernel.num_actions} actions, but "
                f"`initial` has {S} states and there are {A} actions."
            )
        if game.kernel.num_times not in (1, H):
            raise ValueError(
                f"`kernel` has {game.kernel.num_times} times; it needs horizon = {H} of them, or one."
            )
        return
    shape = jax.eval_shape(game.kernel, *_probe(game, 0))
    if isinstance(shape, AbstractKernel):
        if (shape.num_states, shape.num_actions) != (S, A):
            raise ValueError(
                f"`kernel` returned {shape.num_states} states, {shape.num_actions} actions; need {S}, {A}."
            )
    else:
        _checks.shape_is(
            "kernel", shape, [(S, A, S)], "states, actions, next states, returned by the callable"
        )


def _check_reward_shape(game: FiniteHorizonGame) -> None:
    S, A, T = game.num_states, game.num_actions, game.horizon + 1
    for name, times in _time_tables(game.reward):
        if times not in (1, T):
            raise ValueError(f"`{name}` has {times} times; it needs horizon + 1 = {T} of them, or one.")
    try:
        shape = jax.eval_shape(game.reward, *_probe(game, 0))
    except TypeError as error:
        if not isinstance(game.reward, PairwiseReward):
            raise
        raise ValueError(
            f"`reward.L` does not fit a mean field of {S} states: {str(error).splitlines()[0]}"
        ) from error
    if isinstance(game.reward, TableReward):
        _checks.shape_is(
            "reward",
            game.reward.table,
            [(1, S, A), (T, S, A), (1, S, 1), (T, S, 1)],
            "times, states, actions",
        )
    _checks.shape_is("reward", shape, [(S, A), (S, 1)], "states, actions, returned at one time")


def _time_tables(reward: Any) -> list[tuple[str, int]]:
    """Return name and number of times of the tables of the library's own rewards."""
    if isinstance(reward, TableReward):
        return [("reward", reward.table.shape[0])]
    if isinstance(reward, PairwiseReward):
        fields = ((name, getattr(reward.L, name, None)) for name in ("table", "base", "weight"))
        return [(f"reward.L.{name}", table.shape[0]) for name, table in fields if table is not None]
    return []


def validate(game: FiniteHorizonGame) -> None:
    """Check the values of a game's arrays, and of its callables at the first and the last time.

    Args:
      game: the game; values that are traced (inside `jit` or `vmap`) are skipped, and what is wrong with
        them shows as a result code of `solve`.

    Raises:
      ValueError: naming the field, the first offending place and its value: numbers that are not finite,
        negative probabilities, rows that do not sum to 1.
    """
    if _checks.is_traced(game):
        return
    _checks.distribution("initial", game.initial)
    available = np.asarray(game.available)
    H = game.horizon
    # time H has no move, so only the masks of the first H decisions bear on the kernel
    masks = available if available.shape[0] == 1 else available[:H]
    if isinstance(game.kernel, AbstractKernel):
        _check_kernel_values(game.kernel, masks)
    else:
        for t in sorted({0, H - 1}):
            kernel = _probe_kernel(game, t)
            _check_kernel_values(kernel, masks[min(t, len(masks) - 1)][None])
    for t, rewards in zip((0, H), _probe_rewards(game), strict=True):
        rewards = np.asarray(rewards)
        mask = available[min(t, len(available) - 1)]
        name = "reward" if isinstance(game.reward, TableReward) else f"reward at t = {t}"
        _checks.all_true(name, rewards, np.isfinite(rewards) | ~mask, "it must be a finite number")
    if isinstance(game.reward, TableReward):
        table = np.asarray(game.reward.table)
        _checks.all_true("reward", table, np.isfinite(table) | ~available, "it must be a finite number")


@eqx.filter_jit  # one small program instead of dozens of operations
def _probe_rewards(game: FiniteHorizonGame) -> tuple[Array, Array]:
    return game.reward_at(*_probe(game, 0)), game.reward_at(*_probe(game, game.horizon))


@eqx.filter_jit
def _probe_kernel(game: FiniteHorizonGame, t: int) -> AbstractKernel:
    return game.kernel_at(*_probe(game, t))


def _check_kernel_values(kernel: AbstractKernel, masks: np.ndarray) -> None:
    table = np.asarray(kernel.probabilities)
    times = max(len(table), len(masks))
    shown = np.broadcast_to(table, (times, *table.shape[1:]))
    where = np.broadcast_to(masks, (times, *masks.shape[1:]))
    if times == 1:
        shown, where = shown[0], where[0]
    _checks.distribution("kernel", shown, where, leading=where.ndim)
