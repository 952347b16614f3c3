"""Games with a finite horizon."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks, _functions
from .._linear import DENSE_LIMIT
from .._modes import in_own_modes
from .._simplex import random_policies
from .._typing import Array, ArrayLike, Bool, Float, Scalar
from ..kernels import AbstractKernel, DenseKernel
from ..kernels.base import align
from ..operators import backward, evaluate, forward, policies
from ..responses import AbstractResponse
from .aggregates import LAWS, Aggregate, early_arguments, observed
from .base import AbstractGame, BestResponse, time_type
from .canonical import (
    Axes,
    axes_of,
    axes_of_kernel,
    booleans,
    check_kernel_function,
    check_some_action,
    common_precision,
    counted,
    existing_actions,
    in_native_order,
    in_one_precision,
    kernel_axes,
    known_actions,
    label_count,
    listed,
    names_of,
    with_times,
    without_missing,
)
from .parameters import Parameters, arguments_of, read_params
from .probes import simple_laws, validate
from .rewards import PairwiseReward, TableReward, check_interaction, check_table, refuse_interaction


class FiniteHorizonGame(AbstractGame):
    """A mean-field game with a finite horizon: times 0..H, so that `horizon=H` means H moves and H+1 decisions.

    The action at time H still earns its reward, but nobody moves after it. The game contains no behaviour: how agents
    act is a response (`EntropyRegularized`, `Boltzmann`, `Greedy`, ...), which is given to `solve`.

    Args:
      kernel: how an agent moves between t and t+1, for t = 0..H−1: an array `[S, A, S]` or `[H, S, A, S]`
        of P(s'|s,a), a kernel object (`DenseKernel`, `SuccessorKernel`, `MovesKernel`), or a callable
        `(t, mean_field) -> array or kernel object` when it depends on the population.
      reward: an array `[S, A]` or `[H+1, S, A]`, a `PairwiseReward`, or a callable `(t, mean_field) -> [S, A]`; A may
        be 1 where all actions earn the same. JAX compiles it once for all times and mean fields, so it uses `jax.numpy`
        and no `if` on t or mean_field; t is a whole number in 0..H.
      initial: law of the states at time 0, `[S]`; if the states have labels, also a dict from labels to probabilities.
      horizon: H ≥ 1.
      available: which actions exist in which state, booleans `[S, A]` or `[H+1, S, A]`; None: all, except those without
        a next state in a table (−1 in `MovesKernel`, a row of zeros in an array).
      discount: γ in (0, 1], per step.
      observes: what `mean_field` is in rewards and kernels: "states", the law `[S]` of the states, or
        "state_actions", the joint law `[S, A]` of states and actions at that time, or an `Aggregate` of one of them:
        then these are functions of `(t, m)`, with m of shape `[M]`.
      params: parameters by name, numbers or arrays, such as `{"fun": 1.0}`. Kernel and reward, as functions, get those
        that they have as further arguments, `reward(t, mean_field, fun)`. Each is an array of the game,
        `game.params.fun`, called "fun" or "params.fun" in `sweep`, `solve_batch`, `tune`, `hysteresis` and `branch`.
      state_labels: names of the states, for tables and pictures.
      action_labels: names of the actions.

    All arrays are converted to one precision: the highest among kernel, reward and initial law, and at least single.
    Whole numbers, fractions and lists of Python numbers count as double if `jax_enable_x64` is on. Probabilities that
    were rounded in a lower precision are divided by their sum. Responses, policies, mean fields and what functions
    return are converted to the game's precision in the same way; they do not change it.

    Tables of pandas and xarray are aligned by label with `state_labels` and `action_labels` (by default the numbers 0,
    1, ...); tables without labels of their own are taken by position. Functions are evaluated at every time, at a few
    mean fields. If the result depends on an entry outside an array, which JAX does not report, an error is raised; also
    later, where a parameter, a field or a global variable that is an index has changed, and for every point of a sweep.
    Numbers that JAX traces (inside `jit`, `grad` and `vmap`, and while `design.tune` searches) are not checked.

    At each call of `solve`, `sweep` and the like JAX traces the functions: it calls them with placeholders for t and
    the mean field, and records what they compute. A variable that they read from outside has the value that it has at
    that call, and gradients pass through it. A parameter that you want to sweep, or to refer to by name, belongs in
    `params`, or in a field (an array or a floating-point number) of an `equinox.Module` with `__call__`: these are part
    of the game, and copied.

    Raises:
      ValueError: naming the field, the first offending place and its value.

    Example:
      >>> import mfgjax as mfg
      >>> moves = mfg.MovesKernel([[0, 1], [1, 0]])  # action 0 stays, action 1 moves
      >>> game = mfg.FiniteHorizonGame(moves, lambda t, mu: -mu[:, None], initial=[1.0, 0.0], horizon=3)
      >>> f"{mfg.solve(game, mfg.EntropyRegularized(beta=10.0)).mean_field[3, 1]:.2f}"
      '0.50'

    Source: Guan et al. (2021), arXiv:2110.07469, section II; the pairwise class there is `PairwiseReward`.
    """

    kernel: AbstractKernel | Callable[[Scalar | int, Array], Any]
    reward: Callable[[Scalar | int, Array], Array]
    initial: Float[Array, "S *batch"]
    available: Bool[Array, "#T S A"]
    params: Parameters
    discount: Float[Array, "*batch"]
    horizon: int = eqx.field(static=True)  # static: the length of scans
    observes: str = eqx.field(static=True)
    aggregate: Aggregate | None
    state_labels: tuple[str, ...] = eqx.field(static=True)
    action_labels: tuple[str, ...] = eqx.field(static=True)
    is_stationary: ClassVar[bool] = False
    discounts: ClassVar[str] = "(0, 1]"
    seeks_pure: ClassVar[bool] = False  # with a horizon they need mixing at the jumps, as a rule
    matrix_limit: ClassVar[int] = DENSE_LIMIT

    @in_own_modes
    def __init__(
        self,
        kernel: ArrayLike | AbstractKernel | Callable,
        reward: ArrayLike | Callable,
        initial: ArrayLike,
        horizon: int,
        *,
        available: ArrayLike | None = None,
        discount: ArrayLike = 1.0,
        observes: str | Aggregate = "states",
        params: Mapping[str, ArrayLike] | None = None,
        state_labels: Sequence[str | int] | np.ndarray | None = None,
        action_labels: Sequence[str | int] | np.ndarray | None = None,
    ):
        order = "`FiniteHorizonGame` takes (kernel, reward, initial, horizon), in this order"
        if isinstance(reward, AbstractKernel):
            raise ValueError(f"{order}; `reward` is a {type(reward).__name__}.")
        if isinstance(initial, int | float) and np.ndim(horizon) == 1:
            got = f"`initial` is {_checks.shorten(initial)}, `horizon` is {_checks.shorten(horizon)}"
            raise ValueError(f"{order}; {got}.")
        self.horizon = _checks.integer_at_least("horizon", horizon, 1)
        self.observes, aggregate = observed(observes)
        state_labels, action_labels = listed(state_labels), listed(action_labels)
        states, actions = axes_of(state_labels, action_labels)
        # known parts stay in NumPy until `in_one_precision`: nothing is compiled before
        law = _checks.as_numbers("initial", initial, axes=(states,))
        _checks.shape_is("initial", law, [("S",)], "states")
        discount = _checks.scalar_in("discount", discount, 0, 1, self.discounts)
        kernel, reward = in_native_order(kernel), in_native_order(reward)
        if not isinstance(kernel, AbstractKernel) and not callable(kernel):
            axes = with_times(axes_of_kernel(states, actions), self.horizon)
            kernel = DenseKernel(_checks.as_numbers("kernel", kernel, axes=axes, or_function=True))
        available = booleans("available", available, with_times((states, actions), self.horizon + 1))
        table = None
        if not callable(reward):
            axes = with_times((states, counted(actions, kernel, available)), self.horizon + 1)
            table = _checks.as_numbers("reward", reward, axes=axes, or_function=True)
            if not _checks.fits(table.shape, [(None,) * 2, (None,) * 3]):
                check_table(table, law.shape[0], known_actions(kernel, available), self.horizon + 1)
            reward = TableReward(table[None] if table.ndim == 2 else table)
        _check_law_shape(law, kernel, reward, available, state_labels)
        num_states = law.shape[0]
        if table is not None and known_actions(kernel, available) is None:  # then the table is asked for their number
            check_table(table, num_states, None, self.horizon + 1)
        # else `_check_kernel_shape` says what does not fit
        if available is None and getattr(kernel, "num_states", None) == num_states:
            available = existing_actions(kernel)
        seen = "mean_field" if aggregate is None else "m"
        functions = {"kernel": kernel, "reward": reward, "observes": getattr(aggregate, "function", None)}
        named = read_params(params, functions, ("t", seen))
        times = {"t": jnp.zeros((), time_type(law.dtype))}
        arguments = early_arguments(self.observes, aggregate, law, seen, times, named)
        num_actions = _num_actions(kernel, reward, available, aggregate, arguments, named, action_labels)
        available = _available(available, num_states, num_actions, self.horizon)
        dtype = common_precision(kernel, reward, law, aggregate)
        if aggregate is not None:
            shape = (num_states, num_actions)[: LAWS.index(self.observes) + 1]
            aggregate = aggregate.fitted(shape, self.horizon + 1, dtype, jnp.zeros((), time_type(dtype)), params=named)
        self.aggregate = aggregate
        self.kernel, self.reward, self.initial, self.discount, self.available, self.params = in_one_precision(
            kernel, reward, law, discount, available, named, dtype
        )
        self.state_labels = names_of("state_labels", state_labels, num_states)
        self.action_labels = names_of("action_labels", action_labels, num_actions)
        _check_kernel_shape(self)
        _check_reward_shape(self, table)
        self.reward = without_missing(self.reward, self.available)  # now that its shape is known to fit
        validate(self)  # last, as it calls the functions of users

    def call_kernel(self, t: Scalar | int, seen: Array) -> Any:
        """Call the user's kernel function at time t and return its result."""
        function: Any = self.kernel
        return function(*self.clock(t), seen, **arguments_of(self.params, "kernel", function))

    def call_reward(self, t: Scalar | int, seen: Array) -> Array:
        """Call the reward function at time t and return its result."""
        return self.reward(*self.clock(t), seen, **arguments_of(self.params, "reward", self.reward))

    def clock(self, t: Scalar | int) -> tuple[Scalar]:
        return (jnp.asarray(t, time_type(self.dtype)),)

    def best_response(self, mean_field: Array, response: AbstractResponse, start: Array | None = None) -> BestResponse:
        (values, log_policy, policy), q = backward(
            self.kernel_at,
            self.reward_at,
            self.available_at,
            response,
            mean_field,
            self.discount,
            jnp.zeros_like(self.initial),
        )
        return BestResponse(policy, log_policy, values, q)

    def policy_from(self, mean_field: Array, response: AbstractResponse, start: Any) -> tuple[Array, Any]:
        policy = policies(
            self.kernel_at,
            self.pay_at,
            self.available_at,
            response,
            mean_field,
            self.discount,
            jnp.zeros_like(self.initial),
        )
        return policy, None  # the backward pass starts from V_{H+1} = 0: no values are worth keeping

    def generated(self, policy: Array) -> tuple[Array, Array]:
        return forward(self.kernel_at, self.observe, self.initial, policy)

    def moved_on(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the flow that starts from `initial` and follows a policy, whatever the mean field was."""
        return self.generated(policy)

    def judged_in(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the flow of the population that follows the policy: its law of states, and what payoffs see of it."""
        return self.generated(policy)

    def is_moving(self, mean_field: Array, policy: Array) -> Array:
        """Return False: a flow may move."""
        return jnp.zeros(self.lanes, bool)

    def evaluated(self, mean_field: Array, log_policy: Array, penalty: Any) -> tuple[Array, Array]:
        terminal = jnp.zeros_like(self.initial)
        return evaluate(self.kernel_at, self.reward_at, mean_field, log_policy, self.discount, terminal, penalty)

    def agent_start(self, mean_field: Array) -> Array:
        return self.initial

    def first_guess(self, policy: Array) -> Array:
        """Return the flow of the policy."""
        return self.generated(policy)[1]

    def discounted(self, by_time: Array) -> Array:
        return (self.discount ** align(jnp.arange(self.horizon + 1), by_time) * by_time).sum(axis=0)

    def laws_to_try(self) -> dict[str, np.ndarray]:
        first, uniform, last = simple_laws(self.num_states)
        laws = {
            "": self.initial,
            "at the uniform law": uniform,
            # a logarithm of the crowd is none where nobody is
            "with 99% in the first state": 0.99 * first + 0.01 * uniform,
            "with 99% in the last state": 0.99 * last + 0.01 * uniform,
            "with all in the first state": first,
            "with all in the last state": last,
        }
        return {words: np.asarray(law, self.dtype) for words, law in laws.items()}

    def random_mean_fields(self, key: Array, count: int) -> Array:
        """Return the flows of random policies."""
        # flows that some policy generates, as every equilibrium is one
        shape = (count, self.horizon + 1, self.num_states, self.num_actions)
        policies = random_policies(key, jnp.broadcast_to(self.available, shape), self.dtype)
        return jax.vmap(lambda policy: self.generated(policy)[1], out_axes=-1)(policies)


def _check_law_shape(law: Any, kernel: Any, reward: Any, available: Any, labels: Any) -> None:
    """Refuse a law whose number of states is another than the one on which all others agree."""
    counts = {
        "kernel": getattr(kernel, "num_states", None),
        "reward": reward.table.shape[1] if isinstance(reward, TableReward) else None,
        "available": None if available is None else available.shape[-2],
        "state_labels": label_count(labels),
    }
    known = {name: count for name, count in counts.items() if count is not None}
    found = set(known.values())
    if len(known) > 1 and len(found) == 1 and len(law) not in found:  # one alone may be wrong itself
        *names, last = [f"`{name}`" for name in known]
        raise ValueError(f"`initial` has {len(law)} states, but {', '.join(names)} and {last} have {found.pop()}.")


def _num_actions(
    kernel: Any,
    reward: Any,
    available: Any,
    aggregate: Aggregate | None,
    arguments: dict[str, Any] | None,
    params: Parameters,
    labels: Any,
) -> int:
    if isinstance(kernel, AbstractKernel):
        return kernel.num_actions
    if available is not None:
        return available.shape[-1]
    if aggregate is not None and aggregate.of == "state_actions" and aggregate.weights is not None:
        return aggregate.weights.shape[-1]
    # from the cheapest source to the dearest: functions are traced only if no table tells
    shape = ()
    if isinstance(reward, TableReward):
        shape = reward.table.shape[1:]
    elif arguments is not None:  # joint laws `[S, A]` cannot even be made before A is known
        values = arguments_of(params, "kernel", kernel)
        returned = _functions.returned("kernel", kernel, arguments, "at t = 0", kernel_axes, values)
        if isinstance(returned, Axes):
            return returned.actions
        if len(getattr(returned, "shape", ())) == 3:
            return returned.shape[1]
        result = _functions.returned(
            "reward", reward, arguments, "at t = 0", params=arguments_of(params, "reward", reward)
        )
        shape = getattr(result, "shape", ())
    if len(shape) == 2 and shape[1] > 1:  # 1 may stand for any number of actions
        return shape[1]
    if (count := label_count(labels)) is not None:
        return count
    raise ValueError(
        "`action_labels` or `available` (booleans [S, A]) must be given: the number of actions cannot be inferred "
        "from functions."
    )


def _available(available: Any, num_states: int, num_actions: int, horizon: int) -> Any:
    if available is None:
        return np.ones((1, num_states, num_actions), dtype=bool)
    S, A = num_states, num_actions
    shapes = [(S, A), (1, S, A), (horizon + 1, S, A)]
    _checks.shape_is("available", available, shapes, "states, actions; or times, states, actions")
    if not _checks.is_traced(available):
        check_some_action(available)
    return available[None] if available.ndim == 2 else available


def _check_kernel_shape(game: FiniteHorizonGame) -> None:
    S, A, H = game.num_states, game.num_actions, game.horizon
    if isinstance(game.kernel, AbstractKernel):
        if game.kernel.num_states != S:
            raise ValueError(f"`kernel` is for {game.kernel.num_states} states, but `initial` has {S}.")
        if game.kernel.num_actions != A:
            raise ValueError(f"`kernel` is for {game.kernel.num_actions} actions, but there are {A}.")
        if game.kernel.num_times not in (1, H):
            raise ValueError(
                f"`kernel` has {game.kernel.num_times} times, but with horizon = {H} there are {H} moves: give it {H} "
                "times, or one for all."
            )
        return
    # shapes alone: nothing is computed
    values = arguments_of(game.params, "kernel", game.kernel)
    check_kernel_function(game.kernel, game.payoff_arguments, "at t = 0", values, S, A)


def _check_reward_shape(game: FiniteHorizonGame, given: Any) -> None:
    S, A, T = game.num_states, game.num_actions, game.horizon + 1
    reward, one_time = game.reward, [(S, A), (S, 1)]
    if isinstance(reward, TableReward):
        check_table(reward.table if given is None else given, S, A, T)
        return
    meaning = "states, actions or 1, at one time"
    arguments = game.payoff_arguments
    if not isinstance(reward, PairwiseReward):
        values = arguments_of(game.params, "reward", reward)
        result = _functions.returned("reward", reward, arguments, "at t = 0", params=values)
        _functions.shape_returned("reward", result, one_time, meaning)
        return
    # L and Θ one by one, so that the message names the one that is wrong
    refuse_interaction(game.aggregate)
    check_interaction(reward.L, game.seen_shape, A, T)
    x = _functions.returned("reward.L", reward.L, arguments, "at t = 0")
    _functions.shape_returned("reward.L", x, one_time, meaning)
    if reward.theta is not None:
        result = _functions.returned("reward.theta", reward.theta, {"t": arguments["t"], "x": x}, "at t = 0")
        _functions.shape_returned("reward.theta", result, [x.shape], "the shape of x")
