"""What a solver is, and the equation it is given."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple, NoReturn

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._display import shows_itself
from .._typing import Array, Bool
from ..model import AnyGame
from ..responses import AbstractResponse


class Candidate(NamedTuple):
    """What may become the equilibrium: a mean field, and the policy where the response to that is not it.

    `log_policy` comes with the exploitability as criterion, `mixture` with the residual: a policy that mixes best
    responses to `mean_field`, NaN where it is the response itself.
    """

    mean_field: Array
    log_policy: Array | None
    mixture: Array | None = None


class Progress(NamedTuple):
    """What a step reports: a candidate, how far off it is, and whether the method is at its end.

    `residual` is in the unit of the criterion, infinite where a step measured none.
    """

    candidate: Candidate
    residual: Array
    failed: Bool[Array, ""]


class Problem(NamedTuple):
    """The fixed-point equation μ = Γ(μ) of a game and a response, and the tolerance it is wanted to: 0 for none."""

    game: AnyGame
    response: AbstractResponse
    tolerance: Array | np.ndarray = np.zeros(())

    @property
    def lanes(self) -> tuple[int, ...]:
        """The axes behind those of one game: none, or one of lanes, each a problem of its own."""
        return self.game.lanes

    def image(self, mean_field: Array) -> Array:
        """Return Γ(μ)."""
        return self.image_from(mean_field, None)[0]

    def image_and_floor(self, mean_field: Array) -> tuple[Array, Array]:
        """Return Γ(μ) and what rounding of the action values may change of it."""
        best = self.game.best_response(mean_field, self.response)
        floor = self.response.rounding(best.q, self.game.available)
        return self.game.moved_on(mean_field, best.policy)[1], floor

    def floor(self, mean_field: Array) -> Array:
        """Return what rounding of the action values may change of Γ(μ); no method looks at it step by step."""
        return self.response.rounding(self.game.best_response(mean_field, self.response).q, self.game.available)

    def image_from(self, mean_field: Array, values: Array | None) -> tuple[Array, Array | None]:
        """Return Γ(μ) and, in stationary games, the values behind it: given to a call nearby, they save work."""
        policy, values = self.game.policy_from(mean_field, self.response, values)
        return self.game.moved_on(mean_field, policy)[1], values

    def first_guess(self) -> Array:
        """Return where to start: the flow of the prior policy; in a stationary game the initial law."""
        return self.game.first_guess(jnp.exp(self.prior_policy()))

    def project(self, mean_field: Array) -> Array:
        """Return the nearest flow of distributions, up to a constant: clipped at 0 and rescaled."""
        return self.game.projected(mean_field)

    def prior_policy(self) -> Array:
        """Return the log of the policy that is played when payoffs do not matter, `[T, S, A]`."""
        game = self.game
        shape = (game.horizon + 1, game.num_states, game.num_actions, *self.lanes)
        prior = self.response.log_prior(game.available, game.dtype)
        return jnp.broadcast_to(prior if prior.ndim == len(shape) else prior[..., None], shape)


@shows_itself
class AbstractSolver(eqx.Module):
    """The base class of solvers: how the equation μ = Γ(μ) is solved, by one method or by several in turn.

    Γ is the mean-field map (`mean_field_map`).

    `atol` is the tolerance on the criterion. The criterion is the residual max_t d_TV(μ_t, Γ(μ)_t) for smooth
    responses, and in stationary games for all responses unless the method mixes policies; elsewhere it is the
    exploitability. With None the tolerance is the default of the precision; with 0 the solver runs for `max_steps`
    steps.
    """

    atol: eqx.AbstractVar[float | None]
    default_max_steps: ClassVar[int]

    @abstractmethod
    def stages(
        self, game: AnyGame, response: AbstractResponse, max_steps: int, has_guess: bool = False
    ) -> list[tuple["AbstractMethod", int]]:
        """Return the methods in turn, each with its share of the steps.

        Args:
          game: the game.
          response: how agents act.
          max_steps: maximal number of steps of all methods together.
          has_guess: whether there is a mean field to start from that may be near an equilibrium.

        Raises:
          ValueError: if the solver does not apply to the response, or to this kind of game.
        """


class AbstractMethod(AbstractSolver):
    """The base class of a solver with a single method: pure functions `init` and `step`, called in a loop."""

    splits: ClassVar[bool] = False  # candidates have a `mixture`
    has_lag: ClassVar[bool] = False  # the next iterate depends on the one before, too
    takes_lanes: ClassVar[bool] = False  # see `in_lanes`

    @property
    def patience(self) -> int | None:
        """Steps without any progress after which the loop gives up; None: never."""
        return None

    @property
    def may_cycle(self) -> bool:
        """Whether iterates that repeat show a cycle, so that the loop looks for one."""
        return False

    @property
    @abstractmethod
    def mixes(self) -> bool:
        """Whether candidates for jumping responses are mixtures of policies, which the mean field does not tell."""

    @abstractmethod
    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        """Raise `ValueError` with a sentence if the method does not apply to a response, or a kind of game."""

    def in_lanes(self, game: AnyGame) -> bool:
        """Tell whether `init` and `step` compute all lanes of a `LaneGame` at once; else they are mapped over lanes."""
        return self.takes_lanes

    def stages(
        self, game: AnyGame, response: AbstractResponse, max_steps: int, has_guess: bool = False
    ) -> list[tuple["AbstractMethod", int]]:
        self.check(game, response)
        return [(self, max_steps)]

    @abstractmethod
    def init(self, problem: Problem, guess: Array) -> Any:
        """Return the state before the first step."""

    @abstractmethod
    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        """Evaluate the current iterate and move to the next."""


def by_residual(game: AnyGame, response: AbstractResponse, solver: AbstractMethod) -> bool:
    """Tell whether the criterion is the residual; else it is the exploitability.

    Where the response jumps, a finite-horizon equilibrium needs mixing at the jumps, as a rule. A stationary one is
    also sought among the pure responses, such as those of Π^ε, by methods that do not mix.
    """
    return response.is_smooth or (game.seeks_pure and not solver.mixes)


def needs_smooth(solver: AbstractMethod, game: AnyGame, response: AbstractResponse) -> None:
    """Refuse responses whose policy is not a differentiable function of the mean field, but in stationary games.

    There the map of the jumping ones is smooth wherever no two actions are equally good.
    """
    if not by_residual(game, response, solver):
        refuse_jumps(solver, response)


def refuse_jumps(solver: AbstractMethod, response: AbstractResponse) -> NoReturn:
    """Say that a method needs a smooth response."""
    raise ValueError(
        f"`solver={type(solver).__name__}(...)` needs a response that is continuous in the mean field, but the "
        f"policy of `{type(response).__name__}` jumps. Use `EntropyRegularized`, or a solver such as `Auto`, "
        "`Continuation`, `Picard(averaging=...)`."
    )


def needs_stationary(solver: AbstractMethod, game: AnyGame) -> None:
    """Refuse games with a finite horizon."""
    if not game.is_stationary:
        raise ValueError(
            f"`solver={type(solver).__name__}(...)` is for a `StationaryGame`; with a finite horizon "
            "use `Picard`, or the default solver."
        )
