"""The command `learn`."""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.table import Table

from .. import _checks, learners, plot
from .._progress import progress_bar
from .._version import __version__
from ..io import describe
from ..learners import AbstractLearner, Run
from ..model import StationaryGame
from ..multiplicity.bracket import Bracket, bracket
from ..reproduce.learners import draw_ends, moments
from ..responses import AbstractTrembling, EpsilonGreedy, Trembling
from . import catalogue
from .completion import LEARNERS
from .output import Interrupted, console, json_of, print_json, writable

NAMES = {"tmfq": "TMFQ", "gmbl": "GMBL", "online-tmfq": "online TMFQ", "iql": "IQL", "mfq": "MFQ"}
_FILES = ("learning.png", "laws.png", "table.json")
_USERS = {
    "agents": ("online-tmfq", "iql", "mfq"),
    "updates": ("tmfq",),
    "samples": ("gmbl",),
    "memory": ("online-tmfq",),
    "replays": ("online-tmfq",),
    "restart": ("tmfq",),
    "tolerance": ("tmfq",),
    "initial-q": ("tmfq", "online-tmfq", "iql", "mfq"),
}
_CHUNKS = 15  # signs of progress, and times that a run is saved, of each learner


@dataclass(frozen=True)
class LearnRequest:
    """Who is to learn what, as on the command line."""

    game: str
    settings: tuple[str, ...]
    learners: str
    response: str
    epsilon: float
    steps: int
    seeds: int
    seed: int
    agents: int | None
    updates: int | None
    samples: int | None
    memory: str | None
    replays: int | None
    restart: bool
    tolerance: float | None
    initial_q: float | None
    tie: str
    start: str


@dataclass(frozen=True)
class _Plan:
    """What is run: methods by name, from a population, in a game of which the extreme equilibria are known."""

    request: LearnRequest
    name: str
    game: StationaryGame
    response: AbstractTrembling
    methods: dict[str, AbstractLearner]
    ends: Bracket
    initial: np.ndarray

    def note(self, name: str) -> dict[str, Any]:
        """Return what a saved run must agree in to be gone on with."""
        leaves, structure = jax.tree.flatten(self.game)
        digest = hashlib.sha256(str(structure).encode())
        for leaf in leaves:
            digest.update(np.asarray(leaf).tobytes())
        return {
            "precision": str(self.game.dtype),  # first: the bytes of the game tell of it, too
            "game": f"{self.name} {digest.hexdigest()[:16]}",
            "response": describe(self.response),
            "learner": describe(self.methods[name]),
            "start": self.request.start,
            "seeds": self.request.seeds,
            "seed": self.request.seed,
            "mfgjax": __version__,
        }


def run(request: LearnRequest, out: Path | None, *, as_json: bool, float32: bool) -> int:
    """Let learners learn, save their runs and pictures of them, and print where they have ended.

    Args:
      request: who learns what.
      out: folder to save to, or None.
      as_json: print JSON in place of a table.
      float32: compute in single precision.

    Returns:
      The exit status.
    """
    with jax.enable_x64(not float32):
        plan = _plan(request)
        if out is None:
            report = _report(plan, _run(plan, None), [])
        else:
            with writable(out):
                found = _run(plan, out)
                files = [f"{name}.npz" for name in found]
                report = _report(plan, found, [str(out / name) for name in (*_FILES, *files)])
                _figures(plan, found, out)
                (out / "table.json").write_text(json_of(report) + "\n", encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        _print(report)
    for end in report["equilibria"]:
        if end["result"] != "converged":
            sentence = (
                f"the {end['which']} equilibrium was not found ({end['result']}); distances are to the last step."
            )
            print(f"mfgjax: {sentence}", file=sys.stderr)
            return 1
    return 0


def _plan(request: LearnRequest) -> _Plan:
    for option in ("steps", "seeds", "agents", "updates", "samples", "replays"):
        if getattr(request, option) is not None:
            _checks.integer_at_least(f"--{option}", getattr(request, option), 1)
    _checks.integer_at_least("--seed", request.seed, 0)
    loaded = catalogue.load(request.game, request.settings)
    if not isinstance(loaded.game, StationaryGame):
        raise ValueError(f"`GAME` is {request.game!r}, which has a horizon; learners are for stationary games.")
    kind = Trembling if request.response == "trembling" else EpsilonGreedy
    agents = 1_000 if request.agents is None else request.agents
    q: dict[str, Any] = {"initial_q": 0.0 if request.initial_q is None else request.initial_q}
    made: dict[str, Callable[[], AbstractLearner]] = {
        "tmfq": lambda: learners.TMFQ(
            *(() if request.updates is None else (request.updates,)),
            restart=request.restart,
            tolerance=request.tolerance,
            **q,
        ),
        "gmbl": lambda: learners.GMBL(*(() if request.samples is None else (request.samples,))),
        "online-tmfq": lambda: learners.OnlineTMFQ(
            agents, request.memory or "running", num_updates=request.replays, **q
        ),
        "iql": lambda: learners.IQL(agents, **q),
        "mfq": lambda: learners.MFQ(agents, **q),
    }
    names = [name.strip().lower() for name in request.learners.split(",")]
    for name in names:
        if name not in LEARNERS:
            raise ValueError(f"`--learners` has {name!r}; it must be some of {', '.join(LEARNERS)}.")
    for option, users in _USERS.items():
        value = getattr(request, option.replace("-", "_"))
        if value is not None and value is not False and not set(names) & set(users):
            who = " and ".join(users)
            raise ValueError(f"`--{option}` is without effect: it is for {who}, which `--learners` leaves out.")
    methods = {name: made[name]() for name in catalogue.different("--learners", names)}
    response = kind(request.epsilon, tie=request.tie)
    ends = bracket(loaded.game, response, throw=False)
    return _Plan(request, loaded.name, loaded.game, response, methods, ends, _start(request.start, loaded.game, ends))


def _start(which: str, game: StationaryGame, ends: Bracket) -> np.ndarray:
    """Return the population that learning starts from."""
    if which == "game":
        return np.asarray(game.initial)
    if which in ("lowest", "highest"):
        return np.eye(game.num_states)[0 if which == "lowest" else -1]
    law = np.asarray(getattr(ends, which).mean_field)
    return law / law.sum()


def _run(plan: _Plan, out: Path | None) -> dict[str, Run]:
    """Return the runs by name; those that are in the folder go on where they were."""
    steps = plan.request.steps
    begun = {name: None if out is None else _saved(plan, name, out / f"{name}.npz") for name in plan.methods}
    found = {}
    done = sum(0 if run is None else run.num_steps for run in begun.values())
    with progress_bar(f"learning {plan.name}", steps * len(plan.methods), done) as advance:
        for name, learner in plan.methods.items():
            saver = None if out is None else _saver(plan, name, out)
            try:
                found[name] = _learn(plan, learner, begun[name], advance, saver)
            except KeyboardInterrupt:
                if out is None or not any((out / f"{one}.npz").exists() for one in plan.methods):
                    raise
                there = f"interrupted; runs are in {out}, and the same command goes on from there."
                raise Interrupted(there) from None
    return found


def _learn(
    plan: _Plan,
    learner: AbstractLearner,
    before: Run | None,
    advance: Callable[[int], None],
    save: Callable[[Run], Any] | None,
) -> Run:
    request, run = plan.request, before
    chunk = -(-request.steps // _CHUNKS)
    while run is None or run.num_steps < request.steps:
        count = min(chunk, request.steps - (0 if run is None else run.num_steps))
        run = learners.run(
            plan.game,
            plan.response,
            learner,
            count,
            seed=request.seed,
            num_seeds=request.seeds,
            initial=plan.initial if run is None else None,
            resume=run,
        )
        if save is not None:
            save(run)
        advance(count)
    return run


def _saver(plan: _Plan, name: str, out: Path) -> Callable[[Run], Any]:
    return partial(learners.save_run, out / f"{name}.npz", note=plan.note(name))


def _saved(plan: _Plan, name: str, path: Path) -> Run | None:
    """Return the run that an earlier command has left, refused if it is another's."""
    if not path.exists():
        return None
    before, now = learners.saved_note(path), json.loads(json.dumps(plan.note(name)))
    for key, value in now.items():
        if before.get(key) != value:
            raise ValueError(
                f"`--out`: {str(path)!r} is a run with another `{key}`; give another `--out`, or remove the file."
            )
    run = learners.load_run(path, plan.game, plan.response, plan.methods[name])
    if run.num_steps > plan.request.steps:
        raise ValueError(
            f"`--out`: {str(path)!r} has {run.num_steps} steps already, more than `--steps {plan.request.steps}`."
        )
    return run


def _report(plan: _Plan, found: dict[str, Run], files: list[str]) -> dict[str, Any]:
    """Return what is told, as what JSON can hold."""
    ends, rows = plan.ends, []
    for name, run in found.items():
        apart = {"least": run.distance(ends.least)[:, -1], "greatest": run.distance(ends.greatest)[:, -1]}
        nearest = min(apart, key=lambda end: apart[end].mean())
        health, error = run.mean_state[:, -1], run.policy_error(getattr(ends, nearest))
        rows.append(
            {
                "learner": name,
                "num_steps": run.num_steps,
                "nearest": nearest,
                **moments("distance", apart[nearest]),
                **moments("mean_state", health),
                **moments("policy_error", error),
            }
        )
    equilibria = [
        {"which": which, "mean_state": float(end.mean_state), "result": end.result.name}
        for which, end in (("least", ends.least), ("greatest", ends.greatest))
    ]
    return {
        "game": plan.name,
        "request": asdict(plan.request),
        "equilibria": equilibria,
        "coincide": ends.coincide,
        "certificate": ends.certificate,
        "rows": rows,
        "files": files,
    }


def _figures(plan: _Plan, found: dict[str, Run], out: Path) -> None:
    ends = plan.ends
    runs = {NAMES[name]: run for name, run in found.items()}
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot.plot_learning(runs, quantity="mean_state", ax=left)
    draw_ends(left, ends)
    nearest = [min((ends.least, ends.greatest), key=lambda e, r=r: r.distance(e)[:, -1].mean()) for r in runs.values()]
    plot.plot_learning(runs, nearest, ax=right)
    if not ends.coincide:
        right.set_ylabel("distance to the nearer equilibrium (total variation)")
    figure.suptitle(f"{plan.name}, {plan.request.seeds} runs of each learner", parse_math=False)
    figure.savefig(out / "learning.png", dpi=150)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    exact = ends.least if ends.coincide else None
    plot.plot_learned_laws(runs, exact, title=f"after {plan.request.steps} steps", ax=figure.add_subplot())
    figure.savefig(out / "laws.png", dpi=150)


def _print(report: dict[str, Any]) -> None:
    request = report["request"]
    title = f"{report['game']}, {request['response']}, ε = {request['epsilon']:g}"

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("learner")
    for heading in ("mean state", "distance", "to the", "policy off by"):
        table.add_column(heading, justify="left" if heading == "to the" else "right")
    for row in report["rows"]:
        table.add_row(
            NAMES[row["learner"]],
            *(_plus_minus(row, name) for name in ("mean_state", "distance")),
            "equilibrium" if report["coincide"] else f"{row['nearest']} equilibrium",
            _plus_minus(row, "policy_error"),
        )
    screen = console()
    screen.print(table, markup=False)
    least, greatest = report["equilibria"]
    exact = f"mean state {least['mean_state']:.4f}"
    if not report["coincide"]:
        exact = f"least {exact}, greatest {greatest['mean_state']:.4f}"
    lines = [
        f"{request['seeds']} runs of {request['steps']} steps each, start: {request['start']}, Q_0 = "
        f"{request['initial_q'] or 0:g}, {request['tie']} of equally good actions: mean ± deviation",
        "distance: total variation between the population at the end and that of the equilibrium",
        "policy off by: total variation of the policy, averaged over the population at the end",
        f"exact          {exact}",
        f"order          {report['certificate']}",
        *(f"saved          {file}" for file in report["files"]),
    ]
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def _plus_minus(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:.3f} ± {row[f'{name}_deviation']:.3f}"
