"""Mean-field games with finite states and actions, in JAX."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._names import suggesting, without
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import io as io
    from . import plot as plot
    from ._public import *  # noqa: F403
    from .sweeps import sweep as sweep


def _public_names() -> dict[str, Any]:
    """Return the public names, without `io`, `plot` and `sweep`, and without the modules behind starred imports."""
    found = vars(importlib.import_module("._public", __name__)).items()
    return {
        name: value
        for name, value in found
        if name[0] != "_" and (not isinstance(value, ModuleType) or value.__name__ == f"{__name__}.{name}")
    }


def __getattr__(name: str) -> Any:
    """Import the library at its first use: the help of the command line does without JAX.

    `io`, `plot` and `sweep` wait for their own first use, as xarray and matplotlib take seconds.
    """
    if name in ("io", "plot"):
        return importlib.import_module(f".{name}", __name__)
    if name == "sweep":
        return importlib.import_module(".sweeps", __name__).sweep
    if name == "__all__":  # as `from mfgjax import *` does
        return __dir__()
    if not name.startswith("_"):
        for public, value in _public_names().items():
            globals().setdefault(public, value)
        if name in globals():
            return globals()[name]
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise without(__name__, name, __dir__())


def __dir__() -> list[str]:
    return sorted([*_public_names(), "io", "plot", "sweep"])


class _Package(ModuleType):
    """A package in which `solve` and `certify` are functions, also once modules of their names are imported.

    Of the modules that are public, each suggests the nearest of its names where it has no such name.
    """

    def __setattr__(self, name: str, value: Any) -> None:  # called by Python for each module that it has imported
        if name in ("design", "finite", "games", "io", "learners", "plot") and isinstance(value, ModuleType):
            suggesting(value)
        if name not in ("solve", "certify") or not isinstance(value, ModuleType):
            ModuleType.__setattr__(self, name, value)


sys.modules[__name__].__class__ = _Package
