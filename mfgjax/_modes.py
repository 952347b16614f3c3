"""Modes of JAX in which the library runs, whatever modes a user has set, and those in which it calls the user.

NaN says "none" or "unknown" here, and −inf is the log of 0, at which `jax_debug_nans` and `jax_debug_infs` raise;
arrays of several precisions and shapes meet as in NumPy, which `jax_numpy_dtype_promotion="strict"` and
`jax_numpy_rank_promotion="raise"` refuse. Promotion in functions of users is that which the user has set.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import jax

from ._names import refuse_unknown_arguments

_Function = TypeVar("_Function", bound=Callable)

_NANS, _INFS, _DTYPES, _RANKS = _MODES = cast(
    tuple[Any, ...], (jax.debug_nans, jax.debug_infs, jax.numpy_dtype_promotion, jax.numpy_rank_promotion)
)
_OWN = (False, False, "standard", "allow")
"""The defaults: modes are part of the key by which JAX keeps compiled programs."""


class _Outside(threading.local):
    modes: tuple | None = None
    """The user's modes, where the library has left them."""


_outside = _Outside()


def in_own_modes(function: _Function) -> _Function:
    """Return a function that runs in the library's modes, as every public function that computes does.

    If an argument is named that the function does not have, the error suggests the nearest.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            if _now() == _OWN:
                return function(*arguments, **named)
            with _own_modes():
                return function(*arguments, **named)
        except TypeError:
            refuse_unknown_arguments(function, named)
            raise

    return cast(_Function, call)


@contextlib.contextmanager
def users_modes(function: Any) -> Iterator[None]:
    """Return to the promotion that the user has set, to trace a function of the user's; not for the library's own."""
    is_own = str(getattr(function, "__module__", None)).startswith("mfgjax.")
    if _outside.modes is None or is_own:
        yield
    else:
        with _entered((*_OWN[:2], *_outside.modes[2:])):
            yield


def double_precision() -> str:
    """Return the end of a sentence that says what to do where single precision, JAX's default, is not enough."""
    if jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        return "make the game in double precision, if its arrays are float32"
    return 'make the game in double precision, after `jax.config.update("jax_enable_x64", True)`'


@contextlib.contextmanager
def _own_modes() -> Iterator[None]:
    # at the end of `debug_nans(False)` JAX 0.10 forgets that the checks are on, unless this thread has them on itself
    checks = [mode for mode in (_NANS, _INFS) if mode.value]
    earlier, values = _outside.modes, [mode.swap_local(True) for mode in checks]
    _outside.modes = _now()
    try:
        with _entered(_OWN):
            yield
    finally:
        _outside.modes = earlier
        for mode, value in zip(checks, values, strict=True):
            mode.set_local(value)


@contextlib.contextmanager
def _entered(modes: tuple) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for mode, value in zip(_MODES, modes, strict=True):
            if mode.value != value:
                stack.enter_context(mode(value))
        yield


def _now() -> tuple:
    # one by one: it is asked at every public call, and a loop takes twice as long
    return _NANS.value, _INFS.value, _DTYPES.value, _RANKS.value
