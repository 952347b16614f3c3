"""The command `plot`."""

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .. import io, plot
from .._result import RESULTS
from ..games import GameFile
from ..kernels import MovesKernel
from ..learners import Run, saved_note
from ..plot.curves import symbol, text_of
from ..plot.moving import MOST_NODES
from ..sweeps.store import Store
from . import catalogue
from .behaviour import behaviour_of
from .output import console, staged

_PICTURES = (".png", ".pdf", ".svg", ".gif")
_OVER_TIME = ("flow", "bars", "area", "heat")
_OF_TIME = ("graph", "law", "policy")
_LINE = 52  # letters of a title that fit above the narrowest picture
_MAPS = {"steps": "num_steps", "residual": "residual", "exploitability": "exploitability", "result": "result_code"}
_FOREIGN = (
    "it must be an equilibrium (.nc), a sweep (a .zarr folder), a learner's run (.npz), a game's TOML file, or the "
    "name of a ready-made game"
)


@dataclass(frozen=True)
class PlotRequest:
    """What is to be drawn and how, as on the command line."""

    file: str
    kind: str | None
    time: int | None
    state: str | None
    at: tuple[str, ...]
    game: str | None
    title: str | None


def run(request: PlotRequest, out: Path) -> int:
    """Draw, save and print.

    Args:
      request: what to draw.
      out: the picture.

    Returns:
      The exit status.
    """
    suffix = out.suffix.lower()
    if suffix not in _PICTURES:
        raise ValueError(f"`--out` is {str(out)!r}, but a picture ends in {', '.join(_PICTURES[:-1])} or .gif.")
    if (suffix == ".gif") != (request.kind == "animation") and not (suffix == ".gif" and request.kind is None):
        raise ValueError(f"`--out` is {str(out)!r}: a .gif is for `--kind animation`, and an animation is a .gif.")
    with jax.enable_x64(True):
        kinds, draw = _source(request)
        kind = "animation" if suffix == ".gif" else kinds[0] if request.kind is None else request.kind
        if kind not in kinds:
            raise ValueError(f"`--kind {kind}` cannot be drawn of {request.file}, but {', '.join(kinds)} can.")
        _check(request, kind)
        with staged(out.parent) as folder:
            assert folder is not None
            picture, path = draw(kind), folder / out.name
            if kind == "animation":
                picture.save(path, writer="pillow")
            else:
                figure = picture if isinstance(picture, Figure) else picture.figure
                figure.savefig(path, dpi=150)
    console().print(f"drawn           {kind} of {request.file}\nsaved           {out}", markup=False, soft_wrap=True)
    return 0


def _source(request: PlotRequest) -> tuple[tuple[str, ...], Any]:
    """Return what can be drawn of a file, the default first, and what draws it."""
    name, path = request.file, Path(request.file)
    if catalogue.is_ready_made(name) or path.suffix == ".toml":
        _refuse(request, "a game", game=request.game, at=request.at)
        return _of_game(request, catalogue.load(name, ()))
    if not path.exists():
        raise ValueError(f"`FILE` is {name!r}, but there is no such file; {_FOREIGN}.")
    if path.is_dir():
        return _of_sweep(request, _sweep(path))
    if path.suffix == ".npz":
        _refuse(request, "a learner's run", game=request.game, at=request.at)
        return _of_run(request, path)
    if path.suffix == ".nc":
        _refuse(request, "one equilibrium", at=request.at)
        return _of_equilibrium(request, io.load_equilibrium(path))
    raise ValueError(f"`FILE` is {name!r}, but {_FOREIGN}.")


def _refuse(request: PlotRequest, what: str, **options: Any) -> None:
    for name, value in options.items():
        if value:
            raise ValueError(f"`--{name}` is of no use for {what} such as {request.file}.")


def _check(request: PlotRequest, kind: str) -> None:
    if request.time is not None and kind not in _OF_TIME:
        raise ValueError(f"`--time {request.time}` applies to `--kind` {', '.join(_OF_TIME)}, not to {kind}.")
    if request.state is not None and kind != "policy":
        raise ValueError(f"`--state {request.state}` applies to `--kind policy`, not to {kind}.")
    if request.state is not None and request.time is not None:
        raise ValueError("`--time` and `--state` cannot both be given: a state is drawn at all times.")


def _of_game(request: PlotRequest, loaded: GameFile) -> tuple[tuple[str, ...], Any]:
    game, is_graph = loaded.game, isinstance(loaded.game.kernel, MovesKernel)
    kinds = ("graph", "law") if is_graph and game.num_states <= MOST_NODES else ("law", *["graph"] * is_graph)
    title = f"{loaded.name}, t = 0" if request.title is None else request.title

    def draw(kind: str) -> Any:
        if request.time not in (None, 0):
            raise ValueError(f"`--time {request.time}`: of a game that is not solved, only time 0 is known.")
        if kind == "law":
            return plot.plot_law(game, game.initial, title=title)
        return plot.plot_graph(game, game.initial, positions=loaded.positions, title=title)

    return kinds, draw


def _of_run(request: PlotRequest, path: Path) -> tuple[tuple[str, ...], Any]:
    saved_note(path)  # says what is wrong
    with np.load(path) as arrays:
        laws, policy = arrays["laws"], arrays["policy"]
    found, name = Run(laws, policy, None, laws.shape[1] - 1, 0), path.stem

    def draw(kind: str) -> Any:
        if kind == "laws":
            return plot.plot_learned_laws({name: found}, cumulative=False, title=request.title or name)
        return plot.plot_learning({name: found}, quantity="mean_state", title=request.title or name)

    return ("mean-state", "laws"), draw


def _of_equilibrium(request: PlotRequest, dataset: xr.Dataset) -> tuple[tuple[str, ...], Any]:
    """Return what can be drawn of one equilibrium, or a point of a sweep, and what draws it."""
    loaded = None if request.game is None else catalogue.load(request.game, ())
    what = (dataset,) if loaded is None else (loaded.game, dataset)
    positions = None if loaded is None else loaded.positions
    name = request.title or _name(dataset)
    is_stationary = "time" not in dataset.coords
    has_law, has_policy = "mean_field" in dataset or "state_law" in dataset, "policy" in dataset
    is_graph = "leads_to" in dataset if loaded is None else isinstance(loaded.game.kernel, MovesKernel)
    kinds = (
        *(_OVER_TIME if has_law and not is_stationary else ()),
        *(["law"] if has_law or "terminal_law" in dataset else []),
        *(["graph"] if is_graph and has_law else []),
        *(["policy"] if has_policy else []),
        *(["residuals"] if "residual_history" in dataset else []),
        *(["animation"] if has_law and not is_stationary else []),
    )
    if not kinds:
        raise ValueError(f"{request.file} holds neither a law nor a policy, so there is nothing to draw of it.")

    def draw(kind: str) -> Any:
        if kind in _OVER_TIME:
            return plot.plot_flow(*what, kind="auto" if kind == "flow" else kind, title=name)
        if kind == "residuals":
            return plot.plot_residuals(dataset, title=name)
        if kind == "animation":
            return plot.animate_flow(*what, positions=positions, title=name)
        if is_stationary and kind == "law" and has_policy and request.time is None:
            return plot.plot_stationary(*what, title=name)
        if kind == "policy" and request.state is not None:
            return plot.plot_policy(*what, state=request.state, title=f"{name}, in state {request.state}")
        first = 0 if kind == "policy" else -1
        time = (first if not is_stationary else -1) if request.time is None else request.time
        shown = np.ravel(dataset["time"].values)[-1] if time == -1 and not is_stationary else time
        when = "" if is_stationary else f", t = {shown}"
        if kind == "policy":
            return plot.plot_policy(*what, time=time, title=name + when)
        if kind == "law":
            return plot.plot_law(*what, time=time, title=name + when)
        return plot.plot_graph(*what, time=time, positions=positions, title=name + when)

    return kinds, draw


def _sweep(path: Path) -> xr.Dataset:
    try:
        found = Store(path).dataset()
        codes = found["result_code"]
    except Exception as error:  # the libraries below raise all kinds
        raise ValueError(f"`FILE` is {str(path)!r}, a folder, but not that of a sweep; {_FOREIGN}.") from error
    if not codes.ndim:
        raise ValueError(f"`FILE` is {str(path)!r}, but this sweep has no axes.")
    return found


def _of_sweep(request: PlotRequest, dataset: xr.Dataset) -> tuple[tuple[str, ...], Any]:
    """Return what can be drawn of a sweep, and what draws it."""
    if request.at:
        return _of_equilibrium(request, _point(request, dataset))
    if request.kind in (*_OVER_TIME, *_OF_TIME, "animation"):
        axes = " and ".join(f"`--at {axis}=VALUE`" for axis, n in _axes(dataset).items() if n > 1) or "`--at`"
        raise ValueError(f"`--kind {request.kind}` is of one equilibrium of the sweep: choose it with {axes}.")
    _refuse(request, "a whole sweep", game=request.game)
    has_law = any(name in dataset for name in ("terminal_law", "state_law", "mean_field"))
    maps = [kind for kind, name in _MAPS.items() if name in dataset]
    title = request.title

    def draw(kind: str) -> Any:
        if kind == "sweep":
            return plot.plot_sweep(dataset, title=title)
        if kind == "phase":
            return plot.plot_phase(dataset, title=title)
        return plot.plot_sweep_map(dataset, _MAPS[kind], title=title)

    return (*(("sweep", "phase") if has_law else ()), *maps), draw


def _axes(dataset: xr.Dataset) -> dict[str, int]:
    """Return the coordinates of the swept axes, with how many values each has."""
    lanes = dataset["result_code"].dims
    return {
        str(name): len(np.unique(c.values.astype(str)))
        for name, c in dataset.coords.items()
        if len(c.dims) == 1 and c.dims[0] in lanes and name != "point"
    }


def _point(request: PlotRequest, dataset: xr.Dataset) -> xr.Dataset:
    """Return the equilibrium that `--at` chooses."""
    names = list(_axes(dataset))
    for text in request.at:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or name not in names:
            raise ValueError(f"`--at {text}` must be AXIS=VALUE; the axes of this sweep are {', '.join(names)}.")
        coord = dataset[name]
        if not coord.ndim:
            raise ValueError(f"`--at {text}`: {name} is chosen already.")
        dataset = dataset.isel({coord.dims[0]: _nearest(text, value, coord.values)})
    left = [name for name in _axes(dataset) if dataset.sizes[dataset[name].dims[0]] > 1]
    if left:
        raise ValueError(f"`--at` must also choose {' and '.join(left)}: several equilibria are left.")
    dataset = dataset.squeeze(dataset["result_code"].dims)
    if int(dataset["result_code"]) < 0:
        raise ValueError(f"the point {', '.join(request.at)} of {request.file} has not been computed yet.")
    return dataset.load()


def _nearest(text: str, value: str, values: np.ndarray) -> int:
    if values.dtype.kind not in "iuf":
        same = np.flatnonzero(values.astype(str) == value)
        if not len(same):
            kinds = ", ".join(dict.fromkeys(values.astype(str)[:8]))
            raise ValueError(f"`--at {text}`: there is no such value; there are {kinds}.")
        return int(same[0])
    try:
        wanted = float(value)
    except ValueError:
        raise ValueError(f"`--at {text}`: {value!r} is not a number.") from None
    return int(np.abs(values - wanted).argmin())


def _name(dataset: xr.Dataset) -> str:
    """Return the game, the point of the sweep, and what went wrong, if anything did."""
    game = str(dataset.attrs.get("game", ""))
    known = ("state", "action", "time", "step", "point")
    point = [
        f"{symbol(str(n))} = {text_of(c.values[()])}"
        for n, c in dataset.coords.items()
        if n not in known and not c.ndim
    ]
    request = json.loads(str(dataset.attrs.get("request", "{}")))  # that `solve` has recorded
    if isinstance(request, dict) and {"response", "beta", "epsilon"} <= request.keys():
        point.insert(0, behaviour_of(request["response"], request["beta"], request["epsilon"]))
    code = int(dataset["result_code"])
    failed = [] if code == RESULTS.converged else [f"no equilibrium ({RESULTS(code).name})"]
    named = [] if game in ("", "FiniteHorizonGame", "StationaryGame") else [game]
    return textwrap.fill(", ".join([*named, *point, *failed]) or "equilibrium", _LINE)
