"""Mean-field games with finite states and actions, in JAX."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._names import show_public_names, without
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import io as io
    from . import plot as plot
    from ._public import *  # noqa: F403
    from .explorers import explore as explore
    from .sweeps import join_sweep as join_sweep
    from .sweeps import sweep as sweep

_ROOMS = ("design", "finite", "games", "kernels", "learners", "responses", "results", "rewards", "solvers")
_FUNCTIONS = {"sweep": "sweeps", "join_sweep": "sweeps", "explore": "explorers"}  # the rooms that they are in


def _public_names() -> dict[str, Any]:
    """Return the public names, without those that wait, and without the modules behind starred imports."""
    found = vars(importlib.import_module("._public", __name__)).items()
    return {
        name: value
        for name, value in found
        if name[0] != "_" and (not isinstance(value, ModuleType) or value.__name__ == f"{__name__}.{name}")
    }


def __getattr__(name: str) -> Any:
    """Import the library at its first use: the help of the command line does without JAX.

    `io`, `plot`, and the functions of sweeps and explorers, wait for their own first use, as xarray and matplotlib take
    seconds.
    """
    if name in ("io", "plot"):
        return importlib.import_module(f".{name}", __name__)
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f".{_FUNCTIONS[name]}", __name__), name)
    if name == "__all__":  # as `from mfgjax import *` does
        return __dir__()
    if not name.startswith("_"):
        for public, value in _public_names().items():
            globals().setdefault(public, value)
        if name in globals():
            return globals()[name]
        for room in (globals()[room] for room in _ROOMS if room in globals()):  # which they are not at import
            if name in dir(room):
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}: it is `{room.__name__}.{name}`.")
        raise without(__name__, name, __dir__())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_public_names(), "io", "plot", *_FUNCTIONS])


class _Package(ModuleType):
    """A package in which `solve` and `certify` are functions, also once modules of their names are imported.

    The modules that are public list their public names, and suggest the nearest for one that they do not have. A
    function that reads `mfgjax` can be pickled: the package is imported again, as other modules are.
    """

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return importlib.import_module, (self.__name__,)

    def __setattr__(self, name: str, value: Any) -> None:  # called by Python for each module that it has imported
        if name in (*_ROOMS, "io", "plot") and isinstance(value, ModuleType):
            show_public_names(value)
        if name not in ("solve", "certify") or not isinstance(value, ModuleType):
            ModuleType.__setattr__(self, name, value)


sys.modules[__name__].__class__ = _Package
