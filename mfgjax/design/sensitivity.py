"""What moves the crowd most: derivatives of an equilibrium quantity with respect to everything, in one call."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import _checks
from .._simplex import log_normalize
from .._typing import Array, ArrayLike, Scalar
from ..equilibrium import Equilibrium
from ..kernels import AbstractKernel
from ..model import FiniteHorizonGame
from ..responses import AbstractResponse
from ..solve import fit_response, solve
from ..solvers import AbstractSolver, Auto

_SHOWN = 12


class Sensitivity(eqx.Module):
    """Derivatives of a quantity of the equilibrium.

    Attributes:
      value: the quantity.
      derivatives: for every floating array of game and response, by its place such as "reward.L.weight", the
        derivatives in its shape. Where the entries of a row are probabilities (initial law, kernel rows) the other
        entries shrink in proportion as one grows; for log ρ the row is normalised.
      entries: for every array, the value of each entry.
      labels: names of states and actions, for the table.
    """

    value: Scalar
    derivatives: dict[str, Array]
    entries: dict[str, Array]
    labels: tuple[tuple[str, ...], tuple[str, ...]] = eqx.field(static=True)

    def top(self, count: int = _SHOWN) -> list[tuple[str, float, float]]:
        """Return the entries with the largest derivatives: place, derivative, and the entry itself.

        Args:
          count: how many.
        """
        found = []
        for place, table in self.derivatives.items():
            values, own = np.asarray(table), np.asarray(self.entries[place])
            order = np.argsort(-np.abs(values), axis=None, kind="stable")[:count]
            for place_in_table in order:
                index = np.unravel_index(place_in_table, values.shape) if values.ndim else ()
                if values[index] != 0:
                    found.append((self._named(place, index, values.shape), float(values[index]), float(own[index])))
        return sorted(found, key=lambda row: -abs(row[1]))[:count]

    def _named(self, place: str, index: tuple[Any, ...], shape: tuple[int, ...]) -> str:
        if not index:
            return place
        states, actions = self.labels
        parts = [str(int(i)) for i in index]
        # tables are [#T, S, A], laws [S]
        if len(shape) == 1 and shape[0] == len(states):
            parts = [f"state {states[index[0]]}"]
        elif len(shape) == 3 and shape[1] == len(states):
            parts = [f"t = {parts[0]}"] if shape[0] > 1 else []
            parts.append(f"state {states[index[1]]}")
            if shape[2] > 1:
                parts.append(actions[index[2]] if shape[2] == len(actions) else str(int(index[2])))
        return f"{place}[{', '.join(parts)}]"

    def __str__(self) -> str:
        if isinstance(self.value, Tracer) or jnp.ndim(self.value):
            return f"Sensitivity({', '.join(self.derivatives)})"
        rows = [(name, f"{slope:+.4g}", f"{own:.4g}") for name, slope, own in self.top()]
        rows = [("parameter", "derivative", "its value"), *rows]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"The quantity is {float(self.value):.6g}; what moves it most:"]
        for name, slope, own in rows:
            lines.append(f"{name.ljust(widths[0])}  {slope.rjust(widths[1])}  {own.rjust(widths[2])}")
        return "\n".join(lines)

    __repr__ = __str__


def sensitivity(
    game: FiniteHorizonGame,
    response: AbstractResponse,
    quantity: Callable[[Equilibrium], Scalar],
    solver: AbstractSolver | Auto | None = None,
    *,
    guess: ArrayLike | Equilibrium | None = None,
) -> Sensitivity:
    """Differentiate a quantity of the equilibrium with respect to every floating array of game and response.

        d quantity/dθ = ∂ quantity/∂θ + ⟨∂ quantity/∂μ, (I − D_μ Γ)^{-1} ∂_θ Γ⟩

    in one reverse pass, whatever their number.

    Args:
      game: the physics.
      response: a smooth one.
      quantity: from an `Equilibrium` to a number, such as `lambda eq: eq.mean_field[-1, 2]`.
      solver: as in `solve`.
      guess: as in `solve`.

    Returns:
      A `Sensitivity`; `print` shows what moves the quantity most, `plot.plot_sensitivity` draws it.

    Raises:
      ValueError: if the response has no derivative, or the quantity is no number.
      ConvergenceError: if no equilibrium was found.

    Source: the implicit function theorem; see `docs/mathematics.md`, Derivatives.
    """
    if not isinstance(game, FiniteHorizonGame):
        raise ValueError(f"`game` must be a `FiniteHorizonGame`; got {type(game).__name__}.")
    if not callable(quantity):
        raise ValueError(f"`quantity` must be a function of the equilibrium; got {_checks.shorten(quantity)}.")
    response = fit_response(game, response)

    def value(pair: tuple[FiniteHorizonGame, Any]) -> Array:
        found = quantity(solve(*_normalized(*pair), solver, guess=guess))
        if jnp.shape(found) != () or not jnp.issubdtype(jnp.result_type(found), jnp.floating):
            raise ValueError(f"`quantity` must return one real number; got shape {jnp.shape(found)}.")
        return jnp.asarray(found)

    number, slopes = eqx.filter_value_and_grad(value)((game, response))
    arrays = eqx.filter((game, response), eqx.is_inexact_array)
    derivatives, entries = {}, {}
    for (keys, leaf), slope in zip(jax.tree_util.tree_leaves_with_path(arrays), jax.tree.leaves(slopes), strict=True):
        place = jax.tree_util.keystr(keys[1:]).lstrip(".")
        # an action that is not available has no weight to change
        derivatives[place], entries[place] = jnp.where(jnp.isfinite(leaf), slope, 0), leaf
    return Sensitivity(number, derivatives, entries, (game.state_labels, game.action_labels))


def _normalized(game: FiniteHorizonGame, response: Any) -> tuple[FiniteHorizonGame, Any]:
    """Return game and response with laws that sum to 1, so that derivatives are along laws."""
    game = eqx.tree_at(lambda g: g.initial, game, game.initial / game.initial.sum())
    kernel = game.kernel
    if isinstance(kernel, AbstractKernel) and eqx.is_inexact_array(
        getattr(kernel, "__dict__", {}).get("probabilities")
    ):
        rows = kernel.probabilities
        sums = rows.sum(axis=-1, keepdims=True)
        # rows of actions that are not available may be empty
        scaled = jnp.where(sums > 0, rows / jnp.where(sums > 0, sums, 1), rows)
        game = eqx.tree_at(lambda g: g.kernel.probabilities, game, scaled)
    for field in ("log_reference", "log_weights"):
        table = getattr(response, field, None)
        if table is not None:
            response = eqx.tree_at(lambda r, f=field: getattr(r, f), response, log_normalize(table, axis=-1))
    return game, response
