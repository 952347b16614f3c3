"""The number of an equilibrium that is drawn against a slider."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from ..equilibrium import Equilibrium


class Quantity(NamedTuple):
    """A number of an equilibrium.

    Attributes:
      label: its name in words.
      function: from an `Equilibrium` to the number; None: what `of_law` computes.
      is_mean: without a function, whether it is the mean state, not the largest share.
    """

    label: str
    function: Callable[[Equilibrium], Any] | None = None
    is_mean: bool = False

    def of(self, equilibrium: Equilibrium) -> float:
        """Return the quantity of an equilibrium."""
        if self.function is None:
            law = np.asarray(equilibrium.state_law)
            return float(self.of_law(law if law.ndim == 1 else law[-1]))
        value = np.asarray(self.function(equilibrium))
        if value.shape != () or value.dtype.kind not in "biuf":
            raise ValueError(f"`quantity` must return a single number; it returned {_checks.shorten(value)}.")
        return float(value)

    def of_law(self, law: np.ndarray) -> np.ndarray:
        """Return the mean state, or the largest share, of laws `[..., S]`; states that are NaN do not exist."""
        law = np.where(np.isnan(law), 0.0, law)
        return law @ np.arange(law.shape[-1]) if self.is_mean else law.max(axis=-1)


def own_quantity(over_time: bool, has_numbered_states: bool) -> Quantity:
    """Return what is drawn where the user names nothing: the mean state where that means something."""
    if has_numbered_states and not over_time:
        return Quantity("mean state", is_mean=True)
    return Quantity("share of the most crowded state" + (" at the last time" if over_time else ""))


def users_quantity(quantity: Any) -> Quantity:
    """Return the quantity that a user gives: a function of the equilibrium, or a mapping from its name to it."""
    name, function = next(iter(quantity.items())) if _is_named(quantity) else (None, quantity)
    if not callable(function):
        must = "a function of the `Equilibrium` that returns a number, or a mapping from one name to such a function"
        raise ValueError(f"`quantity` must be {must}; got {_checks.shorten(quantity)}.")
    own = str(getattr(function, "__name__", "quantity")).replace("_", " ")
    return Quantity(str(name) if name is not None else "quantity" if own == "<lambda>" else own, function)


def _is_named(quantity: Any) -> bool:
    return isinstance(quantity, Mapping) and len(quantity) == 1
