"""The hard best response."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, Bool, Float, Scalar
from ..kernels.base import align
from .base import AbstractResponse, Backup, greedy_values
from .entropy_regularized import EntropyRegularized


class Greedy(AbstractResponse):
    """The best response without regularisation: an agent always takes one best action.

        V(s) = max_a Q(s,a),   π(·|s) = 1 at the first (or last) maximiser

    Two action values count as equal if rounding alone can explain their difference.

    Args:
      tie: which of several best actions is taken: the one with the "smallest" or the "largest" index.

    Raises:
      ValueError: if `tie` is neither "smallest" nor "largest".

    Example:
      >>> import mfgjax as mfg
      >>> eq = mfg.solve(mfg.games.left_right(), mfg.Greedy())
      >>> f"{eq.mean_field[1, 1]:.2f}"
      '0.67'

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (12), which leaves the choice at ties open.
    """

    tie: str = eqx.field(static=True, default="smallest")  # static: it selects code
    is_smooth: ClassVar[bool] = False
    maximises: ClassVar[bool] = True
    rises: ClassVar[bool] = True
    plays_best: ClassVar[bool] = True

    def __check_init__(self):
        _checks.one_of("tie", self.tie, ("smallest", "largest"))

    @property
    def prior_table(self) -> Float[Array, "#T S A *#batch"] | None:
        return None

    def with_tie(self, tie: str) -> "Greedy":
        return type(self)(tie)

    def at_beta(self, beta: Array) -> EntropyRegularized:
        """Return the soft response with uniform reference, of which this one is the limit as β → ∞."""
        return EntropyRegularized(beta)

    def backup(
        self, t: Scalar, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"], band: Array | float = 0.0
    ) -> Backup:
        chosen = first_best(q, available, self.tie, band)
        log_policy = jnp.where(chosen, jnp.zeros((), q.dtype), -jnp.inf)
        # the value of the best action also where a band lets another one be chosen
        return Backup(greedy_values(q, available), log_policy, chosen.astype(q.dtype))


def first_best(q: Array, available: Array, tie: str, band: Array | float = 0.0) -> Array:
    """Tell which action is the first (or, with `tie="largest"`, the last) best available one, `[S, A, *batch]`.

    Actions that are worse than the best by at most `band`, `[*batch]`, count as best.
    """
    masked, num_actions = jnp.where(align(available, q), q, -jnp.inf), q.shape[1]
    is_best = masked >= masked.max(axis=1, keepdims=True) - band
    # the argmax of booleans is the first that is true
    choice = jnp.argmax(is_best if tie == "smallest" else is_best[:, ::-1], axis=1)
    if tie == "largest":
        choice = num_actions - 1 - choice
    return align(jnp.arange(num_actions)[None], q) == choice[:, None]
