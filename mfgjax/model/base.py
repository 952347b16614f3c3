"""What games of both kinds are to the maps and the solvers."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Bool, Float, Scalar
from ..kernels import AbstractKernel, DenseKernel
from ..kernels.base import time_slice
from ..kernels.precision import kernel_in_precision


class AbstractGame(eqx.Module):
    """Kernel, reward and initial law, seen at one time and in one population.

    A stationary game has one time, so that horizon + 1 = 1, and whatever it is asked at any time is the same.
    """

    kernel: eqx.AbstractVar[AbstractKernel | Callable[..., Any]]
    reward: eqx.AbstractVar[Callable[..., Array]]
    initial: eqx.AbstractVar[Float[Array, "S *batch"]]
    available: eqx.AbstractVar[Bool[Array, "#T S A"]]
    discount: eqx.AbstractVar[Float[Array, "*batch"]]
    observes: eqx.AbstractVar[str]
    state_labels: eqx.AbstractVar[tuple[str, ...]]
    is_stationary: ClassVar[bool]
    lanes: ClassVar[tuple[int, ...]] = ()
    """The axes behind those of one game: none. `LaneGame` has one."""

    @abstractmethod
    def given_kernel(self, t: Scalar, mean_field: Array) -> Any:
        """Return what a kernel that was given as a callable returns."""

    @abstractmethod
    def given_reward(self, t: Scalar, mean_field: Array) -> Array:
        """Return what the callable that pays returns."""

    @property
    def num_states(self) -> int:
        """S."""
        return self.initial.shape[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.available.shape[2]

    @property
    def has_numbered_states(self) -> bool:
        """Whether states are called 0, 1, ..., so that a mean of them may mean something."""
        return self.state_labels == tuple(map(str, range(self.num_states)))

    @property
    def dtype(self) -> jnp.dtype:
        """The precision of the floating arrays."""
        return self.initial.dtype

    @property
    def num_seen_axes(self) -> int:
        """Return how many axes the mean field of one time has."""
        return 1 if self.observes == "states" else 2

    def kernel_at(self, t: Scalar, mean_field: Array) -> AbstractKernel:
        """Return the kernel of the move from t to t+1 in a population with that mean field at t."""
        if isinstance(self.kernel, AbstractKernel):
            return self.kernel.at(t)
        kernel = self.given_kernel(t, mean_field)
        kernel = kernel if isinstance(kernel, AbstractKernel) else DenseKernel(kernel)
        return kernel_in_precision(kernel, self.dtype).at(jnp.int32(0))

    def reward_at(self, t: Scalar, mean_field: Array) -> Array:
        """Return R_t(s,a,mean_field) as `[S, A]`."""
        return jnp.broadcast_to(self.pay_at(t, mean_field), (self.num_states, self.num_actions))

    def pay_at(self, t: Scalar, mean_field: Array) -> Array:
        """Return R_t(s,a,mean_field) as `[S, A]`, or `[S, 1]` where all actions earn the same."""
        pay = jnp.asarray(self.given_reward(t, mean_field)).astype(self.dtype)
        if getattr(self.reward, "takes_lanes", False) or pay.shape[1] < self.num_actions:
            return pay
        # a derivative would multiply what is not finite at an action that does not exist by 0
        return jnp.where(self.available_at(t), pay, 0)

    def available_at(self, t: Scalar) -> Array:
        """Return which actions exist at time t, `[S, A]`."""
        return time_slice(self.available, t)

    def observe(self, mu: Array, mass: Array) -> Array:
        """Return what payoffs see of the law of states `mu` and the joint law `mass` of one time."""
        return mu if self.observes == "states" else mass
