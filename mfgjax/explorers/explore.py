"""The entry point: sliders over a game, or over a dataset of `sweep`."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from .. import _checks
from .._traced import as_it_is_now
from ..engine.parameters import cast_response, find, with_policy_leaf
from ..equilibrium import Equilibrium
from ..games import GameFile
from ..model import AbstractGame, no_game, parameter_names, trace_game
from ..responses import AbstractResponse, EntropyRegularized
from ..solvers import AbstractSolver, Auto
from .explorer import Explorer
from .layout import have_same_moves
from .live import Live, check_labels, labels_of
from .quantities import own_quantity, users_quantity
from .scenes import are_open, name_in_words, names_of_dataset, names_of_game, without_moves
from .sliders import Slider, mix_slider, parse_sliders
from .stored import stored

_BETAS = (0.05, 50.0)


@as_it_is_now
def explore(
    game: AbstractGame | GameFile | Callable[..., AbstractGame] | xr.Dataset,
    response: AbstractResponse | type[AbstractResponse] | xr.Dataset | None = None,
    *,
    beta: Any = None,
    mix: tuple[float, float] | None = None,
    quantity: str | Callable[[Equilibrium], Any] | Mapping[str, Callable[[Equilibrium], Any]] | None = None,
    solver: AbstractSolver | None = None,
    title: str | None = None,
    **ranges: Any,
) -> Explorer:
    """Move the parameters of a game by sliders, and see its equilibrium at each point.

        explore(game, response, beta=(0.05, 50), congestion=(0.5, 2))  # in a notebook: a widget
        explore(game, response, beta=(0.05, 50)).to_html("explorer.html")  # a page to share, without Python

    The pictures are the mean field over time, where the population is and how it moves, the policy, and a number of the
    equilibrium as a function of one parameter, with a path of equilibria if `Explorer.path` has found one. A solve
    never starts from the equilibrium shown before, so that the order of moves does not decide which of several
    equilibria is shown. Where none was found, the page says why the solver stopped. In a notebook the widget needs the
    extra `explore`: `pip install 'mfgjax[explore]'`.

    Args:
      game: the game; what `load_game` returns, with its reference and positions; a function that builds the game, as
        for `sweep`; or a dataset of `sweep`, whose points are shown and nothing is solved.
      response: how agents act; or, if `game` is a game, a dataset of `sweep` of it, whose points are shown with the
        moves and names of the game. None: `EntropyRegularized` with the reference of `game`.
      beta: range of the inverse temperature (logarithmic), or values. None: (0.05, 50) for a response with a β, if no
        response object is given or there is no other slider; otherwise there is no slider for β.
      mix: range of the share m in (1 − m) uniform + m ρ, where ρ is the reference of the response.
      quantity: the number that is drawn as a function of a parameter: a function of the `Equilibrium` that returns a
        number, or a mapping from a name to such a function; for a dataset, the name of a variable. None: the mean state
        of a stationary game with numbered states, else the share of the most crowded state (at the last time).
      solver: the method; None for `Auto()`.
      title: of the page; None: the name of the game.
      **ranges: the other sliders, by the names that `sweep` has for them: a range `(low, high)` of numbers, or values
        as for `sweep`: a list, or a mapping from labels to values.

    Returns:
      An `Explorer`: a widget in a notebook; `at` gives the equilibrium at a point, `to_html` writes a page.

    Raises:
      ValueError: if an argument is invalid; it names the argument and the value.

    Example:
      >>> import mfgjax as mfg
      >>> explorer = mfg.explore(mfg.games.left_right(), beta=(0.1, 10))
      >>> f"{explorer.at(beta=5.0).mean_field[1, 1]:.2f}"
      '0.63'
    """
    if not isinstance(title, str | None):
        raise ValueError(f"`title` must be a text; got {_checks.shorten(title)}.")
    dataset = game if isinstance(game, xr.Dataset) else response
    if isinstance(dataset, xr.Dataset):
        extra = {"beta": beta, "mix": mix, "solver": solver, **ranges}
        given = [name for name, value in extra.items() if value is not None]
        if given:
            raise ValueError(f"`{given[0]}` is given, but a dataset is explored, whose points are solved already.")
        return _of_dataset(None if game is dataset else game, dataset, quantity, title)
    file = game if isinstance(game, GameFile) else None
    game = game.game if isinstance(game, GameFile) else game
    if not isinstance(game, AbstractGame) and not callable(game):
        raise ValueError(f"`game` must be a game, a function that returns one, or a dataset; got {no_game(game)}.")
    if not (response is None or isinstance(response, AbstractResponse | type)):
        raise ValueError(
            f"`response` must be a response such as `EntropyRegularized(beta)`; got {_checks.shorten(response)}."
        )
    acting = EntropyRegularized(1.0, None if file is None else file.reference) if response is None else response
    has_beta = "beta" in getattr(acting, "__dataclass_fields__", {})
    if beta is None and has_beta and (not isinstance(response, AbstractResponse) or (mix is None and not ranges)):
        beta = _BETAS
    ranges = ({} if beta is None else {"beta": beta}) | ranges
    if not ranges and mix is None:
        raise ValueError("`explore` needs at least one slider, such as `epsilon=(0.01, 0.5)`.")
    # the functions of a game as they are now, at all points
    fixed: Any = trace_game(game, in_lanes=True) if isinstance(game, AbstractGame) else game
    live, games = _live(fixed, acting, solver, ranges, mix, quantity)
    values = [_own(slider, fixed, response) for slider in live.sliders]
    sliders = [slider.through(value) for slider, value in zip(live.sliders, values, strict=True)]
    pairs = zip(sliders, values, strict=True)
    start = [len(slider) // 2 if value is None else slider.nearest(value) for slider, value in pairs]
    name = name_in_words(getattr(fixed, "__name__", "")) if file is None else file.name
    names = names_of_game(games[0], None if file is None else file.positions, title or name)
    if not all(have_same_moves(games[0], one) for one in games[1:]):
        names = without_moves(names)
    return Explorer(dataclasses.replace(live, sliders=tuple(sliders)), names, start)


def _live(
    game: Any, response: Any, solver: Any, ranges: Mapping[str, Any], mix: Any, quantity: Any
) -> tuple[Live, list[AbstractGame]]:
    """Return the live game with its sliders, and the games of some points; refuse ends that `solve` would refuse."""
    builder = None if isinstance(game, AbstractGame) else game
    params = parameter_names(game) if builder is None else []
    sliders = parse_sliders(ranges, builder, params) if ranges else []
    if sliders:
        alone = Live(game, response, solver, tuple(sliders), own_quantity(True, False))
        places = [[-1] * len(sliders), [len(slider) // 2 for slider in sliders], [0] * len(sliders)]
        problems = [alone.problem(alone.axes(place)) for place in (places if builder is not None else places[::2])]
        games, response_there = [one for one, *_ in reversed(problems)], problems[-1][1]
        for one in games[1:]:
            check_labels(labels_of(games[0]), labels_of(one))
    else:
        games, response_there = [game if builder is None else builder()], response
    first = games[0]
    if mix is not None:
        sliders.append(_mix(first, response_there, mix))
        for slider in sliders[:-1]:
            if slider.name.removeprefix("response.").removeprefix("log_") == sliders[-1].axis.name:
                raise ValueError(f"`mix` moves the {sliders[-1].axis.name}, which `{slider.name}` moves too.")
    own = own_quantity(bool(first.times), first.has_numbered_states)
    chosen = own if quantity is None else users_quantity(quantity)
    return Live(game, response, solver, tuple(sliders), chosen, labels_of(first)), games


def _of_dataset(game: Any, dataset: xr.Dataset, quantity: Any, title: str | None) -> Explorer:
    source = stored(dataset, quantity)
    names = names_of_dataset(source, title)
    if game is not None:
        file = game if isinstance(game, GameFile) else None
        one = file.game if file is not None else game
        if not isinstance(one, AbstractGame):
            raise ValueError(f"`game` must be a game if the second argument is a dataset; got {no_game(one)}.")
        own = names_of_game(one, None if file is None else file.positions, title or names.title)
        if own.states != names.states or (source.policy is not None and own.actions != names.actions):
            raise ValueError("the dataset has other states or actions than `game`.")
        names = own._replace(over_time=names.over_time, times=names.times)
        # some of the points, as datasets may be large
        policy = source.thinned([5] * len(source.sliders)).policy
        if policy is not None and not are_open(own, policy):
            names = without_moves(names)
    return Explorer(source, names, [len(slider) // 2 for slider in source.sliders])


def _mix(game: AbstractGame, response: AbstractResponse, mix: Any) -> Slider:
    """Return the slider between the uniform policy and the reference of the response."""
    table = response.prior_table
    if table is None:
        raise ValueError(
            "`mix` mixes the uniform policy with the reference of the response, which has none: give "
            "`EntropyRegularized(beta, reference)`."
        )
    available = np.asarray(game.available, float)
    uniform = available / available.sum(axis=-1, keepdims=True)
    return mix_slider(mix, response.prior_name, uniform, np.exp(np.asarray(table, float)))


def _own(slider: Slider, game: Any, response: Any) -> float | None:
    """Return the number that a slider's parameter has in game and response as they are given; None: there is none."""
    own: Any = None
    if slider.name == "mix":
        own = 1.0
    elif slider.axis.builds:
        own = inspect.signature(game).parameters[slider.name].default
    elif isinstance(game, AbstractGame) and isinstance(response, AbstractResponse):
        triple = with_policy_leaf((game, cast_response(game, response), Auto()), [slider.axis.name])
        own = jax.tree.leaves(triple)[find(triple, slider.axis.name)[0]]
    elif isinstance(response, AbstractResponse):
        own = getattr(response, slider.name, None)
    is_number = np.ndim(own) == 0 and isinstance(own, int | float | np.ndarray | jax.Array)
    return float(own) if is_number and slider.numbers is not None else None
