"""What of JAX's programs (jaxprs) depends on its version."""

from typing import Any


def scan_sizes(params: dict[str, Any]) -> tuple[int, int]:
    """Return how many inputs of a scan are constants, and how many are carried; what follows are sequences."""
    if "num_carry" in params:  # before JAX 0.12
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].elts
    return len(consts), len(carry)


def body_and_constants(program: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a program without its constants, and these: before JAX 0.12 a `ClosedJaxpr` holds both, and may be one."""
    return getattr(program, "jaxpr", program), tuple(getattr(program, "consts", ()))
