"""Why a solver stopped: a code with a sentence."""

import enum
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ._display import BAD, GOOD, Page, shows_itself
from ._modes import double_precision
from ._names import in_words
from ._typing import Array, ArrayLike, Float, Int


class RESULTS(enum.IntEnum):
    """The reasons why a solver stops. `Result.message` says in a sentence what happened and what to do about it.

    Example:
      >>> import mfgjax as mfg
      >>> eq = mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0))
      >>> eq.result.name, bool(eq.result.code == mfg.RESULTS.converged)
      ('converged', True)
    """

    # files and sweeps hold codes by number, so that these stay
    converged = 0
    max_steps = 1
    cycle = 2
    non_finite = 3
    stalled = 4
    precision = 5
    not_stochastic = 6
    tied = 7
    no_pure_choice = 8
    not_at_rest = 9
    ill_conditioned = 10
    values_inexact = 11


_MESSAGES = {
    RESULTS.converged: "The equilibrium was found to the tolerance asked for.",
    RESULTS.max_steps: "The iteration did not converge within `max_steps` steps. {advice}",
    RESULTS.cycle: "The iteration entered a cycle of period {period}{apart} and will not converge. {advice}",
    RESULTS.non_finite: (
        "The iteration produced a number that is infinite or NaN. Check that rewards and kernels stay finite for "
        "every mean field, and that inputs computed inside `jax.jit`, which are not checked, are valid."
    ),
    RESULTS.stalled: "The iteration stopped making progress before it reached the tolerance. {advice}",
    RESULTS.precision: (
        "Rounding errors dominate the residual. They grow with beta times the span of the action values, and here they "
        "exceed any useful tolerance. Lower `beta`, or {precision}."
    ),
    RESULTS.not_stochastic: (
        "At the mean field reached, the rows of the kernel are not probabilities: an entry is negative, or a row does "
        "not sum to 1. Check the function given as `kernel`."
    ),
    RESULTS.tied: (
        "The iteration met the tolerance, but the policy and the mean field that are returned do not: rounding decides "
        "which of two actions is better. Use another solver, another `tie` or a larger `atol`, or {precision}."
    ),
    RESULTS.no_pure_choice: (
        "No equilibrium was found. If all agents in a state choose the same action, the iteration enters a cycle of "
        "period {period}{apart} and will not converge. No equilibrium in which they mix actions was found either. "
        "Try another `guess`, or the smooth response `EntropyRegularized`."
    ),
    RESULTS.not_at_rest: (
        "The policy met the tolerance, but the population that follows it was not yet stationary after the largest "
        "number of moves that are tried. If the kernel does not depend on the mean field, give it as a table, not as "
        "a function. Or use the smooth response `EntropyRegularized`."
    ),
    RESULTS.ill_conditioned: (
        "The residual met the tolerance, but the equilibrium is ill conditioned: it may be as far from the mean field "
        "found as `error_estimate` says, or farther. Give a smaller `atol`, or {precision}. Or change the game: this "
        "happens if agents hardly ever change their state, or near a fold, where two equilibria merge."
    ),
    RESULTS.values_inexact: (
        "The equilibrium met the tolerance, but the values of the states are too inexact: one more step of value "
        "iteration changes them by more than a small share of their span times 1 - discount. Lower the "
        "discount, or {precision}."
    ),
}

# what to do after one method; after several, no sentence advises what was tried
_ADVICE = {
    RESULTS.max_steps: (
        "Give more steps by the argument `max_steps` of the function called, such as `solve(..., max_steps=)`, or "
        "leave the choice of method to the default solver, `Auto()`; if the residual oscillates, lower `beta` or "
        "`damping`."
    ),
    RESULTS.cycle: "Use the default solver `Auto()`, or `Picard` with `damping` below 1 or with `averaging`.",
    RESULTS.stalled: "Use the default solver `Auto()`, or follow the path of equilibria with `branch`.",
}
_ADVICE_AFTER_SEVERAL = (
    "It was the last of {num_methods} methods that were tried in turn. Give another `guess`, more steps "
    "(`solve(..., max_steps=)`), or a lower `beta`, from which `branch` follows the path of equilibria."
)


NOT_COMPUTED = -1
"""The code of a point of a sweep to which no solver has come."""


def result_name(code: int | np.integer) -> str:
    """Return the name of a result code, also of a point that is not computed."""
    return "not computed" if code == NOT_COMPUTED else RESULTS(int(code)).name


def counted_results(codes: np.ndarray) -> dict[str, int]:
    """Return how many solves ended in which way, by the names of the results in the order of their codes."""
    kinds, counts = np.unique(codes, return_counts=True)
    return {result_name(kind): int(count) for kind, count in zip(kinds, counts, strict=True)}


@shows_itself
class Result(eqx.Module):
    """Why a solver stopped.

    Attributes:
      code: an entry of `RESULTS` as an array, so that it can be computed inside `jit` and `vmap`.
      period: of the cycle, 0 if there is none.
      spread: the largest distance, in total variation, between the first mean field of the cycle and another one; 0 if
        there is no cycle or it is not known.
      num_methods: how many methods were tried in turn.
    """

    code: Int[Array, "*batch"]
    period: Int[Array, "*batch"]
    spread: Float[Array, "*batch"]
    num_methods: Int[Array, "*batch"]

    def __init__(
        self,
        code: ArrayLike = RESULTS.converged,
        period: ArrayLike = 0,
        spread: ArrayLike = 0.0,
        num_methods: ArrayLike = 1,
    ):
        self.code = jnp.asarray(code, dtype=jnp.int32)
        self.period = jnp.asarray(period, dtype=jnp.int32)
        self.spread = jnp.asarray(spread)
        self.num_methods = jnp.asarray(num_methods, dtype=jnp.int32)

    @property
    def name(self) -> str:
        """Name of a single, concrete result."""
        return RESULTS(int(self.code)).name

    @property
    def message(self) -> str:
        """What happened and what to do about it, in a sentence, for a single, concrete result."""
        spread = float(self.spread)
        distance_clause = (
            f", in which mean fields are up to {spread:.2g} apart (total variation)," if spread > 0 else ""
        )
        code, num_methods = RESULTS(int(self.code)), int(self.num_methods)
        advice = _ADVICE.get(code, "") if num_methods == 1 else _ADVICE_AFTER_SEVERAL.format(num_methods=num_methods)
        words = {"period": int(self.period), "apart": distance_clause, "advice": advice}
        return _MESSAGES[code].format(**words, precision=double_precision())

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Result):
            return self.code == other.code
        return self.code == other

    def __hash__(self) -> int:
        return id(self)  # Python takes the hash of a class that defines `__eq__`

    def _page(self) -> Page:
        if self.code.ndim:
            return Page(type(self).__name__, in_words(counted_results(np.asarray(self.code))))
        status = GOOD if int(self.code) == RESULTS.converged else BAD
        return Page(type(self).__name__, f"{self.name}: {self.message}", status=status)


class ConvergenceError(RuntimeError):
    """Raised by `solve(..., throw=True)` when no equilibrium was found.

    Attributes:
      equilibrium: the best iterate, with its residual and history.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> try:
      ...     mfg.solve(game, response, mfg.Picard(0.5), max_steps=2)
      ... except mfg.ConvergenceError as error:
      ...     error.equilibrium.result.name
      'max_steps'
    """

    def __init__(self, message: str, equilibrium: Any):
        super().__init__(message)
        self.equilibrium = equilibrium
