"""Environments of MFGLib as games: as tables where functions are linear, else with a reward or kernel in JAX."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array, Float, Scalar
from ..kernels import AbstractKernel, DenseKernel, SuccessorKernel
from ..kernels.base import time_slice
from ..model import FiniteHorizonGame, PairwiseReward, trace_game
from ..model.rewards import DenseInteraction

MAX_ENTRIES = 100_000_000  # of a table, in memory
_MOST_PLACES = 64  # at which everybody is, when functions are tried
_REMEDY = "JAX cannot compile functions of PyTorch: give it as `{argument}`, a callable (t, mean_field) -> {shape}"


class MetMoves(eqx.Module):
    """P_t(s'|s,a,L) = Σ_x L(x) P_t(s'|s,a,x): how an agent moves depends on whom it meets, one of the population.

    Rows are probabilities whatever L, since those of the table are.
    """

    table: Float[Array, "#T S A S *seen"]

    def __call__(self, t: Scalar | int, mean_field: Array) -> Array:
        # else the rounding of Σ L, of which rows are multiples, would double at every step
        law = mean_field / mean_field.sum()
        return jnp.tensordot(time_slice(self.table, t), law, axes=law.ndim, precision="highest")


def from_mfglib(
    env: Any,
    *,
    reward: Callable[..., Any] | None = None,
    kernel: Any = None,
    observes: str = "state_actions",
) -> FiniteHorizonGame:
    """Build a game from an `mfglib.env.Environment`.

    Rewards and transitions there are functions of PyTorch, which JAX can neither trace nor differentiate. Those
    that do not depend on the mean field L, or are linear in it, are known from their values where all agents are at
    one place x, and are turned into tables:

        r_t(s,a,L) = Σ_x L(x) r_t(s,a,δ_x)

    (a constant is linear, too, since Σ L = 1). Other rewards and transitions must be written again with `jax.numpy`,
    and given as `reward` or `kernel`. In both cases the game is compared with the environment at all times and at
    dozens of mean fields of many kinds. This is not a proof, but it finds typing errors.

    Axes: states and actions of several dimensions are numbered in the order of `reshape(-1)`, and named "1,0,2".
    MFGLib's `T` is the horizon, and it has neither discount nor masks. Values there are in single precision; here
    they get JAX's default one, and probabilities are divided by their sums.

    Args:
      env: the environment. `T`, `S`, `A`, `mu0`, `reward(t, L_t)` and `prob(t, L_t)` are used, MFGLib itself is not
        imported.
      reward: a callable `(t, mean_field) -> [S, A]` written with `jax.numpy`, with t a whole number; None: from
        `env.reward`.
      kernel: as in `FiniteHorizonGame`; None: from `env.prob`.
      observes: what `mean_field` is: "state_actions", the joint law `[S, A]` as in MFGLib, or "states", the law `[S]`
        of the states, if the environment sees no more of it (tables are then A times smaller).

    Returns:
      A `FiniteHorizonGame`.

    Raises:
      ValueError: if an attribute is missing or does not fit; if a reward or a transition is not linear in the mean
        field and none is given; if what is given differs from the environment, with the place and both values.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> from types import SimpleNamespace  # in place of mfglib.env.Environment
      >>> stay_or_move = np.stack([np.eye(2), 1 - np.eye(2)], axis=-1)  # next states, states, actions
      >>> env = SimpleNamespace(T=3, S=(2,), A=(2,), mu0=np.array([1.0, 0.0]), prob=lambda t, L: stay_or_move)
      >>> env.reward = lambda t, L: -np.repeat(L.sum(axis=1, keepdims=True), 2, axis=1)
      >>> game = mfg.games.from_mfglib(env)
      >>> f"{mfg.solve(game, mfg.EntropyRegularized(beta=10.0)).state_law[3, 1]:.2f}"
      '0.50'

    Source: Guo et al. (2023), arXiv:2304.08630, for MFGLib.
    """
    _checks.one_of("observes", observes, ("states", "state_actions"))
    source = _Environment(env, observes)
    if reward is None:
        table, linear = source.table("reward", range(source.T + 1), source.rewards)
        axes = 1 if observes == "states" else 2
        game_reward: Any = PairwiseReward(DenseInteraction(table, axes)) if linear else table
    else:
        game_reward = reward
    game_kernel = kernel
    if kernel is None:
        table, linear = source.table("kernel", range(source.T), source.moves)  # nobody moves after the last reward
        game_kernel = MetMoves(table) if linear else _kernel_of(table)
    game = FiniteHorizonGame(
        game_kernel,
        game_reward,
        source.initial,
        source.T,
        available=np.ones((source.S, source.A), dtype=bool),
        observes=observes,
        state_labels=_labels(source.states),
        action_labels=_labels(source.actions),
    )
    traced = trace_game(game)  # once, for all laws at which it is compared
    _compare("reward", traced, source, range(source.T + 1), source.rewards, _reward_of, reward is not None)
    _compare("kernel", traced, source, range(source.T), source.moves, _moves_of, kernel is not None)
    return game


class _Environment:
    """An environment of MFGLib in NumPy, with one axis of states and one of actions."""

    def __init__(self, env: Any, observes: str):
        for name in ("T", "S", "A", "mu0", "reward", "prob"):
            if not hasattr(env, name):
                shown = _checks.shorten(env)
                raise ValueError(f"`env` must be an `mfglib.env.Environment`; {shown} has no `{name}`.")
        self.env, self.observes = env, observes
        self.T = _checks.integer_at_least("env.T", env.T, 1)
        self.states, self.actions = _shape("env.S", env.S), _shape("env.A", env.A)
        self.S, self.A = int(np.prod(self.states)), int(np.prod(self.actions))
        law = _numpy(env.mu0)
        _checks.shape_is("env.mu0", law, [self.states], "env.S")
        self.initial = _normalised("env.mu0", law.reshape(1, -1))[0]
        # as in MFGLib, laws have PyTorch's default precision, whatever that of `mu0`
        torch = sys.modules.get("torch")  # not imported: where tensors are, PyTorch is loaded
        self.torch = torch if torch is not None and isinstance(env.mu0, torch.Tensor) else None

    def rewards(self, t: int, law: np.ndarray) -> np.ndarray:
        """Return r_t(s,a,L) as `[S, A]`."""
        values = _numpy(self.env.reward(t, self._law(law)))
        _checks.shape_is(f"env.reward({t}, L)", values, [self.states + self.actions], "env.S and env.A")
        return values.reshape(self.S, self.A)

    def moves(self, t: int, law: np.ndarray) -> np.ndarray:
        """Return P_t(s'|s,a,L) as `[S, A, S]`; MFGLib has s' first."""
        values = _numpy(self.env.prob(t, self._law(law)))
        shape = self.states + self.states + self.actions
        _checks.shape_is(f"env.prob({t}, L)", values, [shape], "next states, states, actions")
        rows = np.moveaxis(values.reshape(self.S, self.S, self.A), 0, -1)
        return _normalised(f"env.prob({t}, L)", rows)

    def _law(self, law: np.ndarray) -> Any:
        shaped = law.reshape(self.states + self.actions)
        if self.torch is None:
            return shaped.astype(_numpy(self.env.mu0).dtype)
        return self.torch.as_tensor(shaped, dtype=self.torch.get_default_dtype(), device=self.env.mu0.device)

    @property
    def laws(self) -> list[np.ndarray]:
        """Joint laws `[S, A]` at which functions are tried: even, uneven, on few places, near one, and on one."""
        rng, size = np.random.default_rng(0), self.S * self.A  # a fixed seed: what is refused once is refused again
        kinds = [np.full(size, 1 / size)]
        kinds += [rng.dirichlet(np.full(size, spread)) for spread in (1.0, 1.0, 1.0, 0.1, 0.1, 3 / size, 3 / size)]
        places = np.zeros((min(size, _MOST_PLACES), size))
        places[np.arange(len(places)), np.sort(rng.choice(size, len(places), replace=False))] = 1
        kinds += [0.9 * place + 0.1 * kinds[1] for place in places[:3]] + list(places)
        return [law.reshape(self.S, self.A) for law in kinds]

    def vertices(self) -> Iterator[np.ndarray]:
        """Yield the laws of populations that are all at one place."""
        for s in range(self.S):
            for a in range(self.A):
                law = np.zeros((self.S, self.A))
                law[s, a] = 1
                if self.observes == "states":
                    law[s] = 1 / self.A  # actions do not matter then: one law for each state
                yield law
                if self.observes == "states":
                    break

    def table(self, argument: str, times: range, function: Callable[[int, np.ndarray], np.ndarray]) -> tuple[Any, bool]:
        """Return a function's values as a table `[#T, ..., *seen]`, and whether it depends on the mean field.

        Where it does not, the table is `[#T, ...]`.
        """
        laws, seen = self.laws, (self.S,) if self.observes == "states" else (self.S, self.A)
        constant, shape = True, seen
        for t in times:
            first, second, third = (function(t, law) for law in (laws[1], laws[2], (laws[1] + laws[2]) / 2))
            # one middle only: `_compare` tries the finished table at all laws
            is_nonlinear = ~_close(third, (first + second) / 2, max(_size(first), _size(second)))
            self._refuse_if(is_nonlinear, argument, t, "is not linear in")
            shape = (*first.shape, *seen)
            constant = constant and all(np.array_equal(first, function(t, law)) for law in laws)
        if constant:
            return _one_if_equal(function(t, laws[0]) for t in times), False
        # before anything of that size is computed; as floats, since int64 may overflow
        if len(times) * np.prod(shape, dtype=float) > MAX_ENTRIES:
            raise ValueError(
                f"`env.{_source(argument)}` would be a table of {len(times)} x {' x '.join(map(str, shape))} numbers, "
                f"which is too large: {self.remedy(argument)}."
            )
        places = list(self.vertices())
        tables = (np.stack([function(t, law) for law in places], axis=-1).reshape(shape) for t in times)
        return _one_if_equal(tables), True

    def _refuse_if(self, is_nonlinear: np.ndarray, argument: str, t: int, words: str) -> None:
        if is_nonlinear.any():
            s, a = np.argwhere(is_nonlinear)[0][:2]
            raise ValueError(
                f"`env.{_source(argument)}` {words} the mean field (at t = {t}, state {s}, action {a}), and "
                f"{self.remedy(argument)}."
            )

    def remedy(self, argument: str) -> str:
        shape = "[S, A]" if argument == "reward" else "[S, A, S]"
        return _REMEDY.format(argument=argument, shape=shape)


def _compare(
    argument: str,
    game: FiniteHorizonGame,
    source: _Environment,
    times: range,
    function: Callable[[int, np.ndarray], np.ndarray],
    ours: Callable[..., Array],
    is_users_own: bool,
) -> None:
    """Check that a game equals its environment at all laws and times, and say where it differs."""
    laws = source.laws
    for t in times:
        # probabilities are of the size of 1, whatever these are
        scale = 1.0 if argument == "kernel" else max(_size(function(t, law)) for law in laws)
        for law in laws:
            their_value = function(t, law)
            seen = jnp.asarray(law.sum(axis=1) if game.observes == "states" else law, game.dtype)
            our_value = np.asarray(ours(game, jnp.int32(t), seen), float)
            differs = ~_close(our_value, their_value, scale)
            if not differs.any():
                continue
            place = tuple(int(i) for i in np.argwhere(differs)[0])
            place_text = f"at t = {t}, {list(place)}"
            if is_users_own:
                raise ValueError(
                    f"`{argument}` is {our_value[place]:.7g} {place_text}, but `env.{_source(argument)}` is "
                    f"{their_value[place]:.7g} in the same population."
                )
            if game.observes == "states":
                seen_text = "the law of the states alone (if actions matter, use `observes='state_actions'`)"
            else:
                seen_text = "the mean field"
            raise ValueError(
                f"`env.{_source(argument)}` is no linear function of {seen_text}, {place_text}, and "
                f"{source.remedy(argument)}."
            )


@eqx.filter_jit
def _reward_of(game: FiniteHorizonGame, t: Array, seen: Array) -> Array:
    return game.reward_at(t, seen)


@eqx.filter_jit
def _moves_of(game: FiniteHorizonGame, t: Array, seen: Array) -> Array:
    # expectations of unit vectors are the probabilities, whatever the form of the kernel
    return game.kernel_at(t, seen).expect(jnp.eye(game.num_states, dtype=game.dtype))


def _size(values: np.ndarray) -> float:
    return float(np.max(np.abs(values)))


def _close(found: np.ndarray, wanted: np.ndarray, scale: float) -> np.ndarray:
    """Tell where numbers agree to the rounding of single precision; NaN agrees with nothing."""
    with np.errstate(invalid="ignore"):  # of infinities
        return np.abs(found - wanted) <= 100 * np.finfo(np.float32).eps * scale


def _source(argument: str) -> str:
    return "reward" if argument == "reward" else "prob"


def _one_if_equal(tables: Iterable[np.ndarray]) -> np.ndarray:
    """Stack the tables of all times, or return one if all are equal."""
    by_time: list[np.ndarray] = []
    for table in tables:  # each is large: what is equal is held once
        by_time.append(by_time[0] if by_time and np.array_equal(table, by_time[0]) else table)
    return by_time[0][None] if all(table is by_time[0] for table in by_time) else np.stack(by_time)


def _kernel_of(table: np.ndarray) -> AbstractKernel:
    """Return a table `[#T, S, A, S]` as a kernel, which lists successors where most entries are 0."""
    leads = (table > 0).any(axis=0)
    num_successors = int(leads.sum(axis=-1).max())
    if 4 * num_successors > table.shape[-1]:  # lists pay only where they are much shorter than rows
        return DenseKernel(table)
    # stable: successors stay in the order of states
    order = np.argsort(~leads, axis=-1, kind="stable")[..., :num_successors]
    successors = np.where(np.take_along_axis(leads, order, axis=-1), order, -1)
    return SuccessorKernel(successors, np.take_along_axis(table, order[None], axis=-1))


def _shape(name: str, value: Any) -> tuple[int, ...]:
    sizes = value if isinstance(value, tuple | list) else (value,)
    if not sizes:
        raise ValueError(f"`{name}` must be a tuple of sizes; got {_checks.shorten(value)}.")
    return tuple(_checks.integer_at_least(f"{name}[{i}]", size, 1) for i, size in enumerate(sizes))


def _labels(shape: tuple[int, ...]) -> list[str]:
    return [",".join(map(str, index)) for index in np.ndindex(shape)]


def _numpy(values: Any) -> np.ndarray:
    """Copy a tensor of PyTorch, or anything that NumPy can read, to a NumPy array."""
    # tensors may want gradients, or be on a GPU
    return np.array(values.detach().cpu() if hasattr(values, "detach") else values)


def _normalised(name: str, rows: np.ndarray) -> np.ndarray:
    """Check rows of probabilities, and return them in double precision, divided by their sums."""
    rows = rows.astype(np.float64)
    sums = rows.sum(axis=-1, keepdims=True)
    is_wrong = ~(np.abs(sums - 1) <= 1e-4)[..., 0] | ~(rows >= 0).all(axis=-1)
    if is_wrong.any():
        place = tuple(int(i) for i in np.argwhere(is_wrong)[0])
        least, total = rows[place].min(), sums[place][0]
        reason = f"one is {least:.7g}" if least < 0 else f"they sum to {total:.7g}"
        raise ValueError(f"`{name}` has no probabilities at {list(place)}: {reason}.")
    return rows / sums
