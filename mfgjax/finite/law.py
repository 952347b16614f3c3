"""The law of a finite population, and its expected distance from the mean field."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import Page, Part, Picture, shows_itself
from .._modes import in_own_modes
from .._shown_laws import law_parts
from .._svg import Line, lines
from .._typing import Array, ArrayLike, Float, Int
from ..model import FiniteHorizonGame
from . import binomial
from .arguments import checked_agents, decoupled_game, normalized, single_policy
from .precision import DOUBLE, as_precision, double, game_as_double


@shows_itself
class PopulationLaw(eqx.Module):
    """The result of `law`: how N independent agents are distributed. `*populations` is the shape of `num_agents`.

    Attributes:
      num_agents: N.
      mean_field: μ_t(s), the law of one agent and of infinitely many, `[T, S]`.
      distance: E d_TV(μ^N_t, μ_t), exactly, `[T, *populations]`.
      bound: ½ Σ_s √(μ_t(s)(1 − μ_t(s))/N), an upper bound on `distance`.
      uniform_bound: ½ √((S − 1)/N), an upper bound on `bound`, `[*populations]`.
      deviated_distance: E d_TV(μ̃^N_t, μ_t) if one agent follows `deviation`; None without a deviation.
      deviated_bound: an upper bound on it that holds whatever this agent does.
      exact_mean_field: μ in double precision, also if the game is in single precision.
    """

    num_agents: Int[Array, "*populations"]
    mean_field: Float[Array, "T S"]
    distance: Float[Array, "T *populations"]
    bound: Float[Array, "T *populations"]
    uniform_bound: Float[Array, "*populations"]
    deviated_distance: Float[Array, "T *populations"] | None
    deviated_bound: Float[Array, "T *populations"]
    exact_mean_field: Float[Array, "T S"] = eqx.field(repr=False)

    def _page(self) -> Page:
        numbers = np.ravel(np.asarray(self.num_agents))
        farthest = np.asarray(self.distance).max(axis=0).ravel()
        shown = ", ".join(f"N={n:,}: {d:.3g}" for n, d in zip(numbers[:6], farthest[:6], strict=True))
        summary = f"largest expected distance from the mean field {shown}{', ...' * (len(numbers) > 6)}"
        return Page(type(self).__name__, summary, details=self._details)

    def _details(self) -> Iterator[Part]:
        numbers = np.ravel(np.asarray(self.num_agents))
        tables = {"exact": self.distance, "bound": self.bound}
        series = [Line(name, numbers, np.asarray(table).max(axis=0).ravel()) for name, table in tables.items()]
        picture = lines(series, "number of agents N", "distance", log_x=True, log_y=True)
        yield Picture(picture, "E d_TV of N agents from the mean field, largest over time")
        yield from law_parts(np.asarray(self.mean_field), ())

    def probability(self, count: ArrayLike, t: ArrayLike, state: ArrayLike) -> Array:
        """Return the probability that exactly `count` agents are at `state` at time t.

            n_t(s) ~ Binomial(N, μ_t(s))

        Args:
          count: whole numbers, in a shape that broadcasts with `num_agents`.
          t: times, in a shape that broadcasts in the same way.
          state: indices of states, in a shape that broadcasts in the same way.
        """
        dtype = self.mean_field.dtype
        times, states = self.mean_field.shape
        for name, value, size in (("count", count, None), ("t", t, times), ("state", state, states)):
            _check_whole(name, value, size)
        with double():
            return _probability(self.exact_mean_field, self.num_agents, count, t, state).astype(dtype)


def _check_whole(name: str, value: ArrayLike, size: int | None) -> None:
    """Refuse numbers that are not whole, or that are no indices of `size` entries."""
    numbers = _checks.as_numbers(name, value, "whole numbers")
    if _checks.is_traced(numbers):
        return
    numbers = np.asarray(numbers)
    _checks.all_true(name, numbers, numbers == np.round(numbers), "it must be a whole number")
    if size is not None:
        _checks.all_true(name, numbers, (numbers >= 0) & (numbers < size), f"it must lie between 0 and {size - 1}")


@eqx.filter_jit
def _probability(mean_field: Array, num_agents: Array, count: ArrayLike, t: ArrayLike, state: ArrayLike) -> Array:
    count = jnp.asarray(count)
    inside = (count >= 0) & (count <= num_agents)
    # clipped, as `log_pmf` is for 0..N alone
    log = binomial.log_pmf(jnp.clip(count, 0, num_agents), num_agents, mean_field[t, state])
    return jnp.where(inside, jnp.exp(log), 0)


@in_own_modes
def law(
    game: FiniteHorizonGame, policy: ArrayLike, num_agents: ArrayLike, *, deviation: ArrayLike | None = None
) -> PopulationLaw:
    """Compute how far the empirical law of N agents who follow a policy is from the mean field.

    If agents move independently of each other, the number of agents in a state is binomial. So the expected distance is
    a sum of mean absolute deviations of binomial laws, each in closed form:

        E d_TV(μ^N_t, μ_t) = ½ Σ_s E|n_t(s)/N − μ_t(s)| ≤ ½ Σ_s √(μ_t(s)(1 − μ_t(s))/N) ≤ ½ √((S − 1)/N)

    If one of them deviates, with law ν_t, μ̃^N_t(s) = (1{s̃_t = s} + n'_t(s))/N with n'_t(s) ~ Binomial(N−1, μ_t(s)):

        E d_TV(μ̃^N_t, μ_t) = ½ Σ_s (ν_t(s) E|1 + n' − Nμ_t(s)| + (1 − ν_t(s)) E|n' − Nμ_t(s)|)/N
                           ≤ 1/N + ((N−1)/N) ½ Σ_s √(μ_t(s)(1 − μ_t(s))/(N−1))

    Args:
      game: a game with a finite horizon whose kernel does not depend on the population.
      policy: of all agents, `[T, S, A]` or `[S, A]`.
      num_agents: N in 1..1e9, one number or an array.
      deviation: the policy of one agent who deviates; None: nobody deviates.

    Returns:
      A `PopulationLaw`; distances are between 0 and 1.

    Raises:
      ValueError: naming the argument, the place and the value, or for a kernel that depends on the population.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> law = mfg.finite.law(game, mfg.solve(game, response).policy, [10, 1000])
      >>> [f"{distance:.2f}" for distance in law.distance[1]]  # of the empirical law at time 1
      ['0.13', '0.01']

    Source: Guan et al. (2021), arXiv:2110.07469, Lemmas 5 and 6, whose constants are worked out here.
    """
    game = decoupled_game(game, "law")
    table, numbers = single_policy(game, policy), checked_agents(num_agents)
    deviating_policy = None if deviation is None else single_policy(game, deviation, "deviation")
    with double():
        return _law(game, table, deviating_policy, numbers)


@eqx.filter_jit
def _law(game: FiniteHorizonGame, policy: Array, deviation: Array | None, num_agents: Array) -> PopulationLaw:
    dtype, game = game.dtype, game_as_double(game)
    mu = jnp.clip(game.generated(normalized(policy))[0], 0, 1)  # sums are rounded
    flat = num_agents.astype(DOUBLE).reshape(-1)

    def exact(n):
        return 0.5 * (binomial.mean_absolute_deviation(n, mu) / n).sum(axis=1)

    def bound(n):
        return 0.5 * jnp.sqrt(mu * (1 - mu) / n).sum(axis=1)

    def deviated_bound(n):
        return 1 / n + (n - 1) / n * bound(jnp.maximum(n - 1, 1))  # N = 1: no others, and no 0/0

    nu = mu if deviation is None else game.generated(normalized(deviation))[0]

    def deviated(n):
        there = binomial.expectation(lambda k: jnp.abs(1 + k - n * mu), n - 1, mu)
        elsewhere = binomial.expectation(lambda k: jnp.abs(k - n * mu), n - 1, mu)
        return 0.5 * ((nu * there + (1 - nu) * elsewhere) / n).sum(axis=1)

    def over(function):
        """Compute a function of N for all populations, [T, *populations]."""
        return jnp.moveaxis(jax.lax.map(function, flat), 0, 1).reshape(-1, *num_agents.shape)

    uniform = 0.5 * jnp.sqrt((game.num_states - 1) / num_agents.astype(DOUBLE))
    deviated_distance = None if deviation is None else over(deviated)
    in_double = (mu, over(exact), over(bound), uniform, deviated_distance, over(deviated_bound))
    return PopulationLaw(jnp.asarray(num_agents), *as_precision(in_double, dtype), exact_mean_field=mu)
