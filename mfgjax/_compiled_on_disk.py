"""Compiled programs that are kept on disk, by JAX's persistent cache, so that the next process compiles nothing."""

import hashlib
import os
import platform
import sys
from pathlib import Path

_LEAST_SECONDS = "0.1"
"""Programs that are compiled sooner are not kept."""


def keep_compiled(folder: str | os.PathLike[str] | None = None) -> Path:
    """Keep compiled programs in a folder, from where this process and later ones take them.

    Most of the time of a first `solve`, gradient or `certify` goes into compiling. A program is compiled once for games
    of one shape, whatever their numbers. This is JAX's persistent compilation cache; importing mfgjax does not turn it
    on, and the command line does. The folder may be deleted at any time.

    Args:
      folder: where; None: `mfgjax` in the user's folder for caches, in a folder of its own for each kind of processor.

    Returns:
      The folder.

    Raises:
      ValueError: if `folder` is no path.
      OSError: if the folder cannot be made, or not be written.

    Example:
      >>> import mfgjax as mfg, tempfile
      >>> mfg.keep_compiled(tempfile.mkdtemp()).is_dir()  # doctest: +SKIP
      True
    """
    import jax  # the command line imports this file before it knows whether JAX is needed
    from jax.experimental.compilation_cache import compilation_cache

    from . import _checks

    path = default_folder() if folder is None else _checks.file_path("folder", folder).absolute()
    _make(path)
    for name, value in _settings(path).items():
        jax.config.update(name.lower(), float(value) if value == _LEAST_SECONDS else value)
    compilation_cache.reset_cache()  # JAX looks once whether there is one, and may have looked
    return path


def keep_compiled_by_command() -> None:
    """Keep compiled programs in the user's folder for caches, if JAX is not imported yet and nobody has said where.

    Where that folder cannot be written, every process compiles its own.
    """
    if "jax" in sys.modules or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        path = default_folder()
        _make(path)
    except OSError:
        return
    os.environ.update(_settings(path))


def default_folder() -> Path:
    """Return the folder for compiled programs among the caches of the user.

    Raises:
      OSError: if the user has no home.
    """
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        parent = _home() / "Library" / "Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME") or _home() / ".cache"
    return Path(parent) / "mfgjax" / _processor()


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise OSError(str(error)) from error


def _processor() -> str:
    """Return a name for the kind of processor: what is compiled for one may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):  # no Linux
        features = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


def _make(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "the folder cannot be written", str(path))


def _settings(path: Path) -> dict[str, str]:
    return {
        "JAX_COMPILATION_CACHE_DIR": str(path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": _LEAST_SECONDS,
    }
