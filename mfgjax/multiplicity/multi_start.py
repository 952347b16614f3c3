"""Search for equilibria from many random starts."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import BAD, GOOD, Listing, Page, Part, Picture, shows_itself
from .._largest_states import heaviest
from .._shorten import short_number
from .._shown_laws import last_laws, laws_picture, names_or_numbers
from .._traced import as_it_is_now
from ..batch import solve_batch
from ..engine.prepare import fit_response, game_and_response
from ..equilibrium import Equilibrium
from ..model import AbstractGame, trace_game
from ..responses import AbstractResponse
from ..solvers import AbstractSolver
from .possible_errors import possible_errors

_DISTANCE = 1e-4
_MOST_ROWS = 12


@shows_itself
@dataclasses.dataclass(frozen=True)
class MultiStart:
    """The result of `multi_start`: the different equilibria that were found.

    Attributes:
      equilibria: the different equilibria, those that were reached most often first.
      counts: the number of starts that reached each of them.
      num_starts: the number of starts.
      num_failed: the number of starts that reached no equilibrium.
    """

    equilibria: tuple[Equilibrium, ...]
    counts: tuple[int, ...]
    num_starts: int
    num_failed: int

    def _page(self) -> Page:
        summary = f"counts={self.counts}, num_failed={self.num_failed} of {self.num_starts}"
        starts = f"{self.num_starts} starts, of which {self.num_failed} failed"
        found = f"{len(self.equilibria)} different equilibria from {starts}"
        return Page(type(self).__name__, summary, self._parts, GOOD if self.equilibria else BAD, title=found)

    def _parts(self) -> Iterator[Part]:
        if not self.equilibria:
            return
        laws = last_laws(np.stack([np.asarray(eq.mean_field) for eq in self.equilibria]))
        first = self.equilibria[0]
        names = names_or_numbers(first.state_labels, first.policy.shape[-2])
        rows = [
            [str(i), f"{count:,}", short_number(eq.residual), "" if laws is None else heaviest(names, laws[i])]
            for i, (eq, count) in enumerate(zip(self.equilibria[:_MOST_ROWS], self.counts, strict=False))
        ]
        left = len(self.equilibria) - len(rows)
        when = " at the last time" * (first.policy.ndim == 3)
        headings = ["equilibrium", ">starts", ">residual", f"largest shares{when}"]
        yield Listing(headings, rows, f"{left:,} equilibria that fewer starts reached are not shown." if left else "")
        if laws is not None:
            picture = laws_picture(list(laws), [str(i) for i in range(len(laws))])
            yield Picture(picture, f"share of the agents in each state{when}")


@as_it_is_now
def multi_start(
    game: AbstractGame,
    response: AbstractResponse,
    num_starts: int = 64,
    *,
    seed: int = 0,
    solver: AbstractSolver | None = None,
    distance: float | None = None,
    max_steps: int | None = None,
) -> MultiStart:
    """Search for equilibria from many random starts, all solved together.

    Every equilibrium that is found exists, but there may be others. In games with strategic complementarities `bracket`
    surely finds the least and the greatest equilibrium; `branch` finds those between folds, which are unstable under
    iteration.

    In a stationary game the starts are, in turn, its point masses and random laws, both uniform ones and ones near the
    corners of the simplex. In a game with a finite horizon they are the flows of random policies.

    Args:
      game: the game.
      response: how agents act.
      num_starts: number of starts, at least 1.
      seed: seed of the random starts.
      solver: the method; None for `Auto()`.
      distance: total variation distance in (0, 1). Mean fields that are closer than this count as one equilibrium, and
        so do mean fields that are connected by a chain of such pairs. None: the sum of the possible errors of the two,
        so that two equilibria next to a fold are not merged, and one that was found inexactly is not counted twice. The
        error is estimated as four times the first-order error that the residual implies (0.01 where 1 is an eigenvalue
        of DΓ). Where the criterion is the exploitability, as for `Greedy`, there is no such estimate, and 1e-4 is used.
      max_steps: maximal number of steps of the solver from each start.

    Returns:
      A `MultiStart`.

    Raises:
      ValueError: if an argument is invalid.

    Example:
      >>> import mfgjax as mfg
      >>> found = mfg.multi_start(mfg.games.mturk(), mfg.Trembling(0.1), 32)
      >>> sorted(round(float(equilibrium.mean_state), 2) for equilibrium in found.equilibria)
      [8.89, 20.11]
    """
    game, response = game_and_response(game, response)
    count = _checks.integer_at_least("num_starts", num_starts, 1)
    seed = _checks.integer_at_least("seed", seed, 0)
    users_distance = None if distance is None else _checks.number_in("distance", distance, 0, 1, "(0, 1)")
    game, response = trace_game(game), fit_response(game, response)
    starts = game.random_mean_fields(jax.random.key(seed), count)
    # an axis of equal values: all lanes are one game, and only their guesses differ
    discounts = jnp.broadcast_to(game.discount, (count,))
    found = solve_batch(game, response, solver, axes={"discount": discounts}, guess=starts, max_steps=max_steps)
    flows = np.moveaxis(np.asarray(found.mean_field), -1, 0)
    flows = flows.reshape(count, game.horizon + 1, *game.seen_shape)
    converged_lanes = np.flatnonzero(np.asarray(found.converged))
    if users_distance is None and found.criterion == "residual":
        radii = np.asarray(possible_errors(game, response, jnp.asarray(flows[converged_lanes])))
    else:
        # half for each of two, so that together they are the distance
        radii = np.full(len(converged_lanes), (_DISTANCE if users_distance is None else users_distance) / 2)
    groups: list[list[int]] = []
    radius_of = dict(zip(converged_lanes.tolist(), radii.tolist(), strict=True))
    for k in radius_of:
        # one point may join groups that were apart until then
        groups_joined = [
            g for g in groups if any(game.distance(flows[k], flows[j]) <= radius_of[k] + radius_of[j] for j in g)
        ]
        groups = [g for g in groups if g not in groups_joined] + [[*(j for g in groups_joined for j in g), k]]
    groups.sort(key=len, reverse=True)
    # of each the lane that was solved best
    residual = np.asarray(found.residual)
    chosen = [min(group, key=lambda k: residual[k]) for group in groups]
    lanes = dataclasses.replace(found, action_axis=-1)  # as it is in one lane
    picked = tuple(jax.tree.map(lambda leaf, k=k: leaf[..., k], lanes) for k in chosen)
    return MultiStart(picked, tuple(map(len, groups)), count, count - len(converged_lanes))
