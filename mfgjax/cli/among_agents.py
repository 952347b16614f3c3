"""A policy among N agents, for `simulate` and `tune`: what one gains by leaving it, and where populations end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import mfgjax as mfg

from .behaviour import compiled
from .output import finite

if TYPE_CHECKING:
    import jax

    from ..finite import DeviationGain

Gains = dict[str, "DeviationGain"]
"""By the suffix of their names: "_regularised", in the criterion of the response, if it has one; "", in rewards."""


def gains_of(game: mfg.FiniteHorizonGame, policy: Any, criterion: Any, numbers: Sequence[int], key: jax.Array) -> Gains:
    """Return what one agent gains by leaving a policy; nothing where leaving it also moves the other agents.

    Args:
      game: the game.
      policy: of all agents.
      criterion: a response, for rewards less its KL terms; None: rewards alone.
      numbers: of agents.
      key: for estimates.
    """
    if not isinstance(game.kernel, mfg.kernels.AbstractKernel):  # a function of the population
        return {}
    # the criterion of the response first: that of the main numbers
    criteria = {"": None} if criterion is None else {"_regularised": criterion, "": None}
    sizes = np.array(numbers)
    return {suffix: mfg.finite.deviation_gain(game, policy, sizes, one, key=key) for suffix, one in criteria.items()}


def told_gains(gains: Gains, i: int, names: Sequence[str]) -> dict[str, float | None]:
    """Return the gains among the i-th number of agents by name, None where a number is not known."""
    return {
        name + suffix: finite(getattr(gains[suffix], name)[i]) if suffix in gains else None
        for suffix in ("_regularised", "")
        for name in names
    }


def told_laws(labels: Sequence[str], laws: np.ndarray) -> dict[str, dict[str, float | None]]:
    """Return means and standard deviations of the shares of states in many runs, `[S, runs]`."""
    runs = laws.shape[1]
    # one run has no standard deviation
    deviation = laws.std(axis=1, ddof=1) if runs > 1 else np.full(len(laws), np.nan)
    return {
        label: {"mean": finite(mean), "standard_deviation": finite(spread)}
        for label, mean, spread in zip(labels, laws.mean(axis=1), deviation, strict=True)
    }


def populations_of(
    problem: mfg.design.DesignProblem, found: mfg.design.Tuned, sizes: list[int], runs: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Evaluate the tuned policy among N agents: what one gains by leaving it, and the terms of the objective.

    Args:
      problem: that was tuned.
      found: the design.
      sizes: each N.
      runs: simulated populations of each size.
      seed: of the random numbers.
    """
    import jax

    game, response, policy = found.game, found.response, found.equilibrium.policy
    own, other = jax.random.split(jax.random.key(seed))
    gains = gains_of(game, policy, response, sizes, own)
    method = gains[""].method if gains else None
    distance = np.asarray(mfg.finite.law(game, policy, np.array(sizes)).distance[-1]) if gains else None
    for i, n in enumerate(sizes):
        # a key of its own for each size, whatever the others are
        flows = mfg.finite.simulate(game, policy, n, runs, key=jax.random.fold_in(other, i)).flows
        yield {
            "num_agents": n,
            "num_runs": runs,
            "method": method,
            **told_gains(gains, i, ("gain", "bound")),
            "distance": None if distance is None else finite(distance[i]),
            "terms": _terms(problem, found, flows),
            "terminal_law": told_laws(game.state_labels, np.asarray(flows[-1])),
        }


def _terms(problem: mfg.design.DesignProblem, found: mfg.design.Tuned, flows: jax.Array) -> dict[str, Any]:
    terms, runs = [term for term in problem.terms if term.of_law], flows.shape[-1]
    if not terms:
        return {}
    objectives = tuple(term.objective for term in terms)
    values = np.asarray(compiled(_of_flows)(objectives, found.game, found.response, found.equilibrium, flows))
    errors = values.std(axis=0, ddof=1) / np.sqrt(runs) if runs > 1 else np.full(len(terms), np.nan)
    return {
        term.label: {"mean": finite(value), "standard_error": finite(error)}
        for term, value, error in zip(terms, values.mean(axis=0), errors, strict=True)
    }


def _of_flows(objectives: tuple, game: Any, response: Any, equilibrium: mfg.Equilibrium, flows: jax.Array) -> jax.Array:
    """Evaluate objectives of the flow alone at flows `[T, S, runs]`; returns `[runs, terms]`."""
    import jax
    import jax.numpy as jnp

    def terms_at(flow: jax.Array) -> jax.Array:
        # these terms read the law of the states alone
        seen = dataclasses.replace(equilibrium, mean_field=flow, observes="states")
        return jnp.stack([objective(game, response, seen) for objective in objectives])

    return jax.vmap(terms_at, in_axes=-1)(flows)
