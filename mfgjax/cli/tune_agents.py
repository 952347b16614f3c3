"""A tuned policy among N agents."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

import mfgjax as mfg

from .behaviour import compiled
from .output import finite

if TYPE_CHECKING:
    import jax


def populations_of(
    problem: mfg.design.DesignProblem, found: mfg.design.Tuned, sizes: list[int], runs: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Return what becomes of the tuned policy among N agents: what one gains by leaving it, and the terms there.

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
    gains, method, distance = {}, None, None
    if isinstance(game.kernel, mfg.AbstractKernel):  # else one who leaves the policy moves the others too
        for suffix, criterion in (("_regularised", response), ("", None)):
            gains[suffix] = mfg.finite.deviation_gain(game, policy, np.array(sizes), criterion, key=own)
            method = gains[suffix].method
        distance = np.asarray(mfg.finite.law(game, policy, np.array(sizes)).distance[-1])
    for i, n in enumerate(sizes):
        row: dict[str, Any] = {"num_agents": n, "num_runs": runs, "method": method}
        for suffix in ("_regularised", ""):
            for name in ("gain", "bound"):
                row[name + suffix] = finite(getattr(gains[suffix], name)[i]) if gains else None
        row["distance"] = None if distance is None else finite(distance[i])
        flows = mfg.finite.simulate(game, policy, n, runs, key=jax.random.fold_in(other, i)).flows
        last = np.asarray(flows[-1])
        row["terms"] = _terms(problem, found, flows)
        deviation = last.std(axis=1, ddof=1) if runs > 1 else np.full(len(last), np.nan)
        row["terminal_law"] = {
            label: {"mean": finite(mean), "standard_deviation": finite(spread)}
            for label, mean, spread in zip(game.state_labels, last.mean(axis=1), deviation, strict=True)
        }
        yield row


def _terms(problem: mfg.design.DesignProblem, found: mfg.design.Tuned, flows: jax.Array) -> dict[str, Any]:
    terms, runs = [term for term in problem.terms if term.of_law], flows.shape[-1]
    if not terms:
        return {}
    objectives = tuple(term.objective for term in terms)
    values = np.asarray(compiled(_of_flows)(objectives, found.game, found.response, flows))
    errors = values.std(axis=0, ddof=1) / np.sqrt(runs) if runs > 1 else np.full(len(terms), np.nan)
    return {
        term.label: {"mean": finite(value), "standard_error": finite(error)}
        for term, value, error in zip(terms, values.mean(axis=0), errors, strict=True)
    }


def _of_flows(objectives: tuple, game: Any, response: Any, flows: jax.Array) -> jax.Array:
    """Return terms that are numbers of the flow, `[runs, terms]`, at flows `[T, S, runs]`."""
    import jax
    import jax.numpy as jnp

    def one(flow: jax.Array) -> jax.Array:
        seen: Any = SimpleNamespace(state_law=flow)
        return jnp.stack([objective(game, response, seen) for objective in objectives])

    return jax.vmap(one, in_axes=-1)(flows)
