"""Hysteresis: the equilibria of a population while a parameter goes up and back, and where it jumps between them."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._display import BAD, GOOD, Listing, Page, Part, Picture, shows_itself
from .._shown_laws import last_laws, share_that_varies
from .._svg import Line, lines
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike
from ..engine import fit_response
from ..engine.parameters import find_number, swept
from ..engine.prepare import game_and_response
from ..equilibrium import Equilibrium
from ..model import AbstractGame, trace_game
from ..responses import AbstractResponse
from ..solve import solve
from ..solvers import AbstractSolver, Auto, Picard
from .possible_errors import possible_errors

_MOST_JUMPS = 8


@shows_itself
@dataclasses.dataclass(frozen=True)
class Hysteresis:
    """The result of `hysteresis`: the equilibria in which a population stays while a parameter changes there and back.

    Attributes:
      name: the name of the parameter.
      values: its values, in the given order, `[n]`.
      there: the mean field at each value on the way from the first to the last, `[n, ...]`; NaN where none was found.
      back: the same on the way from the last to the first, stored in the order of `values`.
      joint: whether the mean fields are joint laws of states and actions.
      error: estimated distance of each mean field from its equilibrium, there and back, `[2, n]`: to first order, from
        the residual. NaN where nothing was found, or there is no estimate, as for `Greedy`.
      state_labels: the names of the states, as in the game.
    """

    name: str
    values: np.ndarray
    there: np.ndarray
    back: np.ndarray
    joint: bool
    error: np.ndarray
    state_labels: tuple[str, ...] = ()

    def _page(self) -> Page:
        low, high = self.values[0], self.values[-1]
        missed, farthest = int((~self.found).sum()), np.fmax.reduce(self.distance, initial=0.0)
        failed = f", {missed} solves failed" if missed else ""
        summary = (
            f"{self.name} from {low:g} to {high:g} and back, {len(self.values)} values{failed}; the mean fields there "
            f"and back differ by up to {farthest:.3g} in total variation"
        )
        return Page(type(self).__name__, summary, status=BAD if missed else GOOD, details=self._details)

    def _details(self) -> Iterator[Part]:
        laws = last_laws(np.concatenate([self.there, self.back]))
        if laws is not None:
            shares, label, caption = share_that_varies(laws, self.state_labels)
            ways = zip(("there", "back"), np.split(shares, 2), strict=True)
            series = [Line(way, self.values, share) for way, share in ways]
            yield Picture(lines(series, self.name, label), caption)
        jumps = self.jumps()
        rows = [(way, f"{a:g}", f"{b:g}") for way, places in jumps.items() for a, b in places]
        if rows:
            yield Listing(["way", ">from", ">to"], rows[:_MOST_JUMPS], "Here the population moves by more than 0.1.")

    @property
    def distance(self) -> np.ndarray:
        """Total variation distance of the two ways, `[n]`; for flows the largest over time; NaN where one is
        missing."""
        return self._moved(self.there, self.back)

    @property
    def mean_state(self) -> np.ndarray:
        """The mean state Σ_s s z(s), there and back, `[2, n]`; for a flow at its last time."""
        laws = np.stack([self.there, self.back])
        laws = laws.sum(axis=-1) if self.joint else laws
        last = laws[:, :, -1] if laws.ndim == 4 else laws
        return last @ np.arange(last.shape[2])

    @property
    def found(self) -> np.ndarray:
        """Whether there is an equilibrium at each value, there and back, `[2, n]`."""
        return np.stack([np.isfinite(way).all(axis=tuple(range(1, way.ndim))) for way in (self.there, self.back)])

    def apart(self, distance: float = 1e-6) -> np.ndarray:
        """Return the values at which the mean fields of the two ways differ by more than `distance` and both errors.

        The errors are estimated from the residuals. Where the estimates are right, there are at least two equilibria.
        """
        least = _checks.number_in("distance", distance, 0, 1, "(0, 1)")
        # fmax, as an error may be NaN: then `distance` alone decides
        return self.values[self.distance > np.fmax(least, self.error.sum(axis=0))]

    def jumps(self, distance: float = 0.1) -> dict[str, list[tuple[float, float]]]:
        """Return the neighbouring values between which the population moves by more than `distance`, on either way."""
        least = _checks.number_in("distance", distance, 0, 1, "(0, 1)")
        jumps_by_way = {}
        for way, laws in (("there", self.there), ("back", self.back)):
            jump_indices = np.flatnonzero(self._moved(laws[1:], laws[:-1]) > least)
            jumps_by_way[way] = [(float(self.values[i]), float(self.values[i + 1])) for i in jump_indices]
        return jumps_by_way

    def _moved(self, laws: np.ndarray, others: np.ndarray) -> np.ndarray:
        apart = np.abs(laws - others).sum(axis=(-2, -1) if self.joint else -1) / 2
        return apart if apart.ndim == 1 else apart.max(axis=1)


@as_it_is_now
def hysteresis(
    game: AbstractGame,
    response: AbstractResponse,
    parameter: str,
    values: ArrayLike,
    *,
    solver: AbstractSolver | None = None,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int | None = None,
) -> Hysteresis:
    """Change a parameter step by step and back, and follow the equilibrium in which the population stays.

    Each solve starts from the equilibrium at the value before. In a stationary game a share √ε of the agents (ε: the
    spacing of numbers near 1) is first moved to states chosen evenly, as a population that is exactly at an unstable
    equilibrium would stay there. Where there is a single equilibrium, both ways agree. Where there are several, a
    population that moves by iteration stays at its equilibrium until that disappears or becomes unstable, and then
    jumps; on the way back it jumps at another value. Solvers other than plain iteration may go to another equilibrium
    while the old one still exists, or stay at one that is unstable. `bracket` finds the least and the greatest
    equilibrium at one value, and `branch` follows an equilibrium through folds, for smooth responses.

    Args:
      game: the game.
      response: how agents act.
      parameter: the name of a scalar array of game or response, as in `solve_batch`: "beta", "epsilon", "discount",
        "kernel.c_f", "reward.effort_cost", ...
      values: the values of the parameter, in order, at least two; they must all rise, or all fall.
      solver: the method at each value; None: `Picard()` (the population's own moves) in a stationary game, else
        `Auto()`.
      guess: guess of the equilibrium at the first value; None: as in `solve`.
      max_steps: maximal number of steps of the solver at each value.

    Returns:
      A `Hysteresis`. Where a solve fails, its mean field is NaN, and the next solve starts from the last equilibrium
      found.

    Raises:
      ValueError: if there is no such parameter, it is not scalar, or a value is out of range.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.games.mturk()
      >>> path = mfg.hysteresis(game, mfg.Trembling(0.1), "reward.effort_cost", np.linspace(0.1, 0.25, 7))
      >>> bool((path.distance > 0.3).any())  # two populations at one cost of effort
      True
    """
    game, response = game_and_response(game, response)
    # the population's own move stays with an equilibrium as long as it attracts; other solvers may leave it
    method = (Picard() if game.seeks_pure else Auto()) if solver is None else solver
    numbers = np.asarray(_checks.as_numbers("values", values))
    _checks.shape_is("values", numbers, [(None,)], "values of the parameter")
    if len(numbers) < 2:
        raise ValueError(f"`values` must hold at least two numbers; got {len(numbers)}.")
    _check_order(numbers)
    find_number((game, response, method), parameter)
    lanes = swept(trace_game(game), fit_response(game, response), method, {parameter: numbers})

    def moved_aside(law: Array) -> Array:
        share = float(np.finfo(game.dtype).eps) ** 0.5 if game.seeks_pure else 0
        return (1 - share) * law + share / law.size

    def lead(order: Sequence[int], start: Any) -> tuple[dict[int, tuple[np.ndarray, float]], Any]:
        laws = {}
        for i in order:
            game, response, method = lanes.lane(i)
            solved = solve(game, response, method, guess=start, max_steps=max_steps, throw=False)
            if bool(solved.converged):
                start = moved_aside(solved.mean_field)  # a solve that fails leaves the last good one
                # exploitability says how much agents gain, not how far the mean field is off
                has_estimate = solved.criterion == "residual"
                found = solved.mean_field
                error = float(possible_errors(game, response, game.timed(found)[None])[0]) if has_estimate else np.nan
                laws[i] = np.asarray(found), error
        return laws, start

    there, end = lead(range(len(numbers)), guess)
    # the way back begins in the equilibrium where the way there ended
    back, _ = lead(range(len(numbers) - 1, -1, -1), end)
    not_found = np.full(game.mean_field_shape, np.nan, game.dtype), np.nan
    ways = [[laws.get(i, not_found) for i in range(len(numbers))] for laws in (there, back)]
    laws_there, laws_back = (np.stack([law for law, _ in way]) for way in ways)
    errors = np.array([[error for _, error in way] for way in ways])
    return Hysteresis(
        parameter, numbers, laws_there, laws_back, game.observes == "state_actions", errors, game.state_labels
    )


def _check_order(values: np.ndarray) -> None:
    """Refuse values that turn: one way leads up or down, and the other back."""
    moves = np.sign(np.diff(values))
    first = moves[np.argmax(moves != 0)]
    for i in np.flatnonzero(moves * first < 0)[:1]:
        way = "rise" if first > 0 else "fall"
        raise ValueError(
            f"`values[{i + 1}]` is {values[i + 1]:g}, but the values before it {way} to {values[i]:g}: they must all "
            f"{way}; the way back is followed, too."
        )
