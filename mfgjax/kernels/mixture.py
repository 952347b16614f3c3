"""Kernels that are mixtures of simpler ones, and the kernel of a fresh start as one of these."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Float, Self
from .base import AbstractKernel, align


class RestartKernel(AbstractKernel):
    """A kernel whose next state does not depend on state and action: P(s'|s,a) = law(s'). Memory and work are O(S + A).

    Args:
      law: probabilities `[S]` of the next state.
      num_actions: A.

    Raises:
      ValueError: if a shape does not fit.
    """

    law: Float[Array, "S *batch"]
    actions: int = eqx.field(static=True)
    takes_lanes: ClassVar[bool] = True

    def __init__(self, law: ArrayLike, num_actions: int):
        self.law = _checks.as_numbers("law", law)
        _checks.shape_is("law", self.law, [(None,)], "states")
        self.actions = _checks.integer_at_least("num_actions", num_actions, 1)

    @property
    def probabilities(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The law at every pair, `[1, S, A, S]`: for checks, not for computing."""
        return jnp.broadcast_to(self.law, (1, self.num_states, self.actions, *self.law.shape))

    def at(self, t: Array | int) -> Self:
        return self

    def expect(self, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
        mean = (align(self.law, values) * values).sum(axis=0)  # one expectation serves all pairs: no table of S x S
        return jnp.broadcast_to(mean, (self.num_states, self.actions, *mean.shape))

    def push(self, mass: Float[Array, "S A *batch"]) -> Float[Array, "S *batch"]:
        moved = mass.sum(axis=(0, 1))  # need not be 1: linear solvers push vectors of any mass
        return align(self.law, moved[None]) * moved

    def chain(self, weights: Float[Array, "S A *batch"]) -> Float[Array, "S S *batch"]:
        leaving = weights.sum(axis=1)[:, None]
        return leaving * align(self.law, leaving[0])

    @property
    def num_states(self) -> int:
        """S."""
        return self.law.shape[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.actions

    @property
    def num_times(self) -> int:
        return 1


class MixtureKernel(AbstractKernel):
    """A kernel that draws one of several events, then moves as that event does.

        P(s'|s,a) = Σ_k w_k P_k(s'|s,a)

    Often only the weights depend on the population. Then a callable `z -> MixtureKernel(parts, weights(z))` costs as
    little as its parts.

    Args:
      parts: the kernels P_k, each the same at all times, with equal numbers of states and actions.
      weights: their probabilities w_k, one number each.

    Raises:
      ValueError: if the parts do not fit together, or there is not one weight for each part.
    """

    parts: tuple[AbstractKernel, ...]
    weights: tuple[Float[Array, "*batch"], ...]  # not one array: some weights may have lanes and others not
    takes_lanes: ClassVar[bool] = True

    def __init__(self, parts: Sequence[AbstractKernel], weights: Sequence[ArrayLike] | Array):
        if len(parts) != len(weights) or not parts:
            raise ValueError(f"`weights` must be one number for each kernel; got {len(weights)} for {len(parts)}.")
        sizes = {(part.num_states, part.num_actions, part.num_times) for part in parts}
        if len(sizes) > 1 or parts[0].num_times != 1:
            raise ValueError(
                f"`parts` must agree in states and actions and have one time; got (S, A, times) = {sorted(sizes)}."
            )
        self.parts = tuple(parts)
        self.weights = tuple(_checks.as_numbers(f"weights[{k}]", weight) for k, weight in enumerate(weights))

    @property
    def probabilities(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The probabilities of all parts beside each other, `[1, S, A, K]`: for checks, not for computing."""
        return jnp.concatenate(
            [part.probabilities * weight for part, weight in zip(self.parts, self.weights, strict=True)], axis=3
        )

    def at(self, t: Array | int) -> Self:
        return self

    def expect(self, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
        terms = [weight * part.expect(values) for part, weight in zip(self.parts, self.weights, strict=True)]
        return sum(terms[1:], terms[0])

    def push(self, mass: Float[Array, "S A *batch"]) -> Float[Array, "S *batch"]:
        terms = [weight * part.push(mass) for part, weight in zip(self.parts, self.weights, strict=True)]
        return sum(terms[1:], terms[0])

    def chain(self, weights: Float[Array, "S A *batch"]) -> Float[Array, "S S *batch"]:
        terms = [weight * part.chain(weights) for part, weight in zip(self.parts, self.weights, strict=True)]
        return sum(terms[1:], terms[0])

    @property
    def num_states(self) -> int:
        """S."""
        return self.parts[0].num_states

    @property
    def num_actions(self) -> int:
        """A."""
        return self.parts[0].num_actions

    @property
    def num_times(self) -> int:
        return 1
