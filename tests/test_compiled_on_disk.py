"""Compiled programs that the command line keeps on disk, and those of a Python program that asks for it."""

import os
import subprocess
import sys

import pytest
from commands import ROOT

import mfgjax as mfg
from mfgjax import _compiled_on_disk

SOLVE = ["-m", "mfgjax", "solve", "left-right", "--beta", "1"]
ALL = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
PYTHON = """
import jax, mfgjax as mfg
assert jax.config.jax_compilation_cache_dir is None  # to import the library changes nothing
jax.numpy.zeros(3) + 1  # JAX has looked for a folder, and found none
print(mfg.keep_compiled({folder!r}))
mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(1.0))
"""


def kept(cache, *arguments, **more):
    """Run Python with a user's folder for caches; return the names of the programs that are in it afterwards."""
    left_out = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT), **more}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    # what tells when a program was used last is no program
    return {path.name for path in cache.rglob("*-cache")} if cache.is_dir() else set()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep caches elsewhere")
def test_a_command_keeps_its_programs_unless_it_is_told_not_to(tmp_path):
    first = kept(tmp_path / "cache", *SOLVE)
    assert any(name.startswith("jit__first_jit") for name in first)
    assert kept(tmp_path / "cache", *SOLVE) == first  # nothing was compiled anew
    (folder,) = (tmp_path / "cache" / "mfgjax").iterdir()
    assert folder.stat().st_mode & 0o077 == 0  # programs are run: nobody else may write them
    assert kept(tmp_path / "none", *SOLVE, "--no-cache") == set()
    assert kept(tmp_path / "none", *SOLVE[:2], "--no-cache", *SOLVE[2:]) == set()
    own = tmp_path / "own"
    assert kept(tmp_path / "none", *SOLVE, JAX_COMPILATION_CACHE_DIR=str(own), **ALL) == set() and any(own.iterdir())
    (tmp_path / "file").touch()
    assert kept(tmp_path / "file", *SOLVE) == set()  # no folder can be made there, and the command works


def test_a_program_in_python_keeps_them_by_one_call(tmp_path):
    folder = tmp_path / "programs"
    kept(tmp_path, "-c", PYTHON.format(folder=str(folder)), JAX_ENABLE_X64="1")
    assert any(path.name.startswith("jit__first_jit") for path in folder.iterdir())


def test_a_folder_that_cannot_be_made_is_an_error_in_python(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        mfg.keep_compiled(tmp_path / "file" / "programs")


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/mfgjax"),
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/mfgjax"),
        ("darwin", {"HOME": "/home/me", "XDG_CACHE_HOME": "/x"}, "/home/me/Library/Caches/mfgjax"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/mfgjax"),
    ],
)
def test_every_system_has_its_folder_for_caches(system, variables, folder, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _compiled_on_disk.default_folder().parent.as_posix() == folder
