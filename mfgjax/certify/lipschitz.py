"""Lipschitz constants of rewards and kernels in the mean field: given, derived, or sampled."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._display import shows_itself
from .._modes import in_own_modes
from .._simplex import total_variation
from .._typing import Array, ArrayLike, Float
from ..model import FiniteHorizonGame, of_kind, trace_game
from ..ranges.intervals import Interval
from ..ranges.programs import range_of
from ..ranges.ranges import NotDerivable
from .paths import is_decoupled
from .sampling import sample_laws, seen_of
from .slopes import from_ranges

ORIGINS = ("given", "derived", "sampled")
_MOST_NUMBERS = 2**24
_NEAREST = 1e-4  # distance of mean fields whose quotients are looked at


@shows_itself
class Lipschitz(eqx.Module):
    """Lipschitz constants of rewards and kernel: how fast they change with the mean field.

        |R_t(s,a,μ) − R_t(s,a,μ')|            ≤ reward[t] · d_TV(μ, μ')    for all s and available a
        d_TV(P_t(·|s,a,μ), P_t(·|s,a,μ'))     ≤ kernel[t] · d_TV(μ, μ')

    Args:
      reward: in units of reward, one number, or one for each of the H+1 times.
      kernel: one number, or one for each of the H moves; 0 for kernels that do not depend on the mean field.
      origin: "given": you know the constants; "derived": they were derived from the game; "sampled": they are the
        largest quotients seen, which are too small in general, so nothing that depends on them is reported as proved.

    Raises:
      ValueError: if a constant is negative or not finite.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.coordination(), mfg.EntropyRegularized(beta=1.0)
      >>> known = mfg.Lipschitz(reward=1.0, kernel=0.0)
      >>> mfg.certify(game, response, lipschitz=known)["unique"].word
      'holds'
    """

    reward: Float[Array, "#T"]
    kernel: Float[Array, "#T"]
    origin: str = eqx.field(static=True)

    def __init__(self, reward: ArrayLike, kernel: ArrayLike = 0.0, *, origin: str = "given"):
        self.reward, self.kernel = _constants("reward", reward), _constants("kernel", kernel)
        _checks.one_of("origin", origin, ORIGINS)
        self.origin = str(origin)

    def fit(self, game: FiniteHorizonGame) -> tuple[Array, Array]:
        """Return the constants for each time of a game, `[H+1]` and `[H]`; `ValueError` if their number is wrong."""
        H = game.horizon
        _checks.shape_is("lipschitz.reward", self.reward, [(1,), (H + 1,)], "one, or one for each time")
        _checks.shape_is("lipschitz.kernel", self.kernel, [(1,), (H,)], "one, or one for each move")
        reward, kernel = (jnp.asarray(constants, game.dtype) for constants in (self.reward, self.kernel))
        return jnp.broadcast_to(reward, (H + 1,)), jnp.broadcast_to(kernel, (H,))


def _constants(name: str, value: Any) -> Any:
    numbers = _checks.as_numbers(f"lipschitz.{name}", value)
    _checks.shape_is(f"lipschitz.{name}", numbers, [(), (None,)], "one number, or one for each time")
    if not _checks.is_traced(numbers):
        array = np.asarray(numbers)
        must = "a Lipschitz constant is a finite number >= 0"
        _checks.all_true(f"lipschitz.{name}", array, np.isfinite(array) & (array >= 0), must)
    return numbers.reshape(-1)


@in_own_modes
def sample_lipschitz(game: FiniteHorizonGame, *, key: Array, num_pairs: int = 1000) -> Lipschitz:
    """Estimate the Lipschitz constants of a game from below, by random pairs of mean fields.

    In half of the pairs the mean fields are far apart (softmax of normals, from flat to near the corners), in the other
    half close together.

    Args:
      game: the game.
      key: random key, such as `jax.random.key(0)`.
      num_pairs: number of pairs of mean fields; each pair is tried at all times.

    Returns:
      The largest quotients seen, as `Lipschitz(..., origin="sampled")`. They never exceed the true constants.

    Raises:
      ValueError: if an argument is invalid, such as a stationary game.

    Example:
      >>> import jax, mfgjax as mfg
      >>> found = mfg.sample_lipschitz(mfg.games.left_right(), key=jax.random.key(0))
      >>> found.origin, bool(found.kernel.max() == 0.0)
      ('sampled', True)
    """
    game = of_kind(FiniteHorizonGame, game)
    key = _checks.random_key("key", key)
    num_pairs = _checks.integer_at_least("num_pairs", num_pairs, 1)
    return Lipschitz(*_sampled(trace_game(game).seeing_laws(), key, num_pairs), origin="sampled")


@compiled
def _sampled(game: FiniteHorizonGame, key: Array, num_pairs: int) -> tuple[Array, Array]:
    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    coupled = not is_decoupled(game)

    def quotients(pair: Array) -> tuple[Array, Array]:
        first, second = pair
        apart = jnp.abs(first - second).sum(axis=tuple(range(1, first.ndim))) / 2
        apart = jnp.where(apart > _NEAREST, apart, jnp.inf)  # below, quotients are rounding
        gaps = jnp.abs(jax.vmap(game.reward_at)(times, first) - jax.vmap(game.reward_at)(times, second))
        reward = jnp.where(game.available, gaps, 0).max(axis=(1, 2)) / apart
        if not coupled:
            return reward, jnp.zeros(game.horizon, game.dtype)

        def move(t: Array) -> Array:
            first_rows, second_rows = (game.kernel_at(t, flow[t]).probabilities[0] for flow in (first, second))
            return jnp.where(game.available_at(t), total_variation(first_rows, second_rows), 0).max()

        return reward, jax.vmap(move)(times[:-1]) / apart[:-1]

    reward, kernel = jax.vmap(quotients)(seen_of(game, sample_laws(game, key, num_pairs)))
    return reward.max(axis=0), kernel.max(axis=0)


def contradict(game: FiniteHorizonGame, constants: Lipschitz, key: Array) -> None:
    """Refuse constants that random pairs of mean fields show to be too small; traced ones are not checked.

    Raises:
      ValueError: naming the constant, and what was seen.
    """
    if constants.origin == "sampled" or _checks.is_traced((game, constants, key)):
        return
    for name, seen, claimed in zip(("reward", "kernel"), _sampled(game, key, 256), constants.fit(game), strict=True):
        seen, claimed = np.asarray(seen), np.asarray(claimed)
        rounding = 100 / _NEAREST * np.finfo(claimed.dtype).eps  # dividing by a small distance magnifies it
        wrong = np.argwhere(seen > claimed * (1 + rounding) + rounding)
        # time 0 does not count where mean fields share the initial law
        wrong = wrong[wrong[:, 0] > 0] if game.observes == "states" else wrong
        if len(wrong):
            t = wrong[0, 0]
            raise ValueError(
                f"`lipschitz.{name}` is {claimed[t]:.6g} at time {t}, but that is no Lipschitz constant: two random "
                f"mean fields give {seen[t]:.6g}."
            )


def derive_kernel_constants(game: FiniteHorizonGame) -> tuple[Array, Array]:
    """Bound how fast a kernel given as a callable changes with the mean field.

    Returns:
      sup d_TV(P_t(·|s,a,μ), P_t(·|s,a,μ')) / d_TV(μ,μ') for each move, `[H]`, and by how much rounding may move the
      rows, in the same distance.

    Raises:
      NotDerivable: saying why, if the kernel's program cannot be read.
    """
    S, A = game.num_states, game.num_actions
    shape = game.seen_shape
    size = int(np.prod(shape))
    if S * A * S * size > _MOST_NUMBERS:
        raise NotDerivable(f"the kernel's derivatives would be {S * A * S:,} × {size:,} numbers at each time")
    # a box around all laws; that entries sum to 1 is used by the oscillation in `constants`
    box = Interval(jnp.zeros(shape, game.dtype), jnp.ones(shape, game.dtype))

    def at(t: Array) -> tuple[Array, Array]:
        found = range_of(lambda seen: game.kernel_as_given(t, seen).probabilities[0], box)
        slope = Interval(*(jnp.moveaxis(end, 0, -1) for end in found.slope))  # [S, A, K, n], read as [T, S, A, n]
        # d_TV is half the l1 norm, in which the changes of all K entries of a row add up
        moved = from_ranges(slope, found.affine).constants().sum(axis=2) / 2
        is_available = game.available_at(t)
        moved, rounding = (jnp.where(is_available, x, 0).max() for x in (moved, found.rounding.sum(axis=2) / 2))
        return moved, rounding

    return jax.lax.map(at, jnp.arange(game.horizon, dtype=jnp.int32))
