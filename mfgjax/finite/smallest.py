"""How many agents it takes for a policy to be an ε-equilibrium."""

from typing import NamedTuple

import numpy as np

from .. import _checks
from .._display import shows_itself
from .._traced import as_it_is_now
from .._typing import ArrayLike
from ..model import FiniteHorizonGame
from ..responses import AbstractResponse
from .arguments import MOST_AGENTS, decoupled_game
from .deviation import DeviationGain, gain_in_double
from .interaction import with_known_interaction
from .payoffs import has_exact_method
from .precision import double

_AT_ONCE = 32


@shows_itself
class SmallestPopulation(NamedTuple):
    """The result of `smallest_population`: the number of agents from which on a measure is at most ε.

    Attributes:
      num_agents: N.
      value: the measure for N agents, in units of reward.
      value_before: the measure for N − 1 agents; NaN if N = 1.
      measure: "gain", "value_gap" or "bound".
    """

    num_agents: int
    value: float
    value_before: float
    measure: str


@as_it_is_now
def smallest_population(
    game: FiniteHorizonGame,
    policy: ArrayLike,
    epsilon: float,
    response: AbstractResponse | None = None,
    *,
    measure: str = "gain",
) -> SmallestPopulation:
    """Find how many agents it takes for a policy to be an ε-equilibrium.

    The measure (the gain of one agent, the value gap, or the bound) is computed exactly, for N = 1..32 and for a
    geometric grid up to 1e9. Then the search goes on between the last grid point where the measure exceeds ε and the
    next one, until two neighbours are found: at N the measure is at most ε, at N − 1 it is above. On the grid points
    beyond N it is at most ε. If the measure does not fall steadily in N, smaller populations may also meet ε, and
    larger ones between the grid points may exceed it. The rounding errors that `deviation_gain` reports where Θ jumps
    are not added to the measure.

    Args:
      game: a game with a finite horizon whose kernel does not depend on the population, with rewards that an exact
        method of `deviation_gain` fits.
      policy: of all agents, `[T, S, A]` or `[S, A]`.
      epsilon: ε > 0, in units of reward.
      response: as in `deviation_gain`.
      measure: what is to be at most ε: "gain", "value_gap" or "bound".

    Returns:
      `SmallestPopulation(num_agents, value, value_before, measure)`.

    Raises:
      ValueError: if ε is not reached with 1e9 agents (for the gain, look at the exploitability of the policy), or if
        no exact method fits.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> eq = mfg.solve(game, response)
      >>> mfg.finite.smallest_population(game, eq.policy, 1e-3, response).num_agents
      8

    Source: Guan et al. (2021), arXiv:2110.07469, Theorem 2, turned around.
    """
    limit = _checks.number_in("epsilon", epsilon, 0, float("inf"), "(0, inf)")
    _checks.one_of("measure", measure, ("gain", "value_gap", "bound"))

    checked = decoupled_game(game, "smallest_population")
    with double():
        is_exact = has_exact_method(with_known_interaction(checked), np.array([MOST_AGENTS]))
    if not is_exact:
        raise ValueError(
            "`game` has rewards that no exact method fits for populations up to 1e9, which "
            "`finite.smallest_population` needs; look at `finite.deviation_gain` for single numbers of agents."
        )

    def measured(numbers: np.ndarray) -> tuple[np.ndarray, DeviationGain]:
        gains = gain_in_double(game, policy, numbers, response)
        return np.array(getattr(gains, measure)), gains

    numbers = np.arange(1, _AT_ONCE + 1)
    values, _ = measured(numbers)
    # gains fall like a power of N, so that equal ratios resolve them evenly
    grid = np.unique(np.round(np.geomspace(_AT_ONCE, MOST_AGENTS, _AT_ONCE)).astype(np.int64))
    grid_values, grid_gains = measured(grid)
    numbers, values = np.concatenate([numbers, grid[1:]]), np.concatenate([values, grid_values[1:]])
    above = np.flatnonzero(~(values <= limit))  # NaN is not enough either
    if len(above) and above[-1] == len(values) - 1:
        sentence = f"`epsilon` is {limit:g}, but the {measure} is still {values[-1]:.3g} with {MOST_AGENTS:,} agents"
        limit_gain = float(grid_gains.exploitability)
        raise ValueError(f"{sentence}; among infinitely many the exploitability of the policy is {limit_gain:.3g}.")
    if not len(above):
        return SmallestPopulation(1, float(values[0]), float("nan"), measure)
    low, high = int(numbers[above[-1]]), int(numbers[above[-1] + 1])
    before, value = float(values[above[-1]]), float(values[above[-1] + 1])
    while high - low > 1:
        # all batches have one length, so that nothing is compiled anew
        between = np.round(np.linspace(low, high, _AT_ONCE)).astype(np.int64)
        values, _ = measured(between)
        values[0], values[-1] = before, value  # rounding may differ between calls
        last_above = np.flatnonzero(~(values <= limit))[-1]
        low, before = int(between[last_above]), float(values[last_above])
        high, value = int(between[last_above + 1]), float(values[last_above + 1])
    return SmallestPopulation(high, value, before, measure)
