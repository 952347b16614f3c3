"""One problem, or many of one shape: which arrays carry lanes, and computing them in blocks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._linear import SMALL
from .._trees import with_leaves
from .._typing import Array
from ..model import AbstractGame, AnyGame, LaneGame
from ..responses import AbstractResponse
from ..solvers import AbstractMethod, AbstractSolver
from ..solvers.shooting import shoots

_CACHE = 2**14
"""Bytes of one policy of one time, over the lanes of a block, that leave all else in a core's cache."""

_MATRICES = 2**26
"""Numbers that the matrices of a block may have where each lane of it needs one of S x S."""

_LARGE = 2**29
"""Bytes that a block may take where there is no such cache (accelerators)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Lanes:
    """Problems that share some arrays and have others of their own, on a last axis of lanes; or one alone.

    Args:
      problem: game, response and solver; what carries lanes has one axis more, at the end.
      carried: for each leaf of `problem`, in order, whether it carries lanes; empty for one problem alone.
      num_lanes: their number; 0 for one problem alone, of which no array has an axis of lanes.
    """

    problem: tuple[AbstractGame, AbstractResponse, AbstractSolver]
    carried: tuple[bool, ...] = field(default=(), metadata={"static": True})
    num_lanes: int = field(default=0, metadata={"static": True})

    @property
    def is_alone(self) -> bool:
        return self.num_lanes == 0

    @property
    def mapped(self) -> list[Array]:
        """The arrays that carry lanes."""
        if self.is_alone:
            return []
        return [leaf for leaf, lane in zip(jax.tree.leaves(self.problem), self.carried, strict=True) if lane]

    def having(self, mapped: Sequence[Any], num_lanes: int) -> "Lanes":
        """Return the same problems with other lanes."""
        return Lanes(self.single(mapped), self.carried, num_lanes)

    def single(self, mapped: Sequence[Any]) -> Any:
        """Return game, response and solver with other arrays where lanes are carried: those of one lane, say."""
        places = [i for i, lane in enumerate(self.carried) if lane]
        return with_leaves(self.problem, dict(zip(places, mapped, strict=True)))

    def lane(self, index: int) -> Any:
        """Return game, response and solver of one lane."""
        return self.single([leaf[..., index] for leaf in self.mapped])

    def take(self, index: Array | np.ndarray) -> "Lanes":
        """Return some of the lanes, in the order of an index array."""
        return self.having([leaf[..., index] for leaf in self.mapped], len(index))

    @property
    def game(self) -> AnyGame:
        """The games, as one that computes all lanes at once."""
        game = self.problem[0]
        if self.is_alone:
            return game
        return LaneGame(game, self.carried[: len(jax.tree.leaves(game))], self.num_lanes)

    def with_solver(self, solver: AbstractSolver) -> "Lanes":
        """Return the same games and responses with a solver that all lanes share."""
        kept = len(jax.tree.leaves(self.problem[:2]))
        flags = self.carried[:kept] + (False,) * len(jax.tree.leaves(solver))
        return Lanes((*self.problem[:2], solver), flags, self.num_lanes)

    def per_lane(self, function: Callable, *arrays: Any) -> Any:
        """Map `function(game, response, solver, *arrays)`, written for one lane, over all."""
        if self.is_alone:
            return function(*self.problem, *arrays)
        if self.num_lanes == 1:  # not mapped: a mapped condition computes both of its branches
            found = function(*self.lane(0), *jax.tree.map(lambda leaf: leaf[..., 0], arrays))
            return jax.tree.map(lambda leaf: jnp.asarray(leaf)[..., None], found)
        first = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), (self.mapped, arrays))

        def one(mapped: Sequence[Array], arrays: Any) -> Any:
            return function(*self.single(mapped), *arrays)

        return jax.vmap(one, in_axes=0, out_axes=-1, axis_size=self.num_lanes)(*first)

    def in_blocks(self, width: int, function: Callable, *arrays: Any, lanes_first: bool = False) -> Any:
        """Compute `function(lanes, *arrays)` in blocks of `width` lanes, one after the other.

        A block stays in a core's cache, and stops by itself. The last one is filled up with copies of the last
        lane, so that all have one shape.

        Args:
          width: lanes of a block.
          function: from `Lanes` and arrays with a last axis of lanes to a tree of such arrays.
          arrays: trees of arrays with a last axis of lanes.
          lanes_first: return lanes as the first axis.
        """
        if self.is_alone:
            return function(self, *arrays)
        if self.num_lanes <= width:
            return _front(function(self, *arrays)) if lanes_first else function(self, *arrays)
        count = -(-self.num_lanes // width)
        filled = count * width - self.num_lanes

        def split(leaf: Array) -> Array:
            if filled:
                leaf = jnp.concatenate([leaf, jnp.repeat(leaf[..., -1:], filled, axis=-1)], axis=-1)
            return jnp.moveaxis(leaf.reshape(*leaf.shape[:-1], count, width), -2, 0)

        def join(leaf: Array) -> Array:
            if lanes_first:
                return leaf.reshape(count * width, *leaf.shape[2:])[: self.num_lanes]
            whole = jnp.moveaxis(leaf, 0, -2)
            return whole.reshape(*whole.shape[:-2], count * width)[..., : self.num_lanes]

        def block(parts: Any) -> Any:
            mapped, arrays = parts
            result = function(self.having(mapped, width), *arrays)
            return _front(result) if lanes_first else result

        return jax.tree.map(join, jax.lax.map(block, jax.tree.map(split, (self.mapped, arrays))))


def _front(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), tree)


def block_width(game: AbstractGame) -> int:
    """Return how many lanes make a good block: a power of 2 that fits in cache, or fills an accelerator."""
    size = game.num_states * game.num_actions * game.dtype.itemsize
    if jax.default_backend() == "cpu":
        most, least, budget = 1024, 16, _CACHE // size
    else:
        most, least, budget = 2**17, 32, _LARGE // (size * (game.horizon + 1) * 8)
    width = int(np.clip(2 ** int(np.log2(max(budget, 1))), least, most))
    # values of stationary games may need a matrix for each lane
    return max(1, min(width, _MATRICES // game.num_states**2)) if game.is_stationary else width


def method_width(method: AbstractMethod, game: AbstractGame, width: int) -> int:
    """Return how many lanes of a block a method takes at once."""
    if method.in_lanes(game):
        return width
    return solving_width(game, width)


def solving_width(game: AbstractGame, width: int) -> int:
    """Return how many lanes to take at once where each step of each solves for a change of its whole flow."""
    if (shoots(game) or game.is_stationary) and game.num_states > SMALL and jax.default_backend() == "cpu":
        return 1  # LAPACK takes matrices one by one anyway, and alone a lane stops by itself
    return narrow_width(game, width)


def narrow_width(game: AbstractGame, width: int) -> int:
    """Return how many lanes to take at once where each needs a matrix of the size of its flow."""
    unknowns = (game.horizon + 1) * math.prod(game.seen_shape)
    work = (game.horizon + 1) * game.num_states * game.num_actions
    size = unknowns * (3 * unknowns + 4 * work) if unknowns <= game.matrix_limit else 100 * work
    budget = 2**26 if jax.default_backend() == "cpu" else _LARGE
    return int(np.clip(budget // (size * game.dtype.itemsize), 1, width))
