"""The command `simulate`."""

import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _checks, finite
from .._progress import progress_line
from ..engine import fit_response
from ..equilibrium import Equilibrium
from ..finite import DeviationGain, PopulationLaw
from ..finite.arguments import MOST_AGENTS, single_policy
from ..games import GameFile
from ..kernels import AbstractKernel, MovesKernel
from ..model import FiniteHorizonGame, exploitability, policy_value, state_law
from ..responses import AbstractResponse, EntropyRegularized
from ..solve import solve
from . import catalogue
from .behaviour import behaviour_of, check_options, read_policy, response_of
from .output import finite as number
from .output import json_of, print_json, staged
from .populations import print_simulation
from .solving import check_size

_FILES = ("simulation.json", "gain.png", "agents.gif")
_MOST_POPULATIONS = 1000
_MOST_NODES, _MOST_LABELS, _MOST_MOVES = 40, 200, 80  # in an animation


@dataclass(frozen=True)
class SimulateRequest:
    """What is to be simulated, as on the command line."""

    game: str
    beta: float | None
    epsilon: float | None
    reference: str | None
    response: str
    settings: tuple[str, ...]
    policy: str | None
    agents: str
    runs: int
    seed: int


@dataclass(frozen=True)
class _Plan:
    """What is simulated: the game, how agents act, and the criterion; `response` is None for a policy from a file."""

    loaded: GameFile
    response: AbstractResponse | None
    policy: Any
    criterion: EntropyRegularized | None
    numbers: list[int]


@dataclass(frozen=True)
class _Simulated:
    """Many runs of one population: the value, the mean distance at each time, the laws at the end."""

    value: float
    error: float
    distance: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True)
class _Findings:
    """What was found about a policy among N agents; where the kernel depends on the population, nothing exact."""

    mean_field: np.ndarray
    value: float
    exploitability: float
    exploitability_regularised: float | None
    simulated: list[_Simulated]
    law: PopulationLaw | None
    rewards: DeviationGain | None
    regularised: DeviationGain | None

    @property
    def of_criterion(self) -> DeviationGain | None:
        """The gains in the criterion of the response."""
        return self.rewards if self.regularised is None else self.regularised


def run(request: SimulateRequest, out: Path | None, *, as_json: bool, float32: bool) -> int:
    """Solve, put the policy among N agents, save and print.

    Args:
      request: what to simulate.
      out: folder to save to, or None.
      as_json: print JSON in place of tables.
      float32: compute in single precision.

    Returns:
      The exit status.
    """
    begun = time.perf_counter()
    with jax.enable_x64(not float32):
        plan = _plan(request)
        game = plan.loaded.game
        with staged(out) as folder, progress_line(len(plan.numbers) + 2) as begin:
            found, policy = None, plan.policy
            begin(f"solving {plan.loaded.name}" if plan.response is not None else "reading the policy")
            if plan.response is not None:
                found = solve(game, plan.response, throw=False)
                policy = found.policy
            policy = single_policy(game, policy)
            keys = jax.random.split(jax.random.key(request.seed), 3)
            begin("gains among N agents")
            findings = _find(plan, policy, request.runs, keys, begin)
            content = _content(request, plan, found, findings, begun)
            if folder is not None and out is not None:
                _save(folder, out, content, plan, policy, findings, keys[2])
        if as_json:
            print_json(content)
        else:
            print_simulation(content)
    if found is not None and not bool(found.converged):
        print(f"mfgjax: {found.result.message}", file=sys.stderr)
        return 1
    return 0


def _plan(request: SimulateRequest) -> _Plan:
    numbers = numbers_of_agents(request.agents)
    _checks.integer_at_least("--runs", request.runs, 1)
    if not 0 <= request.seed < 2**32:
        raise ValueError(f"`--seed` must lie between 0 and 4,294,967,295; got {request.seed}.")
    loaded = catalogue.with_horizon("simulate", catalogue.load(request.game, request.settings))
    check_size(loaded.name, loaded.game)
    _check_room(loaded.game, len(numbers), request.runs)
    response = _response(request, loaded)
    criterion = response if isinstance(response, EntropyRegularized) else None
    if request.policy is None:
        return _Plan(loaded, response, None, criterion, numbers)
    policy = read_policy("policy", request.policy, request.game, loaded, "the path of a JSON file")
    return _Plan(loaded, None, single_policy(loaded.game, policy), criterion, numbers)


def numbers_of_agents(text: str) -> list[int]:
    """Return the numbers of agents of a list or a range, in which they are rounded to whole ones."""
    said = f"--agents {text}"
    values = np.array(catalogue.numbers(said, text))
    if ":" in text:
        values = np.unique(np.round(values))[:: 1 if values[0] < values[-1] else -1]
    for value in values:
        if value != np.round(value):
            raise ValueError(f"`{said}`: it must be whole numbers, but {value:g} is among them.")
        if not 1 <= value <= MOST_AGENTS:
            raise ValueError(f"`{said}`: it must lie between 1 and {MOST_AGENTS:,}, but {value:,.0f} is among them.")
    if len(values) > _MOST_POPULATIONS:
        raise ValueError(f"`{said}` has {len(values):,} numbers, but {_MOST_POPULATIONS:,} is the most.")
    return values.astype(int).tolist()


def _response(request: SimulateRequest, loaded: GameFile) -> AbstractResponse | None:
    """Return how agents act; for a policy from a file, what it is measured by, None for rewards alone."""
    if request.policy is not None:
        check_options(request)
        if request.response != "entropy":
            raise ValueError(f"`--response {request.response}` does not go with `--policy`: nothing is solved.")
        if request.beta is None and request.reference is not None:
            raise ValueError(f"`--reference {request.reference}` with `--policy` needs `--beta`, for the KL terms.")
        if request.beta is None:
            return None
    return fit_response(loaded.game, response_of(request, loaded))


def _check_room(game: FiniteHorizonGame, num_populations: int, num_runs: int) -> None:
    """Refuse what memory cannot hold: the runs of one population, and the gains of all."""
    if not hasattr(os, "sysconf"):
        return
    places = (game.horizon + 1) * game.num_states
    runs, gains = 24 * places * num_runs, 64 * places * game.num_actions * num_populations
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for needed, what, option in ((runs, f"{num_runs:,} runs", "runs"), (gains, "the gains", "agents")):
        if needed > room:
            text = f"{what} take {needed / 1e9:.3g} GB of memory, but {room / 1e9:.3g} GB are there"
            raise ValueError(f"{text}: give fewer `--{option}`.")


_value = eqx.filter_jit(policy_value)
_exploitability = eqx.filter_jit(exploitability)
_state_law = eqx.filter_jit(state_law)


def _find(plan: _Plan, policy: jax.Array, runs: int, keys: jax.Array, begin: Any) -> _Findings:
    game, criterion, numbers = plan.loaded.game, plan.criterion, np.array(plan.numbers)
    law = rewards = regularised = None
    if isinstance(game.kernel, AbstractKernel):
        rewards = finite.deviation_gain(game, policy, numbers, key=keys[0])
        if criterion is not None:
            regularised = finite.deviation_gain(game, policy, numbers, criterion, key=keys[0])
        law = finite.law(game, policy, numbers)
        mean_field = law.mean_field
        main = rewards if regularised is None else regularised
        value, gain = main.mean_field_value, rewards.exploitability
        gain_regularised = None if regularised is None else regularised.exploitability
    else:
        mean_field, seen = _state_law(game, policy)
        value, gain = _value(game, policy, seen, criterion), _exploitability(game, policy)
        gain_regularised = None if criterion is None else _exploitability(game, policy, criterion)
    mu, simulated = np.asarray(mean_field), []
    for n in plan.numbers:
        begin(f"{n:,} agents")
        simulated.append(_simulated(plan, policy, n, runs, keys[1], mu))
    regularised_gain = None if gain_regularised is None else float(gain_regularised)
    return _Findings(mu, float(value), float(gain), regularised_gain, simulated, law, rewards, regularised)


def _simulated(
    plan: _Plan, policy: jax.Array, num_agents: int, runs: int, key: jax.Array, mu: np.ndarray
) -> _Simulated:
    found = finite.simulate(plan.loaded.game, policy, num_agents, runs, key=key, response=plan.criterion)
    counts = np.asarray(found.counts)
    # time by time, as all flows together are many
    distance = [0.5 * np.abs(c / num_agents - m[:, None]).sum(axis=0).mean() for c, m in zip(counts, mu, strict=True)]
    last = counts[-1] / num_agents
    error = float(found.standard_error) if runs > 1 else float("nan")
    spread = last.std(axis=1, ddof=1) if runs > 1 else np.full(len(last), np.nan)
    return _Simulated(float(found.value), error, np.array(distance), last.mean(axis=1), spread)


def _content(
    request: SimulateRequest, plan: _Plan, found: Equilibrium | None, findings: _Findings, begun: float
) -> dict[str, Any]:
    game, law, main = plan.loaded.game, findings.law, findings.of_criterion
    last, n = findings.simulated[-1], plan.numbers[-1]
    mu = findings.mean_field[-1]
    exact = None if law is None else np.sqrt(mu * (1 - mu) / n)
    return {
        "game": plan.loaded.name,
        "horizon": game.horizon,
        "dtype": str(game.dtype),
        "request": asdict(request),
        "policy": "of an equilibrium" if found is not None else "from a file",
        "converged": None if found is None else bool(found.converged),
        "result": None if found is None else found.result.name,
        "message": None if found is None else found.result.message,
        "num_steps": None if found is None else int(found.num_steps),
        "criterion": "rewards" if plan.criterion is None else "rewards less KL terms",
        "mean_field_value": number(findings.value),
        "exploitability": number(findings.exploitability),
        "exploitability_regularised": findings.exploitability_regularised,
        "method": None if main is None else main.method,
        "num_runs": request.runs,
        "populations": [_population(i, plan, findings) for i in range(len(plan.numbers))],
        "terminal_law": {
            label: {
                "mean_field": float(mu[s]),
                "mean": float(last.mean[s]),
                "standard_deviation": number(last.deviation[s]),
                "exact_standard_deviation": None if exact is None else float(exact[s]),
            }
            for s, label in enumerate(game.state_labels)
        },
        "seconds": round(time.perf_counter() - begun, 3),
        "files": [],
        "not_drawn": [],
    }


def _population(i: int, plan: _Plan, findings: _Findings) -> dict[str, Any]:
    simulated, law = findings.simulated[i], findings.law
    row: dict[str, Any] = {
        "num_agents": plan.numbers[i],
        "simulated_value": number(simulated.value),
        "simulated_value_error": number(simulated.error),
    }
    main = findings.of_criterion
    for name in ("value", "value_error", "value_gap"):
        row[name] = None if main is None else number(getattr(main, name)[i])
    for suffix, gain in (("_regularised", findings.regularised), ("", findings.rewards)):
        for name in ("gain", "gain_error", "bound"):
            row[name + suffix] = None if gain is None else number(getattr(gain, name)[i])
    row["distance"] = None if law is None else np.asarray(law.distance)[:, i].tolist()
    row["distance_bound"] = None if law is None else np.asarray(law.bound)[:, i].tolist()
    row["simulated_distance"] = simulated.distance.tolist()
    return row


def _save(
    folder: Path,
    out: Path,
    content: dict[str, Any],
    plan: _Plan,
    policy: jax.Array,
    findings: _Findings,
    key: jax.Array,
) -> None:
    """Write the numbers, and the pictures for which there is something to draw."""
    from .. import plot  # slow to import, and often not needed

    names, game, title = [_FILES[0]], plan.loaded.game, _title(content)
    gains = {"with KL terms": findings.regularised, "in rewards alone": findings.rewards}
    gains = {name: gain for name, gain in gains.items() if gain is not None}
    why_not = None
    if not gains:
        why_not = "the kernel depends on the population"
    elif len(plan.numbers) < 2:
        why_not = "`--agents` has one number"
    elif not any(bool((gain.gain > 0).any()) for gain in gains.values()):
        why_not = "no gain is above 0"
    if why_not is None:
        plot.plot_gain(gains, title=title).figure.savefig(folder / _FILES[1], dpi=150)  # pyright: ignore
        names.append(_FILES[1])
    else:
        content["not_drawn"].append(f"{_FILES[1]}: {why_not}")
    least, why_not = min(plan.numbers), None
    if not isinstance(game.kernel, MovesKernel):
        why_not = "the game is not on a graph of moves"
    elif game.num_states > _MOST_NODES:
        why_not = f"{game.num_states} nodes are more than {_MOST_NODES}"
    elif game.horizon > _MOST_MOVES:
        why_not = f"{game.horizon} moves are more than {_MOST_MOVES}"
    elif least > _MOST_LABELS:
        why_not = f"`--agents` has no number up to {_MOST_LABELS}"
    if why_not is None:
        _animate(folder / _FILES[2], plan, policy, least, key, title)
        names.append(_FILES[2])
    else:
        content["not_drawn"].append(f"{_FILES[2]}: {why_not}")
    content["files"] = [str(out / name) for name in names]
    (folder / _FILES[0]).write_text(json_of(content) + "\n", encoding="utf-8")


def _title(content: dict[str, Any]) -> str:
    request = content["request"]
    if request["policy"] is not None:
        return f"{content['game']}, {Path(request['policy']).name}"
    return f"{content['game']}, {behaviour_of(request['response'], request['beta'], request['epsilon'])}"


def _animate(path: Path, plan: _Plan, policy: jax.Array, num_agents: int, key: jax.Array, title: str) -> None:
    from .. import plot

    game = plan.loaded.game
    simulation = finite.simulate(game, policy, num_agents, 1, key=key, labelled=True)
    animation = plot.animate_agents(
        game,
        simulation,
        positions=plan.loaded.positions,
        frames_per_step=max(1, min(8, _MOST_MOVES // game.horizon)),
        title=f"{title}, {num_agents:,} agents" if num_agents > 1 else f"{title}, 1 agent",
    )
    animation.save(path, writer="pillow", dpi=90)
