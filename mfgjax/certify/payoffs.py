"""Bounds on the rewards of a game, for every mean field: values, derivatives, Lipschitz constants."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._typing import Array, Bool, Float
from ..model import FiniteHorizonGame, OwnStateInteraction, PairwiseReward, SuccessorInteraction
from ..model.rewards import DenseInteraction, TableReward
from ..ranges.affine import NotAffine, affine_in_law
from ..ranges.intervals import Interval, hull, point, product
from ..ranges.programs import range_of
from ..ranges.ranges import MOST_LOST, NotDerivable
from .paths import availability
from .slopes import AbstractSlopes, DenseSlopes, OneNodeSlopes, from_ranges

_MOST_NUMBERS = 2**25
"""Of a table of derivatives; a larger one is not formed."""

_NEGLIGIBLE = 64
"""Spacings of the largest payoff that any other may be off."""

_CELLS, _MOST_CELLS = 1024, 2**22
"""Parts that [0, 1] is divided into for derivatives that follow a curve, and numbers on all of them."""


class PairConstants(eqx.Module):
    """The constants of [G]'s class R_t = Θ_t(Σ L_t μ): Lipschitz constant of Θ, largest |L| and |R|."""

    theta: Array
    interaction: Array
    reward: Array


class Separable(eqx.Module):
    """Rewards F_t,s,a(μ_t(s)) of the crowd at one's own state.

    Attributes:
      start: left ends of cells of [0, 1], `[cells]`.
      width: of a cell.
      slope: the range of F' on each cell, over the available actions, `[cells, T, S]`.
      alike: at which times all actions available in a state have the same slopes, `[T]`: only there does the crowd
        move the payoffs of all of them together.
    """

    start: Float[Array, " cells"]
    width: float = eqx.field(static=True)
    slope: Interval
    alike: Bool[Array, " T"]


class Payoffs(eqx.Module):
    """What is known of the rewards of a game at all mean fields.

    Attributes:
      slopes: of the derivatives with respect to the mean field.
      value: the range of R_t(s,a,·), `[T, S, A]` (A is 1 where all actions earn the same); None: unknown.
      pairwise: the constants of [G]'s class, None for other rewards.
      separable: what is known of rewards of the crowd at one's own state; None for others.
      affine: whether rewards are affine in the mean field.
      how: how it was found, as the end of a sentence.
      proved: whether these are bounds; false of what was only sampled.
      rounding: by how much rounding may move each reward, `[T, S, A]`; what is not finite is not counted.
    """

    slopes: AbstractSlopes
    value: Interval | None
    pairwise: PairConstants | None
    separable: Separable | None
    affine: bool = eqx.field(static=True)
    how: str = eqx.field(static=True)
    proved: bool = eqx.field(static=True)
    rounding: Float[Array, "T S A"]

    def less_rounding(self, unit: Array | float) -> "Payoffs":
        """Return the same, where the slopes of a reward are NaN of which rounding leaves little.

        Such a reward changes in steps, which its slopes do not tell. Each is judged by its own size, or by a unit of
        rewards that is larger, but never by the size of another.
        """
        if self.value is None:
            return self
        lost = self.rounding > MOST_LOST * jnp.maximum(_sizes(self.value), unit)
        separable = self.separable
        if separable is not None:
            slope = Interval(*(jnp.where(lost.any(axis=2), jnp.nan, end) for end in separable.slope))
            separable = eqx.tree_at(lambda x: x.slope, separable, slope)
        payoffs = eqx.tree_at(lambda x: x.slopes, self, self.slopes.forget(lost))
        return eqx.tree_at(lambda x: x.separable, payoffs, separable, is_leaf=lambda x: x is None)


def _sizes(value: Interval) -> Array:
    ends = [jnp.where(jnp.isfinite(end), jnp.abs(end), 0) for end in value]
    return jnp.maximum(*ends)


def largest_constants(game: FiniteHorizonGame, payoffs: Payoffs) -> Float[Array, " T"]:
    """Return K_t, the largest Lipschitz constant of R_t over available pairs."""
    constants = payoffs.slopes.constants()
    return jnp.where(availability(game, constants.shape[2]), constants, 0).max(axis=(1, 2))


def derive_payoffs(game: FiniteHorizonGame, unit: Array | float = 0.0) -> Payoffs:
    """Bound the rewards of a game, and their derivatives, from their tables and programs.

    The library's own rewards are known by their tables; Θ, other interactions and other rewards are read off
    their programs. Slopes are NaN where rounding leaves little of a reward, or of the unit that counts.

    Raises:
      NotDerivable: saying why, if a program cannot be read, or the tables would be too large.
    """
    reward: Any = game.reward
    if type(reward) is TableReward:  # what a class of the user's computes is not known by its parents
        return _constant(game, reward)
    reasons = []
    # Θ and L apart say more than the whole program, but may be the ones that cannot be read
    for read in (_pairwise_reward, _program) if type(reward) is PairwiseReward else (_program,):
        try:
            return read(game, reward).less_rounding(unit)
        except NotDerivable as error:
            reasons.append(str(error))
    raise NotDerivable("; and as a whole: ".join(dict.fromkeys(reasons)))


def _program(game: FiniteHorizonGame, reward: Any) -> Payoffs:
    """Bound rewards by their program as a whole, whatever class they are of."""
    # affine first, which is exact: intervals may be loose
    table, rounding, is_affine, why = _affine_table(game, game.pay_at)
    if table is not None and rounding is not None and is_affine is True:
        how = "computed from the reward's code, which is affine in the mean field"
        return _pairwise(game, None, table, rounding, how)
    shape, num_pairs = game.seen_shape, game.num_states * game.num_actions
    size = int(np.prod(shape))
    if (game.horizon + 1) * num_pairs * size > _MOST_NUMBERS:
        raise NotDerivable(f"its derivatives would be {num_pairs:,} × {size:,} numbers at each time")
    box = Interval(jnp.zeros(shape, game.dtype), jnp.ones(shape, game.dtype))

    def at(t: Array) -> tuple[Interval, Interval, Array]:
        found = range_of(lambda seen: game.pay_at(t, seen), box)
        return found.value, Interval(*(jnp.moveaxis(end, 0, -1) for end in found.slope)), found.rounding

    value, slope, rounding = jax.vmap(at)(jnp.arange(game.horizon + 1, dtype=jnp.int32))
    how = f"bounded from the reward's code by interval arithmetic, as it is not known to be affine: {why}"
    return Payoffs(from_ranges(slope, False), value, None, None, False, how, True, _finite(rounding))


def _pairwise_reward(game: FiniteHorizonGame, reward: Any) -> Payoffs:
    of_theta = "" if reward.theta is None else ", slope of Θ bounded from its code, over the range of its argument"
    how = f"interaction L from its table{of_theta}"
    if type(reward.L) in (OwnStateInteraction, SuccessorInteraction):
        return _one_node(game, reward.theta, reward.L, how)
    if type(reward.L) is DenseInteraction:
        # the products and their sum, in any order
        steps = reward.L.table[0, 0, 0].size + 1
        rounding = _spacing(game) / 2 * steps * jnp.abs(reward.L.table).max(axis=tuple(range(3, reward.L.table.ndim)))
        return _pairwise(game, reward.theta, reward.L.table, rounding, how)
    table, rounding, is_affine, why = _affine_table(game, reward.L)
    if table is None or rounding is None or is_affine is not True:
        raise NotDerivable(f"the interaction is not known to be affine in the mean field: {why}")
    how = f"interaction L computed from its code, which is affine{of_theta}"
    return _pairwise(game, reward.theta, table, rounding, how)


def interaction_table(game: FiniteHorizonGame) -> Float[Array, "T S A n"] | None:
    """Return L with L_t(s,a,μ) = Σ L μ, read off the interaction's program, or the reward's if it is not pairwise.

    Returns:
      The table, over states or flattened pairs; None if the program is not proved affine in the mean field, or the
      table would be too large.
    """
    table, rounding, is_affine, _ = _interaction_table(game)
    if table is None or rounding is None or _checks.is_traced(is_affine) or not bool(is_affine):  # traced: unknown yet
        return None
    # each entry is judged by its own row; of what is small among all, rounding of others hides more
    size = jnp.abs(table).max(axis=tuple(range(3, table.ndim)))
    unit = _NEGLIGIBLE / MOST_LOST * _spacing(game) * _sizes(Interval(size, size)).max()
    is_lost = rounding > MOST_LOST * jnp.maximum(size, unit)
    table = jnp.where(is_lost.reshape(*size.shape, *(1,) * (table.ndim - 3)), jnp.nan, table)
    return None if not _checks.is_traced(table) and bool(jnp.isnan(table).any()) else table


@compiled
def _interaction_table(game: FiniteHorizonGame) -> tuple[Array | None, Array | None, Any, str]:
    reward: Any = game.reward
    return _affine_table(game, reward.L if type(reward) is PairwiseReward else game.pay_at)


def _affine_table(
    game: FiniteHorizonGame, function: Callable[[Array, Array], Array]
) -> tuple[Float[Array, "T S A n"], Float[Array, "T S A"], Any, str] | tuple[None, None, bool, str]:
    """Return the values of a function at the point masses, by how much rounding may move it, and if it is their mean.

    The latter is True if the function is affine whatever its numbers are; at the end stands why it is not known to be.
    """
    shape = game.seen_shape
    if (game.horizon + 1) * game.num_states * game.num_actions * int(np.prod(shape)) > _MOST_NUMBERS:
        return None, None, False, "its table would be too large"
    always_affine = []  # filled while `at` is traced, where `holds is True` needs no numbers

    def at(t: Array) -> tuple[Array, Array, Array]:
        found, holds = affine_in_law(lambda seen: jnp.asarray(function(t, seen)).astype(game.dtype), shape, game.dtype)
        always_affine.append(holds is True)
        rounding = found.size.max(axis=0) * (found.steps * _spacing(game) / 2)
        return jnp.moveaxis(found.values, 0, -1), _finite(rounding), jnp.asarray(holds)

    try:
        table, rounding, holds = jax.vmap(at)(jnp.arange(game.horizon + 1, dtype=jnp.int32))
    except NotAffine as error:
        return None, None, False, str(error)
    return table, rounding, True if all(always_affine) else holds.all(), "that depends on its numbers"


def _spacing(game: FiniteHorizonGame) -> float:
    return float(jnp.finfo(game.dtype).eps)


def _finite(rounding: Array) -> Array:
    return jnp.where(jnp.isfinite(rounding), rounding, 0)


def _constant(game: FiniteHorizonGame, reward: TableReward) -> Payoffs:
    table = jnp.broadcast_to(reward.table, (game.horizon + 1, *reward.table.shape[1:]))
    zero = jnp.zeros_like(table)
    node = jnp.broadcast_to(jnp.arange(game.num_states)[:, None], table.shape[1:])
    largest = jnp.abs(table).max()
    constants = PairConstants(jnp.zeros((), game.dtype), largest, largest)
    how = "the reward is a table and does not depend on the mean field"
    return Payoffs(OneNodeSlopes(node, zero, zero), Interval(table, table), constants, None, True, how, True, zero)


def _pairwise(game: FiniteHorizonGame, theta: Callable | None, table: Array, rounding: Array, how: str) -> Payoffs:
    """Bound Θ(Σ L μ) from the table of L, `[#T, S, A, seen...]`, and by how much rounding may move the sum."""
    times = game.horizon + 1
    table = table.reshape(*table.shape[:3], -1)
    if times * table[0].size > _MOST_NUMBERS:
        raise NotDerivable("its table of derivatives would be too large")
    table = jnp.broadcast_to(table, (times, *table.shape[1:]))
    x = Interval(table.min(axis=-1), table.max(axis=-1))  # Σ L μ is a mean of entries of L
    # 64 cells, as intervals are loose on long ones
    share = jnp.linspace(0, 1, 65, dtype=game.dtype).reshape(-1, 1, 1, 1)
    edges = x.low + (x.high - x.low) * share
    on_cells = _theta_on_cells(theta, Interval(edges[:-1], edges[1:]), jnp.broadcast_to(rounding, x.low.shape))
    _, slope, straight, _ = on_cells
    # the mean slope of Θ between two arguments lies in its range, and the oscillation is largest at an end of it
    ends = jnp.stack([slope.low.min(axis=0), slope.high.max(axis=0)], axis=1)
    vertices = (ends[:, :1] if straight else ends)[..., None] * table[:, None]
    return _pairwise_payoffs(DenseSlopes(vertices, None), table, on_cells, how)


def _one_node(game: FiniteHorizonGame, theta: Callable | None, L: Any, how: str) -> Payoffs:
    """Bound Θ(base + weight · μ(node)), where the node is one's own state or where one's move leads."""
    times, S = game.horizon + 1, game.num_states
    own = isinstance(L, OwnStateInteraction)
    node = jnp.arange(S)[:, None] if own else jnp.asarray(L.next_state)
    actions = max(L.base.shape[2], L.weight.shape[2], node.shape[1])
    base, weight = (jnp.broadcast_to(coefficient, (times, S, actions)) for coefficient in (L.base, L.weight))
    cells = int(np.clip(_MOST_CELLS // (times * S * actions), 1, _CELLS))
    start = jnp.arange(cells, dtype=game.dtype) / cells
    ends = [base + weight * (start + shift).reshape(-1, 1, 1, 1) for shift in (0, 1 / cells)]
    rounding = _spacing(game) * (jnp.abs(base) + jnp.abs(weight))
    on_cells = _theta_on_cells(theta, hull(*ends), rounding)
    _, slope, straight, _ = on_cells
    steep = product(point(weight), slope)
    slopes = OneNodeSlopes(jnp.broadcast_to(node, (S, actions)), steep.low.min(axis=0), steep.high.max(axis=0))
    separable = _separable(game, start, 1 / cells, steep, straight) if own else None
    # L's entries are base and base + weight
    return _pairwise_payoffs(slopes, jnp.stack([base, base + weight]), on_cells, how, separable)


def _separable(game: FiniteHorizonGame, start: Array, width: float, steep: Interval, straight: bool) -> Separable:
    """Return the slopes of F_t,s, and where all available actions have the same one."""
    actions = steep.low.shape[-1]
    mask = availability(game, actions)
    low, high = jnp.where(mask, steep.low, jnp.inf).min(axis=-1), jnp.where(mask, steep.high, -jnp.inf).max(axis=-1)
    # ranges on cells tell functions apart only where they are straight
    alike = (low == high).all(axis=(0, 2)) if straight else jnp.full(mask.shape[0], actions == 1)
    return Separable(start, width, Interval(low, high), alike)


def _pairwise_payoffs(
    slopes: AbstractSlopes,
    table: Array,
    on_cells: "_OnCells",
    how: str,
    separable: Separable | None = None,
) -> Payoffs:
    """Return what is known of Θ(Σ L μ) from the entries of L and the ranges of Θ and Θ' on cells."""
    value, slope, straight, rounding = on_cells
    theta, reward = (jnp.maximum(jnp.abs(bounds.low), jnp.abs(bounds.high)).max() for bounds in (slope, value))
    constants = PairConstants(theta, jnp.abs(table).max(), reward)
    over_cells = Interval(value.low.min(axis=0), value.high.max(axis=0))
    return Payoffs(slopes, over_cells, constants, separable, straight, how, True, rounding)


class _OnCells(NamedTuple):
    """The ranges of Θ and Θ' on cells `[cells, T, S, A]`, whether Θ is affine, and how far rounding may move it."""

    value: Interval
    slope: Interval
    straight: bool
    rounding: Float[Array, "T S A"]


def _theta_on_cells(theta: Callable | None, x: Interval, rounding: Array) -> _OnCells:
    """Bound Θ on cells of its argument, which rounding may have moved by so much."""
    if theta is None:
        return _OnCells(x, point(jnp.ones_like(x.low)), True, rounding)
    affine = []

    def at(low: Array, high: Array, t: Array) -> tuple[Interval, Interval, Array]:
        found = range_of(lambda y: theta(t, y), Interval(low, high), entrywise=True)
        affine.append(found.affine)
        return found.value, Interval(found.slope.low[0], found.slope.high[0]), found.rounding

    times = jnp.arange(x.low.shape[1], dtype=jnp.int32)
    value, slope, own = jax.vmap(jax.vmap(at), in_axes=(0, 0, None))(x.low, x.high, times)
    steepest = jnp.maximum(jnp.abs(slope.low), jnp.abs(slope.high))
    rounding = _finite(own + steepest * rounding).max(axis=0)
    return _OnCells(value, slope, all(affine), rounding)
