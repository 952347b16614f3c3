"""What the README and the guide to sweeps show is true."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from pages import run_and_compare

import mfgjax as mfg

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SWEEPS = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def test_the_python_examples_run_and_give_what_their_comments_say(tmp_path, monkeypatch):
    """Pasted one after the other into one interpreter."""
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks("python"):
        # with fewer temperatures, each of which takes up to 700 steps
        run_and_compare(block.replace("20, 64", "20, 8"), names)
    # fun − crowding x = 0 where both places pay the same; regularisation moves the law by O(1/β)
    assert bool(names["crowd"].converged)
    np.testing.assert_allclose(names["crowd"].mean_field[5], [0.5, 0.5], atol=0.05)
    ds = names["ds"]
    assert (
        dict(ds.sizes) == {"beta": 8, "congestion": 3, "time": 21, "state": 20, "action": 3}
        and not ds.result_code.any()
    )
    assert (tmp_path / "explorer.html").exists()
    report, gain = names["report"], names["gain"].gain
    assert int(report.unique) == 1 and float(report["distance"].value) < 1e-8
    np.testing.assert_allclose(report.factor, 0.625, rtol=1e-3)
    np.testing.assert_allclose(gain, np.array(eval(re.search(r"gain\.gain\s+# (\[.*?\])", README)[1])), rtol=0.02)
    np.testing.assert_allclose(names["tuned"].equilibrium.mean_field[-1], [0, 0, 0.5, 0.5, 0], atol=5e-3)
    # the golden values of this game's equilibria
    means = [float(end.mean_state) for end in (names["ends"].least, names["ends"].greatest)]
    np.testing.assert_allclose(means, [8.890705, 20.109247], atol=1e-6)
    assert names["ends"].certificate.startswith("holds") and "at least two" in names["ends"].certificate
    assert names["path"].jumps(0.3) == {"there": [(0.2, 0.24)], "back": [(0.11, 0.15)]}
    alone, shared = (names[name].mean_state[:, -1] for name in ("alone", "shared"))
    assert abs(alone.mean() - 10) < 1 and abs(shared.mean() - 19) < 1


def test_it_is_short_and_each_block_is_short():
    assert README.count("\n") <= 200
    assert all(len(block.strip().splitlines()) <= 20 for block in blocks("python"))


def test_the_first_block_holds_the_two_commands():
    main, tests = blocks("sh")[0].strip().splitlines()
    assert "mfgjax reproduce resource-allocation" in main and "pytest" in tests


def test_the_guide_to_sweeps_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid, outputs, stationary, gradient, crowd = blocks("python", SWEEPS)
    names: dict = {}
    # with fewer points; JAX has started, so the number of devices is what it is
    exec(compile(grid.replace("4096", "16").replace("mfg.use_cpu_cores()", ""), "sweeps.md", "exec"), names)
    assert names["ds"].sizes["reference"] == 2 and plt.gcf().axes
    plt.close()
    exec(compile(outputs, "sweeps.md", "exec"), names)
    exec(compile(stationary, "sweeps.md", "exec"), names)
    # the number that `infection_spread` documents
    np.testing.assert_allclose(names["spread"].mean_state.sel(epsilon=0.2, c_f=0.1), 19.569801, atol=1e-6)
    assert "time" not in names["spread"].dims and (tmp_path / "health.png").stat().st_size > 5_000
    exec(compile(gradient.replace("jax.grad(loss)", "slope = jax.grad(loss)"), "sweeps.md", "exec"), names)
    assert np.isfinite(names["slope"]).all()
    exec(compile("import equinox as eqx\n" + crowd, "sweeps.md", "exec"), names)
    reward = names["Crowd"](weight=2.0)
    np.testing.assert_allclose(reward(0, np.array([0.5, 0.25])), [[-1.0], [-0.5]])
    np.testing.assert_allclose(reward(0, np.ones((2, 7))), np.full((2, 1, 7), -2.0))


def test_plot_and_io_are_there_on_first_use():
    assert callable(mfg.plot.plot_flow) and callable(mfg.io.to_dataset)
