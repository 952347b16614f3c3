"""The path of equilibria as a parameter moves, through folds."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import BAD, GOOD, Facts, Page, Part, Picture, shows_itself
from .._linear import DENSE_LIMIT
from .._modes import in_own_modes
from .._result import RESULTS, ConvergenceError, Result
from .._shown_laws import last_laws, listed, share_that_varies
from .._svg import Line, lines
from .._traced import as_it_is_now
from .._trees import with_leaves
from .._typing import Array, ArrayLike, Scalar
from ..engine import fit_response, unsound
from ..engine.parameters import find_number, paths
from ..engine.parameters import parameter as named_array
from ..engine.prepare import game_and_response
from ..equilibrium import Equilibrium
from ..model import AbstractGame, trace_game, validate
from ..responses import AbstractResponse
from ..solve import refuse_unless_converged, solve
from ..solvers import Newton
from ..solvers.base import Problem
from ..solvers.path import PathReport, PathState, path_start, path_step
from ..solvers.shooting import along_path
from .branch_points import Lost, Tracer
from .branch_walk import walk

_RANGE = 4.0  # length of the parameter's interval in units of the path; a flow moves by at most 1.4


@shows_itself
@dataclasses.dataclass(frozen=True)
class Branch:
    """The result of `branch`: a path of equilibria along a parameter, with its folds.

    Attributes:
      parameter: the values of the parameter at the points of the path, in order along it; they turn back at folds.
      mean_field: the equilibria, `[points, H+1, S]` (or `[points, H+1, S, A]`), without times for a stationary
        game.
      folds: values of the parameter at which the path turns, in order along it; each fold is a point of the path.
      bifurcations: values at which an eigenvalue of DΓ crosses 1 although the path does not turn, in order along it. As
        a rule, equilibria that are not on the path meet it there. They are searched for up to 640 unknowns.
      complete: whether the path reached `stop`. Otherwise it came back past `start`, was lost, as where equilibria
        jump, came to where the rows of the kernel are no longer probabilities, or `max_points` was reached.
      message: sentences on how the path ended, and on the bifurcations that it passed.
      name: the name of the parameter; "parameter" if a function picks it.
      state_labels: the names of the states, as in the game.
    """

    parameter: np.ndarray
    mean_field: np.ndarray
    folds: np.ndarray
    bifurcations: np.ndarray
    complete: bool
    message: str
    _at: Callable[[float], list[Equilibrium]]
    name: str = "parameter"
    state_labels: tuple[str, ...] = ()

    def _page(self) -> Page:
        low, high = self.parameter[0], self.parameter[-1]
        path = (
            f"{len(self.parameter)} points from {low:g} to {high:g}, {len(self.folds)} folds, "
            f"{len(self.bifurcations)} bifurcations"
        )
        status = GOOD if self.complete else BAD
        return Page(type(self).__name__, f"{path}: {self.message}", status=status, title=path, details=self._details)

    def _details(self) -> Iterator[Part]:
        yield self.message
        laws = last_laws(self.mean_field)
        if laws is not None:
            shares, label, caption = share_that_varies(laws, self.state_labels)
            yield Picture(lines([Line("", self.parameter, shares)], self.name, label), caption)
        turns = (("folds", self.folds), ("bifurcations", self.bifurcations))
        yield Facts([(name, listed([f"{value:.6g}" for value in values])) for name, values in turns if len(values)])

    @in_own_modes
    def at(self, value: float) -> list[Equilibrium]:
        """Find the equilibria that the path has at one value of the parameter, each once, in order along it.

        Between two neighbouring points, folds among them, the parameter rises or falls all the way, so that there is
        one equilibrium or none; it is found on the path by its place there, which is regular next to folds. A value
        that cannot be told from that of a fold has one equilibrium there. Equilibria that are not on the path, such as
        those that meet it at `bifurcations`, are not found.

        Args:
          value: of the parameter.

        Returns:
          The equilibria; none for a value beyond a fold, where the path turns back.

        Raises:
          ValueError: if the path ends before the value.
          ConvergenceError: if no equilibrium was found between the points of the path next to the value, as where
            equilibria jump.
        """
        return self._at(_checks.number_in("value", value, -np.inf, np.inf, "(-inf, inf)"))


@as_it_is_now
def branch(
    game: AbstractGame,
    response: AbstractResponse,
    parameter: str | Callable[[AbstractGame, Any], Array] = "beta",
    *,
    start: float,
    stop: float,
    log: bool | None = None,
    guess: ArrayLike | Equilibrium | None = None,
    resolution: int = 60,
    max_points: int = 2_000,
) -> Branch:
    """Follow an equilibrium from one value of a parameter to another, also where the path turns back (at folds).

    Solving anew at every value would jump where the path folds back, and miss the equilibria in between. Here the path
    is followed by its arclength (pseudo-arclength continuation), so that folds are ordinary points of it. It ends where
    equilibria jump, and where the rows of the kernel are no longer probabilities. Details that
    are smaller than the distance of two points of the path, such as two folds between them, are searched for where the
    tangents hint at them, and may be missed elsewhere: then increase `resolution`.

    Args:
      game: the game, at any value of the parameter.
      response: how agents act; it must be smooth.
      parameter: the name of a scalar array of game or response, as in `hysteresis`: "beta", "discount",
        "reward.effort_cost", ...; or a function `(game, response) -> leaf` that picks one, such as
        `lambda game, response: game.discount`.
      start: value to start from.
      stop: value to reach, above or below `start`.
      log: follow the logarithm of the parameter; None: for "beta" only.
      guess: guess of the equilibrium at `start`; it decides which one is followed if there are several.
      resolution: minimal number of points from `start` to `stop`.
      max_points: maximal number of points, folds not counted.

    Returns:
      A `Branch`: points, folds, bifurcations, and `at(value)` for the equilibria of the path at a value.

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
    game, response = game_and_response(game, response)
    if not response.is_smooth:
        name = type(response).__name__
        raise ValueError(f"`branch` needs a smooth response, but `{name}` jumps: use `EntropyRegularized`.")
    resolution = _checks.integer_at_least("resolution", resolution, 1)
    max_points = _checks.integer_at_least("max_points", max_points, 2)
    log = parameter in ("beta", "response.beta") if log is None else log
    first = float(_checks.scalar_in("start", start, -float("inf"), float("inf"), "(-inf, inf)"))
    last = float(_checks.scalar_in("stop", stop, -float("inf"), float("inf"), "(-inf, inf)"))
    if first == last:
        raise ValueError(f"`start` and `stop` are both {first}, but a path needs two different values.")
    if log and min(first, last) <= 0:
        raise ValueError(f"`start` is {first} and `stop` is {last}, but with `log=True` both must be positive.")
    game, response = trace_game(game), fit_response(game, response)
    moved = _mover(game, response, parameter, [first, last])
    forward = np.log if log else float
    low, unit = forward(first), (forward(last) - forward(first)) / _RANGE

    def value_at(position: Any) -> Scalar | float:
        value = low + unit * position
        return jnp.exp(value) if log else value

    eps = float(jnp.finfo(game.dtype).eps)
    tolerance = 1e-10 if eps < 1e-12 else 1e-5

    def problem_at(position: Any) -> Problem:
        return Problem(*moved(value_at(position)), jnp.asarray(tolerance, game.dtype))

    @jax.jit
    def step(
        state: PathState, target: Scalar | float, tolerance: Scalar | float, largest: Scalar | float
    ) -> tuple[PathState, PathReport]:
        return path_step(
            partial(along_path, problem_at),
            Problem(game, response, jnp.asarray(tolerance)).project,
            state,
            target=jnp.asarray(target, game.dtype),
            tolerance=jnp.asarray(tolerance, game.dtype),
            path_tolerance=jnp.asarray(tolerance, game.dtype),
            through_folds=True,
            largest_step=largest,
            smallest_step=1e-7 if eps < 1e-12 else 1e-4,
            retreat=0.0,
            reach=1.0,
            least_cosine=0.0,
        )

    @jax.jit
    def derivative(x: Array, position: Scalar | float) -> Array:
        return jax.jacfwd(lambda x: problem_at(position).image(x))(x).reshape(x.size, x.size)

    @jax.jit
    def is_unsound(x: Array, position: Scalar | float) -> Array:
        game, response = moved(value_at(position))
        mu, image = game.moved_on(x, game.best_response(x, response).policy)
        return unsound(game, x, image, mu)

    begin = solve(*moved(first), guess=guess)
    at = game.timed(begin.mean_field)
    # eigenvalues need the whole matrix
    tracer = Tracer(step, derivative if at.size <= DENSE_LIMIT else None, is_unsound, tolerance)
    state = path_start(at, jnp.zeros((), game.dtype), _RANGE / resolution)
    knots, bifurcations, complete, message = walk(
        tracer,
        state,
        _RANGE,
        _RANGE / resolution,
        max_points,
        value_at,
        lambda position: _why_no_game(moved(value_at(position))[0]),
    )
    values = np.asarray([float(value_at(knot.position)) for knot in knots])
    values[0] = first  # the number itself, not exp of its logarithm
    if complete:
        values[-1] = last
    flows = np.stack([knot.flow for knot in knots])
    turns = [value for value, knot in zip(values, knots, strict=True) if knot.is_fold]
    crossed = np.asarray([float(value_at(p)) for p in bifurcations])

    def found_at(value: float) -> list[Equilibrium]:
        position = ((-np.inf if log and value <= 0 else forward(value)) - low) / unit
        sides = [tracer.side(knot, position) for knot in knots]
        if abs(sum(sides)) == len(sides):  # all of the path is on one side
            nearest = (min if sides[0] > 0 else max)(knots, key=lambda knot: knot.position)
            if nearest.is_fold:  # where the path turns it has none beyond
                return []
            least, most = values.min(), values.max()
            raise ValueError(f"`value` is {value:g}, but the path has values from {least:.6g} to {most:.6g}. {message}")
        found = [knots[0].flow] if sides[0] == 0 else []
        for (one, other), (here, there) in zip(pairwise(knots), pairwise(sides), strict=True):
            if here * there < 0:  # folds are knots, so between two the parameter passes a value once
                try:
                    found.append(tracer.crossing(one, other, position).flow)
                except Lost:
                    between = [float(value_at(knot.position)) for knot in (one, other)]
                    guess = game.untimed((one.flow + other.flow) / 2)
                    nearby = solve(*moved(value), Newton(), guess=guess, throw=False)
                    raise ConvergenceError(_lost_between(value, between), nearby) from None
            elif there == 0:
                found.append(other.flow)
        return [_found_near(*moved(value), game.untimed(flow)) for flow in found]

    return Branch(
        values,
        flows.reshape(len(flows), *game.mean_field_shape),
        np.asarray(turns),
        crossed,
        complete,
        " ".join([message, *_about(crossed, tracer)]),
        found_at,
        parameter if isinstance(parameter, str) else "parameter",
        game.state_labels,
    )


def _found_near(game: AbstractGame, response: Any, flow: ArrayLike) -> Equilibrium:
    """Return the equilibrium near a point of a path; at a fold it is ill conditioned, and one nevertheless."""
    # Newton, as iteration would leave those that repel it
    found = solve(game, response, Newton(), guess=flow, throw=False)
    if int(found.result.code) != RESULTS.ill_conditioned:
        refuse_unless_converged(found, [Newton()])
    return found


def _lost_between(value: float, between: list[float]) -> str:
    return (
        f"No equilibrium of the path was found at {value:g}, which is between its points at {between[0]:.6g} and "
        f"{between[1]:.6g}: the equilibrium may jump there. Give `branch` a larger `resolution`."
    )


def _why_no_game(game: AbstractGame) -> str:
    """Return a sentence on a game whose kernel is none at an equilibrium, with the first wrong entry if it is found."""
    try:
        validate(game)
    except ValueError as error:
        return str(error)
    return Result(RESULTS.not_stochastic).message


def _about(bifurcations: np.ndarray, tracer: Tracer) -> list[str]:
    """Return sentences on the bifurcations that a path passed."""
    if not tracer.counts:
        return [f"Bifurcations were not looked for: there are more than {DENSE_LIMIT} unknowns."]
    if not len(bifurcations):
        return []
    where = ", ".join(f"{value:.6g}" for value in bifurcations)
    return [
        f"An eigenvalue of the derivative crosses 1 near {where}, where the path does not turn: a bifurcation, of "
        "which the kind was not found out. As a rule other equilibria, which are not on this path, meet it there (a "
        "pitchfork or a transcritical point), or pass so closely that this path may have switched to theirs."
    ]


def _mover(
    game: AbstractGame, response: Any, parameter: Any, ends: list[float]
) -> Callable[[Any], tuple[AbstractGame, Any]]:
    """Return a function from the parameter's value to game and response; refuse ends that are out of range."""
    pair = game, response
    triple: Any = (*pair, None)  # a path has no solver
    leaves = jax.tree.leaves(pair)
    if isinstance(parameter, str):
        name, index = parameter, find_number(triple, parameter)
    elif callable(parameter):
        index = _picked(pair, leaves, parameter)
        name = next((path for path, place in paths(triple).items() if place == index), None)
    else:
        got = _checks.shorten(parameter)
        raise ValueError(
            f"`parameter` must be a name, or a function of (game, response) that returns one of their arrays; got "
            f"{got}."
        )
    if name is not None:
        named_array(triple, name, ends, each=True)
    dtype = leaves[index].dtype
    return lambda value: with_leaves(pair, {index: jnp.asarray(value, dtype)})


def _picked(pair: tuple[AbstractGame, Any], leaves: list, parameter: Callable) -> int:
    """Return the number of the leaf that a function picks of game and response; refuse it if it computes something."""
    leaf: Any = parameter(*pair)
    if not eqx.is_inexact_array(leaf) or leaf.ndim:
        got = _checks.shorten(leaf)
        raise ValueError(f"`parameter` must pick a scalar array of game or response; it picked {got}.")
    if not any(leaf is own for own in leaves):
        raise ValueError(
            "`parameter` must pick a scalar array of game or response as it is, but it computes one, such as an entry "
            "of a longer array: make the number a parameter of its own, such as one in `params` of the game."
        )
    # by its place, as two places may hold one array
    moved = jax.tree.leaves(eqx.tree_at(lambda pair: parameter(*pair), pair, jnp.zeros_like(leaf)))
    return next(i for i, (old, new) in enumerate(zip(leaves, moved, strict=True)) if new is not old)
