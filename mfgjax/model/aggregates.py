"""Aggregates: the few numbers of a population, such as a mean or a price, that payoffs and moves may depend on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks, _functions
from .._display import Page, shows_itself
from .._linear import solve_in_lanes
from .._shown_laws import listed as shown_labels
from .._typing import Array, ArrayLike, Scalar
from ..kernels.base import time_slice
from .canonical import listed, names_of
from .parameters import Parameters, arguments_of

_MOST_STEPS = 200
"""Steps of Newton's method for an aggregate that is defined by an equation."""

LAWS = ("states", "state_actions")
"""The laws that a mean field may be: of the states, or of states and actions together."""


@shows_itself
class Aggregate(eqx.Module):
    """A few numbers m of a population, which rewards and kernels are given in place of its law.

        m_j = Σ_s G_j(s) μ(s),   or Σ_{s,a} G_j(s,a) μ(s) π(a|s),   or m = g(law)

    Given to a game as `observes=Aggregate(...)`. Its reward and kernel are then functions of `(t, m)`, or of `(m)` in a
    stationary game, with m of shape `[M]`. The mean field of the game, and of its equilibria, remains the law: of the
    states, or of states and actions if `of="state_actions"`. `Equilibrium.aggregate` holds m.

    Args:
      weights: G, `[M, S]`, or `[S]` for a single number; with `of="state_actions"` `[M, S, A]`, or `[S, A]`. An axis
        of H+1 times may come first if M is there, too. Or a differentiable function g that returns `[M]`: of
        `(t, law)`, or of `(law)` in a stationary game, and of parameters of the game (`params`) by name. An inverse
        demand makes a price of it: `lambda t, law: 5 - supply @ law`, with `supply` of shape `[1, S]`.
      of: which law is weighted: "states" (`[S]`), or "state_actions" (`[S, A]`).
      labels: names of the M numbers; None: 0, 1, ...

    Raises:
      ValueError: if weights are no finite numbers or of a wrong shape.

    Example:
      >>> import mfgjax as mfg, jax.numpy as jnp
      >>> mean = mfg.Aggregate([0.0, 1.0, 2.0], labels=["mean place"])
      >>> moves = mfg.MovesKernel([[0, 1], [0, 2], [1, 2]])
      >>> places = jnp.arange(3.0)
      >>> game = mfg.FiniteHorizonGame(
      ...     moves, lambda t, m: -((places - m) ** 2)[:, None], [1.0, 0.0, 0.0], 3, observes=mean
      ... )
      >>> eq = mfg.solve(game, mfg.EntropyRegularized(beta=2.0))
      >>> eq.mean_field.shape, eq.aggregate.shape
      ((4, 3), (4, 1))
    """

    weights: Array | np.ndarray | None
    function: Callable[..., Any] | None
    of: str = eqx.field(static=True)
    labels: tuple[str, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        weights: ArrayLike | Callable[..., Any],
        *,
        of: str = "states",
        labels: Sequence[str | int] | np.ndarray | None = None,
    ):
        _checks.one_of("of", of, LAWS)
        self.of, labels = str(of), listed(labels)
        if callable(weights):
            self.weights, self.function = None, weights
            self.labels = None if labels is None else names_of("labels", labels, len(labels))
            return
        table = _checks.as_numbers("weights", weights, or_function=True)
        axes = LAWS.index(self.of) + 1
        shapes = [(None,) * (axes + more) for more in range(3)]
        words = "states" if axes == 1 else "states, actions"
        _checks.shape_is("weights", table, shapes, f"{words}; or numbers, {words}; or times, numbers, {words}")
        if not _checks.is_traced(table):
            _checks.finite("weights", table)
        table = table[None] if table.ndim == axes else table
        table = table[None] if table.ndim == axes + 1 else table
        self.weights, self.function = table, None
        self.labels = names_of("labels", labels, table.shape[1])

    @classmethod
    def from_equation(
        cls,
        equation: Callable[..., Any],
        start: ArrayLike,
        *,
        of: str = "states",
        labels: Sequence[str | int] | np.ndarray | None = None,
    ) -> "Aggregate":
        """Return the aggregate that is defined by an equation F(m, law) = 0, such as demand − supply at a price m.

        The equation is solved by Newton's method. Where it has several solutions, m is the one that is reached from
        `start`; where none is reached, m is NaN, and `solve` says so. The derivative is that of the implicit function.

        Args:
          equation: F, a differentiable function of `(t, m, law)`, or of `(m, law)` in a stationary game, and of
            parameters of the game by name. It returns as many numbers as m has, `[M]`.
          start: m from which the search starts, `[M]`.
          of: which law the equation sees: "states" (`[S]`), or "state_actions" (`[S, A]`).
          labels: names of the M numbers; None: 0, 1, ...

        Raises:
          ValueError: if an argument is invalid.

        Example:
          >>> import mfgjax as mfg, jax.numpy as jnp
          >>> # buyers want 1/p, sellers are those in state 1
          >>> price = mfg.Aggregate.from_equation(lambda t, p, law: 1 / p - 0.5 - law[1], [1.0], labels=["price"])
          >>> game = mfg.FiniteHorizonGame(
          ...     [[[1, 0], [0, 1]], [[1, 0], [0, 1]]],
          ...     lambda t, p: jnp.array([[0.0], [p[0]]]),
          ...     [1, 0],
          ...     1,
          ...     observes=price,
          ... )
          >>> eq = mfg.solve(game, mfg.EntropyRegularized(beta=1.0))
          >>> f"{eq.aggregate[1, 0]:.3f} {1 / (0.5 + eq.mean_field[1, 1]):.3f}"
          '0.835 0.835'
        """
        table = _checks.as_numbers("start", start)
        _checks.shape_is("start", table, [("M",)], "the numbers of the aggregate")
        if not callable(equation):
            raise ValueError(f"`equation` must be a function of (t, m, law); got {_checks.shorten(equation)}.")
        return cls(_root_of(equation, table), of=of, labels=list(range(len(table))) if labels is None else labels)

    def _page(self) -> Page:
        how = "a function" if self.weights is None else "weights"
        return Page(type(self).__name__, f"{self.in_words()}; {how}", title=self.in_words())

    def in_words(self) -> str:
        """Return what the numbers are of, and their names."""
        law = "the law of the states" if self.of == "states" else "the joint law of states and actions"
        if self.labels is None:  # a function that no game has called
            return f"numbers of {law}"
        return f"{len(self.labels)} number{'s' if len(self.labels) > 1 else ''} of {law}: {shown_labels(self.labels)}"

    def value(self, law: Array, *time: Scalar | int, params: Mapping[str, Array]) -> Array:
        """Return m, `[M]`, of the law of one time; games with a horizon also give the time."""
        if self.function is not None:
            return jnp.asarray(self.function(*time, law, **params)).astype(law.dtype)
        weights = time_slice(jnp.asarray(self.weights), time[0] if time else jnp.int32(0))
        axes = LAWS.index(self.of) + 1  # lanes may trail in the law
        return jnp.tensordot(weights, law, axes=axes, precision=jax.lax.Precision.HIGHEST)

    def num_values(self, seen: tuple[int, ...], dtype: Any, *time: Any, params: Parameters) -> int:
        """Return M for laws of a shape, or refuse a function that returns anything else than `[M]`."""
        if self.function is None:
            return len(self.labels or ())
        names, at = ("t", "law")[1 - len(time) :], "at t = 0" if time else "at the initial law"
        arguments = dict(zip(names, (*time, jax.ShapeDtypeStruct(seen, dtype)), strict=True))
        given = arguments_of(params, "observes", self.function)
        result = _functions.returned("observes", cast(Any, self.function), arguments, at, params=given)
        count = None if self.labels is None else len(self.labels)
        _functions.shape_returned("observes", result, [(count,)], "the aggregate, a number for each label")
        return result.shape[0]

    def fitted(self, seen: tuple[int, ...], num_times: int, dtype: Any, *time: Any, params: Parameters) -> "Aggregate":
        """Return the aggregate in a precision with all its labels, or refuse what does not fit laws of a shape."""
        count = self.num_values(seen, dtype, *time, params=params)
        if self.weights is not None:
            _check_weights(self.weights, seen, num_times)
        weights_or_function: Any = self.function
        if self.weights is not None:
            weights_or_function = _checks.on_device(_checks.cast_to(dtype, "observes.weights", self.weights), dtype)
        return Aggregate(weights_or_function, of=self.of, labels=names_of("labels", self.labels, count))


def _root_of(equation: Callable[..., Any], start: Any) -> Callable[..., Array]:
    """Return the function `(t, law) -> m` of the root of an equation `(t, m, law) -> [M]`."""

    def root(*time_and_law: Any, **params: Any) -> Array:
        *time, law = time_and_law
        first = jnp.asarray(start, law.dtype)

        def off(m: Array) -> Array:
            result = jnp.asarray(equation(*time, m, law, **params)).astype(law.dtype)
            if result.shape != first.shape:
                raise TypeError(f"`equation` must return shape {first.shape}, as `start`; got {result.shape}")
            return result

        return jax.lax.custom_root(off, first, _newton, lambda g, y: _solved(jax.jacfwd(g)(y), y))

    signature = _functions.signature_of(equation)
    if signature is not None:  # m is no argument of the root, whatever it is called; the others keep their order
        root.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # pyright: ignore[reportFunctionMemberAccess]
    return root


def _solved(matrix: Array, right: Array) -> Array:
    """Return the solution of a small linear system as a product, which JAX can transpose."""
    # as for one lane: LAPACK's calls for many matrices may wait for one another forever
    identity = jnp.eye(len(right), dtype=right.dtype)
    return solve_in_lanes(matrix[..., None], identity[..., None])[..., 0] @ right


def _newton(off: Callable[[Array], Array], start: Array) -> Array:
    """Return a root by Newton's method, whose steps are halved until the equation is better met; NaN if it fails."""
    eps = jnp.finfo(start.dtype).eps

    def size(m: Array) -> Array:
        return jnp.abs(off(m)).max()

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        m, before, _, count = carry
        change = _solved(jax.jacfwd(off)(m), off(m))
        lengths = 0.5 ** jnp.arange(30, dtype=start.dtype)
        sizes = jax.lax.map(lambda length: size(m - length * change), lengths)
        better = sizes < before
        length = jnp.where(better.any(), lengths[jnp.argmax(better)], 0)
        following = jnp.where(better.any(), m - length * change, m)
        return following, size(following), jnp.abs(length * change).max(), count + 1

    def goes_on(carry: tuple[Array, Array, Array, Array]) -> Array:
        _, _, moved, count = carry
        return (moved > 0) & (count < _MOST_STEPS)

    first = (start, size(start), jnp.asarray(jnp.inf, start.dtype), jnp.int32(0))
    m, _, _, _ = jax.lax.while_loop(goes_on, step, first)
    # no further step is better: what is off is rounding, or there is no root nearby
    left = _solved(jax.jacfwd(off)(m), off(m))
    is_root = (jnp.abs(left) <= jnp.sqrt(eps) * (1 + jnp.abs(m))).all()
    return jnp.where(is_root, m, jnp.nan)


class ThroughAggregate(eqx.Module):
    """A function of an aggregate, called with the law: what analyses a game's programs then sees all of them."""

    function: Callable[..., Any]
    aggregate: Aggregate
    params: Mapping[str, Array]

    def __call__(self, *time_and_law: Array, **params: Array) -> Any:
        *time, law = time_and_law
        return self.function(*time, self.aggregate.value(law, *time, params=self.params), **params)


def _check_weights(weights: Any, seen: tuple[int, ...], num_times: int) -> None:
    own, shape = tuple(weights.shape[2:]), tuple(weights.shape)
    axes = "states" if len(seen) == 1 else "states, actions"
    if own != seen:
        hint = ""
        if len(seen) == 1 and shape[2:] != seen and weights.shape[1] == seen[0]:
            hint = ': for weights of states and actions write `of="state_actions"`'
        raise ValueError(f"`observes.weights` has shape {own} ({axes}), but the game has {seen}{hint}.")
    if len(weights) not in (1, num_times):
        times = f"{num_times} times, or one for all" if num_times > 1 else "one, as the game is stationary"
        raise ValueError(f"`observes.weights` has {len(weights)} times, but must have {times}.")


def early_arguments(
    observes: str, aggregate: Aggregate | None, law: Any, name: str, times: dict[str, Any], params: Parameters
) -> dict[str, Any] | None:
    """Return what rewards and kernels are called with, before the number of actions is known; None: not known yet.

    Args:
      observes: which law the mean field is.
      aggregate: of it, if there is one.
      law: of the states.
      name: of the mean field in messages.
      times: the argument of time by its name, if there is one.
      params: of the game.
    """
    if aggregate is None:
        return {**times, name: law} if observes == "states" else None
    # of a function of joint laws the shape cannot even be asked for before their shape is known
    if observes != "states" and aggregate.weights is None:
        return None
    count = aggregate.num_values(tuple(law.shape), law.dtype, *times.values(), params=params)
    return {**times, "m": jax.ShapeDtypeStruct((count,), law.dtype)}


def observed(observes: Any) -> tuple[str, Aggregate | None]:
    """Return which law the mean field is, and the aggregate of it that payoffs see, if they do not see all of it."""
    if isinstance(observes, Aggregate):
        return observes.of, observes
    if not isinstance(observes, str):
        got = _checks.shorten(observes)
        raise ValueError(f"`observes` must be 'states', 'state_actions' or an `Aggregate(weights)`; got {got}.")
    _checks.one_of("observes", observes, LAWS)
    return str(observes), None
