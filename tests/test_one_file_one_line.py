"""What CONTRIBUTING says: a new kernel, response, solver, learner or game is one file and one line.

The files are in `tests/toys`. They are put into a copy of the library, and tests and command line are asked there.
"""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mfgjax
from mfgjax import games, kernels, learners, model, responses, solvers
from mfgjax._names import offered

ROOT = Path(__file__).parent.parent
TOYS = {
    "kernels": "HesitantKernel",
    "responses": "Luce",
    "solvers": "HalfWay",
    "learners": "FewDraws",
    "games": "two_bars",
}
# how many tests take each of them up; a response makes two claims of four
TESTS = {"kernels": 6, "responses": 9, "solvers": 2, "learners": 3, "games": 2}
# what the shell and the help offer, asked for before JAX is there
OFFERED = """
import sys
from commands import run
from mfgjax.cli import completion
assert completion.games("two") == ["two-bars"] and completion.learners("few") == ["few-draws"]
for command, *words in (("solve", "luce", "half-way"), ("sweep", "luce", "half-way"), ("learn", "few-draws")):
    status, told, _ = run(command, "--help")
    assert status == 0 and all(word in told for word in words), told
assert "jax" not in sys.modules
"""
# and what they do
DONE = """
import json
import mfgjax as mfg
assert {"HesitantKernel", "Luce", "HalfWay"} <= set(dir(mfg)) and "toy" not in dir(mfg)
status, told, said = run("list")
assert "two-bars\\n    The game of two bars" in told, told + said
status, told, said = run("solve", "two-bars", "--response", "luce", "--beta", "1", "--solver", "half-way", "--json")
assert status == 0 and json.loads(told)["converged"], told + said
status, told, said = run("learn", "mturk", "--epsilon", "0.1", "--learners", "few-draws", "--agents", "5")
assert status == 2 and "`--agents` is without effect: it is for online-tmfq and iql and mfq" in said, told + said
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A copy of the library and its tests in which each folder has one file and one line more."""
    copy = tmp_path_factory.mktemp("copy")
    nothing = shutil.ignore_patterns("__pycache__", "toys", "hunts")
    shutil.copytree(Path(mfgjax.__file__).parent, copy / "mfgjax", ignore=nothing)
    shutil.copytree(ROOT / "tests", copy / "tests", ignore=nothing)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for folder, name in TOYS.items():
        shutil.copy(ROOT / "tests" / "toys" / f"{folder}.py", copy / "mfgjax" / folder / "toy.py")
        with (copy / "mfgjax" / folder / "__init__.py").open("a", encoding="utf-8") as lines:
            lines.write(f"from .toy import {name} as {name}\n")
    return copy


def run_in(copy, *arguments):
    environment = os.environ | {"PYTHONPATH": f"{copy}{os.pathsep}{copy / 'tests'}", "COLUMNS": "300"}
    return subprocess.run([sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True)


def test_the_command_line_and_the_package_have_what_was_added(library):
    asked = run_in(library, "-c", OFFERED + DONE)
    assert asked.returncode == 0, asked.stderr


def test_the_conformance_tests_take_up_what_was_added_and_it_passes(library):
    files = ["test_kernels", "test_every_response", "test_every_solver", "test_every_learner", "test_every_game"]
    paths = [f"tests/{file}.py" for file in files]
    chosen = ["-k", " or ".join(TOYS.values()), "-rA", "--tb=short", "-p", "no:cacheprovider", "-p", "no:randomly"]
    tested = run_in(library, "-m", "pytest", *paths, *chosen)
    assert tested.returncode == 0, tested.stdout
    passed = [line for line in tested.stdout.splitlines() if line.startswith("PASSED")]
    for folder, name in TOYS.items():
        assert sum(f"[{name}" in line for line in passed) == TESTS[folder], "\n".join(passed)


@pytest.mark.parametrize(
    ("module", "base"),
    [
        (kernels, kernels.AbstractKernel),
        (responses, responses.AbstractResponse),
        (solvers, solvers.AbstractSolver),
        (learners, learners.AbstractLearner),
    ],
    ids=lambda x: x.__name__,
)
def test_what_is_read_from_the_files_is_what_there_is(module, base):
    there = {
        name
        for name, x in vars(module).items()
        if inspect.isclass(x) and issubclass(x, base) and not inspect.isabstract(x)
    }
    assert set(offered(module.__name__.removeprefix("mfgjax."))) == there


def test_ready_made_games_are_the_functions_that_build_one_without_arguments():
    there = {}
    for name, x in vars(games).items():
        if inspect.isfunction(x):
            signature = inspect.signature(x)
            kind = signature.return_annotation
            needed = [p for p in signature.parameters.values() if p.default is p.empty]
            if kind in (model.FiniteHorizonGame, model.StationaryGame) and not needed:
                there[name] = kind.__name__
    assert offered("games") == there
