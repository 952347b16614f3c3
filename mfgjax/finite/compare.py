"""Compare a policy among infinitely many agents with the same policy among N."""

from collections.abc import Iterator

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._display import Listing, Page, Part, shows_itself
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike, Float, Int
from ..kernels import AbstractKernel
from ..model import FiniteHorizonGame, exploitability, policy_value
from ..responses import AbstractResponse
from .arguments import checked_agents, checked_criterion, checked_game, normalized, single_policy
from .deviation import gain_in_double, gain_picture
from .law import law
from .precision import as_double, as_precision, double, game_as_double
from .simulate import simulate_in_double


@shows_itself
class Comparison(eqx.Module):
    """The result of `compare`: one policy among infinitely many agents and among N. It prints as a table.

    Attributes:
      num_agents: N, `[n]`.
      mean_field: the law of one agent among infinitely many, `[T, S]`.
      laws: the mean of μ^N_t(s), `[T, S, n]`; equal to `mean_field` where agents move independently.
      distance: E d_TV(μ^N_t, μ_t), `[T, n]`.
      mean_field_value: J, in units of reward.
      values: J^N, `[n]`.
      differences: J^N − J, `[n]`, computed before the two are rounded to the game's precision.
      value_errors: the errors of these, as in `DeviationGain`: 0 where they are exact.
      exploitability: what one agent gains at most by leaving the policy, among infinitely many agents.
      gains: what one agent gains at most by leaving it among N, `[n]`; NaN if the kernel depends on the population,
        because one agent then has no decision problem of its own.
      gain_errors: the errors of the gains, in the same way.
      bounds: upper bounds on the gains; NaN for Monte Carlo, which gives no bound.
      method: how values and gains were computed; "simulation" if the kernel depends on the population.
      regularized: whether values and gains have KL terms.
    """

    num_agents: Int[Array, " n"]
    mean_field: Float[Array, "T S"]
    laws: Float[Array, "T S n"]
    distance: Float[Array, "T n"]
    mean_field_value: Float[Array, ""]
    values: Float[Array, " n"]
    differences: Float[Array, " n"]
    value_errors: Float[Array, " n"]
    exploitability: Float[Array, ""]
    gains: Float[Array, " n"]
    gain_errors: Float[Array, " n"]
    bounds: Float[Array, " n"]
    method: str = eqx.field(static=True)
    regularized: bool = eqx.field(static=True)

    def _page(self) -> Page:
        kind = "with KL terms" if self.regularized else "in rewards alone"
        heading = f"Values and gains {kind}, by {self.method}."
        return Page(type(self).__name__, "", self._parts, heading=heading, details=self._details)

    def _details(self) -> Iterator[Part]:
        yield gain_picture(self.num_agents, {"gain": self.gains, "bound": self.bounds})

    def _parts(self) -> Iterator[Part]:
        header = ("agents", "value", "± s.e.", "- mean field", "E d_TV at H", "max over t", "gain", "± s.e.", "bound")
        rows: list[tuple[str, ...]] = []
        limit, gain = float(self.mean_field_value), float(self.exploitability)
        columns = (
            *(self.num_agents, self.values, self.value_errors, self.differences),
            *(self.gains, self.gain_errors, self.bounds),
        )
        distance = np.asarray(self.distance, dtype=float)
        for i, (n, value, error, difference, own, own_error, bound) in enumerate(
            zip(*(np.asarray(c) for c in columns), strict=True)
        ):
            numbers = (difference, distance[-1, i], distance[:, i].max(), own, own_error, bound)
            rows.append((f"{n:,}", f"{value:.8g}", _short(error), *(_short(x) for x in numbers)))
        rows.append(("mean field", f"{limit:.8g}", "", "0", "0", "0", _short(gain), "", ""))
        legend = (
            "- mean field: the value less that among infinitely many agents; d_TV: from the population to the mean "
            "field;\n"
            "gain: of one agent that leaves the policy; bound: on the gain."
        )
        yield Listing([f">{name}" for name in header], rows, legend)


def _short(x: float) -> str:
    return "-" if np.isnan(x) else "0" if x == 0 else f"{x:.3g}"


@as_it_is_now
def compare(
    game: FiniteHorizonGame,
    policy: ArrayLike,
    num_agents: ArrayLike,
    response: AbstractResponse | None = None,
    *,
    key: Array | None = None,
    num_samples: int = 10_000,
    num_runs: int = 1000,
) -> Comparison:
    """Compare a policy among infinitely many agents with the same policy among N: values, laws, exploitability.

    It may be any policy: that of an equilibrium, a learned one, or one written by hand. If agents move independently,
    everything is exact, as in `law` and `deviation_gain`, or estimated by Monte Carlo if no exact method fits the
    rewards. If the kernel depends on the population, values and laws are simulated, with standard errors, and there are
    no gains.

    Args:
      game: a game with a finite horizon.
      policy: of all agents, `[T, S, A]` or `[S, A]`.
      num_agents: N in 1..1e9, one number or a list.
      response: None for rewards alone; `EntropyRegularized` for values and gains with KL terms.
      key: random key, such as `jax.random.key(0)`, needed if something is simulated.
      num_samples: number of random draws of the other agents, if no exact method fits the rewards.
      num_runs: number of simulated populations of each size, if the kernel depends on the population.

    Returns:
      A `Comparison`, which prints as a table.

    Raises:
      ValueError: if an argument is invalid (it names the argument, the place and the value), or a key is needed and
        missing.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> table = mfg.finite.compare(game, mfg.solve(game, response).policy, [2, 20, 200], response)
      >>> [f"{gain:.0e}" for gain in table.gains]  # print(table) shows more
      ['2e-02', '2e-04', '2e-06']

    Source: Guan et al. (2021), arXiv:2110.07469, Lemma 5 and Theorem 2.
    """
    game = checked_game(game)
    table, numbers = single_policy(game, policy), checked_agents(num_agents).reshape(-1)
    criterion = checked_criterion(game, response, "compare")
    if isinstance(game.kernel, AbstractKernel):
        gains = gain_in_double(game, table, numbers, criterion, key, num_samples)
        laws = law(game, table, numbers)
        with double():  # rounded to single precision, the two may be equal
            differences = gains.value - gains.mean_field_value
            gains, differences = as_precision((gains, differences), game.dtype)
        return Comparison(
            num_agents=jnp.asarray(numbers),
            mean_field=laws.mean_field,
            # agents who move independently: the mean of μ^N is the law of one
            laws=jnp.broadcast_to(laws.mean_field[..., None], (*laws.mean_field.shape, numbers.size)),
            distance=laws.distance,
            mean_field_value=gains.mean_field_value,
            values=gains.value,
            differences=differences,
            value_errors=gains.value_error,
            exploitability=gains.exploitability,
            gains=gains.gain,
            gain_errors=gains.gain_error,
            bounds=gains.bound,
            method=gains.method,
            regularized=criterion is not None,
        )
    simulation = simulate_in_double(game, table, numbers, num_runs, key, response=criterion)
    with double():
        mu, value, gain = _mean_field(game, table, criterion)
        flows = simulation.flows
        mean_field_and_runs = as_precision(
            {
                "mean_field": mu,
                "laws": flows.mean(axis=-1),
                # the mean over runs comes last: it is the mean of distances, not the distance of the mean
                "distance": 0.5 * jnp.abs(flows - mu[..., None, None]).sum(axis=1).mean(axis=-1),
                "mean_field_value": value,
                "values": simulation.value,
                "differences": simulation.value - value,
                "value_errors": simulation.standard_error,
                "exploitability": gain,
            },
            game.dtype,
        )
    # a deviator would change the kernel of all, and so has no decision problem of its own
    no_gains = jnp.full(numbers.shape, jnp.nan, game.dtype)
    return Comparison(
        num_agents=jnp.asarray(numbers),
        gains=no_gains,
        gain_errors=no_gains,
        bounds=no_gains,
        method="simulation",
        regularized=criterion is not None,
        **mean_field_and_runs,
    )


@eqx.filter_jit
def _mean_field(
    game: FiniteHorizonGame, policy: Array, criterion: AbstractResponse | None
) -> tuple[Array, Array, Array]:
    game, criterion = game_as_double(game), as_double(criterion)
    pi = normalized(policy)
    mu, seen = game.generated(pi)
    return mu, policy_value(game, pi, seen, criterion), exploitability(game, pi, criterion)
