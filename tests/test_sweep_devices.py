"""Sweeps over many devices, and over many processes, are the sweep over one."""

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import assert_close
from sweep_on_devices import BETAS, arrays, cornered, iterated, stationary

import mfgjax as mfg
from mfgjax.sweeps import devices

SECONDS = 180  # no child may run longer; they take some ten
ATOL = 1e-10  # the default tolerance


def start(*arguments):
    environment = os.environ | {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    script = Path(__file__).with_name("sweep_on_devices.py")
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(processes):
    """Wait for all processes; none outlives the test, and what a failed one said is shown."""
    said = []
    try:
        for process in processes:
            said.append(process.communicate(timeout=SECONDS)[1])
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                said.append(process.communicate()[1])
    assert [process.returncode for process in processes] == [0] * len(processes), "\n\n".join(said)


@pytest.fixture(scope="module")
def on_one():
    return arrays(iterated=iterated(), cornered=cornered(), stationary=stationary())


def test_eight_devices_give_the_same_as_one(on_one, tmp_path):
    """Also where every lane needs a matrix factorised: on fewer cores than devices that has waited forever."""
    finish([start(tmp_path / "eight.npz", 8)])
    found = np.load(tmp_path / "eight.npz")
    assert set(found) == set(on_one)
    for name in found:
        if name.startswith(("iterated/", "stationary/")):  # in blocks of the same width: to the last bit
            np.testing.assert_array_equal(found[name], on_one[name], err_msg=name)
    for name in ("result_code", "num_steps"):
        np.testing.assert_array_equal(found[f"cornered/{name}"], on_one[f"cornered/{name}"])
    assert (found["cornered/result_code"] == 0).all()
    assert_close(found["cornered/mean_field"], on_one["cornered/mean_field"], atol=4 * ATOL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def test_two_processes_of_four_devices_have_the_whole_dataset_each(on_one, tmp_path):
    """In memory and in a folder that they share; what is refused is refused in both."""
    port = free_port()
    finish([start(tmp_path / f"{i}.npz", 4, tmp_path, port, i, 2) for i in range(2)])
    for found in (np.load(tmp_path / f"{i}.npz") for i in range(2)):
        for key in ("iterated", "stored", "again"):
            for name, expected in on_one.items():
                if name.startswith("iterated/"):
                    name = name.replace("iterated", key)
                    np.testing.assert_array_equal(found[name], expected, err_msg=name)
        assert "holds another sweep: `beta` changed" in str(found["refusal"])
    # one process goes on with what two began
    assert_close(iterated(tmp_path / "sweep").mean_field, on_one["iterated/mean_field"])


def test_cores_are_chosen_before_jax_starts_or_never():
    jax.devices()
    with pytest.raises(ValueError, match=r"`use_cpu_cores\(\)` must be called before JAX computes anything"):
        mfg.use_cpu_cores(2)


@pytest.mark.parametrize("count", [0, 1.5, "all"])
def test_a_number_of_cores_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match="`count` must be"):
        mfg.use_cpu_cores(count)


@pytest.mark.parametrize(("seconds", "times"), [(0.0, 1), (3600.0, 0)])
def test_a_long_sweep_on_one_core_of_many_says_so_once(seconds, times, caplog, monkeypatch):
    monkeypatch.setattr(devices, "_told", set())
    monkeypatch.setattr(devices, "_LONG", seconds)
    monkeypatch.setattr(devices, "num_cores", lambda: 16)
    with caplog.at_level(logging.WARNING, logger="mfgjax"):
        for _ in range(2):
            iterated(beta=BETAS)
    assert [record.getMessage() for record in caplog.records] == times * [
        "This sweep runs on one core of 16. To use all, start Python anew and call `mfgjax.use_cpu_cores()` directly "
        "after the imports."
    ]


def test_a_sweep_on_the_only_core_says_nothing(caplog, monkeypatch):
    monkeypatch.setattr(devices, "_told", set())
    monkeypatch.setattr(devices, "_LONG", 0.0)
    monkeypatch.setattr(devices, "num_cores", lambda: 1)
    with caplog.at_level(logging.WARNING, logger="mfgjax"):
        iterated(beta=BETAS)
    assert not caplog.records
