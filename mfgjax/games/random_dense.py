"""Random games without any structure."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._modes import in_own_modes
from .._typing import Array, Float, Scalar
from ..model import FiniteHorizonGame, PairwiseReward


class SquashedLinear(eqx.Module):
    """Θ(x) = tanh(c x)."""

    steepness: Float[Array, "*batch"]  # a field, so that it can be swept
    takes_lanes: ClassVar[bool] = True

    def __call__(self, t: Scalar | int, x: Array) -> Array:
        return jnp.tanh(self.steepness * x)


@in_own_modes
def random_dense(
    seed: int = 0, num_states: int = 10, num_actions: int = 4, horizon: int = 20, steepness: float | Array = 1.0
) -> FiniteHorizonGame:
    """Build a random game in which every state interacts with every other, attracting or repelling.

    Rewards tanh(c Σ_s' L(s,a,s') μ_t(s')) with L standard normal; kernel rows and initial law uniform on the
    simplex. It is not monotone: with large c and β there may be several equilibria.

    Args:
      seed: seed of NumPy's random generator.
      num_states: S ≥ 1.
      num_actions: A ≥ 1.
      horizon: H ≥ 1.
      steepness: c.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.random_dense(num_states=3, num_actions=2, horizon=4)
      >>> game.num_states, game.num_actions, game.horizon
      (3, 2, 4)

    Source: this library's own, as a hard case for solvers.
    """
    S = _checks.integer_at_least("num_states", num_states, 1)
    A = _checks.integer_at_least("num_actions", num_actions, 1)
    # not JAX's, whose numbers differ between precisions
    generator = np.random.default_rng(_checks.integer_at_least("seed", seed, 0))
    kernel = generator.dirichlet(np.ones(S), size=(S, A))
    interaction = generator.standard_normal((S, A, S))
    initial = generator.dirichlet(np.ones(S))
    theta = SquashedLinear(_checks.scalar_in("steepness", steepness, -float("inf"), float("inf"), "(-inf, inf)"))
    return FiniteHorizonGame(kernel, PairwiseReward(interaction, theta), initial, horizon)
