"""Both examples of the second paper, in small: 2 seeds, few steps and agents."""

import csv
import json

import jax
import numpy as np
import pytest
from helpers import assert_close

from mfgjax import learners, reproduce

SHORT = learners.TMFQ(200)
EFFORT = reproduce.Effort(num_seeds=2, num_steps=6, num_agents=60)


def test_infection_spread(tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce.learners.learners, "TMFQ", lambda: SHORT)
    monkeypatch.setattr(reproduce.infection, "AGENTS", (30, 60))
    labels = []
    found = reproduce.infection_spread(EFFORT, report=labels.append)
    assert len(labels) == 5 * 3 + 2 + 2 + 1
    # golden values of the exact equilibria
    means = {row["c_f"]: row["least_mean_state"] for row in found.equilibria()}
    assert_close([means[c_f] for c_f in (0.05, 0.1, 0.3)], (20.359148, 19.569801, 13.778329), atol=1e-6)
    names = reproduce.write_infection(found, tmp_path)
    figures = [f"fig{i}.png" for i in range(1, 7)]
    assert names == ["config.json", *figures, "laws.npz", "table.csv", "table.json"]
    assert all((tmp_path / name).stat().st_size > 5_000 for name in figures)
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert table["rows"] == found.rows() and len(table["rows"]) == 20
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 20
    # the table is that of the laws that are written
    with np.load(tmp_path / "laws.npz") as laws:
        last = laws["run_3"][:, -1]
    row = table["rows"][3]
    assert row["learner"] == "IQL"
    assert_close((last @ np.arange(25)).mean(), row["mean_state"], atol=1e-4)


def test_mturk_in_double_precision_whatever_jax_is_set_to(tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce.learners.learners, "TMFQ", lambda: SHORT)
    with jax.enable_x64(False):
        found = reproduce.mturk(EFFORT)
        (ends,) = found.equilibria()
    assert_close((ends["least_mean_state"], ends["greatest_mean_state"]), (8.890705, 20.109247), atol=1e-6)
    low, high = ends["several_equilibria_between"]
    assert low < 0.164 < high
    assert ends["jumps"]["back"] == [pytest.approx([0.13, 0.1325])]
    assert reproduce.write_market(found, tmp_path) == [
        "config.json",
        "equilibria.png",
        "hysteresis.png",
        "laws.npz",
        "learners.png",
        "table.csv",
        "table.json",
    ]
    by_name = {row["learner"]: row for row in found.rows()}
    # six steps are enough for the model-based learner to be on its way up, and for lone ones to be on theirs down
    assert by_name["GMBL"]["mean_state"] > 14 > by_name["IQL"]["mean_state"]
