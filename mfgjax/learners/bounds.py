"""How many samples learning needs: the printed guarantees, as log10, and ones that can be used."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .. import _checks
from .._display import shows_itself
from .._linear import zero_sum_norm
from .._modes import in_own_modes
from .._typing import Array, ArrayLike
from ..engine import fit_response
from ..model import StationaryGame, respond, trace_game
from ..operators import action_gap
from ..responses.trembling import AbstractTrembling
from .base import learned


@shows_itself
class Guarantee(NamedTuple):
    """The result of `model_guarantee`: an error bound for values learned from n draws of each pair in one population.

    Attributes:
      error: bound on max |Q̂ − Q|, in units of reward, which holds with probability 1 − δ at all steps.
      gap: the smallest action gap of Q.
      samples: smallest n at which the bound is below gap/2, so that the best action of every state is found; infinite
        at a tie.
    """

    error: float
    gap: float
    samples: float


def tmfq_updates(
    *,
    c1: float,
    c2: float,
    c3: float,
    num_steps: int,
    discount: float,
    num_states: int,
    num_actions: int,
    covering_time: float,
    distance: float,
    delta: float,
    exponent: float = 0.77,
) -> float:
    """Return log10 of the updates per step of TMFQ-learning in Theorem 4, with 1 for the constant of O(·).

        T₀ = (B² L^(1+3w) V² / (β² ε²) ln(2 B k₀ S A V / (δ β ε)))^(1/w) + (L/β ln(B V/ε))^(1/(1−w))
        B = (1 + C₂ + C₃ D)^(k₀+1) (C₃ + 1),  D = (C₁ + γ C₂)/(1 − γ),  V = 1/(1 − γ),  β = (1 − γ)/2

    Trembling policies jump at ties, so no finite C₃ holds for all Q: the formula is the paper's, not a guarantee.

    Args:
      c1: C₁ > 0, Lipschitz constant of the reward in z, in l1.
      c2: C₂ > 0, that of the kernel.
      c3: C₃ > 0, that of the moves in Q.
      num_steps: k₀ ≥ 1, steps of the population.
      discount: γ in (0, 1).
      num_states: S.
      num_actions: A.
      covering_time: L ≥ 1, steps to visit every pair.
      distance: ε in (0, 1); the law is then promised to be within 2ε of the equilibrium, in l1.
      delta: δ in (0, 1), the probability of failure.
      exponent: w in (1/2, 1), of the step size.

    Returns:
      log10 of the number, −inf where it is 0.

    Raises:
      ValueError: naming the argument that is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> numbers = dict(c1=0.1, c2=0.1, c3=1.0, num_steps=10, num_states=25, num_actions=5, discount=0.5)
      >>> log10 = mfg.learners.tmfq_updates(**numbers, covering_time=1e4, distance=0.1, delta=0.1)
      >>> f"10^{log10:.1f}"
      '10^28.8'

    Source: Lee et al. (2021), arXiv:2006.11683, theorem 4, eq. (7).
    """
    c1, c2, c3 = (_positive(name, value) for name, value in (("c1", c1), ("c2", c2), ("c3", c3)))
    steps, gamma = _whole("num_steps", num_steps), _unit("discount", discount)
    # in logarithms, as a power of k₀ + 1 overflows
    log_b = (steps + 1) * _log_sum(0, math.log(c2), math.log(c3) + _log_d(c1, c2, gamma)) + math.log1p(c3)
    first, second = _terms(log_b, gamma, steps, num_states, num_actions, covering_time, distance, delta, exponent)
    return _log10_sum(first, second)


def tmfq_updates_contracting(
    *,
    c1: float,
    c2: float,
    c4: float,
    c5: float,
    num_steps: int,
    discount: float,
    num_states: int,
    num_actions: int,
    covering_time: float,
    distance: float,
    delta: float,
    exponent: float = 0.77,
) -> float:
    """Return log10 of T₀ as in `tmfq_updates`, for contracting dynamics: with B = (C₅ + 1)/(1 − (C₄ + C₅ D)).

    Args:
      c1: C₁ > 0, as in `tmfq_updates`, like all that is not named here.
      c2: C₂ > 0.
      c4: C₄ > 0, Lipschitz constant of Φ in z.
      c5: C₅ > 0, that in Q; C₄ + C₅ D < 1.
      num_steps: k₀ ≥ 1, which remains in the logarithm.
      discount: γ in (0, 1).
      num_states: S.
      num_actions: A.
      covering_time: L ≥ 1.
      distance: ε in (0, 1).
      delta: δ in (0, 1).
      exponent: w in (1/2, 1).

    Returns:
      log10 of the number, −inf where it is 0.

    Raises:
      ValueError: naming the argument that is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> numbers = dict(c1=0.1, c2=0.1, c4=0.5, c5=0.1, num_steps=10, num_states=25, num_actions=5, discount=0.5)
      >>> log10 = mfg.learners.tmfq_updates_contracting(**numbers, covering_time=1e4, distance=0.1, delta=0.1)
      >>> f"10^{log10:.1f}"
      '10^24.6'

    Source: Lee et al. (2021), arXiv:2006.11683, corollary 1.
    """
    c1, c2, c4, c5 = (_positive(n, v) for n, v in (("c1", c1), ("c2", c2), ("c4", c4), ("c5", c5)))
    steps, gamma = _whole("num_steps", num_steps), _unit("discount", discount)
    factor = c4 + c5 * (c1 + gamma * c2) / (1 - gamma)
    if factor >= 1:
        raise ValueError(
            f"`c4` + `c5` (`c1` + `discount` `c2`)/(1 - `discount`) is {factor:.6g}, but corollary 1 of Lee et al. "
            "needs it below 1."
        )
    log_b = math.log1p(c5) - math.log1p(-factor)
    return _log10_sum(*_terms(log_b, gamma, steps, num_states, num_actions, covering_time, distance, delta, exponent))


def online_agents(
    *,
    c1: float,
    c2: float,
    c3: float,
    num_steps: int,
    discount: float,
    num_states: int,
    num_actions: int,
    epsilon: float,
    regeneration: float,
    distance: float,
    delta: float,
    exponent: float = 0.77,
) -> float:
    """Return log10 of the agents that online TMFQ-learning needs in Theorem 5, with 1 for the constant of O(·).

        I₀ = S A/(ε' ζ) (B² V²/(β² ε²) ln(2 B k₀ S A V/(δ β ε)))^(1/w) + (1/β ln(B V/ε))^(1/(1−w))
        B = ((1 − ζ) 2 M)^k₀ C₃ ε' / ((1 − ζ)(M − 1)),  M = max(1 + C₂, C₃ D)

    with D, V and β as in `tmfq_updates`; a logarithm that is negative counts as 0.

    Args:
      c1: C₁ > 0, as in `tmfq_updates`, like all that is not named here.
      c2: C₂ > 0.
      c3: C₃ > 0.
      num_steps: k₀ ≥ 1.
      discount: γ in (0, 1).
      num_states: S.
      num_actions: A.
      epsilon: ε' in (0, 1), the ε of `Trembling`.
      regeneration: ζ in (0, 1), the probability of replacement.
      distance: ε in (0, 1).
      delta: δ in (0, 1).
      exponent: w in (1/2, 1).

    Returns:
      log10 of the number, −inf where it is 0.

    Raises:
      ValueError: naming the argument that is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> numbers = dict(c1=0.1, c2=0.1, c3=1.0, num_steps=10, num_states=25, num_actions=5, discount=0.5)
      >>> log10 = mfg.learners.online_agents(**numbers, epsilon=0.2, regeneration=0.1, distance=0.1, delta=0.1)
      >>> f"10^{log10:.1f}"
      '10^19.1'

    Source: Lee et al. (2021), arXiv:2006.11683, theorem 5.
    """
    c1, c2, c3 = (_positive(name, value) for name, value in (("c1", c1), ("c2", c2), ("c3", c3)))
    steps, gamma = _whole("num_steps", num_steps), _unit("discount", discount)
    log_epsilon, zeta = math.log(_unit("epsilon", epsilon)), _unit("regeneration", regeneration)
    # in logarithms throughout, where nothing overflows; M − 1 is C₂, or C₃ D − 1
    log_jump = math.log(c3) + _log_d(c1, c2, gamma)
    log_m, log_m_less_1 = _log_sum(0, math.log(c2)), math.log(c2)
    if log_jump > log_m:
        log_m, log_m_less_1 = log_jump, log_jump + math.log(-math.expm1(-log_jump))
    log_stay = math.log1p(-zeta)
    log_b = steps * (log_stay + math.log(2) + log_m) + math.log(c3) + log_epsilon - log_stay - log_m_less_1
    first, second = _terms(log_b, gamma, steps, num_states, num_actions, 1.0, distance, delta, exponent)
    front = math.log(num_states) + math.log(num_actions) - log_epsilon - math.log(zeta)
    return _log10_sum(first + front, second)


def _terms(
    log_b: float,
    gamma: float,
    steps: int,
    num_states: int,
    num_actions: int,
    covering_time: float,
    distance: float,
    delta: float,
    exponent: float,
) -> tuple[float, float]:
    """Return the natural logs of the two terms of T₀ in eq. (7) of the paper."""
    pairs = _whole("num_states", num_states) * _whole("num_actions", num_actions)
    log_cover = math.log(_checks.number_in("covering_time", covering_time, 1, math.inf, "[1, inf)"))
    log_eps, log_delta = math.log(_unit("distance", distance)), math.log(_unit("delta", delta))
    w = _checks.number_in("exponent", exponent, 0.5, 1, "(1/2, 1)")
    log_v, log_beta = -math.log1p(-gamma), math.log1p(-gamma) - math.log(2)
    inner = math.log(2 * steps * pairs) + log_b + log_v - log_delta - log_beta - log_eps
    first = 2 * log_b + (1 + 3 * w) * log_cover + 2 * (log_v - log_beta - log_eps) + _log(inner)
    second = log_cover - log_beta + _log(log_b + log_v - log_eps)
    return first / w, second / (1 - w)


def _log_d(c1: float, c2: float, gamma: float) -> float:
    """Return the log of D = (C₁ + γ C₂)/(1 − γ)."""
    return _log_sum(math.log(c1), math.log(gamma) + math.log(c2)) - math.log1p(-gamma)


def _log_sum(*logs: float) -> float:
    largest = max(logs)
    # −∞ − (−∞) would be NaN
    return largest if largest == -math.inf else largest + math.log(sum(math.exp(term - largest) for term in logs))


def _whole(name: str, value: int) -> int:
    """Return a whole number from 1 on that a float can hold."""
    number = _checks.integer_at_least(name, value, 1)
    if number > 1e300:
        raise ValueError(f"`{name}` has {len(str(number))} digits; it must be at most 1e300.")
    return number


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf  # a negative logarithm in a formula counts as 0


def _log10_sum(first: float, second: float) -> float:
    return _log_sum(first, second) / math.log(10)


def _positive(name: str, value: float) -> float:
    return _checks.number_in(name, value, 0, math.inf, "(0, inf)")


def _unit(name: str, value: float) -> float:
    return _checks.number_in(name, value, 0, 1, "(0, 1)")


@in_own_modes
def model_guarantee(
    game: StationaryGame,
    response: AbstractTrembling,
    mean_field: ArrayLike,
    num_samples: int,
    *,
    delta: float = 0.05,
    num_steps: int = 1,
) -> Guarantee:
    """Bound the error of action values that are learned from n draws of each pair in a population z, as by `GMBL`.

        max |Q̂ − Q| ≤ γ span(V)/(1 − γ) · √(ln(2 S A k₀/δ)/(2n))   with probability 1 − δ

    Proof: |Q̂ − Q| is at most 1/(1 − γ) times γ |(P̂ − P) V|, and Hoeffding's inequality bounds every entry of that. If
      the error is below half of the smallest action gap, the policies are the same. A population that moves by the
      estimated kernel reaches another z; that error is not in the bound.

    Args:
      game: one whose payoffs see the law of the states.
      response: how agents act.
      mean_field: z, `[S]`.
      num_samples: n ≥ 1.
      delta: δ in (0, 1).
      num_steps: k₀ ≥ 1, the number of steps at each of which the bound shall hold.

    Returns:
      A `Guarantee`.

    Raises:
      ValueError: naming the argument that is out of range.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game, z = mfg.games.mturk(), np.full(25, 1 / 25)
      >>> found = mfg.learners.model_guarantee(game, mfg.Trembling(0.1), z, num_samples=1000)
      >>> f"{found.error:.2f}"  # in units of reward
      '0.29'

    Source: Hoeffding's inequality and the γ-contraction of Lee et al. (2021), arXiv:2006.11683, proposition 1.
    """
    game, z, response = population(game, response, mean_field)
    n, delta = _whole("num_samples", num_samples), _unit("delta", delta)
    best = respond(game, z, response)
    # each draw of V(s') lies in an interval of length span V, as Hoeffding's inequality needs
    scale = float(game.discount * jnp.ptp(best.values) / (1 - game.discount))
    pairs = int(game.available.sum())  # actions that do not exist need no draws
    log = math.log(2 * pairs * _whole("num_steps", num_steps)) - math.log(delta)
    gap = float(action_gap(best.q, game.available[0]))
    ratio = math.inf if gap == 0 else scale / gap
    samples = 2 * log * (ratio * ratio)  # a product may be ∞, where ** raises OverflowError
    samples = samples if math.isinf(samples) else max(1.0, math.floor(samples) + 1.0)  # below gap/2, not at it
    return Guarantee(scale * math.sqrt(log / (2 * n)), gap, samples)


@in_own_modes
def frozen_contraction(
    game: StationaryGame, response: AbstractTrembling, mean_field: ArrayLike, regeneration: float
) -> tuple[float, float]:
    """Return two l1 contraction factors of z ↦ Φ(z, π) at z, for a fixed policy: (1 − ζ) + C₂, and the exact one.

    C₂ is the largest l1 norm of ∂P(·|s,a,z)/∂z over all pairs, and the exact factor is the l1 norm of D_z Φ, both on
    vectors of sum zero. If the kernel is affine in z, C₂ is the same everywhere. A factor q < 1 bounds the distance to
    the stationary law of the policy by residual/(1 − q), as long as it holds between z and that law.

    Args:
      game: one whose payoffs see the law of the states.
      response: how agents act.
      mean_field: z, `[S]`.
      regeneration: ζ in (0, 1): at every pair the next state has a part ζ that does not depend on (s, a).

    Returns:
      `(formula, exact)`, both ≥ 0; the exact factor is never above the formula.

    Raises:
      ValueError: naming the argument that is out of range.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.StationaryGame(np.full((2, 2, 2), 0.5), lambda z: -z[:, None], discount=0.5)
      >>> formula, exact = mfg.learners.frozen_contraction(game, mfg.Trembling(0.1), np.array([0.5, 0.5]), 0.5)
      >>> f"{exact:.2f} <= {formula:.2f}"
      '0.00 <= 0.50'

    Source: the contraction in total variation by Dobrushin's coefficient; ζ of Lee et al. (2021), section 5.
    """
    game, z, response = population(game, response, mean_field)
    zeta, identity = _unit("regeneration", regeneration), jnp.eye(game.num_states, dtype=game.dtype)

    def rows(z: Array) -> Array:
        return jax.vmap(game.kernel_at(jnp.int32(0), z).expect, in_axes=1, out_axes=2)(identity)

    policy = respond(game, z, response).policy
    slopes = jax.jacfwd(rows)(z).reshape(-1, *identity.shape)
    c2 = jax.lax.map(zero_sum_norm, slopes)[game.available.reshape(-1)].max()
    step = jax.jacfwd(lambda z: game.moved_on(z[None], policy[None])[0][0])(z)
    return 1 - zeta + float(c2), float(zero_sum_norm(step))


def population(
    game: object, response: object, mean_field: ArrayLike
) -> tuple[StationaryGame, Array, AbstractTrembling]:
    """Return the game as programs, a law and the response in its precision, or refuse what is of the wrong kind."""
    game, response = learned(game, response)
    z = _checks.as_numbers("mean_field", mean_field)
    _checks.shape_is("mean_field", z, [(game.num_states,)], "states")
    _checks.distribution("mean_field", z)
    return trace_game(game), jnp.asarray(z, game.dtype), fit_response(game, response)  # pyright: ignore[reportReturnType]
