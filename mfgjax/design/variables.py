"""What a design may change: arrays with a start and bounds, and the coordinates in which they move freely."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import Page, shows_itself
from .._shorten import shown_pairs
from .._simplex import log_normalize
from .._typing import Array, ArrayLike

LAW, POSITIVE, SHARE, REAL = "law", "positive", "share", "real"
"""Kinds of variables: rows of probabilities, numbers in (0, ∞), numbers in (0, 1), any numbers."""

_INSIDE = 0.01
"""Share of the interval between two bounds by which a start on one of them is moved inside."""

_NEAR = 1e-3
"""Share of the interval between two bounds, or of the way from a single one to the start, that counts as none."""

_RANGES = {LAW: (0.0, 1.0), POSITIVE: (0.0, np.inf), SHARE: (0.0, 1.0), REAL: (-np.inf, np.inf)}


@shows_itself
class Variable:
    """An array that `tune` may change, with bounds.

    The search moves freely in coordinates y that keep x within the bounds: x = lower + (upper − lower) σ(y) between two
    bounds, x = lower + exp(y) above one, x = upper − exp(y) below one, and x = lower + (1 − n lower) softmax(y) for
    rows of n probabilities. An optimum at a bound is approached, but not reached.

    A number that starts on one of its two bounds is moved inside by a hundredth of the interval between them, because y
    is infinite on a bound. A start must lie off a single bound, and an entry of probabilities above `lower`.

    Args:
      start: where the search begins; None: at the value in game or response. Its shape says what is shared: a reference
        `[S, A]` or `[1, S, A]` is the same at all times, `[H+1, S, A]` has one policy for each time; in every array an
        axis of length 1 is shared.
      lower: a number, or an array that broadcasts to `start`; for probabilities one number, the smallest value that an
        entry which is not zero may have. None: no bound but that of the kind of array (β above 0, discounts in (0, 1)).
      upper: the same for the upper bound; not for probabilities.
      where: booleans that broadcast to `start`: entries (for probabilities: rows) that may change; None: all.

    Raises:
      ValueError: if `lower` is not below `upper`; by `tune`, if `start` is out of bounds or on a single bound. The
        first such entry is named.
    """

    def __init__(
        self,
        start: ArrayLike | None = None,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        where: ArrayLike | None = None,
    ):
        self.start = None if start is None else _checks.as_numbers("start", start)
        self.lower = None if lower is None else _checks.as_numbers("lower", lower)
        self.upper = None if upper is None else _checks.as_numbers("upper", upper)
        _check_bounds(self.lower, self.upper)
        self.where = None if where is None else np.asarray(where)
        if self.where is not None and self.where.dtype != bool:
            raise ValueError(f"`where` must hold booleans; got {_checks.shorten(where)}.")

    def _page(self) -> Page:
        bounds = {"start": self.start, "lower": self.lower, "upper": self.upper}
        return Page(type(self).__name__, shown_pairs(bounds))


@dataclass(frozen=True, eq=False)
class Coordinates:
    """How one array is made of free coordinates; compiled programs hold it as a constant, hence equality by content.

    Attributes:
      name: of the variable.
      kind: LAW or another: what `lower` and `upper` mean.
      start: the array at the start.
      lower: as an array like `start`; for probabilities a number.
      upper: the same.
      index: places in the flat array of the entries that are free.
      support: for probabilities, whether each entry belongs to the support of its row.
    """

    name: str
    kind: str
    start: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    index: np.ndarray
    support: np.ndarray

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        arrays = (self.start, self.lower, self.upper, self.index, self.support)
        return (self.name, self.kind, *((array.shape, array.tobytes()) for array in arrays))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Coordinates) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def origin(self) -> np.ndarray:
        """The coordinates of the start."""
        start, low, high = self.start, self.lower, self.upper
        if self.kind == LAW:
            size = self.support.sum(axis=-1, keepdims=True)
            shares = (start - low) / (1 - size * low)
            with np.errstate(divide="ignore"):
                y = np.log(np.where(self.support, shares, 1))
            return y.reshape(-1)[self.index]
        # all three forms are computed everywhere, and one is chosen below
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            between = np.log((start - low) / (high - start))
            above, below = np.log(start - low), np.log(high - start)
        y = np.where(np.isfinite(low), np.where(np.isfinite(high), between, above), start)
        y = np.where(~np.isfinite(low) & np.isfinite(high), below, y)
        return y.reshape(-1)[self.index]

    @property
    def free(self) -> np.ndarray:
        """Which entries may change."""
        free = np.zeros(self.start.size, bool)
        free[self.index] = True
        return free.reshape(self.start.shape)

    def at_bounds(self, array: np.ndarray) -> list[str]:
        """Return a sentence on the free entries of a result that lie at a bound, for each bound."""
        found, both = [], np.isfinite(self.lower) & np.isfinite(self.upper)
        for side, bound in (("lower", self.lower), ("upper", self.upper)):
            # probabilities have no upper bound, and 0 is none that was given
            if self.kind == LAW and (side == "upper" or not bound > 0):
                continue
            with np.errstate(invalid="ignore"):
                scale = np.where(both, self.upper - self.lower, np.abs(self.start - bound))
                near = np.isfinite(bound) & self.free & (np.abs(array - bound) <= _NEAR * scale)
            if not near.any():
                continue
            first = tuple(np.argwhere(near)[0])
            place, value = _checks.place(self.name, first).strip("`"), np.broadcast_to(bound, near.shape)[first]
            more = f"; {near.sum()} of its entries do" if near.sum() > 1 else ""
            found.append(f"{place} ends at its {side} bound, {value:g} (within {_NEAR:.1%}){more}.")
        return found

    def array(self, coordinates: Array) -> Array:
        """Return the array at some coordinates."""
        if self.kind == LAW:
            return jnp.exp(self.log_array(coordinates))
        dtype, free = coordinates.dtype, self.free
        start = jnp.asarray(self.start, dtype)
        y = jnp.zeros(start.size, dtype).at[self.index].set(coordinates).reshape(start.shape)
        has_low, has_high = np.isfinite(self.lower), np.isfinite(self.upper)
        low = jnp.asarray(np.where(has_low, self.lower, 0), dtype)
        high = jnp.asarray(np.where(has_high, self.upper, 0), dtype)
        # 0 where this form is not used: an overflow there would make its derivative NaN
        grown = jnp.exp(jnp.where(has_low != has_high, y, 0))
        one_sided = jnp.where(has_low, low + grown, high - grown)
        inside = jnp.where(has_low & has_high, low + (high - low) * jax.nn.sigmoid(y), one_sided)
        return jnp.where(free, jnp.where(has_low | has_high, inside, y), start)

    def steepness(self, coordinates: Array, gradient: Array) -> Array:
        """Return the sizes of the entries of a gradient, by which convergence is judged.

        |df/dy|, but |df/dy|/min(1, r) where lower values of f lie away from the nearest bound,

        with r = exp(y) if there is one bound, and if there are two r = 2 (x − bound)/(upper − lower). Since y moves x
        in proportion to its distance from the bound, df/dy vanishes there. That is right if lower values of f lie
        beyond the bound; otherwise df/dx counts, in units of x or of half the interval.

        Args:
          coordinates: y.
          gradient: df/dy.
        """
        if self.kind == LAW:
            return jnp.abs(gradient)
        has_low, has_high = (np.isfinite(bound).reshape(-1)[self.index] for bound in (self.lower, self.upper))
        # f falls as y grows if the gradient is negative: then x moves up between two bounds, away from a single one
        grows = gradient < 0
        between = 2 * jnp.where(grows, jax.nn.sigmoid(coordinates), jax.nn.sigmoid(-coordinates))
        alone = jnp.where(grows, jnp.exp(jnp.minimum(coordinates, 0)), 1)
        distance = jnp.where(has_low & has_high, between, jnp.where(has_low | has_high, alone, 1))
        return jnp.abs(gradient) / jnp.clip(distance, jnp.finfo(gradient.dtype).tiny, 1)

    def log_array(self, coordinates: Array) -> Array:
        """Return the logs of rows of probabilities, −inf off their support: shares too small for a number count."""
        dtype, free = coordinates.dtype, self.free.any(axis=-1, keepdims=True)
        logits = jnp.full(self.start.size, -jnp.inf, dtype).at[self.index].set(coordinates)
        # rows that do not move get finite logits: normalising a row of −∞ gives NaN, also in derivatives
        logits = jnp.where(free, logits.reshape(self.start.shape), 0)
        logs = log_normalize(logits, axis=-1)
        low = float(self.lower)
        if low > 0:
            size = self.support.sum(axis=-1, keepdims=True)
            # a mixture with the even distribution keeps every entry above `low`
            logs = jnp.log(low + (1 - size * low) * jnp.exp(logs))
        with np.errstate(divide="ignore"):
            start = jnp.asarray(np.log(self.start), dtype)
        return jnp.where(self.support & free, logs, jnp.where(self.support, start, -jnp.inf))


def coordinates_of(name: str, kind: str, variable: Variable, start: np.ndarray) -> Coordinates:
    """Return the coordinates of a variable of a kind, or say which entry of its start is out of bounds.

    Args:
      name: of the variable.
      kind: what the array may hold.
      variable: what was given.
      start: where it begins.
    """
    low, high = _RANGES[kind]
    start = np.asarray(start, dtype=float)
    place = f"parameters[{name!r}]"
    _checks.finite(place, start)
    where = np.ones(start.shape, bool) if variable.where is None else variable.where
    if kind == LAW:
        return _law(place, name, variable, start, where)
    lower = _bound(f"{place}.lower", variable.lower, low, start.shape)
    upper = _bound(f"{place}.upper", variable.upper, high, start.shape)
    where = _bound(f"{place}.where", where, None, start.shape)
    _checks.all_true(f"{place}.lower", lower, lower >= low, f"it must be at least {low:g}")
    _checks.all_true(f"{place}.upper", upper, upper <= high, f"it must be at most {high:g}")
    _checks.all_true(f"{place}.lower", lower, lower < upper, "it must be below `upper`")
    inside = (start >= lower) & (start <= upper) | ~where  # entries that stay may lie anywhere
    _checks.all_true(f"{place}.start", start, inside, "it must lie between the bounds")
    start = np.where(where, _off_two_bounds(start, lower, upper), start)
    off = (start != lower) & (start != upper) | ~where
    _checks.all_true(f"{place}.start", start, off, "it must not lie on the bound: choose a start well inside")
    if not where.any():
        raise ValueError(f"`{place}.where` is False everywhere: nothing of it may change.")
    return Coordinates(name, kind, start, lower, upper, np.flatnonzero(where), np.ones(start.shape, bool))


def _check_bounds(lower: Any, upper: Any) -> None:
    if lower is None or upper is None:
        return
    try:
        low, high = np.broadcast_arrays(np.asarray(lower), np.asarray(upper))
    except ValueError as error:
        raise ValueError(f"`lower` of shape {lower.shape} does not broadcast with `upper` of {upper.shape}.") from error
    if not (low < high).all():
        first = np.unravel_index(np.argmin(low < high), low.shape)
        must = f"it must be below `upper` = {high[first]}"
        raise ValueError(f"{_checks.place('lower', first)} is {low[first]}, but {must}.")


def _off_two_bounds(start: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return the start with entries on one of two bounds moved inside."""
    two = np.isfinite(lower) & np.isfinite(upper)
    inside = _INSIDE * np.where(two, upper, 0) - _INSIDE * np.where(two, lower, 0)
    return np.where(two & (start == lower), lower + inside, np.where(two & (start == upper), upper - inside, start))


def _law(place: str, name: str, variable: Variable, start: np.ndarray, where: np.ndarray) -> Coordinates:
    if variable.upper is not None:
        raise ValueError(f"`{place}.upper` is given, but probabilities have only a lower bound: give `lower` alone.")
    lower = 0.0
    support, rows = start > 0, np.ones(start.shape[:-1], bool)
    if variable.where is not None:
        rows = _bound(f"{place}.where", where, None, start.shape[:-1])
    if variable.lower is not None:
        # n entries of at least `lower` each need n · lower < 1
        largest = 1 / int(support.sum(axis=-1).max())
        lower = _checks.number_in(f"{place}.lower", variable.lower, 0, largest, f"[0, {largest:g})")
        inside = (start > lower) | ~support | ~rows[..., None] | (support.sum(axis=-1, keepdims=True) == 1)
        must = f"it must be above `lower` = {lower:g}: choose a start well inside"
        _checks.all_true(f"{place}.start", start, inside, must)
    # a row with one entry has nothing to move
    free = support & rows[..., None] & (support.sum(axis=-1, keepdims=True) > 1)
    if not free.any():
        raise ValueError(f"`{place}` has no row with two entries that may change.")
    return Coordinates(name, LAW, start, np.asarray(lower), np.asarray(1.0), np.flatnonzero(free), support)


def _bound(name: str, value: Any, default: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(default if value is None else value)
    try:
        return np.broadcast_to(array, shape)
    except ValueError as error:
        raise ValueError(
            f"`{name}` of shape {array.shape} does not broadcast to that of the start, {shape}."
        ) from error


def as_variables(parameters: Any) -> dict[str, Variable]:
    """Return variables by name from a mapping of names to starts or variables."""
    if not isinstance(parameters, Mapping) or not parameters:
        got = _checks.shorten(parameters)
        raise ValueError(f"`parameters` must map names such as 'reference' to starts or `Variable`s; got {got}.")
    return {
        name: start_or_variable if isinstance(start_or_variable, Variable) else Variable(start_or_variable)
        for name, start_or_variable in parameters.items()
    }
