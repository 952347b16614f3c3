"""The abstract game: what maps and solvers ask of every kind of game."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._coordinates import are_numbered
from .._display import Facts, Page, Part, shows_itself
from .._largest_states import heaviest
from .._modes import in_own_modes
from .._shorten import shown, shown_pairs
from .._shown_laws import listed
from .._simplex import onto_simplex, total_variation
from .._typing import Array, Bool, Float, Scalar
from ..kernels import AbstractKernel, DenseKernel
from ..kernels.base import time_slice
from ..kernels.precision import kernel_in_precision
from ..responses import AbstractResponse
from .aggregates import Aggregate, ThroughAggregate
from .parameters import Parameters, arguments_of, values_of
from .rewards import TableReward

Game = TypeVar("Game", bound="AbstractGame")
AnyArray = TypeVar("AnyArray", Array, np.ndarray)  # users get back the kind of array that they gave


@shows_itself
class BestResponse(NamedTuple):
    """The best response to a mean field and its values. The arrays of a stationary game have no time axis.

    Attributes:
      policy: π_t(a|s).
      log_policy: its log, −inf where it is 0.
      values: V_t(s), in units of reward.
      q: Q_t(s,a), in units of reward.
    """

    policy: Float[Array, "T S A"]
    log_policy: Float[Array, "T S A"]
    values: Float[Array, "T S"]
    q: Float[Array, "T S A"]


@shows_itself
class AbstractGame(eqx.Module):
    """Kernel, reward and initial law, and the maps of which an equilibrium is a fixed point.

    The maps take and return arrays with times first, T = horizon + 1 of them, and with lanes last where many games are
    computed at once (`LaneGame`). A stationary game has one time, and its answers do not depend on it.
    They check nothing: users call `respond`, `propagate`, `exploitability` and their like, which check arrays, remove
    the axis of one time, and trace functions anew.
    """

    kernel: eqx.AbstractVar[AbstractKernel | Callable[..., Any]]
    reward: eqx.AbstractVar[Callable[..., Array]]
    initial: eqx.AbstractVar[Float[Array, "S *batch"]]
    available: eqx.AbstractVar[Bool[Array, "#T S A"]]
    params: eqx.AbstractVar[Parameters]
    discount: eqx.AbstractVar[Float[Array, "*batch"]]  # an array: a new number compiles nothing, and has a derivative
    observes: eqx.AbstractVar[str]
    aggregate: eqx.AbstractVar[Aggregate | None]
    state_labels: eqx.AbstractVar[tuple[str, ...]]
    action_labels: eqx.AbstractVar[tuple[str, ...]]
    horizon: eqx.AbstractVar[int]
    is_stationary: ClassVar[bool]
    discounts: ClassVar[str]
    """The interval of discounts that the game can have, such as "(0, 1]"."""
    seeks_pure: ClassVar[bool]
    """Whether equilibria of responses that jump are sought in pure policies first, judged by the residual."""
    matrix_limit: ClassVar[int]
    """Numbers of a mean field up to which the matrix of I − DΓ is formed and factorised."""
    solves_for_law: ClassVar[bool] = True
    """Whether mean fields are laws, of states or of states and actions; those of a `ReducedGame` are not."""
    lanes: ClassVar[tuple[int, ...]] = ()
    """The axes behind those of one game: none. `LaneGame` has one."""

    def _page(self) -> Page:
        name, params = type(self).__name__, values_of(self.params)
        span = f"discount {shown(self.discount)}" if self.is_stationary else f"horizon {self.horizon}"
        seen = "" if self.observes == "states" and self.aggregate is None else f", payoffs see {self._seen_in_words()}"
        sizes = f"{self.num_states:,} states, {self.num_actions:,} actions, {span}"
        parts = f"kernel {_kind(self.kernel)}, reward {_kind(self.reward)}"
        more = f"; parameters {shown_pairs(params)}" if params else ""
        return Page(name, f"{sizes}, {parts}{seen}{more}", title=sizes, details=self._facts)

    def _facts(self) -> Iterator[Part]:
        exists = np.asarray(self.available)
        moves = (self.kernel if isinstance(self.kernel, AbstractKernel) else AbstractKernel).in_words
        pairs = f"{exists.sum():,} of {exists.size:,} pairs of state and action"
        facts = [
            ("states", f"{self.num_states:,}: {listed(self.state_labels)}"),
            ("actions", f"{self.num_actions:,}: {listed(self.action_labels)}"),
            *([] if self.is_stationary else [("times", f"0 to {self.horizon}")]),
            ("discount", shown(self.discount)),
            ("kernel", f"{_kind(self.kernel)}: {moves}"),
            ("reward", _kind(self.reward)),
            ("payoffs see", self._seen_in_words()),
            ("available", "all actions" if exists.all() else f"{pairs}{' and time' * (len(exists) > 1)}"),
        ]
        if self.initial.ndim == 1:
            law = np.asarray(self.initial)
            facts.append(("initial law", "uniform" if np.ptp(law) == 0 else heaviest(self.state_labels, law)))
        facts += [(f"parameter {name}", shown(value)) for name, value in values_of(self.params).items()]
        yield Facts([*facts, ("precision", str(self.dtype))])

    def _seen_in_words(self) -> str:
        law = "the law of the states" if self.observes == "states" else "the joint law of states and actions"
        if self.aggregate is None:
            return law
        return self.aggregate.in_words()

    @abstractmethod
    def call_kernel(self, t: Scalar | int, seen: Array) -> Any:
        """Call the user's kernel function at time t, given what it sees of the population, and return its result."""

    @abstractmethod
    def call_reward(self, t: Scalar | int, seen: Array) -> Array:
        """Call the reward function at time t, given what it sees of the population, and return its result."""

    @abstractmethod
    def clock(self, t: Scalar | int) -> tuple[Scalar, ...]:
        """Return the time as functions of users are given it: nothing if they are given none."""

    def seen_by_payoffs(self, t: Scalar | int, mean_field: Array) -> Array:
        """Return what rewards and kernels are given: the mean field of one time, or the aggregate of it."""
        if self.aggregate is None:
            return mean_field
        params = arguments_of(self.params, "observes", self.aggregate.function)
        return self.aggregate.value(mean_field, *self.clock(t), params=params)

    def seeing_laws(self: Game) -> Game:
        """Return the game with rewards and kernels as functions of the law, for what looks into their programs."""
        aggregate = self.aggregate
        if aggregate is None:
            return self
        params = arguments_of(self.params, "observes", aggregate.function)
        kernel, reward = (
            ThroughAggregate(part, aggregate, params) if callable(part) and not is_table else part
            for part, is_table in (
                (self.kernel, isinstance(self.kernel, AbstractKernel)),
                (self.reward, isinstance(self.reward, TableReward)),
            )
        )
        parts = (kernel, reward, None)
        return eqx.tree_at(lambda game: (game.kernel, game.reward, game.aggregate), self, parts)

    def aggregates(self, mean_field: Array) -> Array | None:
        """Return the aggregate of a mean field at every time, `[T, M]`; None where payoffs see all of it."""
        if self.aggregate is None:
            return None
        return jax.vmap(self.seen_by_payoffs)(jnp.arange(self.horizon + 1, dtype=jnp.int32), mean_field)

    @property
    def payoff_arguments(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The arguments of rewards and kernels before parameters, by name, with shapes in place of numbers."""
        seen = self.seen_shape if self.aggregate is None else (len(self.aggregate.labels or ()),)
        times = {} if self.is_stationary else {"t": jax.ShapeDtypeStruct((), time_type(self.dtype))}
        return {**times, self.name_of_seen: jax.ShapeDtypeStruct(seen, self.dtype)}

    @property
    def name_of_seen(self) -> str:
        """The name, in messages, of the argument of rewards and kernels that tells them of the population."""
        return "m" if self.aggregate is not None else "z" if self.is_stationary else "mean_field"

    @abstractmethod
    def best_response(self, mean_field: Array, response: AbstractResponse, start: Array | None = None) -> BestResponse:
        """Return the best response to a mean field; `start` are values near its own, which may save work."""

    def response_within(self, mean_field: Array, response: AbstractResponse) -> tuple[BestResponse, Array]:
        """Return the best response, and a bound on the error of its values beside rounding, lane by lane."""
        # without iteration there is rounding alone
        return self.best_response(mean_field, response), jnp.zeros(self.lanes, self.dtype)

    @abstractmethod
    def policy_from(self, mean_field: Array, response: AbstractResponse, start: Any) -> tuple[Array, Any]:
        """Return the policy of the best response alone, at least cost, and the start for a mean field nearby."""

    @abstractmethod
    def generated(self, policy: Array) -> tuple[Array, Array]:
        """Return the law of the states of a population that follows a policy, and what payoffs see of it."""

    @abstractmethod
    def moved_on(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the law of the states of a population after it followed a policy, and what payoffs see of it.

        It is the mean field itself where that is an equilibrium and the policy the response to it.
        """

    @abstractmethod
    def judged_in(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the law of the states of an agent with a policy, and the mean field in which leaving it is judged."""

    @abstractmethod
    def is_moving(self, mean_field: Array, policy: Array) -> Array:
        """Tell, lane by lane, whether a population that should be stationary still moves under a policy."""

    @abstractmethod
    def evaluated(self, mean_field: Array, log_policy: Array, penalty: Any) -> tuple[Array, Array]:
        """Return `(values [T, S], q [T, S, A])` of a policy in a population; `penalty` is that of `criterion_of`."""

    @abstractmethod
    def agent_start(self, mean_field: Array) -> Array:
        """Return the law of the states in which an agent starts, `[S]`."""

    @abstractmethod
    def discounted(self, by_time: Array) -> Array:
        """Return the discounted sum of an agent's expected payoffs, `[T]`, over its life."""

    @abstractmethod
    def laws_to_try(self) -> dict[str, np.ndarray]:
        """Return the laws of the states at which callables are tried, `[S]`, by the words for them."""

    @abstractmethod
    def random_mean_fields(self, key: Array, count: int) -> Array:
        """Draw mean fields from which searches start, `[..., count]` as users see them, from typical to extreme."""

    def distance(self, first: Array, second: Array) -> Array:
        """Return max_t d_TV(μ_t, μ'_t) of two mean fields, lane by lane."""
        # times come first and lanes last: the sum is over what lies between
        return total_variation(first, second, axis=tuple(range(1, 1 + self.num_seen_axes))).max(axis=0)

    def stepped_to(self, following: Array, mean_field: Array, image: Array) -> Array:
        """Return where an extrapolated step from a mean field ends, given its image: at distributions.

        Negative entries are clipped at 0, and the others rescaled.
        """
        return self.projected(following)

    def projected(self, mean_field: Array) -> Array:
        """Return the nearest mean field that can be one: clipped at 0 and rescaled, so that laws sum to 1."""
        return onto_simplex(mean_field, self.num_seen_axes)

    def random_change(self, mean_field: Array, signs: Array) -> Array:
        """Return a change of a mean field by a random share of every mass, in which the mass of all stays."""
        change = signs * mean_field
        return change - mean_field * change.sum(axis=tuple(range(1, mean_field.ndim)), keepdims=True)

    def laws_of(self, mean_field: Array, policy: Array) -> tuple[Array, Array | None]:
        """Return the law of a population and the aggregate of it, given what solvers find, and its policy."""
        return mean_field, self.aggregates(mean_field)

    @abstractmethod
    def first_guess(self, policy: Array) -> Array:
        """Return the mean field from which solvers start; `policy` is played where payoffs do not matter."""

    def first_values(self) -> Array | None:
        """Return the start for the first call of `policy_from`; later ones come from the call before."""
        return None

    @property
    def times(self) -> tuple[int, ...]:
        """The leading axes of mean fields and policies as users see them: `(H+1,)`, or none if it is stationary."""
        return () if self.is_stationary else (self.horizon + 1,)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """The shape of the mean field of one time: `(S,)`, or `(S, A)`."""
        return (self.num_states, self.num_actions)[: self.num_seen_axes]

    @property
    def mean_field_shape(self) -> tuple[int, ...]:
        """The shape of a mean field as users see it: `[H+1, S]`, `[S]`, or with actions."""
        return (*self.times, *self.seen_shape)

    def timed(self, array: AnyArray) -> AnyArray:
        """Give a user's array an axis of one time in front if the game is stationary."""
        return array[None] if self.is_stationary else array

    def untimed(self, array: AnyArray) -> AnyArray:
        """Remove the axis of one time in front if the game is stationary."""
        return cast(AnyArray, array[0]) if self.is_stationary else array

    def coordinates_of_time(self) -> dict[str, np.ndarray]:
        """Return `{"time": 0..H}`, or nothing if it is stationary."""
        return {} if self.is_stationary else {"time": np.arange(self.horizon + 1)}

    @property
    def num_states(self) -> int:
        """S."""
        return self.initial.shape[0]  # not the last axis, which may be lanes

    @property
    def num_actions(self) -> int:
        """A."""
        return self.available.shape[2]  # a kernel that is a function does not tell

    @property
    def has_numbered_states(self) -> bool:
        """Whether states are called 0, 1, ..., so that a mean of them may mean something."""
        return are_numbered(self.state_labels)

    @property
    def dtype(self) -> jnp.dtype:
        """The precision of the floating arrays."""
        return self.initial.dtype

    @property
    def num_seen_axes(self) -> int:
        """Return how many axes the mean field of one time has."""
        return 1 if self.observes == "states" else 2

    @in_own_modes
    def kernel_at(self, t: Scalar | int, mean_field: Array) -> AbstractKernel:
        """Return the kernel of the move from t to t+1 in a population with that mean field at t.

        A function is called at the mean field rescaled to sum 1: its rows may sum to 1 at laws alone, and then only
        derivatives along the simplex are those of a kernel.
        """
        if isinstance(self.kernel, AbstractKernel):
            return self.kernel.at(t)  # it got the game's precision when the game was made
        return self.kernel_as_given(t, self.rescaled(mean_field))

    def rescaled(self, mean_field: Array) -> Array:
        """Return the mean field of one time divided by its sum, lane by lane."""
        return mean_field / mean_field.sum(axis=tuple(range(self.num_seen_axes)))

    def kernel_as_given(self, t: Scalar | int, mean_field: Array) -> AbstractKernel:
        """Return the kernel of one time, a function called just at the mean field: for what analyses its program."""
        if isinstance(self.kernel, AbstractKernel):
            return self.kernel.at(t)
        kernel = self.call_kernel(t, self.seen_by_payoffs(t, mean_field))
        kernel = kernel if isinstance(kernel, AbstractKernel) else DenseKernel(kernel)
        return kernel_in_precision(kernel, self.dtype).at(jnp.int32(0))  # a function returns the kernel of one time

    @in_own_modes
    def reward_at(self, t: Scalar | int, mean_field: Array) -> Array:
        """Return R_t(s,a,mean_field) as `[S, A]`."""
        return jnp.broadcast_to(self.pay_at(t, mean_field), (self.num_states, self.num_actions))

    def pay_at(self, t: Scalar | int, mean_field: Array) -> Array:
        """Return R_t(s,a,mean_field) as `[S, A]`, or `[S, 1]` where all actions earn the same."""
        pay = jnp.asarray(self.call_reward(t, self.seen_by_payoffs(t, mean_field))).astype(self.dtype)
        if getattr(self.reward, "takes_lanes", False) or pay.shape[1] < self.num_actions:
            return pay
        # a derivative would multiply what is not finite at an action that does not exist by 0
        return jnp.where(self.available_at(t), pay, 0)

    def available_at(self, t: Scalar | int) -> Array:
        """Return which actions exist at time t, `[S, A]`."""
        return time_slice(self.available, t)

    def observe(self, t: Scalar | int, mu: Array, mass: Array) -> Array:
        """Return the mean field of the law of states `mu` and the joint law `mass` of one time."""
        return mu if self.observes == "states" else mass


def _kind(part: Any) -> str:
    """Return in a word or two what the kernel or the reward of a game is."""
    if isinstance(part, FunctionType):
        return "a function" if part.__name__ == "<lambda>" else f"function {part.__name__}"
    return {"TableReward": "a table", "TracedFunction": "a function"}.get(type(part).__name__, type(part).__name__)


def time_type(dtype: Any) -> jnp.dtype:
    """Return the integers that functions of time are given: of those with as many digits, cos(t) loses none."""
    return jax.dtypes.canonicalize_dtype(jnp.int64 if jnp.finfo(dtype).bits == 64 else jnp.int32)


def residual_tolerance(dtype: Any) -> float:
    """Return the total variation up to which a mean field counts as a fixed point, by precision."""
    return 1e-10 if jnp.finfo(dtype).eps < 1e-12 else 1e-5  # iterations in single precision end at 1e-6 to 1e-5
