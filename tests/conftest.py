"""Double precision for all tests, and random numbers that depend on the test's name alone."""

import zlib

import jax
import numpy as np
import pytest

jax.config.update("jax_enable_x64", True)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """NumPy's generator, seeded by the name of the test: the order of tests changes nothing."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.split("::", 1)[-1].encode()))
