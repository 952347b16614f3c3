"""What the README and the guide to sweeps show is true."""

import re
import shlex
from pathlib import Path

import numpy as np

import mfgjax as mfg

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SWEEPS = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def test_the_python_examples_run_and_give_what_their_comments_say():
    """Pasted one after the other into one interpreter."""
    first, own, swept, proved, agents, shaped, rest = blocks("python")
    names: dict = {}
    exec(compile(first, "README.md", "exec"), names)
    shown = re.search(r"eq\.mean_field\[-1\]\s+# (\[.*\])", first)
    assert shown is not None
    np.testing.assert_allclose(names["eq"].mean_field[-1], np.array(eval(shown[1])), atol=5e-6)
    exec(compile(own, "README.md", "exec"), names)
    # 1 - 2 x = 0 where both places pay the same; regularisation moves the law by O(1/beta)
    assert bool(names["crowd"].converged)
    np.testing.assert_allclose(names["crowd"].mean_field[5], [0.5, 0.5], atol=0.05)
    # with fewer temperatures, each of which takes up to 700 steps
    exec(compile(swept.replace("20, 64", "20, 8"), "README.md", "exec"), names)
    ds = names["ds"]
    assert dict(ds.sizes) == {"beta": 8, "congestion": 3, "time": 21, "state": 20, "action": 3}
    assert not ds.result_code.any()
    exec(compile(proved, "README.md", "exec"), names)
    np.testing.assert_allclose(names["report"]["path_span"].threshold, 0.8, rtol=1e-3)
    exec(compile(agents, "README.md", "exec"), names)
    shown = re.search(r"gain\.gain\s+# (\[.*?\])", agents)
    assert shown is not None
    np.testing.assert_allclose(names["gain"].gain, np.array(eval(shown[1])), rtol=0.02)
    exec(compile(shaped, "README.md", "exec"), names)
    np.testing.assert_allclose(names["found"].reference, np.broadcast_to(names["rho"], (6, 5, 3)), atol=1e-9)
    exec(compile(rest, "README.md", "exec"), names)
    # the golden values of this game's equilibria
    means = [float(end.mean_state) for end in (names["ends"].least, names["ends"].greatest)]
    np.testing.assert_allclose(means, [8.890705, 20.109247], atol=1e-6)
    assert names["ends"].certificate.startswith("holds") and "at least two" in names["ends"].certificate
    assert names["path"].jumps(0.3) == {"there": [(0.2, 0.24)], "back": [(0.11, 0.15)]}
    alone, shared = (names[name].mean_state[:, -1] for name in ("alone", "shared"))
    assert abs(alone.mean() - 10) < 1 and abs(shared.mean() - 19) < 1
    assert int(names["report"].unique) == 1 and float(names["report"]["distance"].value) < 1e-8


def test_the_first_block_holds_the_two_commands():
    main, tests = blocks("sh")[0].strip().splitlines()
    assert "mfgjax reproduce resource-allocation" in main and "pytest" in tests


def test_the_other_commands_exist():
    shown = "\n".join(blocks("console")).splitlines()
    lines = [shlex.split(line[2:]) for line in shown if line.startswith("$ mfgjax")]
    assert [line[1] for line in lines] == [
        "solve",
        "solve",
        "list",
        "sweep",
        "sweep",
        "certify",
        "certify",
        *["simulate"] * 2,
        "reproduce",
        "solve",
        "certify",
        "learn",
        *["reproduce"] * 2,
        *["plot"] * 2,
    ]
    assert ROOT.joinpath(lines[0][2]).exists()


def test_the_guide_to_sweeps_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid, outputs, stationary, cluster, gradient, crowd = blocks("python", SWEEPS)
    names: dict = {}
    # with fewer points; JAX has started, so the number of devices is what it is
    exec(compile(grid.replace("4096", "16").replace("mfg.use_cpu_cores()", ""), "sweeps.md", "exec"), names)
    assert names["ds"].sizes["reference"] == 2 and (tmp_path / "phase.png").stat().st_size > 10_000
    exec(compile(outputs, "sweeps.md", "exec"), names)
    exec(compile(stationary, "sweeps.md", "exec"), names)
    # the number that `infection_spread` documents
    np.testing.assert_allclose(names["spread"].mean_state.sel(epsilon=0.2, c_f=0.1), 19.569801, atol=1e-6)
    assert "time" not in names["spread"].dims and (tmp_path / "health.png").stat().st_size > 5_000
    exec(compile(gradient.replace("jax.grad(loss)", "slope = jax.grad(loss)"), "sweeps.md", "exec"), names)
    assert np.isfinite(names["slope"]).all()
    assert "jax.distributed.initialize" in cluster
    exec(compile("import equinox as eqx\n" + crowd, "sweeps.md", "exec"), names)
    reward = names["Crowd"](weight=2.0)
    np.testing.assert_allclose(reward(0, np.array([0.5, 0.25])), [[-1.0], [-0.5]])
    np.testing.assert_allclose(reward(0, np.ones((2, 7))), np.full((2, 1, 7), -2.0))


def test_plot_and_io_are_there_on_first_use():
    assert callable(mfg.plot.plot_flow) and callable(mfg.io.to_dataset)
