"""Double precision for all tests, and random numbers that depend on the test's name alone; how tests compile.

Nearly all the time of the tests is XLA's, and most of that goes into making programs fast that run once. So all
tests, and the processes that they start, compile without it, in a third of the time;
`MFGJAX_TESTS_AS_USERS_DO=1 pytest` compiles as users do.

`MFGJAX_TESTS_CHECK_ANNOTATIONS=1 pytest` checks the library's annotations in every call, and takes a third
longer, up to twice as long.
"""

import gc
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from quick_compile import compile_quickly

if "MFGJAX_TESTS_AS_USERS_DO" not in os.environ:
    compile_quickly()

ANNOTATIONS = "MFGJAX_TESTS_CHECK_ANNOTATIONS" in os.environ
if ANNOTATIONS:
    import annotations

    annotations.check()

jax.config.update("jax_enable_x64", True)
os.environ.setdefault("MPLBACKEND", "agg")
# commands that tests start keep their programs here, not with the user's
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="mfgjax-tests-cache-")
# nobody reads where in the source an instruction of a compiled program comes from
jax.config.update("jax_traceback_in_locations_limit", 0)
# millions of objects live as long as their programs do: to look for garbage among them is a tenth of the time
gc.set_threshold(100_000, 50, 50)

# begin with these: what comes last keeps one worker waiting
LONGEST = (
    "test_notebooks",
    "test_readme",
    "test_bracket",
    "test_certify_uniqueness",
    "test_bounds_on_random_games",
    "test_solve",
    "test_certify_bounds",
    "test_branch",
    "test_reproduce_learners",
    "test_sweep_store",
    "test_certify",
    "test_interop",
)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # xdist would begin with files of many tests, however short


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))  # stable: files stay together


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:  # which keeps them open, and warns of the twenty-first
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def annotations_are_checked(request: pytest.FixtureRequest) -> None:
    """Check annotations, but not where input is meant to be of other types than those that are asked for."""
    if ANNOTATIONS:
        refused = not {"raises", "assert_refused", "refused"}.isdisjoint(request.function.__code__.co_names)
        annotations.pause(refused or "_bad_" in request.path.stem or request.path.stem == "test_unusual_input")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """NumPy's generator, seeded by the name of the test: the order of tests changes nothing."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.split("::", 1)[-1].encode()))


@pytest.fixture(autouse=True, scope="module")
def few_programs() -> Iterator[None]:
    """Drop compiled programs before there are too many: 15,000 maps come with 3 to 4 GB, and Linux allows 65,530."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > 10_000:
        jax.clear_caches()
