"""Differences between neighbours in state, action and population, and the worst of them; in blocks of states."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """Values `[laws, S, A, K]` (point masses, then pairs of sampled laws), and how far rounding may have moved each."""

    values: np.ndarray
    rounding: np.ndarray

    def at(self, *places: slice) -> "Table":
        """Return a part of the table."""
        return Table(self.values[places], self.rounding[places])


class Differences(NamedTuple):
    """Differences between neighbours, none of which should be negative.

    Attributes:
      claim: what holds if none is.
      table: the differences.
      in_z: whether they are between populations.
      first: the number of the first action, less that of the state in the form "post-decision".
    """

    claim: str
    table: Table
    in_z: bool = False
    first: int = 0


def differences(f: Table, form: str, num_points: int, of_moves: bool) -> Iterator[Differences]:
    """Yield all differences that a form asks for, of a table of rewards or of tails.

    In the form "post-decision" y = s + a stands for the action; then only pairs with s ≤ y ≤ s + A − 1 are compared.
    """
    held = form == "post-decision"
    action = "y" if held else "a"
    in_s, in_action = _between(f, 1), _between(f, 2)
    at_action, first = (_between_at_held_y(f), 1) if held else (in_s, 0)
    yield Differences("non-decreasing in s", in_s)
    yield Differences(f"supermodular in (s,{action})", _between(at_action, 2), False, first)
    yield Differences("with increasing differences in s and z", _in_z(at_action, num_points), True, first)
    yield Differences(f"with increasing differences in {action} and z", _in_z(in_action, num_points), True)
    if of_moves:
        yield Differences(f"non-decreasing in {action}", in_action)
        if held:
            yield Differences("non-decreasing in s with y held", at_action, False, first)
        yield Differences("non-decreasing in z", _in_z(f, num_points), True)


def _between(f: Table, axis: int) -> Table:
    """Return the differences between neighbours along an axis; their rounding errors add up."""
    size = f.rounding.shape[axis]
    low, high = (np.take(f.rounding, places, axis) for places in (range(size - 1), range(1, size)))
    return Table(np.diff(f.values, axis=axis), low + high)


def _between_at_held_y(f: Table) -> Table:
    """Return g(s+1,y) − g(s,y) for g(s,y) = f(s, y − s), where both are reached: y from s + 1 on."""
    low, high = f.at(slice(None), slice(None, -1), slice(1, None)), f.at(slice(None), slice(1, None), slice(None, -1))
    return Table(high.values - low.values, high.rounding + low.rounding)


def _in_z(f: Table, num_points: int) -> Table:
    """Return differences between neighbouring point masses, then within the random pairs."""
    points = _between(f.at(slice(num_points)), 0)
    low, high = (f.at(slice(num_points + i, None, 2)) for i in (0, 1))
    values = np.concatenate([points.values, high.values - low.values])
    return Table(values, np.concatenate([points.rounding, high.rounding + low.rounding]))


class Worst:
    """The worst of the differences of one claim that were looked at so far, block after block.

    Attributes:
      violation: by how much the least difference is below 0.
      place: law, state, action and tail of it; the first if there are several. None: there were no differences.
      rounding: of that difference.
      within: whether no difference is below 0 by more than rounding.
    """

    def __init__(self, of: Differences):
        self.in_z, self.first = of.in_z, of.first
        self.violation, self.rounding, self.within = -np.inf, 0.0, True
        self.place: tuple[int, ...] | None = None

    def look(self, block: Table, state: int) -> None:
        """Look at a block of differences, of which the states are numbered from `state` on."""
        if not block.values.size:
            return
        violation, (law, s, a, k) = worst_of(block.values)
        place = (law, s + state, a, k)
        if self.place is None or (-violation, place) < (-self.violation, self.place):
            self.violation, self.place = violation, place
            self.rounding = float(block.rounding[law, s, a, k])
        # where y is not reached there is no difference
        self.within = self.within and not bool((block.values < -block.rounding).any())


def worst_of(differences: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """Return by how much the least difference is below 0, and its place; NaN is none."""
    known = np.where(np.isnan(differences), np.inf, differences)
    place = tuple(int(i) for i in np.unravel_index(np.argmin(known), known.shape))
    return -float(known[place]), place


def by_post_decision(f: np.ndarray, unreached: float = np.nan) -> np.ndarray:
    """Return a function of (s,a) as one of (s,y), y = s + a: `[laws, S, S+A−1, k]`, NaN where y is unreached."""
    # differences with NaN are NaN, which `worst_of` skips: only pairs with s ≤ y ≤ s + A − 1 are compared
    laws, S, A, K = f.shape
    g = np.full((laws, S, S + A - 1, K), unreached)
    for s in range(S):
        g[:, s, s : s + A] = f[:, s]
    return g
