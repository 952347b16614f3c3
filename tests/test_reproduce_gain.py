"""Figure 3: the gains of one agent among N, with the slopes that theory says, exactly and by Monte Carlo."""

import csv
import json
from functools import partial

import commands
import numpy as np
import pytest
from commands import PAPER, PNG

from mfgjax import reproduce

run = partial(commands.run, "reproduce")


@pytest.fixture(scope="module", params=["paper", "author-code"])
def small_figure(request):
    numbers = (2, 10, 64, 256, 1024, 4096, 16_384)
    return reproduce.populations(request.param, numbers=numbers, sampled=(2, 10), num_samples=2000)


def test_figure_3_has_the_known_slopes(small_figure):
    # measured independently of this library: -2 and -1 to 1%, and no -1/2
    for slopes in small_figure.slopes():
        np.testing.assert_allclose(slopes["gain_regularised"], -2, rtol=0.01)
        np.testing.assert_allclose(slopes["value_gap"], -1, rtol=0.01)
        np.testing.assert_allclose(slopes["gain_less_its_limit"], -1, rtol=0.05)
    for row in small_figure.rows():
        assert 0 < row["gain_regularised"] <= row["bound_regularised"] and row["gain"] <= row["bound"]
        if row["sampled_gain_regularised"] is not None:
            error = abs(row["sampled_value_gap"] - row["value_gap"])
            assert error < 4 * row["sampled_value_gap_error"] and row["sampled_gain_error"] > 0
    assert [row["num_agents"] for row in small_figure.rows() if row["sampled_gain_error"] is not None] == [2, 10] * 2


def test_the_command_writes_figure_3_with_its_numbers(small_figure, tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce, "populations", lambda preset, report: small_figure)
    status, out, err = run(PAPER, "--figure", "3", "--out", str(tmp_path))
    assert (status, err) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"fig3.png", "fig3.csv", "fig3.json"}
    assert (tmp_path / "fig3.png").read_bytes().startswith(PNG) and (tmp_path / "fig3.png").stat().st_size > 50_000
    content = json.loads((tmp_path / "fig3.json").read_text(encoding="utf-8"))
    assert content["rows"] == small_figure.rows() and content["slopes"] == small_figure.slopes()
    with (tmp_path / "fig3.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["gain_regularised"]) for line in lines] == [row["gain_regularised"] for row in content["rows"]]
    assert "slope -1.000" in out and "16,384" in out and "−1/2" in out
    assert max(map(len, out.split("gain: what")[0].splitlines())) <= 124
    printed = json.loads(run(PAPER, "--figure=3", "--out", str(tmp_path), "--json")[1])
    assert printed["rows"] == content["rows"] and len(printed["files"]) == 3


def test_there_is_no_other_figure():
    status, _, err = run(PAPER, "--figure=4", "--out=results")
    assert status == 2 and "'4' is not" in err
