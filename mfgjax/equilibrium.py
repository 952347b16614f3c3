"""What a solve returns."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._result import RESULTS, Result
from ._typing import Array, Bool, Float, Int


class Equilibrium(eqx.Module):
    """A mean field, the policy that answers it and generates it, and how well they agree.

    Attributes:
      mean_field: what payoffs see, `[H+1, S]` (or `[H+1, S, A]` where the game observes the joint law).
      policy: π_t(a|s), `[H+1, S, A]`; for smooth responses exactly the response to `mean_field`. In a stationary game
        with a `Trembling` or `EpsilonGreedy` response it is that, too, or a mixture of best responses where the default
        solver found no pure equilibrium.
      log_policy: its log, −inf where it is 0.
      values: V_t(s) of the response to `mean_field`, in units of reward.
      q: Q_t(s,a), likewise.
      residual: max_t d_TV(μ_t, Γ(μ)_t) for smooth responses, and for others in a stationary game whose solver does not
        mix policies; else the exploitability. Of a mixture of best responses in a stationary game it is the larger of
        d_TV(z, Φ(z, π)) and of what the policy loses in a state against the best action, over the span of q.
      exploitability: gain from leaving `policy` in the population that follows it, in units of reward, in
        the criterion of the response: with KL terms for `EntropyRegularized`, without for others.
      tolerance: what `residual` was compared with; above the `atol` asked for only where rounding is.
      num_steps: steps taken, over all methods tried.
      residual_history: the criterion at every step, NaN where a step measured none or none was taken.
      error_estimate: how far `mean_field` is estimated to be from an equilibrium, max_t d_TV; NaN where that is not
        known, as where the criterion is the exploitability. An estimate is no bound: see `RESULTS.ill_conditioned`.
      result: why the solver stopped, as a code and a sentence.
      criterion: "residual" or "exploitability": what `residual` is.
      observes: what `mean_field` is, as in the game.
      action_axis: where the actions are in joint laws, counted from the end.

    Of a stationary game arrays have no axis of times: `mean_field` is z, `[S]`, `policy` `[S, A]`, and exploitability
    is that of an agent who starts in a random place of the population z, to which `policy` is compared.

    An `Equilibrium` of `solve_batch` has one axis of lanes more, the last of every array.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> eq = mfg.solve(game, response)
      >>> eq.mean_field.shape, eq.policy.shape, bool(eq.converged)
      ((2, 3), (2, 3, 2), True)
    """

    # T for times may be missing, lanes may follow: each of these names stands for as many axes as there are
    mean_field: Array
    policy: Float[Array, "*T_S_A"]
    log_policy: Float[Array, "*T_S_A"]
    values: Float[Array, "*T_S"]
    q: Float[Array, "*T_S_A"]
    residual: Float[Array, "*lanes"]
    exploitability: Float[Array, "*lanes"]
    tolerance: Float[Array, "*lanes"]
    num_steps: Int[Array, "*lanes"]
    residual_history: Float[Array, "*steps"]
    error_estimate: Float[Array, "*lanes"]
    result: Result
    criterion: str = eqx.field(static=True)
    observes: str = eqx.field(static=True)
    action_axis: int = eqx.field(static=True, default=-1)

    @property
    def converged(self) -> Bool[Array, "*lanes"]:
        """Whether the criterion reached the tolerance."""
        return self.result.code == RESULTS.converged

    @property
    def state_law(self) -> Float[Array, "*T S"]:
        """The law of the states at every time, whatever payoffs see."""
        return self.mean_field if self.observes == "states" else self.mean_field.sum(axis=self.action_axis)

    @property
    def mean_state(self) -> Float[Array, "*T"]:
        """Σ_s s μ_t(s), the mean number of the state at every time: of health, reputation, whatever states count."""
        # the sum over actions leaves the states where these were; lanes may trail
        law = jnp.moveaxis(self.state_law, self.action_axis, -1)
        return law @ jnp.arange(law.shape[-1], dtype=law.dtype)

    @property
    def history(self) -> Array:
        """The criterion at the steps that measured one; all of `residual_history` while traced."""
        # shapes in `jit` cannot depend on values
        if isinstance(self.residual_history, Tracer) or self.residual_history.ndim > 1:
            return self.residual_history
        values = np.asarray(self.residual_history)
        return jnp.asarray(values[np.isfinite(values)])

    def __repr__(self) -> str:
        if isinstance(self.residual, Tracer) or self.residual.ndim:
            return f"Equilibrium(mean_field={self.mean_field.shape}, policy={self.policy.shape})"
        return (
            f"Equilibrium({self.result.name} in {int(self.num_steps)} steps: residual={float(self.residual):.2e}, "
            f"exploitability={float(self.exploitability):.2e}, mean_field={self.mean_field.shape})"
        )
