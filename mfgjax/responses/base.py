"""The abstract response, and what responses share."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import Page, shows_itself
from .._modes import in_own_modes
from .._plain import Axis
from .._shorten import fields_text
from .._simplex import log_normalize, safe_log
from .._typing import Array, Bool, Float, Self
from ..kernels.base import align
from . import ties

_PAIRS = (Axis("state"), Axis("action"))


class Backup(NamedTuple):
    """One step of a backward induction: values of the states, and the policy with its log."""

    values: Float[Array, "S *batch"]
    log_policy: Float[Array, "S A *batch"]
    policy: Float[Array, "S A *batch"]


@shows_itself
class AbstractResponse(eqx.Module):
    """The base class of responses: how an agent acts on its action values, in one step of the backward induction.

    The attributes below describe one class and are not inherited, because the methods of a subclass may act
    differently: a subclass sets them again if they are true of it.

    Attributes:
      is_smooth: whether the policy is a differentiable function of the values. Then Γ is smooth, and Newton's method
        and gradients exist.
      maximises: whether the policy maximises rewards minus the terms of `penalty` among the policies that the response
        allows; only then does the response have an exploitability of its own.
      is_softmax: whether the policy is proportional to prior · exp(βQ), which the theorems on contraction assume.
      rises: whether the policy moves to higher actions if the values of higher actions rise, which the theorems on
        complementarities assume; with a prior that is not uniform it need not.
      plays_best: whether the best action in each state determines the policy.
      prior_name: the name, in messages, of the policy that is played when payoffs do not matter.
      prior_field: the field that holds the logs of this policy.
      has_path: whether the class defines `at_beta`; set automatically.
    """

    is_smooth: ClassVar[bool]
    maximises: ClassVar[bool] = False
    is_softmax: ClassVar[bool] = False
    rises: ClassVar[bool] = False
    plays_best: ClassVar[bool] = False
    prior_name: ClassVar[str] = "prior"
    prior_field: ClassVar[str | None] = None
    has_path: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        # theorems are claimed by these: a derived class, whose methods may differ, must claim them anew
        for claim in ("maximises", "is_softmax", "rises", "plays_best"):
            setattr(cls, claim, cls.__dict__.get(claim, False))
        cls.has_path = cls.at_beta is not AbstractResponse.at_beta  # read off, so that word and method cannot disagree
        if "backup" in cls.__dict__ and "act" not in cls.__dict__:
            cls.act = AbstractResponse.act  # what is inherited may act otherwise than the new `backup`

    def _page(self) -> Page:
        if self.prior_field is None:
            return Page(type(self).__name__, fields_text(self))
        table = getattr(self, self.prior_field)
        prior = "uniform" if table is None else f"of shape {table.shape[table.shape[0] == 1 :]}"
        rest = fields_text(self, self.prior_field)
        return Page(type(self).__name__, f"{rest}, {self.prior_name} {prior}" if rest else f"{self.prior_name} {prior}")

    @abstractmethod
    def backup(
        self, t: Array, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"], band: Array | float = 0.0
    ) -> Backup:
        """Return the values of the states at time t and the policy there, given the action values.

        A response that jumps treats actions within `band`, `[*batch]`, of the best one as equally good: the library
        gives it the size of rounding in differences of q. Its values are those of the best action, whatever the band.
        """

    def act(
        self,
        t: Array,
        reward: Float[Array, "S #A *#batch"],
        ahead: Float[Array, "S A *batch"],
        available: Bool[Array, "S A"],
        band: Array | float = 0.0,
    ) -> tuple[Float[Array, "S *batch"], Float[Array, "S A *batch"]]:
        """Return what the step at t−1 needs of time t, and the policy at t: `backup`, or what is cheaper for solvers.

        What is carried back are the values or, in a class of its own, these in any unit, and up to a constant that all
        states share.

        Args:
          t: time.
          reward: R_t(s,a); its second axis is 1 where all actions earn the same.
          ahead: γ times the expectation of what was carried back from t+1.
          available: which actions exist.
          band: as for `backup`.
        """
        values, _, policy = self.backup(t, reward + ahead, available, band)
        return values, policy

    @property
    @abstractmethod
    def prior_table(self) -> Float[Array, "#T S A *#batch"] | None:
        """Return the log prior that was given; None stands for the uniform one."""

    def log_prior(self, available: Bool[Array, "#T S A"], dtype: jnp.dtype) -> Float[Array, "#T S A *#batch"]:
        """Return the log of the policy played when payoffs do not matter."""
        table = self.prior_table
        return log_uniform(available, dtype) if table is None else table.astype(dtype)

    def penalty(self, available: Bool[Array, "#T S A"], dtype: jnp.dtype) -> tuple[Array, Array] | None:
        """Return β and log ρ of the terms KL(π‖ρ)/β that are taken off the rewards; None: there are none."""
        return None

    def with_tie(self, tie: str) -> "AbstractResponse":
        """Return the same response with another rule, "smallest" or "largest", for actions that are equally good."""
        return self

    def at_beta(self, beta: Array) -> "AbstractTempered | None":
        """Return the smooth response at inverse temperature `beta` on the path to this response; None: no path."""
        return None

    def beta_reached(self, enough: Array) -> Array:
        """Return the β at which the path of `at_beta` reaches this response; no difference is seen beyond `enough`."""
        return enough

    @property
    def is_optimal(self) -> bool:
        """Whether the policy maximises over all policies; `Trembling` maximises only within Π^ε."""
        return self.maximises and self.has_path

    def tie_band(self, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"]) -> Array | float:
        """Return the band for `backup` in a problem without an end; 0 for a smooth response."""
        return 0.0 if self.is_smooth else ties.tie_band(q, available)

    def rounding_of_step(
        self, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"], later: Float[Array, "*batch"]
    ) -> Array:
        """Return how far q of one time may be off if the next values are off by `later`; 0 for a smooth response."""
        # a smooth policy changes little where values do: it needs no band
        return jnp.zeros_like(later) if self.is_smooth else ties.rounding_of_step(q, available, later)

    def rounding(self, q: Float[Array, "T S A *batch"], available: Bool[Array, "#T S A"]) -> Array:
        """Return what rounding of the action values does to the policy, in total variation; 0 where it jumps."""
        return jnp.zeros(q.shape[3:], q.dtype)

    def check(self, num_times: int, available: Bool[Array, "#T S A"]) -> None:
        """Check that the response fits a game's times, states and available actions."""
        prior, name = self.prior_table, self.prior_name
        if prior is None:
            return
        _, S, A = available.shape
        _check_shape(name, prior.shape, S, A, num_times)
        if _checks.is_traced(prior):
            prior = jax.lax.stop_gradient(prior)  # known again under an eager `grad`
        if _checks.is_traced((prior, available)):
            return
        logs, mask = np.broadcast_arrays(np.asarray(prior), np.asarray(available))  # either may hold for all times
        if (mask == (logs > -np.inf)).all():
            return
        wrongly_zero, wrongly_positive = np.argwhere(mask & (logs == -np.inf)), np.argwhere(~mask & (logs > -np.inf))
        if len(wrongly_zero):
            raise ValueError(
                f"`{name}` is 0 at (time, state, action) = {_triple(wrongly_zero[0])}, an available action; there it "
                "must be positive. To forbid the action, mark it in the game's `available`."
            )
        if len(wrongly_positive):
            place = wrongly_positive[0]
            raise ValueError(
                f"`{name}` is {np.exp(logs[tuple(place)]):.3g} at (time, state, action) = {_triple(place)}, an "
                "action that is not available; there it must be 0."
            )


class AbstractTempered(AbstractResponse):
    """A smooth response with an inverse temperature, on which solvers may continue."""

    beta: eqx.AbstractVar[Array]
    is_smooth: ClassVar[bool] = True

    def with_beta(self, beta: Array) -> Self:
        """Return the same response at another inverse temperature."""
        return eqx.tree_at(lambda r: r.beta, self, beta)

    def at_beta(self, beta: Array) -> "AbstractTempered":
        return self.with_beta(beta)

    def bent(self, bend: Float[Array, "T S A"], available: Bool[Array, "#T S A"]) -> Self:
        """Return the same response with a prior policy whose logs are moved by `bend`; itself without a prior field."""
        name = self.prior_field
        if name is None:
            return self
        table = log_normalize(self.log_prior(available, bend.dtype) + bend, axis=2)
        return eqx.tree_at(lambda r: getattr(r, name), self, table, is_leaf=lambda leaf: leaf is None)

    def beta_reached(self, enough: Array) -> Array:
        return self.beta.astype(enough.dtype)

    def rounding(self, q: Float[Array, "T S A *batch"], available: Bool[Array, "#T S A"]) -> Array:
        """Return 8 ε β span(Q)."""
        exists = align(available, q)
        high = jnp.where(exists, q, -jnp.inf).max(axis=(1, 2))
        low = jnp.where(exists, q, jnp.inf).min(axis=(1, 2))
        # a tolerance takes no part in derivatives
        return jax.lax.stop_gradient(8 * jnp.finfo(q.dtype).eps * self.beta * (high - low).max(axis=0))

    def check(self, num_times: int, available: Bool[Array, "#T S A"]) -> None:
        if self.beta.ndim:
            shape = self.beta.shape
            raise ValueError(f"`beta` must be one number; got an array of shape {shape}: `sweep` takes several.")
        # checked again in the game's precision, where β may have become 0 or inf
        if not _checks.is_traced(self.beta) and not 0 < float(self.beta) < np.inf:
            raise ValueError(f"`beta` is {self.beta} in {self.beta.dtype}, but it must lie in (0, inf).")
        super().check(num_times, available)


def _check_shape(name: str, shape: tuple[int, ...], S: int, A: int, num_times: int) -> None:
    """Refuse a prior `[#T, S, A]` whose shape does not fit a game; the message has no axis of a single time."""
    given = shape[1:] if shape[0] == 1 else shape
    if S != A and given[-2:] == (A, S):
        raise ValueError(
            f"`{name}` has shape {given}, with actions before states; it must be (states, actions): "
            f"`numpy.swapaxes({name}, -2, -1)`."
        )
    _checks.shape_at_times(name, np.broadcast_to(False, given), [(S, A)], num_times, "states, actions")


def _triple(index: np.ndarray) -> str:
    return "(" + ", ".join(str(int(i)) for i in index) + ")"


def response_in_precision(response: AbstractResponse, dtype: Any) -> Any:
    """Convert a response to a precision; a prior that a lower one rounded is normalised again."""
    if all(getattr(leaf, "dtype", dtype) == dtype for leaf in jax.tree.leaves(response)):
        return response
    table = response.prior_table

    def converted(leaf: Any) -> Any:
        if not eqx.is_inexact_array(leaf):
            return leaf
        # a wider precision shows the rounding of the narrower one
        if leaf is table and jnp.finfo(leaf.dtype).bits < jnp.finfo(dtype).bits:
            return log_normalize(jnp.asarray(leaf.astype(dtype)), axis=2)
        with np.errstate(over="ignore", under="ignore"):  # `check` finds what it becomes
            return leaf.astype(dtype)

    return jax.tree.map(converted, response)


def log_uniform(available: Bool[Array, "*#T S A"], dtype: jnp.dtype) -> Array:
    """Return the log of the uniform policy over the available actions."""
    count = available.sum(axis=-1, keepdims=True).astype(dtype)
    return jnp.where(available, -jnp.log(count), -jnp.inf)


def greedy_values(q: Array, available: Array) -> Array:
    """Return max_a Q(s,a) over the available actions."""
    return _largest(jnp.where(align(available, q), q, -jnp.inf))


@jax.custom_jvp
def _largest(q: Array) -> Array:
    return jnp.max(q, axis=1)


@_largest.defjvp
def _largest_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Give the largest entry the mean derivative of the largest ones; of one, where rounding makes none equal to it.

    XLA may compute q anew, rounded otherwise, where it is compared with its maximum: that of JAX is then 0/0, or 0.
    """
    (q,), (q_dot,) = primals, tangents
    best = _largest(q)
    first = align(jnp.arange(q.shape[1])[None], q) == jnp.argmax(q, axis=1)[:, None]
    chosen = first | (q >= best[:, None])
    total = jnp.where(chosen, q_dot, 0).sum(axis=1)
    return best, total / chosen.sum(axis=1)


@in_own_modes
def canonical_policy(policy: object, log_policy: object, name: str) -> Array | None:
    """Return a prior as normalised logs `[#T, S, A]`; its gradient is that of the normalised policy.

    Raises:
      ValueError: if the rows of `policy` are no distributions, or a row of `log_policy` is all −inf.
    """
    if policy is None and log_policy is None:
        return None
    if policy is not None and log_policy is not None:
        raise ValueError(f"`{name}` and `log_{name}` are both given; give one of them.")
    if policy is not None:
        argument, table = name, _checks.as_numbers(name, policy, axes=_PAIRS)
    else:
        argument, table = f"log_{name}", _checks.as_numbers(f"log_{name}", log_policy, axes=_PAIRS)
    _checks.shape_is(argument, table, [("S", "A"), ("T", "S", "A")], "states, actions; or times first")
    if not _checks.is_traced(table):
        values = np.asarray(table)
        if policy is not None:
            _checks.distribution(argument, values, leading=values.ndim - 1)
        else:
            _checks.all_true(argument, values, values < np.inf, "a log probability is a number or -inf")
            _checks.all_true(argument, values.max(-1), values.max(-1) > -np.inf, "a row needs a finite entry")
        # in NumPy: nothing is compiled
        # logs of half precision would be too coarse
        values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
        with np.errstate(divide="ignore"):  # log 0 = -inf is meant
            logs: Any = np.log(values) if policy is not None else values
        logs = logs - np.logaddexp.reduce(logs, axis=-1, keepdims=True)
    else:
        # traced: in JAX, so that gradients see the normalisation
        logs = log_normalize(safe_log(table) if policy is not None else table, axis=-1)
    return logs[None] if logs.ndim == 2 else logs
