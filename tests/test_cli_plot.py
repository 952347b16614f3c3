"""`mfgjax plot`: it draws what the other commands save, by what a file is, and refuses the rest in a sentence."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from commands import EXAMPLE, PAPER, PNG, run
from PIL import Image

from mfgjax import plot

SWEEP = "swept/sweep.zarr"
AT = ("--at", "beta=2.9", "--at", "reference=paper")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with what the commands save."""
    folder = tmp_path_factory.mktemp("saved")
    grid = ("--beta", "1,3", "--reference", "paper,uniform", "--cores", "1")
    commands = (
        ("solve", PAPER, "--beta", "3", "--out", str(folder / "solved")),
        ("solve", "infection-spread", "--response", "trembling", "--epsilon", "0.2", "--out", str(folder / "still")),
        ("sweep", PAPER, *grid, "--out", str(folder / "swept")),
        ("learn", "mturk", "--epsilon", "0.1", "--learners", "iql", "--agents", "40", "--steps", "2", "--seeds", "2",
         "--out", str(folder / "learned")),
    )  # fmt: skip
    for command in commands:
        status, _, err = run(*command)
        assert (status, err) == (0, ""), err
    return folder


@pytest.fixture
def here(saved, monkeypatch, tmp_path):
    for path in saved.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def called(monkeypatch):
    """Which functions of `mfgjax.plot` draw, with what options."""
    found = []

    def watched(name, function):
        def draw(*arguments, **options):
            found.append((name, arguments, options))
            return function(*arguments, **options)

        return draw

    for name in dir(plot):
        if name.startswith(("plot_", "animate_")):
            monkeypatch.setattr(plot, name, watched(name, getattr(plot, name)))
    return found


@pytest.mark.parametrize(
    ("arguments", "function"),
    [
        (["solved/equilibrium.nc"], "plot_flow"),
        (["solved/equilibrium.nc", "--kind=area"], "plot_flow"),
        (["solved/equilibrium.nc", "--kind=graph"], "plot_graph"),
        (["solved/equilibrium.nc", "--kind=graph", "--time=2"], "plot_graph"),
        (["solved/equilibrium.nc", "--kind=policy", "--state=3"], "plot_policy"),
        (["solved/equilibrium.nc", "--kind=policy", "--time=4"], "plot_policy"),
        (["solved/equilibrium.nc", "--kind=law"], "plot_law"),
        (["solved/equilibrium.nc", "--kind=residuals"], "plot_residuals"),
        (["still/equilibrium.nc"], "plot_stationary"),
        (["still/equilibrium.nc", "--kind=policy"], "plot_policy"),
        ([SWEEP], "plot_sweep"),
        ([SWEEP, "--kind=phase"], "plot_phase"),
        ([SWEEP, "--kind=result"], "plot_sweep_map"),
        ([SWEEP, *AT], "plot_flow"),
        ([SWEEP, *AT, "--kind=graph", "--game", PAPER], "plot_graph"),
        (["learned/iql.npz"], "plot_learning"),
        (["learned/iql.npz", "--kind=laws"], "plot_learned_laws"),
        ([EXAMPLE], "plot_graph"),
        (["random-dense"], "plot_law"),
    ],
    ids=lambda x: " ".join(x[:3])[-50:] if isinstance(x, list) else x,
)
def test_files_are_drawn_by_what_they_are(here, called, arguments, function):
    status, out, err = run("plot", *arguments, "--out", "new/picture.png")
    assert (status, err) == (0, "")
    assert called[0][0] == function
    assert "saved           new/picture.png" in out
    assert Path("new/picture.png").read_bytes().startswith(PNG)
    assert [path.name for path in Path("new").iterdir()] == ["picture.png"]
    assert plt.get_fignums() == []


def test_the_time_and_the_state_reach_the_picture(here, called):
    assert run("plot", "solved/equilibrium.nc", "--kind=graph", "--time=2", "--out=a.svg")[0] == 0
    assert called[0][2]["time"] == 2 and called[0][2]["title"].endswith("t = 2")
    assert run("plot", "solved/equilibrium.nc", "--kind=policy", "--state=3", "--title=mine", "--out=a.pdf")[0] == 0
    assert called[1][2]["state"] == "3" and called[1][2]["title"].startswith("mine")


def test_the_nearest_point_of_a_sweep_is_drawn(here, called):
    assert run("plot", SWEEP, *AT, "--out=a.png")[0] == 0
    _, (point,), options = called[0]
    assert (float(point.beta), str(point.reference.values)) == (3.0, "paper")
    assert options["title"] == "resource_allocation, β = 3, reference = paper"
    # the law at the end that `reproduce` has to find too
    np.testing.assert_allclose(point.mean_field[-1], (0.000854, 0.000772, 0.670311, 0.327205, 0.000859), atol=1e-6)


def test_a_gif_moves(here, called):
    assert run("plot", "solved/equilibrium.nc", "--out=a.gif")[0] == 0
    assert called[0][0] == "animate_flow" and plt.get_fignums() == []
    with Image.open("a.gif") as picture:
        assert picture.n_frames > 6


ERRORS = [
    (["nosuch.nc"], "there is no such file"),
    (["a_file"], "it must be an equilibrium (.nc), a sweep"),
    (["swept"], "not that of a sweep"),
    (["swept/phase.png"], "it must be an equilibrium (.nc), a sweep"),
    (["broken.nc"], "cannot be read as netCDF"),
    (["broken.npz"], "is no run of mfgjax"),
    (["broken.toml"], "not valid TOML"),
    (["solved/equilibrium.nc", "--kind=phase"], "`--kind phase` cannot be drawn of solved/equilibrium.nc, but flow"),
    (["solved/equilibrium.nc", "--kind=pie"], "'pie' is not one of"),
    (["solved/equilibrium.nc", "--kind=animation"], "an animation is a .gif"),
    (["solved/equilibrium.nc", "--kind=graph", "--time=6"], "there are times 0 to 5"),
    (["solved/equilibrium.nc", "--time=1"], "`--time 1` applies to `--kind` graph, law, policy, not to flow"),
    (["solved/equilibrium.nc", "--state=3"], "`--state 3` applies to `--kind policy`"),
    (["solved/equilibrium.nc", "--kind=policy", "--state=x"], "no state of this name"),
    (["solved/equilibrium.nc", "--kind=policy", "--state=3", "--time=1"], "cannot both be given"),
    (["solved/equilibrium.nc", "--at=beta=3"], "`--at` is of no use for one equilibrium"),
    (["solved/equilibrium.nc", "--kind=graph", "--game=left-right"], "has other states or actions than `game`"),
    (["still/equilibrium.nc", "--kind=flow"], "`--kind flow` cannot be drawn"),
    (["still/equilibrium.nc", "--kind=policy", "--time=1"], "does not change with time"),
    ([SWEEP, "--kind=flow"], "choose it with `--at beta=VALUE` and `--at reference=VALUE`"),
    ([SWEEP, "--at=beta=3"], "`--at` must also choose reference"),
    ([SWEEP, "--at=beta"], "must be AXIS=VALUE"),
    ([SWEEP, "--at=gamma=3"], "the axes of this sweep are beta, reference"),
    ([SWEEP, "--at=beta=much"], "'much' is not a number"),
    ([SWEEP, "--at=reference=mine"], "there is no such value; there are paper, uniform"),
    ([SWEEP, "--at=beta=3", "--at=beta=1"], "beta is chosen already"),
    ([SWEEP, "--kind=laws"], "`--kind laws` cannot be drawn"),
    (["learned/iql.npz", "--game=mturk"], "`--game` is of no use for a learner's run"),
    ([PAPER, "--time=3"], "only time 0 is known"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ERRORS, ids=[" ".join(a)[-50:] for a, _ in ERRORS])
def test_bad_input_is_one_sentence_and_no_picture(here, arguments, sentence):
    for name in ("a_file", "broken.nc", "broken.npz", "broken.toml"):
        (here / name).write_text("horizon =")
    status, out, err = run("plot", *arguments, "--out=new/picture.png")
    assert (status, out, err.count("\n")) == (2, "", 1) and err.startswith("mfgjax: ")
    assert sentence in err
    assert not (here / "new").exists()


@pytest.mark.parametrize(("out", "sentence"), [("a.txt", "a picture ends in"), ("swept/x/a.gif", "a .gif is for")])
def test_pictures_are_named_for_what_they_are(here, out, sentence):
    status, _, err = run("plot", "solved/equilibrium.nc", "--kind=flow", f"--out={out}")
    assert status == 2 and sentence in err
