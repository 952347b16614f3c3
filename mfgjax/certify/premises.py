"""What the theorems need to know of a game and a response, and why some of it is unknown."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from .._typing import Array, Float
from ..model import FiniteHorizonGame
from ..ranges.ranges import MOST_LOST, NotDerivable
from ..responses import AbstractResponse
from ..responses.base import AbstractTempered
from .derivatives import differentiable
from .lipschitz import derive_kernel_constants
from .paths import availability, counted, is_decoupled, mixing
from .payoffs import Payoffs, derive_payoffs, largest_constants
from .slopes import BoundedSlopes


class Premises(NamedTuple):
    """What is known of a game and a response, for every mean field.

    Attributes:
      game: the game.
      response: how agents act.
      tempered: the response if it is a smooth one with a temperature, else None.
      beta: its inverse temperature, NaN if it has none.
      decoupled: whether the kernel does not depend on the mean field.
      mixing: Dobrushin's coefficient of each move; 1 where it was not computed.
      payoffs: bounds on the rewards; None: unknown.
      constants: K_t, the largest Lipschitz constant of the rewards of a pair, `[T]`; None: unknown.
      spans: κ_t, the largest contrast between the rewards of two pairs; 0 where it cannot matter; None: unknown.
      kernel: Lipschitz constant of each move in the mean field; None: unknown.
      rounding_of_kernel: by how much rounding may move rows of the kernel, in d_TV, `[H]`.
      reasons: why bounds on rewards or kernel are unknown.
      smooth: the game without the rules that programs bring for their derivatives.
      no_derivative: why derivatives of rewards and kernel say nothing of them; empty if they do.
      lost: what rounding of rewards and kernel may add to a bound c on how much Γ_β stretches, β c, at distances of
        `resolution` or more.
    """

    game: FiniteHorizonGame
    response: AbstractResponse
    tempered: AbstractTempered | None
    beta: Array
    decoupled: bool
    mixing: Float[Array, " H"]
    payoffs: Payoffs | None
    constants: Float[Array, " T"] | None
    spans: Float[Array, " T"] | None
    kernel: Float[Array, " H"] | None
    rounding_of_kernel: Float[Array, " H"]
    reasons: tuple[str, ...]
    smooth: FiniteHorizonGame
    no_derivative: str
    lost: Array | float = 0.0

    @property
    def resolution(self) -> float:
        """The distance below which mean fields are not told apart, as rounding of the game may move them."""
        return max(MOST_LOST, float(jnp.finfo(self.game.dtype).eps) ** 0.5)

    @property
    def proved(self) -> bool:
        """Whether what is known of the rewards was proved, and not only sampled."""
        return self.payoffs is not None and self.payoffs.proved

    @property
    def below_one(self) -> float:
        """The number below which a computed factor proves one below 1; −∞ if constants were only sampled."""
        # sums over times, states and actions are rounded once a term
        num_terms = (self.game.horizon + 1) * (self.game.num_states + self.game.num_actions)
        return 1 - (64 + num_terms) * float(jnp.finfo(self.game.dtype).eps) if self.proved else -jnp.inf

    @property
    def how(self) -> str:
        """How the constants were found, and why not all of them were."""
        known = () if self.payoffs is None else (f"constants: {self.payoffs.how}",)
        if self.proved:
            known += (
                f"rounding errors of rewards count as slopes between mean fields at least {self.resolution:.0e} apart",
            )
        return "; ".join((*known, *self.reasons))

    def why_not(self, *, coupled: bool = False) -> str:
        """Say why theorems on contraction do not apply; empty if they do.

        Args:
          coupled: whether the theorem is for all softmax responses, and for kernels that depend on the mean field, too:
            there it needs Lipschitz constants of the kernel and the range of the rewards.
        """
        why = [] if self.tempered is not None else ["the response jumps, so Γ is not continuous"]
        if self.tempered is not None and not self.response.maximises and not coupled:
            why.append("the response does not maximise a KL-regularised criterion")
        if not self.decoupled and not coupled:
            why.append("the kernel depends on the mean field")
        if not self.decoupled and coupled and self.payoffs is not None and self.payoffs.value is None:
            why.append("the range of the rewards is not known, and the kernel depends on the mean field")
        unknown = self.payoffs is None or (coupled and self.kernel is None)
        return "; ".join((*why, *self.reasons) if why or unknown else ())


def premises_of(
    game: FiniteHorizonGame, response: AbstractResponse, constants: tuple[Array, Array, str] | None
) -> Premises:
    """Read the game's rewards and kernel, or take Lipschitz constants `(reward [T], kernel [H], origin)` for them."""
    beta, decoupled = jnp.asarray(jnp.nan, game.dtype), is_decoupled(game)
    tempered = response if isinstance(response, AbstractTempered) else None  # Γ of one that jumps is not continuous
    if tempered is not None:
        beta = tempered.beta.astype(game.dtype)
    # rewards count in units of 1/β
    unit = jnp.zeros((), game.dtype) if tempered is None else 1 / beta
    payoffs, reasons = _derived("reward", lambda game: derive_payoffs(game, unit), game)
    rounding_of_kernel = jnp.zeros(game.horizon, game.dtype)
    if constants is not None:
        reward, kernel, origin = constants
        value = None if payoffs is None else payoffs.value  # constants do not tell the range of rewards
        reasons = () if decoupled else reasons  # only the chain of a coupled kernel needs more
        bounds = BoundedSlopes(jnp.broadcast_to(reward[:, None, None], (len(reward), *game.available.shape[1:])))
        how = f"Lipschitz constants that were {origin}"
        no_rounding = jnp.zeros_like(bounds.bounds)
        payoffs = Payoffs(bounds, value, None, None, False, how, origin != "sampled", no_rounding)
    elif decoupled:
        kernel = jnp.zeros(game.horizon, game.dtype)
    else:
        found, kernel_reasons = _derived("kernel", derive_kernel_constants, game)
        kernel, rounding_of_kernel = (None, rounding_of_kernel) if found is None else found
        reasons = (*reasons, *kernel_reasons)
    if tempered is not None and not response.is_softmax:  # what rewards are like then says nothing of its equilibria
        payoffs, kernel = None, None
        reasons = (f"no theorem is known of `{type(response).__name__}` responses", *reasons)
    largest_lipschitz = spans = None
    if payoffs is not None:
        largest_lipschitz = largest_constants(game, payoffs)
        spans = counted(game, payoffs.slopes.spans(availability(game, payoffs.slopes.shape[2])))
    smooth, no_derivative = differentiable(game)
    return Premises(
        game,
        response,
        tempered,
        beta,
        decoupled,
        mixing(game) if decoupled else jnp.ones(game.horizon, game.dtype),  # 1 bounds every coefficient
        payoffs,
        largest_lipschitz,
        spans,
        kernel,
        rounding_of_kernel,
        reasons,
        smooth,
        no_derivative,
    )


def _derived(name: str, derive: Callable[[FiniteHorizonGame], Any], game: FiniteHorizonGame) -> tuple[Any, tuple]:
    try:
        return derive(game), ()
    except NotDerivable as error:
        return None, (f"the {name}'s constants cannot be derived: {error}",)
