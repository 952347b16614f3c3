"""Stationary games: the same decision problem at every time, discounted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._linear import STATIONARY_LIMIT
from .._modes import in_own_modes
from .._simplex import log_ratio, random_policies
from .._typing import Array, ArrayLike, Bool, Float, Scalar
from ..kernels import AbstractKernel, DenseKernel
from ..kernels.base import align
from ..operators import (
    Decision,
    certain_policy,
    chain_law,
    occupancy,
    policy_values,
    relative_values,
    settled_law,
)
from ..responses import AbstractResponse
from .aggregates import LAWS, Aggregate, observed
from .base import AbstractGame, BestResponse, residual_tolerance
from .canonical import (
    axes_of,
    axes_of_kernel,
    booleans,
    common_precision,
    counted,
    existing_actions,
    in_native_order,
    in_one_precision,
    known_actions,
    label_count,
    listed,
    names_of,
    without_missing,
)
from .parameters import Parameters, arguments_of, read_params
from .probes import simple_laws, validate
from .rewards import PairwiseReward, TableReward, check_table
from .stationary_inputs import available_table, check_shapes, known_states, sizes


class StationaryGame(AbstractGame):
    """A mean-field game without a last time: payoffs and moves depend on the population, not on the time.

    Agents maximise E Σ_k γ^k r(s_k, a_k, z) in a population whose law z does not change. An equilibrium is a law z that
    the best response to it leaves unchanged:

        z'(s') = Φ(z, π)(s') = Σ_{s,a} z(s) π(a|s) P(s'|s,a,z),   z = Φ(z, π),   π the response to z.

    The game contains no behaviour: how agents act is a response (`Trembling`, `EntropyRegularized`, ...), given to
    `solve`. Functions of games take and return `mean_field` as `[S]`, policies as `[S, A]`, values as `[S]`.

    Args:
      kernel: how an agent moves: an array `[S, A, S]` of P(s'|s,a), a kernel object, or a callable
        `(z) -> array or kernel object` when it depends on the population.
      reward: an array `[S, A]`, a `PairwiseReward`, or a callable `(z) -> [S, A]`; A may be 1 where all actions
        earn the same.
      discount: γ in (0, 1), per step.
      initial: the law `[S]` from which iterations start; None: uniform.
      available: which actions exist in which state, booleans `[S, A]`; None: all, except those without a next state in
        a table (−1 in `MovesKernel`, a row of zeros in an array).
      observes: what z is in rewards and kernels: "states", the law `[S]` of the states, or "state_actions", the
        joint law `[S, A]` of states and actions, or an `Aggregate` of one of them: then these are functions of `(m)`,
        with m of shape `[M]`.
      params: parameters by name, taken as further arguments, `reward(z, fun)`, as in `FiniteHorizonGame`.
      state_labels: names of the states, for tables and pictures.
      action_labels: names of the actions.

    Precision, labels and the tracing of functions are as in `FiniteHorizonGame`. Functions are evaluated at the initial
    law, at the uniform law, and with all agents in the first or in the last state. If the result depends on an entry
    outside an array, an error is raised. If rows of the kernel are not probabilities at the law that `solve` reaches,
    the result is `not_stochastic`.

    Raises:
      ValueError: naming the field, the first offending place and its value.

    Example:
      >>> import mfgjax as mfg
      >>> kernel = [[[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.1, 0.9]]]
      >>> game = mfg.StationaryGame(kernel, lambda z: -z[:, None], discount=0.5)
      >>> f"{mfg.solve(game, mfg.EntropyRegularized(beta=2.0)).mean_field[1]:.2f}"
      '0.50'

    Source: Lee et al. (2021), arXiv:2006.11683, section 2, eqs. (1), (2).
    """

    kernel: AbstractKernel | Callable[[Array], Any]
    reward: Callable[..., Array]
    initial: Float[Array, "S *batch"]
    available: Bool[Array, "1 S A"]
    params: Parameters
    discount: Float[Array, "*batch"]
    observes: str = eqx.field(static=True)
    aggregate: Aggregate | None
    state_labels: tuple[str, ...] = eqx.field(static=True)
    action_labels: tuple[str, ...] = eqx.field(static=True)
    is_stationary: ClassVar[bool] = True
    discounts: ClassVar[str] = "(0, 1)"
    seeks_pure: ClassVar[bool] = True  # as a rule there is one; `Auto` mixes only where none is found
    matrix_limit: ClassVar[int] = STATIONARY_LIMIT

    @in_own_modes
    def __init__(
        self,
        kernel: ArrayLike | AbstractKernel | Callable,
        reward: ArrayLike | Callable,
        discount: ArrayLike,
        *,
        initial: ArrayLike | None = None,
        available: ArrayLike | None = None,
        observes: str | Aggregate = "states",
        params: Mapping[str, ArrayLike] | None = None,
        state_labels: Sequence[str | int] | np.ndarray | None = None,
        action_labels: Sequence[str | int] | np.ndarray | None = None,
    ):
        self.observes, aggregate = observed(observes)
        discount = _checks.scalar_in("discount", discount, 0, 1, self.discounts)
        state_labels, action_labels = listed(state_labels), listed(action_labels)
        states, actions = axes_of(state_labels, action_labels)
        kernel, reward = in_native_order(kernel), in_native_order(reward)
        if not isinstance(kernel, AbstractKernel) and not callable(kernel):
            axes = axes_of_kernel(states, actions)
            kernel = DenseKernel(_checks.as_numbers("kernel", kernel, axes=axes, or_function=True))
        mask = booleans("available", available, (states, actions))
        table = None
        if not callable(reward):
            axes = states, counted(actions, kernel, mask)
            table = _checks.as_numbers("reward", reward, axes=axes, or_function=True)
        law = None if initial is None else _checks.as_numbers("initial", initial, axes=(states,))
        if law is not None:
            _checks.shape_is("initial", law, [("S",)], "states")
        if table is not None:
            num_actions = known_actions(kernel, mask)
            # without their number from elsewhere the table will be asked for it
            if num_actions is None or not _checks.fits(table.shape, [(None, None)]):
                check_table(table, known_states(kernel, mask, law), num_actions)
            reward = TableReward(table[None])
        mask = existing_actions(kernel) if mask is None else mask
        functions = {"kernel": kernel, "reward": reward, "observes": getattr(aggregate, "function", None)}
        named = read_params(params, functions, ("z" if aggregate is None else "m",))
        counts = label_count(state_labels), label_count(action_labels)
        S, A = sizes(kernel, reward, law, mask, (self.observes, aggregate), named, counts)
        if law is None:
            law = np.full(S, 1 / S)
        else:
            _checks.shape_is("initial", law, [(S,)], "states")
        # a uniform law made here is double, and must not decide the precision
        fields = (kernel, reward, aggregate) if initial is None else (kernel, reward, aggregate, law)
        is_known = any(eqx.is_inexact_array(leaf) for leaf in jax.tree.leaves(fields))
        # functions alone have no precision: then JAX's default
        dtype = common_precision(fields) if is_known else jnp.zeros(()).dtype
        mask = available_table(mask, S, A)
        if aggregate is not None:
            aggregate = aggregate.fitted((S, A)[: LAWS.index(self.observes) + 1], 1, dtype, params=named)
        self.aggregate = aggregate
        self.kernel, self.reward, self.initial, self.discount, self.available, self.params = in_one_precision(
            kernel, reward, law, discount, mask, named, dtype
        )
        self.state_labels = names_of("state_labels", state_labels, S)
        self.action_labels = names_of("action_labels", action_labels, A)
        check_shapes(self)
        self.reward = without_missing(self.reward, self.available)
        validate(self)  # last, as it calls the functions of users

    @property
    def horizon(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Inside the library a stationary game has one time, so that horizon + 1 = 1."""
        return 0

    def call_kernel(self, t: Scalar | int, seen: Array) -> Any:
        """Call the user's kernel function, which takes no time, and return its result."""
        function: Any = self.kernel
        return function(seen, **arguments_of(self.params, "kernel", function))

    def call_reward(self, t: Scalar | int, seen: Array) -> Array:
        """Call the reward function and return its result; the library's own rewards take a time, which is 0."""
        if isinstance(self.reward, TableReward | PairwiseReward):
            return self.reward(jnp.int32(0), seen)
        return self.reward(seen, **arguments_of(self.params, "reward", self.reward))

    def clock(self, t: Scalar | int) -> tuple[()]:
        return ()

    def decision(self, mean_field: Array) -> Decision:
        """Return the decision problem of an agent in a population with that mean field."""
        now, seen = jnp.int32(0), mean_field[0]
        reward, available = self.reward_at(now, seen), self.available_at(now)
        # what stands at an action that does not exist need not be finite
        reward = jnp.where(align(available, reward), reward, 0)
        return Decision(self.kernel_at(now, seen), reward, available, self.discount)

    def best_response(self, mean_field: Array, response: AbstractResponse, start: Array | None = None) -> BestResponse:
        return self.response_within(mean_field, response, start)[0]

    def response_within(
        self, mean_field: Array, response: AbstractResponse, start: Array | None = None
    ) -> tuple[BestResponse, Array]:
        best, _, level, error = self._answer(mean_field, response, start)
        # a constant, on which no choice depends: added last, as it may be much larger than differences
        return BestResponse(best.policy, best.log_policy, best.values + level, best.q + level), error

    def _answer(
        self, mean_field: Array, response: AbstractResponse, start: Array | None
    ) -> tuple[BestResponse, Array, Array, Array]:
        """Return the response with values less a constant, these values before, the constant, and a bound on errors."""
        problem = self.decision(mean_field)
        start = self.first_values() if start is None else start
        values, level = relative_values(problem, response, start)
        q = problem.relative_q(values, level)
        shared = jax.lax.stop_gradient(self.discount * level)
        # of the whole values: what is left of a step is rounding, but values may be off by 1/(1 − γ) times that
        band = response.tie_band(q + shared, problem.available)
        # one more backup: policy and q belong to the values that are returned
        backup = response.backup(jnp.int32(0), q, problem.available, band)
        best = BestResponse(*(x[None] for x in (backup.policy, backup.log_policy, backup.values, q)))
        # MacQueen's bounds: with Δ = T(V) − V, values T(V) are off by at most γ/(1−γ) times the largest |Δ|
        off = jax.lax.stop_gradient(backup.values - values)
        error = self.discount / (1 - self.discount) * jnp.abs(off - off[0]).max(axis=0)
        return best, values, shared, error

    def policy_from(self, mean_field: Array, response: AbstractResponse, start: Any) -> tuple[Array, Any]:
        """Return the policy of the response, and values `[S]` near its own, from which the next search may start.

        Where many games are solved at once, only as much of the values is computed as tells which actions are best.
        """
        start = self.first_values() if start is None else start
        if self.lanes and response.plays_best:
            policy, values = certain_policy(self.decision(mean_field), response, start)
            return policy[None], values  # not the values of the policy: near enough to start the next search
        best, values, *_ = self._answer(mean_field, response, start)
        return best.policy, values

    def moved_on(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the law of the states after one step of the McKean-Vlasov dynamics Φ, and what payoffs see of it.

        Φ conserves mass, so that I − D_z Φ is singular on R^S. The derivative is therefore that of
        Φ + (1 − Σ z)/S. On the simplex this is Φ, but the derivative across it is 0 instead of 1: then I − D_z Φ is
        regular wherever 1 is no eigenvalue on vectors of sum zero, equals it there, and keeps sums of zero. The value
        is that of Φ (2 − Σ z), which loses no mass by rounding either, and in which a state that nobody enters stays
        empty: a share that rounding made negative could grow.
        """
        law, pi = self.agent_start(mean_field), policy[0]
        moved = self.kernel_at(jnp.int32(0), mean_field[0]).push(law[:, None] * pi)
        missing = 1 - law.sum(axis=0)  # 0 on laws, but not in derivatives
        moved = moved + jax.lax.stop_gradient(missing * moved)
        moved = moved + (missing - jax.lax.stop_gradient(missing)) / self.num_states
        return moved[None], self.observe(jnp.int32(0), moved, moved[:, None] * pi)[None]

    def generated(self, policy: Array) -> tuple[Array, Array]:
        """Return the stationary law that a population reaches from `initial`, and what payoffs see of it."""
        return self.rest(policy)

    @in_own_modes
    def rest(self, policy: Array, mean_field: Array | None = None) -> tuple[Array, Array]:
        """Return the stationary law that a population reaches under a policy, and what payoffs see of it.

        It starts from `initial`. The moves see the population itself or, where it is given, always the same mean field;
        then it starts from there.
        """
        pi = policy[0]
        start = self.initial if mean_field is None else self.agent_start(mean_field)
        # moves that do not see who moves are a chain
        if mean_field is not None or isinstance(self.kernel, AbstractKernel):
            kernel = self.kernel_at(jnp.int32(0), start if mean_field is None else mean_field[0])
            law = chain_law(kernel, pi, start)
            return law[None], self.observe(jnp.int32(0), law, law[:, None] * pi)[None]

        def kernel_at(law: Array) -> Any:
            return self.kernel_at(jnp.int32(0), self.observe(jnp.int32(0), law, law[:, None] * pi))

        law = settled_law(kernel_at, pi, start)
        return law[None], self.observe(jnp.int32(0), law, law[:, None] * pi)[None]

    def is_moving(self, mean_field: Array, policy: Array) -> Array:
        moved = self.moved_on(mean_field, policy)[1]
        return self.distance(mean_field, moved) > residual_tolerance(self.dtype)

    def judged_in(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the discounted law of the states of an agent who starts in a random place, and the mean field."""
        law = occupancy(self.decision(mean_field), policy[0], self.agent_start(mean_field))
        return law[None], mean_field

    def evaluated(self, mean_field: Array, log_policy: Array, penalty: Any) -> tuple[Array, Array]:
        cost = jnp.zeros_like(log_policy)
        if penalty is not None:
            beta, log_reference = penalty
            cost = log_ratio(log_policy, jnp.broadcast_to(align(log_reference, log_policy), cost.shape)) / beta
        values, q = policy_values(self.decision(mean_field), jnp.exp(log_policy[0]), cost[0])
        return values[None], q[None]

    def agent_start(self, mean_field: Array) -> Array:
        """Return the law of the states in a mean field, as an agent is anywhere in the population."""
        return mean_field[0] if self.observes == "states" else mean_field[0].sum(axis=1)

    def first_guess(self, policy: Array) -> Array:
        law = self.initial[None]
        return self.observe(jnp.int32(0), law, law[:, :, None] * policy)

    def stepped_to(self, following: Array, mean_field: Array, image: Array) -> Array:
        """Return where an extrapolated step ends; if it would empty states that fill, take the image instead.

        A state may be entered only if somebody is there, as infections are. Then a law with nobody there is an
        equilibrium, too, which the population itself may never come near. Where hardly anybody is, nothing is lost.
        """
        axes = tuple(range(1, 1 + self.num_seen_axes))
        lost = jnp.where((following <= 0) & (image > mean_field), image, 0).sum(axis=axes)
        is_emptied = lost > self.distance(mean_field, image)
        return self.projected(jnp.where(is_emptied, image, following))

    def first_values(self) -> Array:
        return jnp.zeros_like(self.initial)

    def discounted(self, by_time: Array) -> Array:
        return by_time[0] / (1 - self.discount)  # `occupancy` sums to 1: the weights γ^k come to 1/(1 − γ)

    def laws_to_try(self) -> dict[str, np.ndarray]:
        first, uniform, last = simple_laws(self.num_states)
        laws = {
            "at the initial law": self.initial,
            "at the uniform law": uniform,
            "with all in the first state": first,
            "with all in the last state": last,
        }
        return {words: np.asarray(law, self.dtype) for words, law in laws.items()}

    def random_mean_fields(self, key: Array, count: int) -> Array:
        """Return corners, then random laws from even ones to some near a corner, with random actions if these count."""
        S = self.num_states
        of_laws, of_policies = jax.random.split(key)
        # the extreme populations are always among the starts
        corners = jnp.eye(S, dtype=self.dtype)[: min(S, count // 2)]
        # Dirichlet weights from 1, where all laws are equally likely, to e^-3, where most are near a corner
        sharp = jnp.exp(jnp.linspace(0, -3, count - len(corners), dtype=self.dtype))[:, None]
        laws = jax.random.dirichlet(of_laws, sharp * jnp.ones((1, S), self.dtype))
        laws = jnp.concatenate([corners, laws])
        mask = jnp.broadcast_to(self.available[0], (count, *self.available.shape[1:]))
        masses = laws[:, :, None] * random_policies(of_policies, mask, self.dtype)
        return jnp.moveaxis(self.observe(jnp.int32(0), laws, masses), 0, -1)
