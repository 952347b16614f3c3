"""The command `learn`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import typer
from rich.table import Table

import mfgjax as mfg

from .._names import by_word, did_you_mean
from .._progress import progress_bar
from .._version import __version__
from . import catalogue, completion
from .behaviour import response_class
from .command import Report, SavingCommand
from .options import GameName, Settings
from .output import Files, Interrupted, staged, writable
from .ranges import different
from .tables import table

_ALL = ",".join(by_word("learners"))
# which argument an option gives, and the learners that it is for, or "" for all that have the argument
_ARGUMENTS = {
    "agents": ("num_agents", ""),
    "updates": ("num_updates", "tmfq"),
    "samples": ("num_samples", "gmbl"),
    "memory": ("memory", ""),
    "replays": ("num_updates", "online-tmfq"),
    "restart": ("restart", ""),
    "tolerance": ("tolerance", ""),
    "initial-q": ("initial_q", ""),
}
_WHOLE = ("steps", "seeds", "agents", "updates", "samples", "replays")
_CHUNKS = 15  # signs of progress, and times that a run is saved, of each learner


@dataclass(frozen=True)
class Lesson:
    """The learners by name, the game and the population they start from, and its extreme equilibria."""

    name: str
    game: mfg.StationaryGame
    response: Any
    methods: dict[str, Any]
    ends: mfg.results.Bracket
    initial: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Learn(SavingCommand):
    """Run learning algorithms in a stationary game.

    Prints how close each comes to an equilibrium. In iql and mfq each agent has its own Q-table; in online-tmfq all
    share one; tmfq and gmbl use a simulator of the game.

    Examples:
      mfgjax learn infection-spread --epsilon 0.2
      mfgjax learn mturk --epsilon 0.1 --learners iql,mfq --steps 50 --seeds 5

    Args:
      epsilon: Probability of another action than the best, up to (A−1)/A.
      learners: Names.
      response: How agents act.
      steps: Number of steps of the population.
      seeds: Number of runs of each learner.
      seed: Seed of the random numbers.
      agents: Number of agents of online-tmfq, iql, mfq. Default: 1000.
      updates: Updates of tmfq at each step. Default: 10000.
      samples: gmbl: samples for each state and action. Default: 1000.
      memory: online-tmfq: use old moves too, or not.
      replays: online-tmfq: Q-learning updates at each step.
      restart: tmfq: reset the action values at each step.
      tolerance: tmfq: end a step once an update is smaller than this.
      initial_q: Initial action values, except for gmbl. Default: 0.
      tie: Action taken at ties.
      start: Initial population: the game's, all in the lowest or highest state, or the least or greatest
        equilibrium.
      out: Save runs as they go, then pictures and table.json. Repeat the command to resume; --steps may be larger.
    """

    at_least: ClassVar[Mapping[str, int]] = dict.fromkeys(_WHOLE, 1) | {"seed": 0}

    game: GameName
    epsilon: float
    learners: Annotated[str, typer.Option(metavar="LIST", autocompletion=completion.learners)] = _ALL
    response: Annotated[str, tuple(by_word("responses", "AbstractTrembling"))] = "trembling"
    settings: Settings = field(default_factory=list)
    steps: int = 150
    seeds: int = 20
    seed: int = 0
    agents: int | None = None
    updates: int | None = None
    samples: int | None = None
    memory: Literal["running", "reset"] | None = None
    replays: int | None = None
    restart: bool = False
    tolerance: float | None = None
    initial_q: float | None = None
    tie: Literal["smallest", "largest"] = "smallest"
    start: Literal["game", "lowest", "highest", "least", "greatest"] = "game"
    out: Path | None = None

    def find(self) -> Report:
        """Let learners learn; save their runs and pictures of them."""
        lesson = self._lesson()
        if self.out is None:
            content = self._content(lesson, self._runs(lesson, None))
        else:
            with writable(self.out):
                found = self._runs(lesson, self.out)
                content = self._content(lesson, found)
                with staged(self.out) as files:
                    self._draw(files, lesson, found)
                    for name in found:
                        files.add(f"{name}.npz")
                    files.numbers("table.json", content)
        failure = None
        for end in content["equilibria"]:
            if end["result"] != "converged" and failure is None:
                which, result = end["which"], end["result"]
                failure = (
                    f"the {which} equilibrium was not found ({result}); distances are measured to its last iterate."
                )
        return self.report(content, _page(content), failure)

    def _lesson(self) -> Lesson:
        loaded = catalogue.load(self.game, self.settings)
        game = loaded.game
        if game.times:
            raise ValueError(f"`GAME` is {self.game!r}, which has a horizon; learners are for stationary games.")
        methods = self._methods()
        response = response_class(self.response)(self.epsilon, tie=self.tie)
        ends = mfg.bracket(game, response, throw=False)
        return Lesson(loaded.name, game, response, methods, ends, _start(self.start, game, ends))

    def _methods(self) -> dict[str, Any]:
        """Return the learners by name; options that none of them has are refused."""
        names, known = [name.strip().lower() for name in self.learners.split(",")], by_word("learners")
        for name in names:
            if name not in known:
                which = did_you_mean(name, known, f"; it must be some of {', '.join(known)}.")
                raise ValueError(f"`--learners` has {name!r}{which}")
        arguments_of: dict[str, dict[str, Any]] = {name: {} for name in different("--learners", names)}
        for option, (argument, only_for) in _ARGUMENTS.items():
            value = getattr(self, option.replace("-", "_"))
            if value is None or value is False:  # not given
                continue
            takers = [
                name for name in known if only_for in ("", name) and argument in signature(_kind(name)).parameters
            ]
            if not arguments_of.keys() & set(takers):
                who = " and ".join(takers)
                raise ValueError(f"`--{option}` is without effect: it is for {who}, which `--learners` leaves out.")
            for name in arguments_of.keys() & set(takers):
                arguments_of[name][argument] = value
        return {name: _kind(name)(**arguments) for name, arguments in arguments_of.items()}

    def _runs(self, lesson: Lesson, out: Path | None) -> dict[str, Any]:
        """Run the learners, and return their runs by name; runs in the folder are resumed."""
        # every saved run is read first: one that is refused must not cost the steps of others
        paths = {name: None if out is None else out / f"{name}.npz" for name in lesson.methods}
        saved_runs = {name: None if path is None else self._saved(lesson, name, path) for name, path in paths.items()}
        found = {}
        done = sum(0 if run is None else run.num_steps for run in saved_runs.values())
        with progress_bar(f"learning {lesson.name}", self.steps * len(paths), done) as advance:
            for name, path in paths.items():
                try:
                    found[name] = self._run(lesson, name, saved_runs[name], path, advance)
                except KeyboardInterrupt:
                    # then there is nothing to resume
                    if out is None or not any((out / f"{one}.npz").exists() for one in paths):
                        raise
                    message = f"interrupted; runs are in {out}, and the same command resumes them."
                    raise Interrupted(message) from None
        return found

    def _run(self, lesson: Lesson, name: str, run: Any, path: Path | None, advance: Callable[[int], None]) -> Any:
        """Return a run with all its steps, resumed from `run` if that is given."""
        chunk = -(-self.steps // _CHUNKS)
        while run is None or run.num_steps < self.steps:
            count = min(chunk, self.steps - (0 if run is None else run.num_steps))
            run = mfg.learners.run(
                lesson.game,
                lesson.response,
                lesson.methods[name],
                count,
                seed=self.seed,
                num_seeds=self.seeds,
                initial=lesson.initial if run is None else None,  # a saved run holds its own populations
                resume=run,
            )
            if path is not None:
                mfg.learners.save_run(path, run, note={"identity": self._identity(lesson, name)})
            advance(count)
        return run

    def _identity(self, lesson: Lesson, name: str) -> dict[str, str]:
        """Return the checksums in which a saved run must agree to be resumed."""
        from .._identity import arrays_of, identity  # slow to import

        return identity(
            {
                "precision": str(lesson.game.dtype),  # first: the bytes of the game tell of it, too
                "game": [lesson.name, *arrays_of(lesson.game)],
                "response": arrays_of(lesson.response),
                "learner": arrays_of(lesson.methods[name]),
                "start": self.start,
                "seeds": self.seeds,
                "seed": self.seed,
                "mfgjax": __version__,
            }
        )

    def _saved(self, lesson: Lesson, name: str, path: Path) -> Any:
        """Read the run that an earlier command has left; refuse it if it is of another request."""
        from .._identity import changed

        if not path.exists():
            return None
        before = mfg.learners.saved_note(path).get("identity")
        elsewhere = "give another `--out`, or remove the file."
        if before is None:
            raise ValueError(f"`--out`: {str(path)!r} is no run that this version can go on with; {elsewhere}")
        for key in changed(self._identity(lesson, name), before):
            raise ValueError(f"`--out`: {str(path)!r} is a run with another `{key}`; {elsewhere}")
        run = mfg.learners.load_run(path, lesson.game, lesson.response, lesson.methods[name])
        if run.num_steps > self.steps:
            raise ValueError(
                f"`--out`: {str(path)!r} has {run.num_steps} steps already, more than `--steps {self.steps}`."
            )
        return run

    def _content(self, lesson: Lesson, found: dict[str, Any]) -> dict[str, Any]:
        """Return how near to the equilibria the learners have ended, for JSON."""
        from ..reproduce.learners import moments

        ends, rows = lesson.ends, []
        for name, run in found.items():
            distances = {"least": run.distance(ends.least)[:, -1], "greatest": run.distance(ends.greatest)[:, -1]}
            nearest = min(distances, key=lambda end: distances[end].mean())
            rows.append(
                {
                    "learner": name,
                    "num_steps": run.num_steps,
                    "nearest": nearest,
                    **moments("distance", distances[nearest]),
                    **moments("mean_state", run.mean_state[:, -1]),
                    **moments("policy_error", run.policy_error(getattr(ends, nearest))),
                }
            )
        equilibria = [
            {"which": which, "mean_state": float(end.mean_state), "result": end.result.name}
            for which, end in (("least", ends.least), ("greatest", ends.greatest))
        ]
        return {
            "game": lesson.name,
            "request": self.request,
            "equilibria": equilibria,
            "coincide": ends.coincide,
            "certificate": ends.certificate,
            "rows": rows,
            "files": [],
        }

    def _draw(self, files: Files, lesson: Lesson, found: dict[str, Any]) -> None:
        from matplotlib.figure import Figure

        from ..reproduce.learners import draw_ends

        ends, runs = lesson.ends, {_shown(name): run for name, run in found.items()}
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        mfg.plot.plot_learning(runs, quantity="mean_state", ax=left)
        draw_ends(left, ends)
        extremes = (ends.least, ends.greatest)
        nearest = [min(extremes, key=lambda end, run=run: run.distance(end)[:, -1].mean()) for run in runs.values()]
        mfg.plot.plot_learning(runs, nearest, ax=right)
        if not ends.coincide:
            right.set_ylabel("distance to the nearer equilibrium (total variation)")
        figure.suptitle(f"{lesson.name}, {self.seeds} runs of each learner", parse_math=False)
        files.picture("learning.png", figure)
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        exact = ends.least if ends.coincide else None
        mfg.plot.plot_learned_laws(runs, exact, title=f"after {self.steps} steps", ax=figure.add_subplot())
        files.picture("laws.png", figure)


def _kind(learner: str) -> Any:
    return getattr(mfg.learners, by_word("learners")[learner])


def _shown(learner: str) -> str:
    """Return a learner as pictures and tables name it, such as "online TMFQ"."""
    capitals = re.findall("[A-Z]{2,}", by_word("learners")[learner])
    return " ".join(
        name_part.upper() if name_part.upper() in capitals else name_part for name_part in learner.split("-")
    )


def _start(which: str, game: mfg.StationaryGame, ends: mfg.results.Bracket) -> np.ndarray:
    """Return the population that learning starts from."""
    if which == "game":
        return np.asarray(game.initial)
    if which in ("lowest", "highest"):
        return np.eye(game.num_states)[0 if which == "lowest" else -1]
    # a mean field sums to 1 up to rounding only
    law = np.asarray(getattr(ends, which).mean_field)
    return law / law.sum()


def _page(content: dict[str, Any]) -> Iterator[Table | str]:
    request = content["request"]
    title = f"{content['game']}, {request['response']}, ε = {request['epsilon']:g}"
    rows = []
    for row in content["rows"]:
        mean, distance, policy = (
            f"{row[name]:.3f} ± {row[f'{name}_deviation']:.3f}" for name in ("mean_state", "distance", "policy_error")
        )
        end = "equilibrium" if content["coincide"] else f"{row['nearest']} equilibrium"
        rows.append([_shown(row["learner"]), mean, distance, end, policy])
    yield table(title, ("learner", ">mean state", ">distance", "to the", ">policy off by"), rows)
    least, greatest = content["equilibria"]
    exact = f"mean state {least['mean_state']:.4f}"
    if not content["coincide"]:
        exact = f"least {exact}, greatest {greatest['mean_state']:.4f}"
    yield (
        f"{request['seeds']} runs of {request['steps']} steps each, start: {request['start']}, Q_0 = "
        f"{request['initial_q'] or 0:g}, {request['tie']} of equally good actions: mean ± deviation"
    )
    yield "distance: total variation between the population at the end and that of the equilibrium"
    yield "policy off by: total variation of the policy, averaged over the population at the end"
    yield f"exact           {exact}"
    yield f"order           {content['certificate']}"
