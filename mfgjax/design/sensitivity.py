"""What moves the crowd most: derivatives of an equilibrium quantity with respect to everything, in one call."""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._display import Listing, Page, Part, shows_itself
from .._gradients import stop_gradients
from .._simplex import log_normalize
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike, Scalar
from ..engine import fit_response
from ..engine.elimination import linear_solver
from ..engine.implicit import fixed_point
from ..engine.prepare import methods
from ..equilibrium import Equilibrium
from ..kernels import AbstractKernel, MixtureKernel
from ..model import AbstractGame, StationaryGame, exploitability, mean_field_map, respond, trace_game
from ..operators import action_gap
from ..responses import AbstractResponse
from ..responses.trembling import AbstractTrembling
from ..solve import solve
from ..solvers import AbstractSolver

_SHOWN = 12
_ROUNDING = 16
"""Spacings of numbers, at the size of the values, by which a reward plus an expectation may be off."""


@shows_itself
class Sensitivity(eqx.Module):
    """The result of `sensitivity`: the derivatives of a quantity of the equilibrium.

    Attributes:
      value: the value of the quantity.
      derivatives: for every floating array of game and response, by its path such as "reward.L.weight", the derivatives
        in the shape of the array. They are per unit of each entry with all other entries fixed; for arrays in `laws`,
        along rows that sum to 1.
      entries: for every array, the value of each entry.
      labels: names of states and actions, for the table.
      action_gap: only for equilibria of `Trembling` and `EpsilonGreedy`, whose choices are held fixed: by how much the
        best action is better than the second best, in the state where this is least, in units of reward; infinite if no
        state has a choice. None for smooth responses.
      gap_error: the error of `action_gap` that rounding and the residual may cause, in units of reward.
      laws: places of the arrays whose rows are probabilities, or their logs. There d_i is the derivative along
        p → (1 − h) p + h e_i at h = 0: a mass h is taken from all entries of the row in proportion, and added to entry
        i. Since p_i grows by (1 − p_i) h, the derivative per unit of p_i itself, while the others shrink in proportion,
        is d_i/(1 − p_i). Moving mass from j to i changes the quantity by d_i − d_j per unit, and a change v of sum 0 by
        Σ_i d_i v_i. For logs the derivative is per unit of log p_i before the row is normalised.
    """

    value: Scalar
    derivatives: dict[str, Array]
    entries: dict[str, Array]
    labels: tuple[tuple[str, ...], tuple[str, ...]] = eqx.field(static=True)
    action_gap: Scalar | None = None
    gap_error: Scalar | None = None
    laws: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def at_tie(self) -> bool:
        """Whether the smallest action gap may be due to rounding alone, so that there may be no derivative."""
        # `not >`, so that an error that is NaN counts as a tie
        return self.action_gap is not None and not float(self.action_gap) > float(jnp.asarray(self.gap_error))

    @property
    def gap_text(self) -> str:
        """The action gap in a sentence; "" for smooth responses."""
        if self.action_gap is None:
            return ""
        gap, error = float(self.action_gap), float(jnp.asarray(self.gap_error))
        if self.at_tie:
            return (
                f"The smallest action gap, {gap:.3g} in units of reward, is no more than rounding explains "
                f"({error:.1g}): two actions are equally good, the choice may jump, and then there is no derivative."
            )
        if np.isinf(gap):
            return "No state has more than one action."
        return (
            f"The action chosen in each state is held fixed; the smallest action gap is {gap:.4g} in units of reward."
        )

    def top(self, count: int = _SHOWN) -> list[tuple[str, float, float]]:
        """Return the entries with the largest derivatives: place, derivative, and the entry itself.

        Args:
          count: how many.
        """
        found = []
        for place, table in self.derivatives.items():
            values, own = np.asarray(table), np.asarray(self.entries[place])
            order = np.argsort(-np.abs(values), axis=None, kind="stable")[:count]
            for flat_index in order:
                index = np.unravel_index(flat_index, values.shape) if values.ndim else ()
                if values[index] != 0:
                    found.append((self._named(place, index, values.shape), float(values[index]), float(own[index])))
        return sorted(found, key=lambda row: -abs(row[1]))[:count]

    def _named(self, place: str, index: tuple[Any, ...], shape: tuple[int, ...]) -> str:
        if not index:
            return place
        states, actions = self.labels
        words = [str(int(i)) for i in index]
        # tables are [#T, S, A], laws [S]
        if len(shape) == 1 and shape[0] == len(states):
            words = [f"state {states[index[0]]}"]
        elif len(shape) == 3 and shape[1] == len(states):
            words = [f"t = {words[0]}"] if shape[0] > 1 else []
            words.append(f"state {states[index[1]]}")
            if shape[2] > 1:
                words.append(actions[index[2]] if shape[2] == len(actions) else str(int(index[2])))
        elif shape == (len(states), len(actions)) and len(states) != len(actions):
            words = [f"state {states[index[0]]}", actions[index[1]]]
        return f"{place}[{', '.join(words)}]"

    def _page(self) -> Page:
        if jnp.ndim(self.value):
            return Page(type(self).__name__, ", ".join(self.derivatives))
        heading = f"The quantity is {float(self.value):.6g}. Its largest derivatives:"
        return Page(type(self).__name__, "", self._parts, heading=heading)

    def _parts(self) -> Iterator[Part]:
        rows = [(name, f"{slope:+.4g}", f"{own:.4g}") for name, slope, own in self.top()]
        yield Listing(("parameter", ">derivative", ">its value"), rows)
        shown = [place for place in self.laws if any(name.startswith(f"{place}[") for name, _, _ in rows)]
        logs = [place for place in shown if place.rpartition(".")[2].startswith("log_")]
        if probabilities := [place for place in shown if place not in logs]:
            yield (
                f"Each row of {', '.join(probabilities)} sums to 1. A derivative is the change of the quantity per "
                "unit of h, for small h, if the row is multiplied by 1 − h and h is added to the entry. The entry "
                "itself, p, then changes by (1 − p) h: for the change per unit of p, divide the derivative by 1 − p."
            )
        if logs:
            yield (
                f"Each row of {', '.join(logs)} holds logs of probabilities. A derivative is the change of the "
                "quantity per unit of the entry, log p, if the probabilities are then divided by their sum."
            )
        if self.gap_text:
            yield self.gap_text


@as_it_is_now
def sensitivity(
    game: AbstractGame,
    response: AbstractResponse,
    quantity: Callable[[Equilibrium], Scalar],
    solver: AbstractSolver | None = None,
    *,
    guess: ArrayLike | Equilibrium | None = None,
) -> Sensitivity:
    """Differentiate a quantity of the equilibrium with respect to every floating array of game and response.

        d quantity/dθ = ∂ quantity/∂θ + ⟨∂ quantity/∂μ, (I − D_μ Γ)^{-1} ∂_θ Γ⟩

    All derivatives come from one reverse pass. In a stationary game Γ(z) = Φ(z, π), and derivatives are on vectors of
    sum zero. The policy of `Trembling` and `EpsilonGreedy` is piecewise constant: for these the chosen action of each
    state is held fixed,

        dz*/dθ = (I − D_z Φ(z*, π))^{-1} ∂_θ Φ(z*, π),

    where π depends on ε alone. The smallest action gap says how far the choices are from changing.

    Args:
      game: the game, with a finite horizon or stationary.
      response: a smooth response; in a stationary game also `Trembling` or `EpsilonGreedy`.
      quantity: a function from an `Equilibrium` to a number, such as `lambda eq: eq.mean_field[-1, 2]`.
      solver: as in `solve`.
      guess: as in `solve`.

    Returns:
      A `Sensitivity`; `print` shows the entries with the largest derivatives, `plot.plot_sensitivity` draws them.

    Raises:
      ValueError: if the response has no derivative, the equilibrium of a `Trembling` or `EpsilonGreedy` response mixes
        two choices, or the quantity is not a number.
      ConvergenceError: if no equilibrium was found.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> found = mfg.design.sensitivity(game, response, lambda eq: eq.mean_field[1, 1])
      >>> found.top(1)[0][0]  # the number of game or response that changes it most
      'reward.L.base[state centre, right]'

    Source: the implicit function theorem; see `docs/mathematics.md`, Derivatives.
    """
    methods(game, response, solver)
    if not callable(quantity):
        raise ValueError(f"`quantity` must be a function of the equilibrium; got {_checks.shorten(quantity)}.")
    response = fit_response(game, response)
    pure, gap, error = None, None, None
    if game.seeks_pure and isinstance(response, AbstractTrembling):
        fixed_game, fixed_response = stop_gradients(_normalized(game, response))
        pure = solve(fixed_game, fixed_response, solver, guess=guess)
        if pure.criterion != "residual":
            raise ValueError(
                "`solver` mixes policies, so that the equilibrium may take two actions in one state; a derivative with "
                "fixed actions does not exist then. Use `Auto()` or `Picard()`."
            )
        played = respond(fixed_game, pure.mean_field, fixed_response).policy
        is_same = jnp.abs(played - pure.policy).max() <= 1e-6
        if not _checks.is_traced(is_same) and not bool(is_same):
            raise ValueError(
                "The equilibrium found splits the population between actions that are equally good: it has no "
                "derivative with fixed actions. `EntropyRegularized` is a smooth alternative."
            )
        gap, error = smallest_gap(trace_game(fixed_game), fixed_response, pure)

    def value(pair: tuple[Any, Any]) -> Array:
        game, response = _normalized(*pair)
        if pure is None:
            equilibrium = solve(game, response, solver, guess=guess)
        else:
            equilibrium = with_choices_held(game, response, pure)
        called = "; it is called with (equilibrium)"
        with _checks.explained("quantity", "the arrays of the equilibrium", "at the equilibrium", called):
            found = quantity(equilibrium)
        if not eqx.is_array_like(found):
            raise ValueError(f"`quantity` must return one real number; it returned {_checks.shorten(found)}.")
        if jnp.shape(found) != () or not jnp.issubdtype(jnp.result_type(found), jnp.floating):
            raise ValueError(f"`quantity` must return one real number; got shape {jnp.shape(found)}.")
        return jnp.asarray(found)

    differentiate = eqx.filter_value_and_grad(value)
    # with choices held nothing can fail to converge any more: one program instead of many small ones
    number, slopes = (differentiate if pure is None else eqx.filter_jit(differentiate))((game, response))
    arrays = eqx.filter((game, response), eqx.is_inexact_array)
    normalized_leaves = jax.tree.leaves(eqx.filter(_normalized(game, response), eqx.is_inexact_array))
    derivatives, entries, laws = {}, {}, []
    paths = jax.tree_util.tree_leaves_with_path(arrays)
    for (keys, leaf), slope, normalized in zip(paths, jax.tree.leaves(slopes), normalized_leaves, strict=True):
        place = jax.tree_util.keystr(keys[1:]).lstrip(".")
        laws += [place] if normalized is not leaf else []
        # an action that is not available has no weight to change
        derivatives[place], entries[place] = jnp.where(jnp.isfinite(leaf), slope, 0), leaf
    return Sensitivity(number, derivatives, entries, (game.state_labels, game.action_labels), gap, error, tuple(laws))


def _normalized(game: Any, response: Any) -> tuple[Any, Any]:
    """Return game and response with laws that sum to 1, so that derivatives are along laws."""
    # the derivative of p/Σp at a sum of 1 is that along laws
    game = eqx.tree_at(lambda g: g.initial, game, game.initial / game.initial.sum())
    # also kernels inside a callable
    kernel = jax.tree.map(_along_laws, game.kernel, is_leaf=lambda node: isinstance(node, AbstractKernel))
    game = eqx.tree_at(lambda g: g.kernel, game, kernel, is_leaf=lambda node: node is game.kernel)
    for field in ("log_reference", "log_weights"):
        table = getattr(response, field, None)
        if table is not None:
            response = eqx.tree_at(lambda r, f=field: getattr(r, f), response, log_normalize(table, axis=-1))
    return game, response


def _along_laws(node: Any) -> Any:
    """Return a kernel whose laws sum to 1; anything else as it is."""
    if not isinstance(node, AbstractKernel):
        return node
    if isinstance(node, MixtureKernel):
        total = sum(node.weights[1:], node.weights[0])
        mixed, weights = tuple(_along_laws(kernel) for kernel in node.parts), tuple(w / total for w in node.weights)
        return eqx.tree_at(lambda k: (k.parts, k.weights), node, (mixed, weights))
    for field in ("probabilities", "law"):
        rows: Any = node.__dict__.get(field)
        if eqx.is_inexact_array(rows):
            sums = rows.sum(axis=-1, keepdims=True)
            # rows of actions that are not available may be empty
            scaled = jnp.where(sums > 0, rows / jnp.where(sums > 0, sums, 1), rows)
            node = eqx.tree_at(lambda k, f=field: getattr(k, f), node, scaled)
    return node


def with_choices_held(game: StationaryGame, response: AbstractTrembling, found: Equilibrium) -> Equilibrium:
    """Return a pure equilibrium as a differentiable function of game and response.

        dz* = (I − D_z Φ(z*, π))⁻¹ ∂_θ Φ(z*, π)   on vectors of sum zero,   ∂_ε π = −1 or 1/(A(s) − 1)

    where each state keeps its chosen action: π depends on ε alone, V and Q also on z and on the game. This is the
    derivative wherever the choices do not change nearby, hence where no action gap is 0.

    Args:
      game: the game, to be differentiated.
      response: likewise.
      found: their equilibrium, with a constant `mean_field`.

    Source: the implicit function theorem; the equilibrium is that of Lee et al. (2021), arXiv:2006.11683, section 2.
    """
    # `argmax` passes no derivative on, so that of Γ is the one with choices held
    seen = fixed_point((game, response), found.mean_field[None], found.converged)[0]
    best = respond(game, seen, response)
    fields = (seen, best.policy, best.log_policy, best.values, best.q)
    if not response.maximises:
        # not least at its equilibria, so that it moves, too
        gain = exploitability(game, best.policy, mean_field=seen)
        return eqx.tree_at(lambda e: (*_parts(e), e.exploitability), found, (*fields, gain))
    return eqx.tree_at(_parts, found, fields)


@compiled
def smallest_gap(game: StationaryGame, response: AbstractTrembling, found: Equilibrium) -> tuple[Scalar, Scalar]:
    """Return the smallest action gap of an equilibrium, and by how much it may be off, in units of reward.

        gap = min_s (max_a Q(s,a) − next best Q(s,·)),   off ≤ 2 (|D_z Q (I − D_z Γ)⁻¹ (Γ(z) − z)| + 16 u |Q|/(1 − γ))

    with maximum norms and u the spacing of numbers at 1: what is left of the residual, to first order, and rounding.
    """
    z, gamma = found.mean_field[None], mean_field_map(game, response)  # with the axis of one time
    available = game.available[0]

    def action_values(z: Array) -> Array:
        return jnp.where(available, respond(game, z[0], response).q, 0)

    image, jvp = jax.linearize(gamma, z)
    # the first-order distance to the exact population: what is left of the residual
    left, _ = linear_solver(*stop_gradients((game, response, z)))(lambda v: v - jvp(v), image - z, False)
    q, shift = jax.jvp(action_values, (z,), (left,))
    rounding = _ROUNDING * jnp.finfo(q.dtype).eps * jnp.abs(q).max() / (1 - game.discount)
    return action_gap(q, available), 2 * (jnp.abs(shift).max() + rounding)


def _parts(found: Equilibrium) -> tuple[Any, ...]:
    """Return the arrays that move, or what stands for them within `tree_at`."""
    return found.mean_field, found.policy, found.log_policy, found.values, found.q
