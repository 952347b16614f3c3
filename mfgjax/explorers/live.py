"""Points of a game that are solved when they are asked for."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from .._names import did_you_mean
from ..engine.parameters import find
from ..equilibrium import Equilibrium
from ..model import AbstractGame
from ..multiplicity import branch
from ..responses import AbstractResponse
from ..solve import solve
from ..solvers import AbstractSolver, Newton
from ..sweeps.games import build_games
from ..sweeps.grid import Points, SweptAxis, parameters_of
from ..sweeps.work import Plan, make_plan
from .frames import Frame, finite, frame_of
from .quantities import Quantity
from .sliders import Slider

Labels = tuple[tuple[str, ...], tuple[str, ...]]
"""Of states, and of actions."""


class Path(NamedTuple):
    """A path of equilibria along one slider.

    Attributes:
      numbers: the parameter at its points, in order along it; they turn back at folds.
      quantities: what is drawn against the slider.
      message: how the path ended, in words.
    """

    numbers: np.ndarray
    quantities: np.ndarray
    message: str

    def described(self, along: int, others: Sequence[int]) -> dict[str, Any]:
        """Return the path as JSON; `others` are the labels of the other sliders, at which it was followed."""
        numbers = [finite(number) for number in self.numbers]
        quantities = [finite(number) for number in self.quantities]
        return {"along": along, "others": others, "numbers": numbers, "quantities": quantities, "text": self.message}


@dataclasses.dataclass(frozen=True)
class Live:
    """A game, or a function that builds it, with a response and a solver; each point is solved by itself.

    A point never starts from its neighbour: else the order of the moves would decide which of several equilibria is
    shown.

    Attributes:
      labels: of states and actions, the same at all points; None: not known yet.
    """

    game: AbstractGame | Callable[..., AbstractGame]
    response: AbstractResponse | type[AbstractResponse]
    solver: AbstractSolver | None
    sliders: tuple[Slider, ...]
    quantity: Quantity
    labels: Labels | None = None
    _plans: dict[tuple[int, ...], Plan] = dataclasses.field(default_factory=dict, init=False, repr=False)

    def problem(self, axes: Sequence[SweptAxis]) -> tuple[AbstractGame, AbstractResponse, AbstractSolver]:
        """Return game, response and solver of one point, given by axes of one value, as `sweep` makes them."""
        return self._plan(Points(list(axes), zipped=True)).lanes.lane(0)

    def solved(self, axes: Sequence[SweptAxis]) -> Equilibrium:
        """Return the equilibrium at a point, or the best iterate."""
        game, response, solver = self.problem(axes)
        return solve(game, response, solver, throw=False)

    def frame(self, place: Sequence[int]) -> Frame:
        """Return what is drawn of a point, given by the steps of the sliders."""
        game, response, solver = self._at(place)
        found = solve(game, response, solver, throw=False)
        return frame_of(found, self.quantity.of(found))

    def _at(self, place: Sequence[int]) -> tuple[AbstractGame, AbstractResponse, AbstractSolver]:
        """Return the problem of a place as `problem` does, checked once for all places of one game that is built."""
        built = tuple(step for slider, step in zip(self.sliders, place, strict=True) if slider.axis.builds)
        if built not in self._plans:
            axes = [
                slider.at(step) if slider.axis.builds else slider.axis
                for slider, step in zip(self.sliders, place, strict=True)
            ]
            plan = self._plan(Points(axes, zipped=False))
            if self.labels is not None:
                check_labels(self.labels, labels_of(plan.lanes.lane(0)[0]))
            self._plans.clear()  # games may be large: the last one is kept
            self._plans[built] = plan
        plan = self._plans[built]
        # what the builder made is on axis −1, and is that of the one game
        tables = [table[..., 0 if self._is_built(axis) else place[axis]] for table, axis in plan.tables]
        return plan.lanes.single(tables)

    def _is_built(self, axis: int) -> bool:
        return axis < 0 or self.sliders[axis].axis.builds

    def _plan(self, points: Points) -> Plan:
        builder = None if isinstance(self.game, AbstractGame) else self.game
        family = build_games(self.game, points).families[0]
        return make_plan(family, self.response, self.solver, None, points, None, parameters_of(builder))

    def axes(self, place: Sequence[int]) -> list[SweptAxis]:
        """Return the axes of one point."""
        return [slider.at(step) for slider, step in zip(self.sliders, place, strict=True)]

    def pathable(self, start: Sequence[SweptAxis]) -> list[str]:
        """Return the sliders along which a path of equilibria can be followed: single numbers, of smooth responses."""
        game, response, solver = self.problem(start)
        if not response.is_smooth:
            return []
        found = []
        for slider in self.sliders:
            if slider.make is None or slider.axis.builds or slider.name == "mix":
                continue
            leaf, path, _ = find((game, response, solver), slider.axis.name)
            if not path.startswith("solver.") and np.ndim(jax.tree.leaves((game, response, solver))[leaf]) == 0:
                found.append(slider.name)
        return found

    def path(self, along: int, place: Sequence[int]) -> Path:
        """Follow the equilibria along one slider, with the others at the steps of a place.

        Raises:
          ValueError: if the equilibria along the slider cannot be followed.
          ConvergenceError: if no equilibrium was found where it starts.
        """
        slider = self.sliders[along]
        names = self.pathable(self.axes(place))
        if slider.name not in names:
            which = did_you_mean(slider.name, names, f"; it can be along {', '.join(names) or 'none'}.")
            raise ValueError(f"No path of equilibria can be followed along {slider.name!r}{which}")
        game, response, _ = self.problem(self.axes(place))
        ends = [float(slider.axis.values[i]) for i in (0, -1)]
        found = branch(game, response, slider.axis.name, start=ends[0], stop=ends[1], log=slider.log)
        axes, quantities = self.axes(place), []
        for number, mean_field in zip(found.parameter, found.mean_field, strict=True):
            axes[along] = slider.single(number)
            game, response, _ = self.problem(axes)
            # Newton, as iteration would leave equilibria that repel it
            point = solve(game, response, Newton(), guess=mean_field, throw=False)
            quantities.append(self.quantity.of(point))
        return Path(found.parameter, np.array(quantities), found.message)


def labels_of(game: AbstractGame) -> Labels:
    """Return the labels of states and actions."""
    return game.state_labels, game.action_labels


def check_labels(labels: Labels, others: Labels) -> None:
    """Refuse two points that have not the same states and actions."""
    if labels != others:
        raise ValueError(
            "The sliders change which states or actions the game has, but the widget shows the same ones at all "
            "points: give `explore` a dataset of `sweep`."
        )
