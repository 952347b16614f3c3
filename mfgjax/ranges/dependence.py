"""Which outputs of a program depend on its inputs."""

from typing import Any


def depends(program: Any) -> list[bool]:
    """Tell which outputs of a jaxpr are computed from its inputs, whatever their values."""
    moving = set(program.invars)
    for equation in program.eqns:
        if any(_is_among(atom, moving) for atom in equation.invars):
            moving.update(equation.outvars)
    return [_is_among(atom, moving) for atom in program.outvars]


def _is_among(atom: Any, variables: set) -> bool:
    return not hasattr(atom, "val") and atom in variables  # literals cannot be looked up
