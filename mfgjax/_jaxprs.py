"""What of JAX's programs (jaxprs) depends on its version."""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import Jaxpr, jaxprs_in_params


def scan_sizes(params: dict[str, Any]) -> tuple[int, int]:
    """Return how many inputs of a scan are constants, and how many are carried; what follows are sequences."""
    if "num_carry" in params:  # before JAX 0.12
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].elts
    return len(consts), len(carry)


def body_and_constants(program: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a program without its constants, and these: before JAX 0.12 a `ClosedJaxpr` holds both, and may be one."""
    return getattr(program, "jaxpr", program), tuple(getattr(program, "consts", ()))


def calls_of_python(jaxpr: Jaxpr) -> Iterator[str]:
    """Yield the names of the operations that call Python while a program runs, also in the programs inside it."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if "callback" in name and not name.startswith("debug"):  # what is printed changes no number
            yield name
        for inner in jaxprs_in_params(equation.params):
            yield from calls_of_python(inner)
