"""Mean-field games with finite states and actions, in JAX."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import io as io
    from . import plot as plot
    from ._public import *  # noqa: F403
    from .sweeps import sweep as sweep


def __getattr__(name: str) -> Any:
    """Import the library at its first use: the help of the command line does without JAX.

    `io`, `plot` and `sweep` wait for their own first use, as xarray and matplotlib take seconds.
    """
    if name in ("io", "plot"):
        return importlib.import_module(f".{name}", __name__)
    if name == "sweep":
        return importlib.import_module(".sweeps", __name__).sweep
    if not name.startswith("_"):
        for key, value in vars(importlib.import_module("._public", __name__)).items():
            if not key.startswith("_"):
                globals().setdefault(key, value)
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(ModuleType):
    """A package in which `solve` and `certify` are functions, also once modules of their names are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("solve", "certify") or not isinstance(value, ModuleType):
            ModuleType.__setattr__(self, name, value)


def __dir__() -> list[str]:
    """List the public names before their first use, too."""
    public = vars(importlib.import_module("._public", __name__))
    return sorted({*globals(), *(name for name in public if not name.startswith("_")), "io", "plot", "sweep"})


sys.modules[__name__].__class__ = _Package
