"""The interface of learners, the task that they learn, and checks of their arguments."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks, _functions
from .._display import shows_itself
from .._typing import Array, ArrayLike, Scalar
from ..model import StationaryGame, of_kind
from ..responses.base import Backup
from ..responses.trembling import AbstractTrembling
from .sampling import Draw

MOST = 2**31 - 1  # what int32 holds


@shows_itself
class Task(eqx.Module):
    """The task of a learner: a game whose moves can only be sampled; its rewards are known.

    Attributes:
      game: the game, of which rewards, discount and shapes are used.
      response: how agents act on action values, such as `Trembling(epsilon)`.
      simulator: `(z) -> draw`, where `draw(key, states, actions)` returns the next states.
    """

    game: StationaryGame
    response: AbstractTrembling
    simulator: Callable[[Array], Draw]

    def backup(self, q: Array) -> Backup:
        """Return G(Q) `[S]` and π_Q `[S, A]` of action values `[S, A]`."""
        # stationary: the first time stands for all
        return self.response.backup(jnp.int32(0), q, self.game.available[0])

    def backup_rows(self, rows: Array, states: Array) -> Backup:
        """Return values `[N]` and policies `[N, A]` of rows `[N, A]`, each of an agent in one of the states `[N]`."""
        return self.response.backup(jnp.int32(0), rows, self.game.available[0][states])

    def reward(self, z: Array) -> Array:
        """Return r(s,a,z), `[S, A]`; 0 for an action that does not exist."""
        return jnp.where(self.game.available[0], self.game.reward_at(jnp.int32(0), z), 0)


@shows_itself
class AbstractLearner(eqx.Module):
    """The base class of learners: pure functions `init` and `step`, which `run` calls.

    A state is any tuple of arrays whose field `z` is the law of the states, `[S]`.
    """

    @abstractmethod
    def init(self, task: Task, key: Array, z: Array) -> Any:
        """Return the state before the first step, in a population with law z."""

    @abstractmethod
    def step(self, task: Task, state: Any, key: Array) -> Any:
        """Learn in the population as it is, and let it move once."""

    @abstractmethod
    def policy(self, task: Task, state: Any) -> Array:
        """Return what is played, `[S, A]`; the mean over agents in a state where each has a policy of its own."""


@shows_itself
class Polynomial(eqx.Module):
    """The step size 1/n^w at the n-th visit of a pair of state and action.

    Args:
      exponent: w in (1/2, 1): the step size falls slowly enough to forget the start, and fast enough to average out
        noise.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: Even-Dar and Mansour (2003), JMLR 5; Lee et al. (2021), arXiv:2006.11683, theorem 4.
    """

    exponent: Scalar

    def __init__(self, exponent: float = 0.77):
        self.exponent = _checks.scalar_in("exponent", exponent, 0.5, 1, "(1/2, 1)")

    def __call__(self, visits: Array) -> Array:
        return 1 / visits**self.exponent


def learned(game: Any, response: Any) -> tuple[StationaryGame, AbstractTrembling]:
    """Return a game and a response that learners can handle, or refuse others."""
    game = of_kind(StationaryGame, game)
    if game.observes != "states":
        raise ValueError(
            "`game` observes the joint law of states and actions, but learners need a game that observes states."
        )
    if not isinstance(response, AbstractTrembling):
        raise ValueError(f"`response` must be `Trembling(epsilon)` or `EpsilonGreedy(epsilon)`; got {response!r}.")
    return game, response


def count(name: str, value: Any) -> int:
    """Return a whole number from 1 to the largest that int32 holds, or refuse the value."""
    number = _checks.integer_at_least(name, value, 1)
    if number > MOST:
        raise ValueError(f"`{name}` is {number}, but counts and indices are int32: it must be at most {MOST}.")
    return number


def seed_number(value: Any) -> int:
    """Return a seed, or refuse one of 2^32 or more, whose upper bits would be lost in single precision."""
    seed = _checks.integer_at_least("seed", value, 0)
    if seed >= 2**32:
        raise ValueError(f"`seed` is {seed}, but it must be below 2**32.")
    return seed


def refuse_size(array_name: str, size: int) -> None:
    """Refuse an array whose entries int32 cannot number."""
    if size > MOST:
        raise ValueError(f"{array_name}: an array of {size} numbers, but at most {MOST} can be indexed with int32.")


def start_values(value: ArrayLike) -> Any:
    """Return Q₀ as one number or a table, refused if it is neither."""
    array = _checks.as_numbers("initial_q", value)
    if np.ndim(array) != 0:
        _checks.shape_is("initial_q", array, [(None, None)], "states, actions; or one number for all")
    if not _checks.is_traced(array):
        _checks.finite("initial_q", array)
    return array


def values_before(task: Task, initial_q: Any, dtype: Any) -> Array:
    """Return Q₀ as a table `[S, A]` of a game, or say that its shape is another."""
    shape = (task.game.num_states, task.game.num_actions)
    _checks.shape_is("initial_q", initial_q, [(), shape], "states, actions; or one number for all")
    return jnp.broadcast_to(jnp.asarray(initial_q, dtype), shape)


def step_size(name: str, rate: Any) -> Any:
    """Return a schedule: the default, or a callable of the number of visits, such as an optax schedule."""
    if rate is None:
        return Polynomial()
    if not callable(rate):
        got = _checks.shorten(rate)
        raise ValueError(f"`{name}` must be a callable (visits), such as an optax schedule; got {got}.")
    # tried at the first visit, so that a schedule that fails does so here
    _functions.shape_returned(
        name, _functions.returned(name, rate, {"visits": jnp.ones(())}, "at 1"), [()], "one number"
    )
    return rate
