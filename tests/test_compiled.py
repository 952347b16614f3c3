"""Programs on few numbers are compiled with other options of XLA than large ones, and mean the same."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import COMPILED

import mfgjax._compiled as options
from mfgjax._compiled import compiled

ROOT = Path(__file__).parent.parent


def scaled(x, factor):
    return jnp.tanh(x) @ x * factor


@pytest.mark.parametrize("size", [3, options._MOST_NUMBERS])  # with the factor, one too many
def test_small_and_large_programs_return_the_same(rng, size):
    x = rng.standard_normal(size)
    assert np.isclose(compiled(scaled)(x, 2.0), 2 * np.tanh(x) @ x, rtol=1e-14, atol=0)


def test_a_program_is_compiled_once_for_each_kind_of_arguments(rng):
    def doubled(x):
        return 2 * x

    program, before = compiled(doubled), COMPILED.count("jit(doubled)")
    for shape in [(3,), (3,), (4,), (options._MOST_NUMBERS + 1,), (options._MOST_NUMBERS + 1,), (4,)]:
        x = jnp.asarray(rng.standard_normal(shape))
        assert (program(x) == 2 * x).all()
    assert COMPILED.count("jit(doubled)") - before == 3


def test_a_call_within_another_program_or_a_derivative_takes_the_options_of_that(rng):
    x, program = jnp.asarray(rng.standard_normal(4)), compiled(scaled)
    value, slope = 2 * jnp.tanh(x) @ x, 2 * (jnp.tanh(x) + x * (1 - jnp.tanh(x) ** 2))
    assert np.isclose(jax.jit(program)(x, 2.0), value)
    assert np.isclose(jax.jit(lambda factor: program(x, factor))(2.0), value)
    assert np.isclose(jax.jit(lambda _: program(np.asarray(x), 2.0))(0), value)  # no argument is traced
    for derivative in (jax.grad(program), jax.jit(jax.grad(program)), lambda x, c: jax.vjp(program, x, c)[1](1.0)[0]):
        assert np.allclose(derivative(x, 2.0), slope, rtol=1e-12)
    rows = jnp.stack([x, 2 * x])
    assert np.allclose(jax.vmap(program, (0, None))(rows, 2.0), [scaled(row, 2.0) for row in rows])


def test_options_that_a_version_of_xla_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setattr(options, "_QUICK", {"xla_cpu_no_such_option": 1})
    assert options._are_known(tuple(options._QUICK.items())) is False
    assert np.isclose(compiled(scaled)(np.array([0.5]), 2.0), np.tanh(0.5), rtol=1e-14)


@pytest.mark.parametrize("users", ["", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=true"])
def test_options_of_the_users_own_stay(monkeypatch, users):
    asked = []
    monkeypatch.setattr(options, "_are_known", lambda found: bool(asked.append(dict(found))))
    monkeypatch.setenv("XLA_FLAGS", users)
    assert np.isclose(compiled(scaled)(np.array([0.5]), 2.0), np.tanh(0.5), rtol=1e-14)
    expected = dict(options._QUICK)
    if users:
        del expected["xla_backend_optimization_level"], expected["xla_cpu_use_fusion_emitters"]
    assert asked == [expected]


FIRST_USE = """
import jax, numpy as np
import mfgjax as mfg
def share(beta):
    return mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(beta)).mean_field[1, 1]
inside = jax.jit(jax.value_and_grad(share))(1.0)  # parts of the library are imported here, where all else is traced
np.testing.assert_allclose(inside, jax.value_and_grad(share)(1.0), rtol=1e-5)
"""


def test_the_library_may_be_used_for_the_first_time_inside_a_program():
    subprocess.run([sys.executable, "-c", FIRST_USE], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
