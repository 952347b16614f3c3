"""What fails in a user's function, in one sentence."""

import contextlib
from collections.abc import Iterator

import jax

from ._shorten import shorten_text


class Refusal(ValueError):
    """An error whose sentence reaches the user unchanged, even when it is raised inside a user's function."""


@contextlib.contextmanager
def explained(name: str, arguments: str, at: str, call: str = "") -> Iterator[None]:
    """Turn an error of a user's callable into one sentence; `at` says where, such as "at t = 0", `call` how."""
    try:
        yield
    except Refusal:  # a sentence around this one would hide it
        raise
    except Exception as error:
        raise ValueError(f"`{name}` {_what_failed(error, arguments, at, call)}.") from error


def _what_failed(error: Exception, arguments: str, at: str, call: str) -> str:
    causes = [error, error.__cause__, error.__context__]  # NumPy raises an error of its own from that of JAX
    if any(isinstance(cause, jax.errors.ConcretizationTypeError) for cause in causes):
        return (
            f"needs the value of an array, but JAX compiles it once for all values, so {arguments} and all that is "
            "computed from them have only shapes: use `jax.numpy.where` in place of `if`, `x.at[i].set(y)` in place "
            "of `x[i] = y`, and no `float()`"
        )
    if isinstance(error, jax.errors.TracerArrayConversionError | jax.errors.TracerIntegerConversionError):
        return (
            "passes an argument to NumPy or to `range`, or uses it as an index of a list or a NumPy array, but "
            f"JAX compiles it once for all values, so {arguments} have only shapes: use the functions and arrays of "
            "`jax.numpy`"
        )
    message = shorten_text(str(error), 120).rstrip(".")
    if "truth value of an array" in message:
        call = ": combine conditions by `&` and `|`, and use `jax.numpy.where` in place of `if`"
    return f"fails {at} with {type(error).__name__}: {message}{call}"
