"""The command `simulate`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from rich.table import Table

import mfgjax as mfg

from .._largest_states import evenly
from .._progress import progress_line
from . import catalogue
from .among_agents import Gains, gains_of, told_gains, told_laws
from .behaviour import behaviour_of, check_options, compiled, read_policy, response_of
from .command import Report, SavingCommand
from .options import GameAndResponse
from .output import Files, check_room, finite, staged
from .ranges import numbers_of_agents
from .tables import MOST_ROWS, by_state, left_out, number, table

if TYPE_CHECKING:
    import jax

    from ..games import GameFile

_GAINS = {"_regularised": "with KL terms", "": "in rewards alone"}
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
class Exact:
    """Exact numbers of a policy; no gains and no law where the kernel depends on the population."""

    mean_field: np.ndarray
    value: float
    exploitability: dict[str, float]
    gains: Gains
    law: Any = None

    @property
    def main(self) -> Any:
        """The gains in the criterion of the response."""
        return next(iter(self.gains.values()), None)


@dataclass(frozen=True, kw_only=True)
class Simulate(SavingCommand, GameAndResponse):
    """Evaluate an equilibrium policy among N agents.

    Prints for each N the reward of an agent, what one agent gains by leaving the policy, and how far the population is
    from the mean field.

    Examples:
      mfgjax simulate resource-allocation --beta 3 --agents 10,100,1000
      mfgjax simulate ring-crowd --beta 20 --agents 2:16384:14:log --out results

    Args:
      agents: Numbers of agents, up to 1e9: 100, or 10,1000, or START:STOP:COUNT:log.
      policy: JSON file of a policy, evaluated in place of an equilibrium. With --beta, values include the KL cost.
      runs: Simulated populations for each N.
      seed: Seed of the random numbers.
      out: Save simulation.json, gain.png for several N, and agents.gif for up to 200 agents on a graph.
    """

    at_least: ClassVar[Mapping[str, int]] = {"runs": 1}

    agents: Annotated[str, "RANGE"]
    policy: Annotated[str | None, "PATH"] = None
    runs: int = 1000
    seed: int = 0
    out: Path | None = None

    def find(self) -> Report:
        """Solve, and put the policy among N agents."""
        import jax

        start_time, numbers = time.perf_counter(), numbers_of_agents(self.agents)
        loaded, response, users_policy = self._read(len(numbers))
        with staged(self.out) as files, progress_line(len(numbers) + 2) as begin:
            begin(f"solving {loaded.name}" if users_policy is None else "reading the policy")
            policy = _policy(loaded, response, users_policy)
            # of gains, of populations and of the animation: none depends on whether the others are drawn
            keys = jax.random.split(jax.random.key(self.seed), 3)
            begin("gains among N agents")
            exact, rows, law = _exact(policy, numbers, keys[0]), [], {}
            for i, n in enumerate(numbers):
                begin(f"{n:,} agents")
                runs = mfg.finite.simulate(
                    loaded.game, policy.policy, n, self.runs, key=keys[1], response=policy.criterion
                )
                rows.append(_of_population(i, n, exact, runs))
                law = _of_law(loaded.game, n, exact, runs)
            content = self._content(policy, exact, rows, law) | {"seconds": round(time.perf_counter() - start_time, 3)}
            if files:
                self._save(files, content, policy, numbers, exact.gains, keys[2])
        found = policy.found
        failure = None if found is None or bool(found.converged) else found.result.message
        return self.report(content, _page(content), failure)

    def _read(self, num_populations: int) -> tuple[GameFile, mfg.responses.AbstractResponse | None, jax.Array | None]:
        """Return the game, how agents respond (None: they are measured by rewards alone), and a policy from a file."""
        from ..finite.arguments import single_policy
        from ..games.file import with_horizon

        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`--seed` must lie between 0 and 4,294,967,295; got {self.seed}.")
        loaded = with_horizon(catalogue.load(self.game, self.settings), "simulate")
        game = loaded.game
        places = (game.horizon + 1) * game.num_states
        # refused before anything is solved
        check_room(f"{self.runs:,} runs", 24 * places * self.runs, None, " `--runs`")
        check_room("the gains", 64 * places * game.num_actions * num_populations, None, " `--agents`")
        if self.policy is None:
            return loaded, response_of(self, loaded), None
        check_options(self)
        if self.response != "entropy":
            raise ValueError(f"`--response {self.response}` does not go with `--policy`: nothing is solved.")
        if self.beta is None and self.reference is not None:
            raise ValueError(f"`--reference {self.reference}` with `--policy` needs `--beta`, for the KL terms.")
        response = None if self.beta is None else response_of(self, loaded)
        users_policy = read_policy("policy", self.policy, self.game, loaded, "the path of a JSON file")
        return loaded, response, single_policy(loaded.game, users_policy)

    def _content(self, policy: Policy, exact: Exact, rows: list[dict[str, Any]], law: dict[str, Any]) -> dict[str, Any]:
        found, exploitability = policy.found, exact.exploitability
        return self.about(
            policy.loaded,
            horizon=policy.loaded.game.horizon,
            policy="from a file" if found is None else "of an equilibrium",
            converged=None if found is None else bool(found.converged),
            result=None if found is None else found.result.name,
            message=None if found is None else found.result.message,
            num_steps=None if found is None else int(found.num_steps),
            criterion="rewards" if policy.criterion is None else "rewards less KL terms",
            mean_field_value=finite(exact.value),
            exploitability=finite(exploitability[""]),
            exploitability_regularised=exploitability.get("_regularised"),
            method=None if exact.main is None else exact.main.method,
            num_runs=self.runs,
            populations=rows,
            terminal_law=law,
            not_drawn=[],
        )

    def _save(
        self,
        files: Files,
        content: dict[str, Any],
        policy: Policy,
        numbers: list[int],
        gains: Gains,
        key: jax.Array,
    ) -> None:
        """Write the numbers, and the pictures for which there is something to draw."""
        game = policy.loaded.game
        title = f"{content['game']}, {behaviour_of(self) if self.policy is None else Path(self.policy).name}"
        if why := _why_no_gains(numbers, gains):
            content["not_drawn"].append(f"gain.png: {why}")
        else:
            named = {_GAINS[suffix]: gain for suffix, gain in gains.items()}
            files.picture("gain.png", mfg.plot.plot_gain(named, title=title))
        if why := _why_not_moving(game, min(numbers)):
            content["not_drawn"].append(f"agents.gif: {why}")
        else:
            n = min(numbers)  # few agents can be told apart
            simulation = mfg.finite.simulate(game, policy.policy, n, 1, key=key, labelled=True)
            animation = mfg.plot.animate_agents(
                game,
                simulation,
                positions=policy.loaded.positions,
                # long games have about as many frames as short ones
                frames_per_step=max(1, min(8, _MOST_MOVES // game.horizon)),
                title=f"{title}, {n:,} agents" if n > 1 else f"{title}, 1 agent",
            )
            files.picture("agents.gif", animation)
        files.numbers("simulation.json", content)


def _policy(
    loaded: GameFile, response: mfg.responses.AbstractResponse | None, users_policy: jax.Array | None
) -> Policy:
    from ..finite.arguments import single_policy

    criterion = response if isinstance(response, mfg.EntropyRegularized) else None
    if users_policy is not None:
        return Policy(loaded, users_policy, criterion, None)
    assert response is not None
    found = mfg.solve(loaded.game, response, throw=False)
    return Policy(loaded, single_policy(loaded.game, found.policy), criterion, found)


def _exact(policy: Policy, numbers: list[int], key: jax.Array) -> Exact:
    """Compute the exact numbers of a policy."""
    game, criterion, played = policy.loaded.game, policy.criterion, policy.policy
    if gains := gains_of(game, played, criterion, numbers, key):
        law, main = mfg.finite.law(game, played, np.array(numbers)), next(iter(gains.values()))
        gained = {suffix: float(gain.exploitability) for suffix, gain in gains.items()}
        return Exact(np.asarray(law.mean_field), float(main.mean_field_value), gained, gains, law)
    # of the class: a bound method is another function for each game, and would compile anew
    mean_field, seen = compiled(type(game).generated)(game, played)
    value = float(compiled(mfg.policy_value)(game, played, seen, criterion))
    criteria = {"": None} if criterion is None else {"_regularised": criterion, "": None}
    exploitability = compiled(mfg.exploitability)
    gained = {suffix: float(exploitability(game, played, one)) for suffix, one in criteria.items()}
    return Exact(np.asarray(mean_field), value, gained, {})


def _of_population(i: int, num_agents: int, exact: Exact, runs: mfg.finite.Simulation) -> dict[str, Any]:
    """Return the results for the i-th number of agents, for JSON."""
    main, law, counts = exact.main, exact.law, np.asarray(runs.counts)
    several = counts.shape[-1] > 1
    row: dict[str, Any] = {
        "num_agents": num_agents,
        "simulated_value": finite(runs.value),
        "simulated_value_error": finite(runs.standard_error) if several else None,
    }
    for name in ("value", "value_error", "value_gap"):
        row[name] = None if main is None else finite(getattr(main, name)[i])
    row |= told_gains(exact.gains, i, ("gain", "gain_error", "bound"))
    row["distance"] = None if law is None else np.asarray(law.distance)[:, i].tolist()
    row["distance_bound"] = None if law is None else np.asarray(law.bound)[:, i].tolist()
    row["simulated_distance"] = [  # time by time, as all flows together are many
        float(0.5 * np.abs(count / num_agents - law[:, None]).sum(axis=0).mean())
        for count, law in zip(counts, exact.mean_field, strict=True)
    ]
    return row


def _of_law(game: mfg.FiniteHorizonGame, num_agents: int, exact: Exact, runs: mfg.finite.Simulation) -> dict[str, Any]:
    """Return the law at the end of a population."""
    mean_field = exact.mean_field[-1]
    # a share of N independent agents: they are that where the kernel does not depend on the population
    spread = np.sqrt(mean_field * (1 - mean_field) / num_agents)
    shares = told_laws(game.state_labels, np.asarray(runs.counts[-1]) / num_agents)
    return {
        label: {
            "mean_field": float(mean_field[s]),
            **law,
            "exact_standard_deviation": None if exact.law is None else float(spread[s]),
        }
        for s, (label, law) in enumerate(shares.items())
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


def _page(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield what was found among N agents: a table over N, the law at the end, and what the numbers are."""
    yield from _over_numbers(content)
    yield from _shares(content)
    yield from _explained(content)


def _over_numbers(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the table over N, of which the last row is the mean field."""
    request, regularised, populations = content["request"], content["criterion"] != "rewards", content["populations"]
    if content["policy"] == "from a file":
        behaviour = str(request["policy"]) + (f", β = {request['beta']:g}" if regularised else "")
    else:
        behaviour = behaviour_of(request)
    exact = "Monte Carlo" if content["method"] == "Monte Carlo" else "exact"
    kinds = [("gain KL", "_regularised"), ("gain", "")] if regularised else [("gain", "")]
    headings = ["agents", "value,\nsimulated", f"value,\n{exact}"]
    headings += [heading for kind, _ in kinds for heading in (kind, "bound")]
    headings += ["d_TV,\nexact", "Lemma 5", "d_TV,\nsimulated"]

    def cells(i: int) -> list[str]:
        row = populations[i]
        when = _when(row)
        cells = [f"{row['num_agents']:,}", number(row["simulated_value"], ".6f", row["simulated_value_error"])]
        # exact methods have an error of 0, which is not printed
        cells.append(number(row["value"], ".6f", row["value_error"] or None))
        for _, suffix in kinds:
            cells.append(number(row["gain" + suffix], error=row["gain_error" + suffix] or None))
            cells.append(number(row["bound" + suffix]))
        distances = (row[name] for name in ("distance", "distance_bound", "simulated_distance"))
        return [*cells, *(number(None if d is None else d[when], ".4f") for d in distances)]

    gains = [content["exploitability" + suffix] for _, suffix in kinds]
    pairs = [cell for gain in gains for cell in (number(gain), "")]
    last = ["mean field", "", f"{content['mean_field_value']:.6f}", *pairs, "0", "", ""]
    title = f"{content['game']} ({behaviour}) among N agents"
    shown = evenly(len(populations), MOST_ROWS)
    yield table(title, (f">{heading}" for heading in headings), [*map(cells, shown), last])
    yield from left_out(len(populations) - len(shown), "numbers of agents are")


def _when(row: Mapping[str, Any]) -> int:
    """Return the time when the population is expected to be farthest from the mean field."""
    return int(np.argmax(row["simulated_distance"] if row["distance"] is None else row["distance"]))


def _shares(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the shares at the end among the most agents, of the states with most mass."""
    n, law = content["populations"][-1]["num_agents"], content["terminal_law"]
    agents = f"{n:,} agents" if n > 1 else "1 agent"
    title = f"shares at t = {content['horizon']}, {agents}, {content['num_runs']:,} runs"
    columns = {
        ">mean field": ("mean_field", ".6f"),
        ">mean of runs": ("mean", ".6f"),
        ">standard deviation": ("standard_deviation", ".2e"),
        ">exact": ("exact_standard_deviation", ".2e"),
    }
    labels, lines = list(law), list(law.values())
    if lines[0]["exact_standard_deviation"] is None:
        del columns[">exact"]

    def cells(s: int) -> list[str]:
        return [labels[s], *(number(lines[s][name], form) for name, form in columns.values())]

    masses = [line["mean_field"] for line in lines]
    return by_state(title, columns, masses, cells, "in the mean field ")


def _explained(content: Mapping[str, Any]) -> Iterator[str]:
    method, less = content["method"], "" if content["criterion"] == "rewards" else ", less KL terms"
    runs = "1 run" if content["num_runs"] == 1 else f"{content['num_runs']:,} runs, ± standard error"
    if content["result"] is not None:
        yield f"result          {content['result']} in {content['num_steps']} steps"
    yield f"value           what an agent earns on average{less}, in units of reward; simulated: {runs}"
    if method is None:
        yield "–               not known: the kernel depends on the population, so that an agent who leaves the policy"
        yield "                moves the others too, and faces no decision problem of its own"
        yield "d_TV            mean distance of the population from the mean field, at the time when it is largest"
    else:
        kinds = "; gain KL: counting KL terms" if less else ""
        yield f"gain            of one agent that leaves the policy, in units of reward{kinds}; bound: on it"
        estimated = method == "Monte Carlo"
        yield "Monte Carlo     values and gains, ± standard error" if estimated else f"exact           by {method}"
        yield "d_TV            mean distance from the mean field at the time when it is largest; Lemma 5: a bound on it"
