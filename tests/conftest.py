"""Double precision for all tests, and random numbers that depend on the test's name alone; which tests compile how.

Nearly all the time of the tests is XLA's, and most of that goes into making programs fast that run once. So most
modules compile without it, in a third of the time. Those of `AS_USERS_DO` get what users get, and so does every
process that a test starts; `MFGJAX_TESTS_AS_USERS_DO=1 pytest` compiles everything so.

`MFGJAX_TESTS_CHECK_ANNOTATIONS=1 pytest` checks the library's annotations in every call, and takes a third
longer, up to twice as long.
"""

import functools
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from jax._src import compiler

ANNOTATIONS = "MFGJAX_TESTS_CHECK_ANNOTATIONS" in os.environ
if ANNOTATIONS:
    import annotations

    annotations.check()

jax.config.update("jax_enable_x64", True)

AS_USERS_DO = (
    "test_solve",
    "test_bounds_on_random_games",
    "test_sweep",
    "test_lane_game",
    "test_grid",
    "test_sweep_devices",  # to the last bit what other processes find
    "test_sweep_store",  # and so here
    "test_reproduce_gain",
    "test_responses",
    "test_kernels",
)
# begin with these: what comes last keeps one worker waiting
LONGEST = (
    "test_readme",
    "test_notebooks",
    *AS_USERS_DO,
    "test_certify",
    "test_certify_uniqueness",
    "test_certify_bounds",
    "test_reproduce_learners",
)

# fusions by LLVM alone, without passes of MLIR before it, and no passes of LLVM
QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}
_options_as_users_do = compiler.get_compile_options


def _quick_options(*arguments, env_options_overrides=None, **named):
    options = QUICK | (env_options_overrides or {})
    return _options_as_users_do(*arguments, env_options_overrides=options, **named)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # xdist would begin with files of many tests, however short


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))  # stable: files stay together


@pytest.fixture(autouse=True, scope="module")
def compiled_quickly_or_not(request: pytest.FixtureRequest) -> Iterator[None]:
    """Choose how programs of this module are compiled; none is taken over from a module that chose otherwise."""
    slow = request.path.stem in AS_USERS_DO or "MFGJAX_TESTS_AS_USERS_DO" in os.environ
    chosen = _options_as_users_do if slow or not _knows_quick_options() else _quick_options
    if chosen is not compiler.get_compile_options:
        jax.clear_caches()
        compiler.get_compile_options = chosen
    yield


@functools.cache
def _knows_quick_options() -> bool:
    """Whether this version of XLA can do without; the options are for CPUs."""
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda x: x, compiler_options=QUICK)(0.0)
    except jax.errors.JaxRuntimeError:
        return False
    return True


@pytest.fixture(autouse=True)
def annotations_are_checked(request: pytest.FixtureRequest) -> None:
    """Check annotations, but not in tests of what is refused: wrong input is seldom of the type that is asked for."""
    if ANNOTATIONS:
        code = request.function.__code__
        annotations.pause(not {"raises", "assert_refused"}.isdisjoint(code.co_names))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """NumPy's generator, seeded by the name of the test: the order of tests changes nothing."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.split("::", 1)[-1].encode()))


@pytest.fixture(autouse=True, scope="module")
def few_programs() -> Iterator[None]:
    """Drop compiled programs before there are too many: each maps memory, and Linux allows 65,530 maps a process."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > 15_000:
        jax.clear_caches()
