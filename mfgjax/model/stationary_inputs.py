"""What a stationary game is built from: its sizes, and whether kernel and rewards fit them."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _checks, _functions
from ..kernels import AbstractKernel
from .aggregates import Aggregate, early_arguments
from .canonical import Axes, check_kernel_function, check_some_action, kernel_axes
from .parameters import Parameters, arguments_of
from .rewards import PairwiseReward, TableReward, check_interaction, check_table, refuse_interaction


def known_states(kernel: Any, mask: Any, law: Any) -> int | None:
    """Return the number of states, if law, kernel or available actions tell it."""
    if law is not None:
        return law.shape[0]
    return getattr(kernel, "num_states", None) if mask is None else mask.shape[-2]


def sizes(
    kernel: Any,
    reward: Any,
    law: Any,
    mask: Any,
    observes: tuple[str, Aggregate | None],
    params: Parameters,
    counts: Sequence[int | None],
) -> tuple[int, int]:
    """Return the numbers of states and actions, from whatever tells them first."""
    aggregate = observes[1]
    if isinstance(kernel, AbstractKernel):
        return kernel.num_states, kernel.num_actions
    if mask is not None:
        return mask.shape[-2], mask.shape[-1]
    if isinstance(reward, TableReward):
        return reward.table.shape[1], reward.table.shape[2]
    if aggregate is not None and aggregate.weights is not None:
        own = aggregate.weights.shape[2:]
        if len(own) == 2:
            return own
        law = np.full(own, 1 / own[0]) if law is None else law
    num_states = None if law is None else law.shape[0]
    arguments = None if law is None else early_arguments(*observes, law, "z", {}, params)
    if num_states is not None and arguments is not None:  # joint laws `[S, A]` cannot be made before A is known
        values = arguments_of(params, "kernel", kernel)
        returned = _functions.returned("kernel", kernel, arguments, "at the initial law", kernel_axes, values)
        if isinstance(returned, Axes):
            return num_states, returned.actions
        if len(getattr(returned, "shape", ())) == 3:
            return num_states, returned.shape[1]
    if num_states is not None and arguments is not None and not isinstance(reward, PairwiseReward):
        values = arguments_of(params, "reward", reward)
        shape = getattr(
            _functions.returned("reward", reward, arguments, "at the initial law", None, values), "shape", ()
        )
        if len(shape) == 2 and shape[1] > 1:
            return num_states, shape[1]
    S, A = counts[0] if num_states is None else num_states, counts[1]
    if S is not None and A is not None:
        return S, A
    raise ValueError(
        "`state_labels` and `action_labels`, or `available` (booleans [S, A]), must be given: the numbers of states "
        "and actions cannot be inferred from functions."
    )


def available_table(mask: Any, num_states: int, num_actions: int) -> Any:
    """Return the available actions as a table `[1, S, A]`; None stands for all."""
    if mask is None:
        return np.ones((1, num_states, num_actions), dtype=bool)
    _checks.shape_is("available", mask, [(num_states, num_actions)], "states, actions")
    if not _checks.is_traced(mask):
        check_some_action(mask)
    return mask[None]


def check_shapes(game: Any) -> None:
    """Check that kernel and rewards have the shapes that the sizes of the game ask for."""
    S, A = game.num_states, game.num_actions
    arguments = game.payoff_arguments
    kernel, reward, at = game.kernel, game.reward, "at the initial law"
    if isinstance(kernel, AbstractKernel):
        if kernel.num_times != 1:
            raise ValueError(f"`kernel` has {kernel.num_times} times; a stationary game needs one.")
    else:
        check_kernel_function(kernel, arguments, at, arguments_of(game.params, "kernel", kernel), S, A)
    shapes = [(S, A), (S, 1)]
    if isinstance(reward, TableReward):
        check_table(reward.table[0], S, A)
    elif isinstance(reward, PairwiseReward):
        refuse_interaction(game.aggregate)
        check_interaction(reward.L, game.seen_shape, A, 1)
        result = _functions.returned("reward", reward, {"t": jnp.int32(0), **arguments}, at)
        _functions.shape_returned("reward", result, shapes, "states, actions or 1")
    else:
        result = _functions.returned(
            "reward", reward, arguments, at, params=arguments_of(game.params, "reward", reward)
        )
        _functions.shape_returned("reward", result, shapes, "states, actions or 1")
