"""Best responses with a trembling hand, and greedy policies to which randomness is added afterwards."""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._simplex import safe_log
from .._typing import Array, ArrayLike, Bool, Float, Scalar, Self
from ..kernels.base import align
from .base import AbstractResponse, Backup, greedy_values
from .greedy import first_best


class AbstractTrembling(AbstractResponse):
    """A response that plays one action with probability 1 − ε and shares ε among the others."""

    epsilon: eqx.AbstractVar[Array]
    tie: eqx.AbstractVar[str]
    is_smooth: ClassVar[bool] = False

    @property
    def prior_table(self) -> Float[Array, "#T S A *#batch"] | None:
        return None

    def with_tie(self, tie: str) -> Self:
        return type(self)(self.epsilon, tie)  # pyright: ignore[reportCallIssue]

    @abstractmethod
    def values_of_best(self, best: Array, q: Array, available: Array) -> Array:
        """Return the values of the states where the best action is worth `best`, `[S, *batch]`."""

    def backup(
        self, t: Scalar, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"], band: Array | float = 0.0
    ) -> Backup:
        policy = trembling_policy(q, available, self.epsilon, self.tie, band)
        # of the best action, so that the values do not jump at ties
        return Backup(self.values_of_best(greedy_values(q, available), q, available), safe_log(policy), policy)

    def check(self, num_times: int, available: Bool[Array, "#T S A"]) -> None:
        if self.epsilon.ndim:
            shape = self.epsilon.shape
            raise ValueError(f"`epsilon` must be one number; got an array of shape {shape}: `sweep` takes several.")
        if not _checks.is_traced((self.epsilon, available)):
            check_epsilon(np.asarray(self.epsilon), np.asarray(available))


class Trembling(AbstractTrembling):
    """The best response of an agent that takes another action with probability ε, and takes this into account.

        π_Q(a|s) = 1 − ε for the maximiser of Q(s,·),  ε/(A(s) − 1) for each other available action
        V(s)     = G(Q)(s) = Σ_a π_Q(a|s) Q(s,a)

    where A(s) is the number of available actions (a single available action is always taken). Π^ε is the set of such
    "trembling-hand" policies. The fixed point of Q = r + γ P G(Q) is called the TQ-value, and π_Q then maximises the
    value over Π^ε. `EpsilonGreedy` adds the same randomness, but its values ignore it.

    Args:
      epsilon: ε in [0, 1), a probability; at most (A(s) − 1)/A(s) in every state with A(s) ≥ 2, so that the best action
        is the most likely one.
      tie: which of several best actions is taken: the one with the "smallest" or the "largest" index.

    Raises:
      ValueError: if ε is out of range; its bound by the number of actions is checked with a game.

    Example:
      >>> import mfgjax as mfg
      >>> eq = mfg.solve(mfg.games.infection_tipping(), mfg.Trembling(0.1))
      >>> f"{eq.policy.min():.3f}"  # ε = 0.1, in equal parts on four other actions
      '0.025'

    Source: Lee et al. (2021), arXiv:2006.11683, section 2 and the definitions of π_Q^ε and G before eq. (5).
    """

    epsilon: Float[Array, "*batch"]
    tie: str = eqx.field(static=True)
    maximises: ClassVar[bool] = True
    rises: ClassVar[bool] = True
    plays_best: ClassVar[bool] = True

    def __init__(self, epsilon: ArrayLike, tie: str = "smallest"):
        self.epsilon, self.tie = _trembling(epsilon, tie)

    def values_of_best(self, best: Array, q: Array, available: Array) -> Array:
        main, share = shares_of(q, available, self.epsilon)
        # Σ π Q, where the sum over all actions counts the best one with `share`, too
        return (main - share) * best + share * jnp.where(align(available, q), q, 0).sum(axis=1)


class EpsilonGreedy(AbstractTrembling):
    """The greedy policy, but with probability ε another action is taken, which the values ignore.

        V(s) = max_a Q(s,a),   π(a|s) = 1 − ε for the maximiser,  ε/(A(s) − 1) for each other available action

    So it does not maximise what its agents really receive; `Trembling` does.

    Args:
      epsilon: ε in [0, 1), as for `Trembling`.
      tie: which of several best actions is taken: the one with the "smallest" or the "largest" index.

    Raises:
      ValueError: if ε is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> game, flow = mfg.games.left_right(), [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
      >>> f"{mfg.respond(game, flow, mfg.EpsilonGreedy(0.1)).policy[0, 0, 0]:.2f}"  # 1 − ε
      '0.90'

    Source: the ε-greedy idea from which Lee et al. (2021), arXiv:2006.11683, section 2, set trembling apart.
    """

    epsilon: Float[Array, "*batch"]
    tie: str = eqx.field(static=True)
    rises: ClassVar[bool] = True
    plays_best: ClassVar[bool] = True

    def __init__(self, epsilon: ArrayLike, tie: str = "smallest"):
        self.epsilon, self.tie = _trembling(epsilon, tie)

    def values_of_best(self, best: Array, q: Array, available: Array) -> Array:
        return best


def trembling_policy(q: Array, available: Array, epsilon: Array, tie: str, band: Array | float = 0.0) -> Array:
    """Return π_Q^ε of the available actions, `[S, A, *batch]`; those within `band` of the best count as best."""
    chosen, exists = first_best(q, available, tie, band), align(available, q)
    main, share = shares_of(q, available, epsilon)
    return jnp.where(chosen, main[:, None], jnp.where(exists, share[:, None], 0)).astype(q.dtype)


def shares_of(q: Array, available: Array, epsilon: Array) -> tuple[Array, Array]:
    """Return the probabilities of the chosen action and of each other one, `[S, *batch]`."""
    others = align(available.sum(axis=1).astype(q.dtype), q[:, 0]) - 1
    # `where` differentiates both branches, so neither may divide by 0
    share = jnp.where(others > 0, epsilon / jnp.maximum(others, 1), 0)
    main = jnp.where(others > 0, 1 - epsilon, jnp.ones((), q.dtype))
    return main.astype(q.dtype), share.astype(q.dtype)


def check_epsilon(epsilon: np.ndarray, available: np.ndarray) -> None:
    """Check that the chosen action is the likeliest at ε, which may be an array."""
    counts = available.sum(axis=-1)
    counts = counts[counts > 1]  # a state with one action does not tremble
    least = int(counts.min()) if counts.size else 2
    bound = (least - 1) / least
    # the bound as the precision has it, such as 2/3 in single precision, is allowed
    _checks.all_true(
        "epsilon",
        epsilon,
        (epsilon >= 0) & (epsilon <= bound * (1 + 4 * float(jnp.finfo(epsilon.dtype).eps))),
        f"where {least} actions are available it must lie in [0, {least - 1}/{least}]",
    )


def _trembling(epsilon: ArrayLike, tie: str) -> tuple[Array, str]:
    _checks.one_of("tie", tie, ("smallest", "largest"))
    return _checks.scalar_in("epsilon", epsilon, 0, 1, "[0, 1)"), str(tie)
