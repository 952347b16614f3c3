"""Two aims traded off against each other."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optax

from .. import _checks
from .._display import Listing, Page, Part, Picture, shows_itself
from .._svg import Line, lines
from .._traced import as_it_is_now
from .._typing import ArrayLike
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame
from ..responses import AbstractResponse
from ..solvers import AbstractSolver
from .descent import STATUS
from .objectives import as_objective
from .search import Search, all_arrays, make_method, observed
from .space import design_space, repeated


@shows_itself
@dataclasses.dataclass(frozen=True, eq=False)
class TradeOff:
    """The result of `trade_off`: the best designs for several weights of two aims.

    Attributes:
      weights: the weights w of the second aim; the first aim has weight 1 − w.
      first: the first objective of each design, `[weights]`; NaN where a search found no design.
      second: the second objective, in the same way.
      efficient: which designs are efficient: no other design here is at least as good in both aims and better in one.
      parameters: what was tuned, by name, with a last axis of weights.
      status: why each search stopped, one sentence for each.
      num_steps: number of designs that were tried for each weight.
    """

    weights: np.ndarray
    first: np.ndarray
    second: np.ndarray
    efficient: np.ndarray
    parameters: dict[str, np.ndarray]
    status: tuple[str, ...]
    num_steps: int

    def _page(self) -> Page:
        heading = f"Two objectives for {len(self.weights)} weights of the second"
        return Page(type(self).__name__, "", self._parts, heading=heading, details=self._details)

    def _parts(self) -> Iterator[Part]:
        rows = [
            (f"{w:.4g}", f"{a:.6g}", f"{b:.6g}", "" if best else "beaten by another")
            for w, a, b, best in zip(self.weights, self.first, self.second, self.efficient, strict=True)
        ]
        yield Listing((">weight", ">first", ">second", ""), rows)

    def _details(self) -> Iterator[Part]:
        kinds = (("efficient", self.efficient), ("beaten", ~self.efficient))
        series = [Line(name, self.first[own], self.second[own], dots=True) for name, own in kinds if own.any()]
        yield Picture(lines(series, "first objective", "second objective"), "a point for each weight")


@as_it_is_now
def trade_off(
    game: FiniteHorizonGame | Callable,
    parameters: Any,
    first: Callable,
    second: Callable,
    weights: ArrayLike,
    optimizer: optax.GradientTransformation | None = None,
    *,
    response: AbstractResponse | None = None,
    solver: AbstractSolver | None = None,
    scenarios: Mapping[str, ArrayLike] | Sequence[FiniteHorizonGame] | None = None,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int = 200,
    gtol: float | None = None,
    progress: bool = True,
) -> TradeOff:
    """Tune a design for each of several weights of two aims, all at once.

        minimise over θ:  (1 − w) first + w second,    for each w

    The best design for a weight is a point of the Pareto front where the front is convex; no weight finds the parts
    that are not convex. Searches find local minima, so a design may not lie on the front; `efficient` only compares the
    designs found with one another.

    Args:
      game: as in `tune`, with a finite horizon.
      parameters: as in `tune`.
      first: the first objective, as in `tune`.
      second: the second objective.
      weights: w in [0, 1], `[weights]`.
      optimizer: as in `tune`.
      response: as in `tune`.
      solver: as in `tune`.
      scenarios: as in `tune`; both aims are means over them.
      guess: as in `tune`.
      max_steps: as in `tune`.
      gtol: as in `tune`.
      progress: as in `tune`.

    Returns:
      A `TradeOff`; `plot.plot_trade_off` draws the front.

    Raises:
      ValueError: if an argument is invalid, naming the place and the value.
      ConvergenceError: if the start has no equilibrium.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> left, spread = mfg.design.TargetLaw({"left": 0.6}), -1 * mfg.design.Entropy()
      >>> front = mfg.design.trade_off(game, {"beta": None}, left, spread, [0.1, 0.5], response=response)
      >>> front.first.shape, front.second.shape  # one number for each weight
      ((2,), (2,))

    Source: the weighted-sum method; Ehrgott (2005), Multicriteria Optimization, chapter 3.
    """
    shares = np.asarray(_checks.as_numbers("weights", weights))
    _checks.shape_is("weights", shares, [(None,)], "weights")
    _checks.all_true("weights", shares, (shares >= 0) & (shares <= 1), "it must lie in [0, 1]")
    space = design_space(game, parameters, response, solver, scenarios)
    method = make_method(space, optimizer, gtol, None)  # no goal: each weight has another objective
    objectives = observed(space, [as_objective("first", first), as_objective("second", second)])
    search = Search(space, method, objectives, np.stack([1 - shares, shares]), "mean", None)
    points = repeated(space, len(shares))
    record = search.run(points, guess, max_steps, None, _checks.boolean("progress", progress))
    # the search keeps weighted sums, so both aims are computed at its designs
    values = search.at(record.points, record.fields)[0].mean(axis=2)
    values = np.where(np.isfinite(record.values), values, np.nan)
    return TradeOff(
        shares,
        values[0],
        values[1],
        _efficient(values),
        {name: np.asarray(value) for name, value in all_arrays(space, record.points).items()},
        tuple(STATUS[int(code)] for code in record.status),
        len(record.history),
    )


def _efficient(values: np.ndarray) -> np.ndarray:
    """Tell which designs, the columns, no other design beats."""
    design, other = values[:, :, None], values[:, None, :]
    beaten = (design >= other).all(axis=0) & (design > other).any(axis=0)
    # NaN beats nothing and is beaten by nothing, so it is taken out
    return ~np.any(beaten, axis=1) & np.isfinite(values).all(axis=0)
