"""A tuned policy among N agents."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import finite
from .._typing import Array
from ..design import Tuned
from ..kernels import AbstractKernel
from .output import finite as number
from .problem import Problem


@eqx.filter_jit
def _of_flows(objectives: tuple, game: Any, response: Any, flows: Array) -> Array:
    """Return terms that are numbers of the flow, `[runs, terms]`, at flows `[T, S, runs]`."""

    def one(flow: Array) -> Array:
        seen: Any = SimpleNamespace(state_law=flow)
        return jnp.stack([objective(game, response, seen) for objective in objectives])

    return jax.vmap(one, in_axes=-1)(flows)


def populations_of(problem: Problem, found: Tuned, sizes: list[int], runs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Return what becomes of the tuned policy among N agents: what one gains by leaving it, and the terms there.

    Args:
      problem: that was tuned.
      found: the design.
      sizes: each N.
      runs: simulated populations of each size.
      seed: of the random numbers.
    """
    game, response, policy = found.game, found.response, found.equilibrium.policy
    own, other = jax.random.split(jax.random.key(seed))
    gains, method, distance = {}, None, None
    if isinstance(game.kernel, AbstractKernel):  # else one who leaves the policy moves the others too
        for suffix, criterion in (("_regularised", response), ("", None)):
            gains[suffix] = finite.deviation_gain(game, policy, np.array(sizes), criterion, key=own)
            method = gains[suffix].method
        distance = np.asarray(finite.law(game, policy, np.array(sizes)).distance[-1])
    for i, n in enumerate(sizes):
        row: dict[str, Any] = {"num_agents": n, "num_runs": runs, "method": method}
        for suffix in ("_regularised", ""):
            for name in ("gain", "bound"):
                row[name + suffix] = number(getattr(gains[suffix], name)[i]) if gains else None
        row["distance"] = None if distance is None else number(distance[i])
        flows = finite.simulate(game, policy, n, runs, key=jax.random.fold_in(other, i)).flows
        last = np.asarray(flows[-1])
        row["terms"] = _terms(problem, found, flows)
        deviation = last.std(axis=1, ddof=1) if runs > 1 else np.full(len(last), np.nan)
        row["terminal_law"] = {
            label: {"mean": number(mean), "standard_deviation": number(spread)}
            for label, mean, spread in zip(game.state_labels, last.mean(axis=1), deviation, strict=True)
        }
        yield row


def _terms(problem: Problem, found: Tuned, flows: Array) -> dict[str, Any]:
    terms, runs = [term for term in problem.terms if term.of_law], flows.shape[-1]
    if not terms:
        return {}
    objectives = tuple(term.objective for term in terms)
    values = np.asarray(_of_flows(objectives, found.game, found.response, flows))
    errors = values.std(axis=0, ddof=1) / np.sqrt(runs) if runs > 1 else np.full(len(terms), np.nan)
    return {
        term.label: {"mean": number(value), "standard_error": number(error)}
        for term, value, error in zip(terms, values.mean(axis=0), errors, strict=True)
    }
