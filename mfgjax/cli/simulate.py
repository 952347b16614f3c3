"""The command `simulate`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

import mfgjax as mfg

from .._progress import progress_line
from . import catalogue
from .behaviour import behaviour_of, check_options, compiled, read_policy, response_of
from .command import Report, SavingCommand
from .options import GameAndResponse
from .output import Files, finite, staged
from .ranges import numbers_of_agents
from .simulate_tables import page_of_simulation

if TYPE_CHECKING:
    import jax

    from ..games import GameFile

_MOST_NODES, _MOST_LABELS, _MOST_MOVES = 40, 200, 80  # in an animation


@dataclass(frozen=True)
class Policy:
    """What agents do in which game, and how it is measured.

    Attributes:
      loaded: the game.
      policy: of all agents.
      criterion: rewards less KL terms; None: rewards alone.
      found: the equilibrium that the policy is of; None if it is from a file.
    """

    loaded: GameFile
    policy: jax.Array
    criterion: mfg.EntropyRegularized | None
    found: mfg.Equilibrium | None


@dataclass(frozen=True)
class Runs:
    """Many runs of one population: the value, the mean distance at each time, the laws at the end."""

    value: float
    error: float
    distance: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True)
class AmongAgents:
    """What was found about a policy among N agents; where the kernel depends on the population, nothing exact."""

    mean_field: np.ndarray
    value: float
    exploitability: float
    exploitability_regularised: float | None
    law: Any = None
    rewards: Any = None
    regularised: Any = None
    runs: Sequence[Runs] = ()

    @property
    def of_criterion(self) -> Any:
        """The gains in the criterion of the response."""
        return self.rewards if self.regularised is None else self.regularised


@dataclass(frozen=True, kw_only=True)
class Simulate(SavingCommand, GameAndResponse):
    """Put N agents in the place of infinitely many: values, what one gains by leaving the policy, distances.

    [b]Examples[/b]

      mfgjax simulate resource-allocation --beta 3 --agents 10,100,1000

      mfgjax simulate resource-allocation --beta 3 --agents 2:16384:14:log --out results

      mfgjax simulate ring-crowd --beta 20 --agents 1000000000 --json

      mfgjax simulate my_game.toml --policy by_hand.json --agents 50

    Args:
      agents: Numbers of agents, up to 1e9: one, a list such as 10,1000 or a range as in [b]sweep[/b], such as
        2:16384:14:log.
      policy: What agents do, in place of an equilibrium: a JSON file, either {node: {next node: probability}} or rows
        of probabilities by state, or by time and state. With [b]--beta[/b] its value has KL terms.
      runs: Simulated populations of each size.
      seed: Of the random numbers.
      out: Save simulation.json there, gain.png if there are several numbers of agents, and agents.gif for a graph and
        at most 200 agents.
    """

    agents: Annotated[str, "RANGE"]
    policy: Annotated[str | None, "PATH"] = None
    runs: int = 1000
    seed: int = 0
    out: Path | None = None

    def find(self) -> Report:
        """Solve, and put the policy among N agents."""
        import jax

        begun, numbers = time.perf_counter(), numbers_of_agents(self.agents)
        loaded, response, given = self._read(len(numbers))
        with staged(self.out) as files, progress_line(len(numbers) + 2) as begin:
            begin(f"solving {loaded.name}" if given is None else "reading the policy")
            policy = _policy(loaded, response, given)
            keys = jax.random.split(jax.random.key(self.seed), 3)
            begin("gains among N agents")
            among, runs = _exact(policy, numbers, keys[0]), []
            for n in numbers:
                begin(f"{n:,} agents")
                runs.append(_simulated(policy, n, self.runs, keys[1], among.mean_field))
            among = replace(among, runs=runs)
            content = self._content(policy, numbers, among) | {"seconds": round(time.perf_counter() - begun, 3)}
            if files:
                self._save(files, content, policy, numbers, among, keys[2])
        found = policy.found
        failure = None if found is None or bool(found.converged) else found.result.message
        return Report(content, page_of_simulation(content), failure)

    def _read(self, num_populations: int) -> tuple[GameFile, mfg.AbstractResponse | None, jax.Array | None]:
        """Return the game, how agents respond (None: they are measured by rewards alone), and a policy from a file."""
        from .. import _checks
        from ..finite.arguments import single_policy

        _checks.integer_at_least("--runs", self.runs, 1)
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`--seed` must lie between 0 and 4,294,967,295; got {self.seed}.")
        loaded = catalogue.load_with_horizon("simulate", self.game, self.settings)
        _check_room(loaded.game, num_populations, self.runs)
        if self.policy is None:
            return loaded, response_of(self, loaded), None
        check_options(self)
        if self.response != "entropy":
            raise ValueError(f"`--response {self.response}` does not go with `--policy`: nothing is solved.")
        if self.beta is None and self.reference is not None:
            raise ValueError(f"`--reference {self.reference}` with `--policy` needs `--beta`, for the KL terms.")
        response = None if self.beta is None else response_of(self, loaded)
        given = read_policy("policy", self.policy, self.game, loaded, "the path of a JSON file")
        return loaded, response, single_policy(loaded.game, given)

    def _content(self, policy: Policy, numbers: list[int], among: AmongAgents) -> dict[str, Any]:
        game, found, main = policy.loaded.game, policy.found, among.of_criterion
        return {
            "game": policy.loaded.name,
            "horizon": game.horizon,
            "dtype": str(game.dtype),
            "request": self.request,
            "policy": "from a file" if found is None else "of an equilibrium",
            "converged": None if found is None else bool(found.converged),
            "result": None if found is None else found.result.name,
            "message": None if found is None else found.result.message,
            "num_steps": None if found is None else int(found.num_steps),
            "criterion": "rewards" if policy.criterion is None else "rewards less KL terms",
            "mean_field_value": finite(among.value),
            "exploitability": finite(among.exploitability),
            "exploitability_regularised": among.exploitability_regularised,
            "method": None if main is None else main.method,
            "num_runs": self.runs,
            "populations": [_of_population(i, n, among) for i, n in enumerate(numbers)],
            "terminal_law": _of_law(game, numbers[-1], among),
            "files": [],
            "not_drawn": [],
        }

    def _save(
        self,
        files: Files,
        content: dict[str, Any],
        policy: Policy,
        numbers: list[int],
        among: AmongAgents,
        key: jax.Array,
    ) -> None:
        """Write the numbers, and the pictures for which there is something to draw."""
        game = policy.loaded.game
        title = f"{content['game']}, {behaviour_of(self) if self.policy is None else Path(self.policy).name}"
        gains = {"with KL terms": among.regularised, "in rewards alone": among.rewards}
        gains = {name: gain for name, gain in gains.items() if gain is not None}
        if why := _why_no_gains(numbers, gains):
            content["not_drawn"].append(f"gain.png: {why}")
        else:
            files.picture("gain.png", mfg.plot.plot_gain(gains, title=title))
        if why := _why_not_moving(game, min(numbers)):
            content["not_drawn"].append(f"agents.gif: {why}")
        else:
            n = min(numbers)
            simulation = mfg.finite.simulate(game, policy.policy, n, 1, key=key, labelled=True)
            animation = mfg.plot.animate_agents(
                game,
                simulation,
                positions=policy.loaded.positions,
                frames_per_step=max(1, min(8, _MOST_MOVES // game.horizon)),
                title=f"{title}, {n:,} agents" if n > 1 else f"{title}, 1 agent",
            )
            animation.save(files / "agents.gif", writer="pillow", dpi=90)
        files.numbers("simulation.json", content)


def _check_room(game: mfg.FiniteHorizonGame, num_populations: int, num_runs: int) -> None:
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


def _policy(loaded: GameFile, response: mfg.AbstractResponse | None, given: jax.Array | None) -> Policy:
    from ..finite.arguments import single_policy

    criterion = response if isinstance(response, mfg.EntropyRegularized) else None
    if given is not None:
        return Policy(loaded, given, criterion, None)
    assert response is not None
    found = mfg.solve(loaded.game, response, throw=False)
    return Policy(loaded, single_policy(loaded.game, found.policy), criterion, found)


def _exact(policy: Policy, numbers: list[int], key: jax.Array) -> AmongAgents:
    """Return what is known without simulation."""
    game, criterion, played = policy.loaded.game, policy.criterion, policy.policy
    if isinstance(game.kernel, mfg.AbstractKernel):
        rewards = mfg.finite.deviation_gain(game, played, np.array(numbers), key=key)
        main = rewards
        if criterion is not None:
            main = mfg.finite.deviation_gain(game, played, np.array(numbers), criterion, key=key)
        law = mfg.finite.law(game, played, np.array(numbers))
        regularised = None if criterion is None else main
        own = None if criterion is None else float(main.exploitability)
        value, gain = float(main.mean_field_value), float(rewards.exploitability)
        return AmongAgents(np.asarray(law.mean_field), value, gain, own, law, rewards, regularised)
    mean_field, seen = compiled(type(game).generated)(game, played)
    value = float(compiled(mfg.policy_value)(game, played, seen, criterion))
    exploitability = compiled(mfg.exploitability)
    own = None if criterion is None else float(exploitability(game, played, criterion))
    return AmongAgents(np.asarray(mean_field), value, float(exploitability(game, played)), own)


def _simulated(policy: Policy, num_agents: int, runs: int, key: jax.Array, mean_field: np.ndarray) -> Runs:
    game, criterion = policy.loaded.game, policy.criterion
    found = mfg.finite.simulate(game, policy.policy, num_agents, runs, key=key, response=criterion)
    counts, pairs = np.asarray(found.counts), []
    for count, law in zip(counts, mean_field, strict=True):  # time by time, as all flows together are many
        pairs.append(0.5 * np.abs(count / num_agents - law[:, None]).sum(axis=0).mean())
    last = counts[-1] / num_agents
    error = float(found.standard_error) if runs > 1 else float("nan")
    spread = last.std(axis=1, ddof=1) if runs > 1 else np.full(len(last), np.nan)
    return Runs(float(found.value), error, np.array(pairs), last.mean(axis=1), spread)


def _of_population(i: int, num_agents: int, among: AmongAgents) -> dict[str, Any]:
    runs, law, main = among.runs[i], among.law, among.of_criterion
    row: dict[str, Any] = {
        "num_agents": num_agents,
        "simulated_value": finite(runs.value),
        "simulated_value_error": finite(runs.error),
    }
    for name in ("value", "value_error", "value_gap"):
        row[name] = None if main is None else finite(getattr(main, name)[i])
    for suffix, gain in (("_regularised", among.regularised), ("", among.rewards)):
        for name in ("gain", "gain_error", "bound"):
            row[name + suffix] = None if gain is None else finite(getattr(gain, name)[i])
    row["distance"] = None if law is None else np.asarray(law.distance)[:, i].tolist()
    row["distance_bound"] = None if law is None else np.asarray(law.bound)[:, i].tolist()
    row["simulated_distance"] = runs.distance.tolist()
    return row


def _of_law(game: mfg.FiniteHorizonGame, num_agents: int, among: AmongAgents) -> dict[str, Any]:
    """Return the law at the end of the last population."""
    mean_field, last = among.mean_field[-1], among.runs[-1]
    exact = None if among.law is None else np.sqrt(mean_field * (1 - mean_field) / num_agents)
    return {
        label: {
            "mean_field": float(mean_field[s]),
            "mean": float(last.mean[s]),
            "standard_deviation": finite(last.deviation[s]),
            "exact_standard_deviation": None if exact is None else float(exact[s]),
        }
        for s, label in enumerate(game.state_labels)
    }


def _why_no_gains(numbers: list[int], gains: dict[str, Any]) -> str | None:
    if not gains:
        return "the kernel depends on the population"
    if len(numbers) < 2:
        return "`--agents` has one number"
    return None if any(bool((gain.gain > 0).any()) for gain in gains.values()) else "no gain is above 0"


def _why_not_moving(game: mfg.FiniteHorizonGame, least: int) -> str | None:
    if not isinstance(game.kernel, mfg.MovesKernel):
        return "the game is not on a graph of moves"
    if game.num_states > _MOST_NODES:
        return f"{game.num_states} nodes are more than {_MOST_NODES}"
    if game.horizon > _MOST_MOVES:
        return f"{game.horizon} moves are more than {_MOST_MOVES}"
    return f"`--agents` has no number up to {_MOST_LABELS}" if least > _MOST_LABELS else None
