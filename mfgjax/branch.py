"""The path of equilibria as a parameter moves, through folds."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from . import _checks
from ._typing import Array, ArrayLike, Scalar
from .equilibrium import Equilibrium
from .model import FiniteHorizonGame, StationaryGame, trace_game
from .responses import AbstractResponse
from .solve import fit_response, solve
from .solvers import Newton, Problem
from .solvers.base import refuse_jumps
from .solvers.path import PathReport, PathState, path_start, path_step

AnyGame = FiniteHorizonGame | StationaryGame

_RANGE = 4.0  # length of the parameter's interval in units of the path; a flow moves by at most 1.4


@dataclasses.dataclass(frozen=True)
class Branch:
    """A path of equilibria.

    Attributes:
      parameter: its values at the points of the path, in order along it; they turn back at folds.
      mean_field: the equilibria, `[points, H+1, S]` (or `[points, H+1, S, A]`), without times for a stationary
        game.
      folds: values of the parameter at which the path turns, in order along it.
      complete: whether the path reached `stop`; else it came back below `start`, or the points ran out.
      message: a sentence on how the path ended.
    """

    parameter: np.ndarray
    mean_field: np.ndarray
    folds: np.ndarray
    complete: bool
    message: str
    _at: Callable[[float, np.ndarray], Equilibrium]

    def at(self, value: float) -> list[Equilibrium]:
        """Find all equilibria that the path has at one value of the parameter, in order along it.

        Args:
          value: of the parameter; each crossing is solved for by Newton's method.
        """
        found = []
        p = self.parameter
        for i in range(len(p) - 1):
            if p[i] == value or min(p[i], p[i + 1]) < value < max(p[i], p[i + 1]):
                share = (value - p[i]) / (p[i + 1] - p[i])
                found.append(self._at(value, (1 - share) * self.mean_field[i] + share * self.mean_field[i + 1]))
        if p[-1] == value:
            found.append(self._at(value, self.mean_field[-1]))
        return found


def branch(
    game: AnyGame,
    response: AbstractResponse,
    parameter: str | Callable[[AnyGame, Any], Array] = "beta",
    *,
    start: float,
    stop: float,
    log: bool | None = None,
    guess: ArrayLike | Equilibrium | None = None,
    resolution: int = 60,
    max_points: int = 2_000,
) -> Branch:
    """Follow the equilibrium from one value of a parameter to another, turning at folds.

    Solving anew at every value would jump where the path folds back, and miss the equilibria in between. Here
    the path is followed in its arclength (pseudo-arclength continuation), so folds are ordinary points of it.

    Args:
      game: the physics, at any value of the parameter.
      response: a smooth one.
      parameter: "beta", or a function `(game, response) -> leaf` that picks a scalar array of either, such as
        `lambda game, response: game.discount`.
      start: value to start from.
      stop: value to reach, above or below `start`.
      log: follow the logarithm of the parameter; None: for "beta" only.
      guess: of the equilibrium at `start`, which chooses among several.
      resolution: least number of points from `start` to `stop`.
      max_points: most points.

    Returns:
      A `Branch`: points, folds, and `at(value)` for all equilibria of the path at a value.

    Raises:
      ValueError: if an argument is invalid.
      ConvergenceError: if no equilibrium was found at `start`.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.coordination(), mfg.EntropyRegularized(beta=4.0)
      >>> path = mfg.branch(game, response, lambda game, _: game.reward.L.field, start=-0.5, stop=0.5)
      >>> len(path.at(0.0)), len(path.folds)
      (3, 2)

    Source: Keller (1977); for logit equilibria Turocy (2005), Games and Economic Behavior 51.
    """
    if not response.is_smooth:
        refuse_jumps(Newton(), response)
    resolution = _checks.integer_at_least("resolution", resolution, 1)
    max_points = _checks.integer_at_least("max_points", max_points, 2)
    log = parameter == "beta" if log is None else log
    first = float(_checks.scalar_in("start", start, -float("inf"), float("inf"), "(-inf, inf)"))
    last = float(_checks.scalar_in("stop", stop, -float("inf"), float("inf"), "(-inf, inf)"))
    if first == last:
        raise ValueError(f"`start` and `stop` are both {first}, but a path needs two different values.")
    if log and min(first, last) <= 0:
        raise ValueError(f"`start` is {first} and `stop` is {last}, but with `log=True` both must be positive.")
    game, response = trace_game(game), fit_response(game, response)
    pick = _picker(game, response, parameter)
    forward = np.log if log else float
    low, unit = forward(first), (forward(last) - forward(first)) / _RANGE

    def value_at(position: Scalar) -> Scalar:
        value = low + unit * position
        return jnp.exp(value) if log else value

    def moved(value: Any) -> tuple[AnyGame, Any]:
        leaf = pick((game, response))
        return eqx.tree_at(pick, (game, response), jnp.asarray(value, leaf.dtype))

    eps = float(jnp.finfo(game.dtype).eps)
    tolerance = jnp.asarray(1e-10 if eps < 1e-12 else 1e-5, game.dtype)

    @jax.jit
    def step(state: PathState) -> tuple[PathState, PathReport]:
        def evaluate(x: Array, position: Scalar) -> tuple[Array, Scalar]:
            return Problem(*moved(value_at(position)), tolerance).image_and_floor(x)

        return path_step(
            evaluate,
            Problem(game, response, tolerance).project,
            state,
            target=jnp.asarray(_RANGE, game.dtype),
            tolerance=tolerance,
            path_tolerance=tolerance,
            through_folds=True,
            largest_step=_RANGE / resolution,
            smallest_step=1e-7 if eps < 1e-12 else 1e-4,
            retreat=0.0,
        )

    def refined(value: float, flow: np.ndarray) -> Equilibrium:
        return solve(*moved(value), Newton(), guess=flow)

    begin = solve(*moved(first), guess=guess)
    at = begin.mean_field[None] if game.is_stationary else begin.mean_field
    state = path_start(at, jnp.zeros((), game.dtype), _RANGE / resolution)
    positions, flows, tangents, folds = [], [], [], []
    complete, message = False, f"The path was cut after {max_points} points."
    while len(positions) < max_points:
        before = state
        state, report = step(state)
        if bool(report.finished):
            positions, flows = [*positions, _RANGE], [*flows, np.asarray(before.x)]
            complete, message = True, "The path reached `stop`."
            break
        if bool(report.failed):
            message = f"The path was lost near {value_at(before.base_parameter):.6g}, where no step could be corrected."
            break
        if not bool(report.accepted):
            continue
        positions.append(float(before.parameter))
        flows.append(np.asarray(before.x))
        tangents.append(float(state.tangent_parameter))
        if len(tangents) > 1 and tangents[-1] * tangents[-2] < 0:
            folds.append(_fold(step, before, tangents[-2]))
        if positions[-1] < 0:
            message = "The path came back to `start` without reaching `stop`."
            break
    values = np.asarray([float(value_at(p)) for p in positions])
    if complete:
        values[-1] = last
    path = np.stack(flows)[:, 0] if game.is_stationary else np.stack(flows)
    return Branch(values, path, np.asarray([float(value_at(p)) for p in folds]), complete, message, refined)


def _picker(game: AnyGame, response: Any, parameter: Any) -> Callable[[tuple], Array]:
    if parameter == "beta":
        if not hasattr(response, "beta"):
            raise ValueError(f'`parameter="beta"`, but `{type(response).__name__}` has no beta.')
        return lambda pair: pair[1].beta
    if not callable(parameter):
        raise ValueError(f'`parameter` must be "beta" or a function (game, response) -> leaf; got {parameter!r}.')
    leaf: Any = parameter(game, response)
    if not eqx.is_inexact_array(leaf) or leaf.ndim:
        raise ValueError(f"`parameter` must pick a scalar array of game or response; it picked {leaf!r}.")
    return lambda pair: parameter(*pair)  # pyright: ignore[reportReturnType]


def _fold(step: Callable, corrected: PathState, tangent: float) -> float:
    """Return the position of the fold between a point's base and the point: where the tangent's λ-part is 0.

    `corrected` is the accepted point, still with the base it was predicted from and the step between them.
    """
    from scipy.optimize import brentq  # most of a second to import, and only folds need it

    found = {}

    def slope(length: float) -> float:
        if length == 0:
            return tangent
        share = length / float(corrected.step)
        state = corrected._replace(
            x=corrected.base_x + share * (corrected.x - corrected.base_x),
            parameter=corrected.base_parameter + share * (corrected.parameter - corrected.base_parameter),
            step=jnp.full_like(corrected.step, length),
            corrections=jnp.zeros_like(corrected.corrections),
        )
        for _ in range(20):
            before = state
            state, report = step(state)
            if bool(report.accepted):
                found[length] = float(before.parameter)
                return float(state.tangent_parameter)
        raise RuntimeError("A point between two corrected points of the path could not be corrected.")

    length: Any = brentq(slope, 0.0, float(corrected.step), xtol=1e-10)
    slope(length)
    return found[length]
