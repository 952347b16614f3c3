"""The command `plot`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

import mfgjax as mfg

from .._names import by_word, did_you_mean, is_ready_made
from . import catalogue
from .behaviour import behaviour_of
from .command import Command, Report
from .output import staged

if TYPE_CHECKING:
    import xarray as xr

    from ..games import GameFile

Kind = Literal[
    "flow", "lines", "bars", "area", "heat", "maps", "graph", "law", "policy", "residuals", "animation", "sweep",
    "phase", "steps", "residual", "exploitability", "result", "mean-state", "laws",
]  # fmt: skip
Drawings = dict[str, Callable[[], Any]]
"""What draws each kind of picture, the default first."""

_PICTURES = (".png", ".pdf", ".svg", ".gif")
_OVER_TIME = ("flow", "lines", "bars", "area", "heat", "maps")
_OF_TIME = ("graph", "law", "policy")
_LINE = 52  # letters of a title that fit above the narrowest picture
_MAPS = {"steps": "num_steps", "residual": "residual", "exploitability": "exploitability", "result": "result_code"}
_FOREIGN = (
    "it must be an equilibrium (.nc), a sweep (a .zarr folder), a learner's run (.npz), a game's TOML file, or the "
    "name of a ready-made game"
)


@dataclass(frozen=True, kw_only=True)
class Plot(Command):
    """Draw a saved equilibrium, sweep or learner, or a game.

    By default: the shares of an equilibrium over time, the phase diagram of a sweep, the mean state over the steps of a
    learner, the distribution of a game at time 0.

    Examples:
      mfgjax plot resource-allocation --out game.png
      mfgjax plot results/equilibrium.nc --kind policy --time 2 --out policy.png
      mfgjax plot results/equilibrium.nc --out moves.gif
      mfgjax plot results/sweep.zarr --at beta=3 --kind heat --out heat.png

    Args:
      file: An equilibrium.nc, sweep.zarr or LEARNER.npz that a command has saved, a game file, or a ready-made game.
      out: The picture: .png, .pdf or .svg; or .gif for an animation.
      kind: What to draw. Of an equilibrium: the words from flow to animation; of a sweep: from sweep to result; of a
        learner: mean-state or laws; of a game: graph or law. All words.
      time: Time to draw. Default: several times for graph, the last time for law, 0 for policy.
      state: With --kind policy: draw the policy of this state over time.
      at: Draw the equilibrium of this point of a sweep; for numbers, the nearest point. Repeat it for each axis.
      game: Game name or file; gives the positions of the nodes in the picture.
      title: Title of the picture.
    """

    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False)]
    out: Annotated[Path, "PICTURE"]
    kind: Annotated[Kind | None, "KIND"] = None
    time: int | None = None
    state: Annotated[str | None, "STATE"] = None
    at: Annotated[list[str], "AXIS=VALUE"] = field(default_factory=list)
    game: Annotated[str | None, "GAME"] = None
    title: Annotated[str | None, "TEXT"] = None

    def find(self) -> Report:
        """Draw, and save the picture."""
        moves = self.out.suffix.lower() == ".gif"
        if self.out.suffix.lower() not in _PICTURES:
            raise ValueError(f"`--out` is {str(self.out)!r}, but a picture ends in .png, .pdf, .svg or .gif.")
        if moves != (self.kind == "animation") and not (moves and self.kind is None):
            raise ValueError(
                f"`--out` is {str(self.out)!r}: a .gif is for `--kind animation`, and an animation is a .gif."
            )
        drawings = self._drawings()
        kind = "animation" if moves else next(iter(drawings)) if self.kind is None else self.kind
        if kind not in drawings:
            raise ValueError(f"`--kind {kind}` cannot be drawn of {self.file}, but {', '.join(drawings)} can.")
        self._check(kind)
        with staged(self.out.parent) as files:
            files.picture(self.out.name, drawings[kind]())
        return Report({}, [f"drawn           {kind} of {self.file}", f"saved           {self.out}"])

    def _drawings(self) -> Drawings:
        """Return what can be drawn of the file."""
        path = Path(self.file)
        if is_ready_made(self.file) or path.suffix == ".toml":
            self._refuse("a game", "game", "at")
            return self._of_game(catalogue.load(self.file))
        if not path.exists():
            which = did_you_mean(self.file, by_word("games"), f"; {_FOREIGN}.")
            raise ValueError(f"`FILE` is {self.file!r}, but there is no such file{which}")
        if path.is_dir():  # as zarr's stores are
            return self._of_sweep(_read_sweep(path))
        if path.suffix == ".npz":
            self._refuse("a learner's run", "game", "at")
            return self._of_run(path)
        if path.suffix == ".nc":
            self._refuse("one equilibrium", "at")
            return self._of_equilibrium(mfg.io.load_equilibrium(path))
        raise ValueError(f"`FILE` is {self.file!r}, but {_FOREIGN}.")

    def _refuse(self, kind_of_file: str, *options: str) -> None:
        for option in options:
            if getattr(self, option):
                raise ValueError(f"`--{option}` is of no use for {kind_of_file} such as {self.file}.")

    def _check(self, kind: str) -> None:
        if self.time is not None and kind not in _OF_TIME:
            raise ValueError(f"`--time {self.time}` applies to `--kind` {', '.join(_OF_TIME)}, not to {kind}.")
        if self.state is not None and kind != "policy":
            raise ValueError(f"`--state {self.state}` applies to `--kind policy`, not to {kind}.")
        if self.state is not None and self.time is not None:
            raise ValueError("`--time` and `--state` cannot both be given: a state is drawn at all times.")

    def _of_game(self, loaded: GameFile) -> Drawings:
        """Return what can be drawn of a game: its crowd at time 0."""
        from ..plot.moving import MOST_NODES

        game = loaded.game
        title = f"{loaded.name}, t = 0" if self.title is None else self.title
        if self.time not in (None, 0):
            raise ValueError(f"`--time {self.time}`: of a game that is not solved, only time 0 is known.")
        law = {"law": lambda: mfg.plot.plot_law(game, game.initial, title=title)}
        if not isinstance(game.kernel, mfg.MovesKernel):
            return law
        graph = {"graph": lambda: mfg.plot.plot_graph(game, game.initial, positions=loaded.positions, title=title)}
        return graph | law if game.num_states <= MOST_NODES else law | graph  # the first is the default

    def _of_run(self, path: Path) -> Drawings:
        """Return what can be drawn of a learner's run."""
        mfg.learners.saved_note(path)  # says what is wrong
        with np.load(path) as arrays:
            laws, policy = arrays["laws"], arrays["policy"]
        runs = {path.stem: mfg.learners.Run(laws, policy, None, laws.shape[1] - 1, 0)}
        title = self.title or path.stem
        return {
            "mean-state": lambda: mfg.plot.plot_learning(runs, quantity="mean_state", title=title),
            "laws": lambda: mfg.plot.plot_learned_laws(runs, cumulative=False, title=title),
        }

    def _of_sweep(self, dataset: xr.Dataset) -> Drawings:
        """Return what can be drawn of a sweep, or of the point of it that `--at` chooses."""
        if self.at:
            return self._of_equilibrium(self._point(dataset))
        if self.kind in (*_OVER_TIME, *_OF_TIME, "animation"):
            axes = " and ".join(f"`--at {axis}=VALUE`" for axis, n in _axes(dataset).items() if n > 1) or "`--at`"
            raise ValueError(f"`--kind {self.kind}` is of one equilibrium of the sweep: choose it with {axes}.")
        self._refuse("a whole sweep", "game")
        found: Drawings = {}
        if any(name in dataset for name in ("terminal_law", "state_law", "mean_field")):
            found["sweep"] = lambda: mfg.plot.plot_sweep(dataset, title=self.title)
            found["phase"] = lambda: mfg.plot.plot_phase(dataset, title=self.title)
        for kind, name in _MAPS.items():
            if name in dataset:
                # bound now: a closure would see the last name of the loop
                found[kind] = lambda name=name: mfg.plot.plot_sweep_map(dataset, name, title=self.title)
        return found

    def _of_equilibrium(self, dataset: xr.Dataset) -> Drawings:
        """Return what can be drawn of one equilibrium, or a point of a sweep."""
        loaded = None if self.game is None else catalogue.load(self.game)
        shown = (dataset,) if loaded is None else (loaded.game, dataset)
        positions = None if loaded is None else loaded.positions
        title = self.title or _name(dataset)
        is_graph = "leads_to" in dataset if loaded is None else isinstance(loaded.game.kernel, mfg.MovesKernel)
        over_time = "time" in dataset.coords
        has_law, has_policy = "mean_field" in dataset or "state_law" in dataset, "policy" in dataset
        found: Drawings = {}
        if has_law and over_time:
            for kind in _OVER_TIME:
                own = "auto" if kind == "flow" else kind
                found[kind] = lambda own=own: mfg.plot.plot_flow(*shown, kind=own, title=title)
        if has_law and has_policy and not over_time and self.time is None:
            found["law"] = lambda: mfg.plot.plot_stationary(*shown, title=title)
        elif has_law or "terminal_law" in dataset:
            found["law"] = lambda: mfg.plot.plot_law(*shown, **self._when(dataset, title, -1))
        if is_graph and has_law:
            found["graph"] = lambda: mfg.plot.plot_graph(
                *shown, positions=positions, **self._when(dataset, title, None)
            )
        if has_policy and self.state is not None:
            in_state = f"{title}, in state {self.state}"
            found["policy"] = lambda: mfg.plot.plot_policy(*shown, state=self.state, title=in_state)
        elif has_policy:
            found["policy"] = lambda: mfg.plot.plot_policy(*shown, **self._when(dataset, title, 0))
        if "residual_history" in dataset:
            found["residuals"] = lambda: mfg.plot.plot_residuals(dataset, title=title)
        if has_law and over_time:
            found["animation"] = lambda: mfg.plot.animate_flow(*shown, positions=positions, title=title)
        if not found:
            raise ValueError(f"{self.file} holds neither a law nor a policy, so there is nothing to draw of it.")
        return found

    def _when(self, dataset: xr.Dataset, title: str, default: int | None) -> dict[str, Any]:
        """Return the time that is drawn, with the title that tells it; None: several times."""
        over_time = "time" in dataset.coords
        time = (default if over_time else -1) if self.time is None else self.time
        if not over_time or time is None:
            return {"time": time, "title": title}
        last = np.ravel(dataset["time"].values)[-1]
        return {"time": time, "title": f"{title}, t = {last if time == -1 else time}"}

    def _point(self, dataset: xr.Dataset) -> xr.Dataset:
        """Return the equilibrium that `--at` chooses."""
        names = list(_axes(dataset))
        for choice in self.at:
            name, equals, value = (part.strip() for part in choice.partition("="))
            if not equals or name not in names:
                which = did_you_mean(name, names, f"; the axes of this sweep are {', '.join(names)}.")
                raise ValueError(f"`--at {choice}` must be AXIS=VALUE{which}")
            coord = dataset[name]
            if not coord.ndim:
                raise ValueError(f"`--at {choice}`: {name} is chosen already.")
            dataset = dataset.isel({coord.dims[0]: _nearest(choice, value, coord.values)})
        open_axes = [name for name in _axes(dataset) if dataset.sizes[dataset[name].dims[0]] > 1]
        if open_axes:
            raise ValueError(f"`--at` must also choose {' and '.join(open_axes)}: several equilibria are left.")
        dataset = dataset.squeeze(dataset["result_code"].dims)
        if int(dataset["result_code"]) < 0:
            raise ValueError(f"the point {', '.join(self.at)} of {self.file} has not been computed yet.")
        return dataset.load()


def _read_sweep(path: Path) -> xr.Dataset:
    from ..sweeps.store import Store

    try:
        found = Store(path).dataset()
        codes = found["result_code"]
    except Exception as error:  # the libraries below raise all kinds
        raise ValueError(f"`FILE` is {str(path)!r}, a folder, but not that of a sweep; {_FOREIGN}.") from error
    if not codes.ndim:
        raise ValueError(f"`FILE` is {str(path)!r}, but this sweep has no axes.")
    return found


def _axes(dataset: xr.Dataset) -> dict[str, int]:
    """Return the coordinates of the swept axes, with how many values each has."""
    lanes = dataset["result_code"].dims
    return {
        # as texts, since values of several kinds do not compare
        str(name): len(np.unique(c.values.astype(str)))
        for name, c in dataset.coords.items()
        if len(c.dims) == 1 and c.dims[0] in lanes and name != "point"
    }


def _nearest(choice: str, value: str, values: np.ndarray) -> int:
    if values.dtype.kind not in "iuf":
        same = np.flatnonzero(values.astype(str) == value)
        if not len(same):
            kinds = list(dict.fromkeys(values.astype(str)))
            which = did_you_mean(value, kinds, f"; there are {', '.join(kinds[:8])}.")
            raise ValueError(f"`--at {choice}`: there is no such value{which}")
        return int(same[0])
    try:
        wanted = float(value)
    except ValueError:
        raise ValueError(f"`--at {choice}`: {value!r} is not a number.") from None
    return int(np.abs(values - wanted).argmin())


def _name(dataset: xr.Dataset) -> str:
    """Return the game, the point of the sweep, and what went wrong, if anything did."""
    from ..plot.curves import symbol, text_of

    game = str(dataset.attrs.get("game", ""))
    known = ("state", "action", "time", "step", "point")
    point = [
        f"{symbol(str(n))} = {text_of(c.values[()])}"
        for n, c in dataset.coords.items()
        if n not in known and not c.ndim
    ]
    request = json.loads(str(dataset.attrs.get("request", "{}")))  # that `solve` has recorded
    if isinstance(request, dict) and {"response", "beta", "epsilon"} <= request.keys():
        point.insert(0, behaviour_of(request))
    code = int(dataset["result_code"])
    failed = [] if code == mfg.RESULTS.converged else [f"no equilibrium ({mfg.RESULTS(code).name.replace('_', ' ')})"]
    named = [] if game in ("", "FiniteHorizonGame", "StationaryGame") else [game]
    return textwrap.fill(", ".join([*named, *point, *failed]) or "equilibrium", _LINE)
