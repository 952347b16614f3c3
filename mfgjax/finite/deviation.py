"""The gain of one agent among N that leaves a policy: Theorem 2 with its numbers."""

from collections.abc import Iterator, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._display import Facts, Listing, Page, Part, Picture, shows_itself
from .._largest_states import evenly
from .._shorten import short_number
from .._simplex import safe_log
from .._svg import Line, lines
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike, Float, Int
from ..model import FiniteHorizonGame
from ..operators import backward, evaluate
from ..responses import AbstractResponse, EntropyRegularized, Greedy
from .arguments import checked_agents, checked_criterion, decoupled_game, normalized, penalty, single_policy
from .interaction import with_known_interaction
from .payoffs import PayoffMethod, is_enumerable, payoff_methods
from .poles import reward_with_poles
from .precision import as_double, as_precision, double, game_as_double

_MOST_ROWS = 12


@shows_itself
class DeviationGain(eqx.Module):
    """The result of `deviation_gain`: what one agent gains by leaving a policy that N − 1 others follow.

    `*populations` is the shape of `num_agents`. Values are in units of reward, with KL terms if the response was
    `EntropyRegularized`.

    Attributes:
      num_agents: N.
      gain: the gain of the best deviation; it is ≥ 0 where it is exact.
      value: J^N(π, π), the value of following the policy like all others.
      best_value: the value of the best deviation, `value + gain`.
      value_gap: |J^N(π, π) − J(π, π)|, the difference from the value among infinitely many agents.
      mean_field_value: J(π, π).
      exploitability: the gain among infinitely many agents; 0 at an equilibrium.
      bound: an upper bound on `gain`, see `deviation_gain`; NaN for Monte Carlo, which gives no bound.
      policy: the best deviation, `[T, S, A, *populations]`.
      rewards: R^N_t(s,a), what the deviator expects to earn, `[T, S, A, *populations]`; 0 for actions that are not
        available.
      gain_error: standard error of `gain`; for exact methods the change that rounding may cause, as a rule 0: see
        `deviation_gain`.
      value_error: the same for `value` and `value_gap`.
      method: how R^N was computed: "closed form", "binomial sum", "lattice", "enumeration", "Monte Carlo".
    """

    num_agents: Int[Array, "*populations"]
    gain: Float[Array, "*populations"]
    value: Float[Array, "*populations"]
    best_value: Float[Array, "*populations"]
    value_gap: Float[Array, "*populations"]
    mean_field_value: Float[Array, ""]
    exploitability: Float[Array, ""]
    bound: Float[Array, "*populations"]
    policy: Float[Array, "T S A *populations"]
    rewards: Float[Array, "T S A *populations"]
    gain_error: Float[Array, "*populations"]
    value_error: Float[Array, "*populations"]
    method: str = eqx.field(static=True)

    def _page(self) -> Page:
        numbers, gains, gaps = (np.ravel(np.asarray(x)) for x in (self.num_agents, self.gain, self.value_gap))
        shown = ", ".join(f"N={n:,}: {g:.3g}" for n, g in zip(numbers[:6], gains[:6], strict=True))
        ellipsis = ", ..." if len(numbers) > 6 else ""
        summary = f"{shown}{ellipsis}; value gap {gaps[0]:.3g} to {gaps[-1]:.3g}; by {self.method}"
        return Page(type(self).__name__, summary, title=f"by {self.method}", details=self._details)

    def _details(self) -> Iterator[Part]:
        fields = (self.num_agents, self.gain, self.gain_error, self.bound, self.value_gap)
        columns = [np.ravel(np.asarray(field)) for field in fields]
        yield Facts(
            [("exploitability", short_number(self.exploitability)), ("value", short_number(self.mean_field_value))]
        )
        chosen = evenly(len(columns[0]), _MOST_ROWS)
        rows = [(f"{columns[0][i]:,}", *(short_number(column[i]) for column in columns[1:])) for i in chosen]
        yield Listing((">agents", ">gain", ">± error", ">bound on the gain", ">value gap"), rows)
        yield gain_picture(self.num_agents, {"gain": self.gain, "bound": self.bound})


def gain_picture(num_agents: Array, measures: Mapping[str, Array]) -> Picture:
    """Draw measures of N agents against N; those that are 0 or NaN are left out."""
    numbers = np.ravel(np.asarray(num_agents))
    series = [Line(name, numbers, np.ravel(np.asarray(values))) for name, values in measures.items()]
    caption = "what one agent gains at most by leaving the policy"
    return Picture(lines(series, "number of agents N", "units of reward", log_x=True, log_y=True), caption)


@as_it_is_now
def deviation_gain(
    game: FiniteHorizonGame,
    policy: ArrayLike,
    num_agents: ArrayLike,
    response: AbstractResponse | None = None,
    *,
    key: Array | None = None,
    num_samples: int = 10_000,
    method: str | None = None,
) -> DeviationGain:
    """Compute the most that one of N agents can gain by leaving a policy that the other N − 1 follow.

    If agents move independently of each other, the agent that leaves the policy (the deviator) has a decision problem
    of its own, with the rewards

        R^N_t(s,a) = E R_t(s, a, μ̃^N_t | deviator at s),   μ̃^N_t = (1{s} + Σ_{k=2..N} 1{X_k})/N,   X_k ~ μ_t i.i.d.
                   = E Θ_t((L_t(s,a,s) + Σ_{k=2..N} L_t(s,a,X_k))/N)        for a `PairwiseReward`

    So J^N, the best deviation (by backward induction) and the gain are as exact as R^N. The method for R^N is the first
    of these that fits:

        closed form    Θ of degree 2 at most: mean and variance
        binomial sum   only the number of agents at one's own state, or where one's move leads, matters
        lattice        L takes few multiples of one step: inverse Fourier transform of the (N−1)-th power
        enumeration    any reward, few agents and places: all distributions of the others
        Monte Carlo    any reward: random distributions of the others, with standard errors. The best answer to noisy
                       rewards is too good; the jackknife corrects for that, and may go a little below 0.
                       Errors are a rough guide where the gain is smaller than they are.

    An interaction or a reward that is given as a function counts as a table if it is affine in the mean field.

    If Θ jumps at a number that the population attains, as 1{x ≥ .9} does at x = 3·(3/10), rounding decides on which
    side of the jump x is. The reward that counts is then the game's own, in double precision, at the shares k/N. The
    errors say what the other side of the jump would change, and enumeration replaces the lattice where it is possible.
    The errors are 0 if nothing but k/N itself is rounded. A reward that is not a `PairwiseReward` with a table is
    enumerated as it is.

    If Θ has a pole within a few rounding errors of a number that the population or the mean field attains, as 1/x does
    at x = −.21 + .3·(7/10), the reward counts as infinite there, and an error is raised (NaN within `jit`). For a
    reward that is not a `PairwiseReward` with a table, this is found as far as its program has bounds.

    The gain is summed without cancellation, from differences of policies (with KL terms) or from advantages. Write span
    f for the largest difference of f between two available pairs (s,a). Then `bound` is the first of

        exploitability + Σ_t γ^t o_t,                              o_t = span (R^N_t − R_t)
        (β/8) (S_0² + (1−γ) Σ_{t=1..H} γ^t S_t²),                  S_t = Σ_{τ≥t} γ^(τ−t) o_τ,
                                       o_t = span (R^N_t − R_t + e_t), e = Q^π − (1/β) log(π/ρ) − V^π

    or, with KL terms, the smaller of the two; both hold for any policy. At an equilibrium e is 0, and the second is
    O(β/N²) for smooth Θ. Proof of the second: subtracting e from the rewards makes π optimal (its soft values are V^π),
    and the KL terms make the best value a function of the rewards with curvature at most β/4 times their squared span.

    The deviator knows its own state and the time, like the policy. For a deviator who also observes the others the
    exact numbers do not hold; the bound O(1/√N) of the paper does.

    Args:
      game: a game with a finite horizon whose kernel does not depend on the population.
      policy: of all agents, `[T, S, A]` or `[S, A]`.
      num_agents: N in 1..1e9, one number or an array.
      response: None for the gain in rewards alone; `EntropyRegularized` for the gain with KL terms.
      key: random key for Monte Carlo, such as `jax.random.key(0)`.
      num_samples: number of random draws of the other agents for Monte Carlo.
      method: name of one of the methods above; None: the first that fits.

    Returns:
      A `DeviationGain`, with arrays in the shape of `num_agents`.

    Raises:
      ValueError: if an argument is invalid (it names the argument, the place and the value); if the kernel depends on
        the population; if no exact method fits and there is no key.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> found = mfg.finite.deviation_gain(game, mfg.solve(game, response).policy, [2, 20, 200], response)
      >>> [f"{gain:.0e}" for gain in found.gain], found.method
      (['2e-02', '2e-04', '2e-06'], 'closed form')

    Source: Guan et al. (2021), arXiv:2110.07469, Theorem 2, eqs. (22)-(27), whose rates are improved here: the value
    gap is O(1/N) and the regularised gain O(β/N²) for Θ with a Lipschitz derivative.
    """
    found = gain_in_double(game, policy, num_agents, response, key, num_samples, method)
    with double():
        return as_precision(found, game.dtype)


def gain_in_double(
    game: FiniteHorizonGame,
    policy: ArrayLike,
    num_agents: ArrayLike,
    response: AbstractResponse | None,
    key: Array | None = None,
    num_samples: int = 10_000,
    method: str | None = None,
) -> DeviationGain:
    """Return what `deviation_gain` does, in double precision."""
    game = decoupled_game(game, "deviation_gain")
    own = game
    with double():
        game = with_known_interaction(game)
    table, numbers = single_policy(game, policy), checked_agents(num_agents)
    criterion = checked_criterion(game, response, "deviation_gain")
    flat = numbers.reshape(-1)
    with double():
        for payoffs in payoff_methods(game, flat, method, key, num_samples):
            as_given = payoffs.method in ("enumeration", "Monte Carlo")  # the game's own program adds up the crowd
            by_population, shared, has_digits = _deviate(own if as_given else game, table, flat, criterion, payoffs)
            if isinstance(has_digits, Tracer):  # within jit no value can be looked at
                break
            # where rounding decides, rewards of the game itself are preferred
            jumps = method is None and payoffs.method == "lattice" and by_population["gain_error"].any()
            if has_digits.all() and not (jumps and is_enumerable(game, flat)):
                break
        else:
            raise ValueError(
                f"`method` is {method!r}, but Θ is so steep that rounding errors exceed the result: use fewer agents "
                "in one call, or `method=None`, which also tries the other methods."
            )
        _check_finite(game, by_population["rewards"])
        shaped = {name: x.reshape(*x.shape[:-1], *numbers.shape) for name, x in by_population.items()}
    return DeviationGain(num_agents=jnp.asarray(numbers), method=payoffs.method, **shaped, **shared)


def _check_finite(game: FiniteHorizonGame, rewards: Array) -> None:
    """Refuse rewards of available pairs that are not finite, among finitely many agents or in the mean field."""
    if isinstance(rewards, Tracer):
        return
    table = np.asarray(rewards)
    mask = np.broadcast_to(np.asarray(game.available)[..., None], table.shape)
    wrong = np.argwhere(mask & ~np.isfinite(table))
    if len(wrong):
        t, s, a, _ = map(int, wrong[0])
        raise ValueError(
            f"`game.reward` is not finite at (time, state, action) = ({t}, {s}, {a}), or rounding may hide a pole of "
            "it there, in the mean field of the policy or in a population of N agents; gains need finite rewards in "
            "every state that an agent can reach."
        )


@eqx.filter_jit
def _deviate(
    game: FiniteHorizonGame,
    policy: Array,
    num_agents: Array,
    criterion: EntropyRegularized | None,
    payoffs: PayoffMethod,
) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """Return what depends on N, what does not, and whether no digits were lost."""
    game, (criterion, payoffs) = game_as_double(game), as_double((criterion, payoffs))
    pi = normalized(policy)
    mu, seen = game.generated(pi)
    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    shift, has_digits, width, groups = payoffs.shift(game, mu, seen, num_agents)
    width = jnp.zeros_like(shift) if width is None else width
    # infinitely many agents are one more population, the last
    shift, width = (jnp.concatenate([x, jnp.zeros_like(x[..., :1])], axis=-1) for x in (shift, width))
    reward_at = reward_with_poles(game)
    rewards = jax.lax.map(lambda x: reward_at(*x), (times, seen))
    available = jnp.broadcast_to(game.available, pi.shape)
    has_digits = jnp.asarray(True) if has_digits is None else (has_digits | ~available[..., None]).all()
    shift, rewards, width = (jnp.where(available[..., None], x, 0) for x in (shift, rewards[..., None] + shift, width))
    weight = game.discount**times
    mass = (weight[:, None] * mu)[..., None] * pi
    cost = penalty(game, pi, criterion)
    pair_axes = (0, 1, 2)
    value = (mass[..., None] * (rewards - cost[..., None])).sum(pair_axes)
    difference = (mass[..., None] * shift).sum(pair_axes)

    def leave(rewards):
        """Return gains and best deviations for rewards [T, S, A, n]."""
        terminal = jnp.zeros((game.num_states, rewards.shape[-1]))
        response = Greedy() if criterion is None else criterion
        best, q = backward(
            game.kernel_at, lambda t, _: rewards[t], game.available_at, response, seen, game.discount, terminal
        )
        # terms ≥ 0 that add up to the gain; best value less own value would lose all digits near an equilibrium
        if criterion is None:
            gain_by_action = jnp.where(pi[..., None] > 0, pi[..., None] * (best.values[:, :, None] - q), 0)
        else:
            gain_by_action = _divergence(pi[..., None], best.log_policy, best.policy) / criterion.beta
        return ((weight[:, None] * mu)[..., None] * gain_by_action.sum(axis=2)).sum((0, 1)), best.policy

    gain, best = leave(rewards)  # the last entry is the exploitability among infinitely many
    most = width.max(axis=(1, 2))  # of either of two pairs
    bound = gain[-1] + jnp.tensordot(weight, _span(shift, available) + 2 * most, axes=1)
    if criterion is not None:
        error = _optimality_error(game, pi, rewards[..., -1], seen, criterion)
        span = _span(shift + error[..., None], available) + 2 * most
        bound = jnp.fmin(bound, _quadratic_bound(span, game.discount, criterion.beta))  # NaN or ∞ where π is 0

    value_error = (mass[..., None] * width).sum(pair_axes)[:-1]
    gain_error = value_error + jnp.tensordot(weight, most, axes=1)[:-1]
    if groups is not None:
        groups = jnp.where(available[..., None], groups, 0)
        value_error = _error((mass[..., None] * groups).sum((1, 2, 3)))
        # the best of noisy rewards is too good: the jackknife takes that off, and tells the error
        num_groups = groups.shape[0]
        rewards_without = (
            jnp.moveaxis((groups.sum(axis=0) - groups) / (num_groups - 1), 0, -2) + rewards[..., None, -1:]
        )
        gains_without = leave(rewards_without.reshape(*rewards_without.shape[:3], -1))[0].reshape(num_groups, -1)
        gain = gain.at[:-1].set(num_groups * gain[:-1] - (num_groups - 1) * gains_without.mean(axis=0))
        gain_error = (num_groups - 1) * _error(gains_without)
        bound = jnp.full_like(bound, jnp.nan)  # a rare event may never have been drawn
    by_population = {
        "gain": gain,
        "value": value,
        "best_value": value + gain,
        "value_gap": jnp.abs(difference),
        "bound": bound,
        "policy": best,
        "rewards": rewards,
    }
    by_population = {name: x[..., :-1] for name, x in by_population.items()}
    by_population |= {"gain_error": gain_error, "value_error": value_error}
    return by_population, {"mean_field_value": value[-1], "exploitability": gain[-1]}, has_digits


def _divergence(pi: Array, log_other: Array, other: Array) -> Array:
    """Return terms ≥ 0 that add up to KL(π‖π') over the actions: π (r + exp(−r) − 1), r = log π/π'.

    Near r = 0 they are r²/2, which the difference would lose; so they are exact also where the policies differ by 1e-9.
    """
    positive = pi > 0
    r = jnp.where(positive, safe_log(pi) - jnp.where(positive, log_other, 0), 0)
    small = jnp.abs(r) < 1e-2
    near = jnp.where(small, r, 0)
    series = near**2 / 2 * (1 - near / 3 * (1 - near / 4 * (1 - near / 5 * (1 - near / 6))))
    far = jnp.where(small, 1, r)
    return jnp.where(positive, pi * jnp.where(small, series, far + jnp.expm1(-far)), other)


def _span(table: Array, available: Array) -> Array:
    """Return the largest difference between available pairs of state and action at each time, `[T, n]`."""
    mask = available[..., None]
    return jnp.where(mask, table, -jnp.inf).max((1, 2)) - jnp.where(mask, table, jnp.inf).min((1, 2))


def _optimality_error(
    game: FiniteHorizonGame, pi: Array, rewards: Array, seen: Array, criterion: EntropyRegularized
) -> Array:
    """Return e_t(s,a) = Q^π − (1/β) log(π/ρ) − V^π: with rewards R − e the policy is optimal; 0 at an equilibrium."""
    log_pi, log_reference = safe_log(pi), criterion.log_prior(game.available, pi.dtype)
    values, q = evaluate(
        game.kernel_at,
        lambda t, _: rewards[t],
        seen,
        log_pi,
        game.discount,
        jnp.zeros_like(game.initial),
        (criterion.beta, log_reference),
    )
    return q - values[:, :, None] - (log_pi - log_reference) / criterion.beta


def _quadratic_bound(span: Array, discount: Array, beta: Array) -> Array:
    """Return (β/8)(S_0² + (1−γ) Σ_{t≥1} γ^t S_t²) with S_t = o_t + γ S_{t+1}, for spans `[T, n]`."""

    def add(later, span_now):
        total = span_now + discount * later
        return total, total

    _, tail = jax.lax.scan(add, jnp.zeros_like(span[0]), span, reverse=True)
    weight = discount ** jnp.arange(1, span.shape[0])
    # spans are infinite where a policy is 0
    later = jnp.where(discount < 1, (1 - discount) * weight[:, None] * tail[1:] ** 2, 0).sum(axis=0)
    return beta / 8 * (tail[0] ** 2 + later)


def _error(means: Array) -> Array:
    """Return the standard error of the mean of groups, `[groups, n]`."""
    return means.std(axis=0, ddof=1) / jnp.sqrt(means.shape[0])
