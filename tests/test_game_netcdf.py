"""Games in netCDF: what was saved is read to the last bit, in one sentence what has no place, and nothing else."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from commands import EXAMPLE, run
from helpers import random_mask, random_policy

import mfgjax as mfg
from mfgjax import games, io
from mfgjax.model.rewards import DenseInteraction, Staged

S, A, H, K = 4, 3, 3, 2
rng = np.random.default_rng(0)
MASK, INITIAL = random_mask(rng, S, A), rng.dirichlet(np.ones(S))
MASKS = np.stack([random_mask(rng, S, A) for _ in range(H + 1)])
DENSE, DENSES = rng.dirichlet(np.ones(S), (S, A)), rng.dirichlet(np.ones(S), (H, S, A))
NEXT = np.where(MASK, rng.integers(S, size=(S, A)), -1)
LISTS = rng.integers(S, size=(S, A, K))
LISTS[1, 1] = [2, -1]
CHANCES = rng.dirichlet(np.ones(K), (H, S, A))
CHANCES[:, 1, 1] = [1, 0]
CHANCES[:, 2, 2] = [1, 0]  # a place that is there, although its probability is 0
PAY, PAYS, WEIGHT = rng.standard_normal((S, A)), rng.standard_normal((H + 1, S, A)), rng.standard_normal((S, 1))
FORBIDDEN = np.where(MASK, PAY, -np.inf)


def finite(kernel, reward, **options):
    return mfg.FiniteHorizonGame(kernel, reward, INITIAL, H, **options)


def in_single(game):
    return mfg.FiniteHorizonGame(
        np.float32(DENSE), mfg.PairwiseReward(np.float32(PAYS[..., None] * INITIAL)), np.float32(INITIAL), H
    )


GAMES = {
    "dense, a table": finite(DENSE, FORBIDDEN, available=MASK, discount=0.9),
    "dense over time, tables over time": finite(DENSES, PAYS, available=MASKS),
    "one reward for all actions": finite(DENSE, WEIGHT),
    "moves, own state": finite(
        mfg.MovesKernel(NEXT),
        mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(PAYS, WEIGHT), mfg.rewards.Power(scale=0.1, exponent=3)),
        available=MASK,
        state_labels=["café", "a b", "", "é\n"],
        action_labels=["x", "y", "z"],
    ),
    "moves, successor": finite(
        mfg.MovesKernel(NEXT), mfg.PairwiseReward(mfg.rewards.SuccessorInteraction(PAY, -PAYS, NEXT)), available=MASK
    ),
    "lists": finite(mfg.SuccessorKernel(LISTS, CHANCES), mfg.PairwiseReward(rng.standard_normal((S, A, S)))),
    "lists, joint law": finite(
        mfg.SuccessorKernel(LISTS, CHANCES[0]),
        mfg.PairwiseReward(
            DenseInteraction(rng.standard_normal((S, 1, S, A)), 2),
            Staged(mfg.rewards.Power(scale=-0.3), mfg.rewards.Power(scale=1 / 3, exponent=2), H),
        ),
        observes="state_actions",
    ),
    "one state, one action, one step": mfg.FiniteHorizonGame([[[1.0]]], [[2.0]], [1.0], 1),
    "stationary, a table": mfg.StationaryGame(DENSE, FORBIDDEN, 0.9, initial=INITIAL, available=MASK),
    "stationary, one state": mfg.StationaryGame([[[1.0], [1.0]]], [[2.0, 1.0]], 0.5),
    "stationary, own state": mfg.StationaryGame(
        DENSE, mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(PAY, -np.abs(PAY)), mfg.rewards.Power(scale=2.0)), 0.8
    ),
    "stationary lists": mfg.StationaryGame(mfg.SuccessorKernel(LISTS, CHANCES[0]), mfg.PairwiseReward(DENSE), 0.7),
    "single precision": in_single(None),
    "single precision, powers": mfg.FiniteHorizonGame(
        np.float32(DENSE),
        mfg.PairwiseReward(
            np.float32(DENSE),
            Staged(mfg.rewards.Power(scale=np.float32(0.1), exponent=2), mfg.rewards.Power(scale=np.float32(1 / 3)), H),
        ),
        np.float32(INITIAL),
        H,
    ),
    "random_dense": games.random_dense(),
    "resource_allocation": games.resource_allocation(),
    "a hub": games.graph_game(
        [(s, 0) for s in range(80)] + [(0, s) for s in range(1, 80)],
        horizon=2,
        initial={3: 1.0},
        running=games.NodeReward(),
    ),
}


def assert_same_game(first, second):
    """The same class, structure and labels, and arrays that agree in kind and in every bit."""
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", GAMES)
def test_what_is_loaded_is_what_was_saved_to_the_last_bit(name, tmp_path):
    path = io.save_game(tmp_path / "a.nc", GAMES[name])
    file = io.load_game(path)
    assert_same_game(file.game, GAMES[name])
    assert (file.name, file.description, file.reference, file.positions) == ("a", "", None, None)


@pytest.mark.parametrize("name", ["moves, own state", "lists, joint law", "stationary, own state", "single precision"])
def test_a_loaded_game_has_the_same_equilibrium_bit_for_bit(name, tmp_path):
    loaded = io.load_game(io.save_game(tmp_path / "a.nc", GAMES[name])).game
    response = mfg.EntropyRegularized(0.5)
    found, again = mfg.solve(GAMES[name], response), mfg.solve(loaded, response)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_file_says_besides_the_game_is_kept(tmp_path):
    game = GAMES["moves, own state"]
    rho = random_policy(rng, MASK)
    places = {label: (float(i), -0.1 * i) for i, label in enumerate(game.state_labels)}
    options = dict(name="cafés", description="two\nlines", reference=rho, positions=places)
    file = io.load_game(io.save_game(tmp_path / "a.nc", game, **options))
    assert (file.name, file.description, file.positions) == ("cafés", "two\nlines", places)
    np.testing.assert_array_equal(file.reference, rho)
    again = io.load_game(io.save_game(tmp_path / "b.nc", file))
    assert (again.name, again.positions) == (file.name, file.positions)
    assert_same_game(again.game, game)


def test_a_graph_game_in_toml_is_read_by_the_same_function(tmp_path):
    file = io.load_game(EXAMPLE)
    assert_same_game(file.game, games.load_game(EXAMPLE).game)
    assert_same_game(io.load_game(io.save_game(tmp_path / "a.toml", file)).game, file.game)
    (tmp_path / "game").write_bytes((tmp_path / "a.toml").read_bytes())
    assert io.load_game(tmp_path / "game").name == file.name  # by its content
    nc = io.load_game(io.save_game(tmp_path / "a.nc", file))
    assert_same_game(nc.game, file.game)
    np.testing.assert_array_equal(nc.reference, file.reference)
    (tmp_path / "a.nc").rename(tmp_path / "other")
    assert io.load_game(tmp_path / "other").name == file.name


def test_any_netcdf_reader_can_open_a_game(tmp_path):
    game = GAMES["dense over time, tables over time"]
    with xr.open_dataset(io.save_game(tmp_path / "a.nc", game)) as dataset:
        assert dataset.attrs["format"] == "mfgjax-game/1"
        assert dataset.probabilities.dims == ("move", "state", "action", "next_state")
        np.testing.assert_array_equal(dataset.probabilities, DENSES)
        np.testing.assert_array_equal(dataset.reward.sel(state=2), PAYS[:, 2])


class Pay:
    def __call__(self, t, mean_field):
        return -mean_field[:, None]


REFUSED = {
    "a reward that is a function": (
        lambda: finite(DENSE, lambda t, mu: -mu[:, None], available=MASK),
        "`game.reward` is a function, but a file holds tables only: give the game an array",
    ),
    "a reward that is an object": (lambda: finite(DENSE, Pay(), available=MASK), "`game.reward` is of the class Pay"),
    "a kernel that is a function": (
        lambda: finite(lambda t, mu: DENSE, PAY),
        "`game.kernel` is a function, but a file holds tables only: give the game an array",
    ),
    "a kernel of events": (
        lambda: finite(
            mfg.kernels.MixtureKernel([mfg.DenseKernel(DENSE), mfg.kernels.RestartKernel(INITIAL, A)], [0.5, 0.5]), PAY
        ),
        "`game.kernel` is of the class MixtureKernel",
    ),
    "an interaction that is a function": (
        lambda: finite(DENSE, mfg.PairwiseReward(lambda t, mu: -mu[:, None])),
        "`game.reward.L` is a function",
    ),
    "another theta": (
        lambda: finite(DENSE, mfg.PairwiseReward(DENSE, lambda t, x: jnp.sin(x))),
        "`game.reward.theta` is a function, but a file holds numbers only: make it a `Power`",
    ),
    "no game": (lambda: mfg.Greedy(), "`game` must be a `FiniteHorizonGame`, a `StationaryGame` or a `GameFile`"),
    "a batch": (
        lambda: jax.tree.map(lambda leaf: jnp.stack([leaf, leaf], -1), GAMES["dense, a table"]),
        "a single one with known numbers",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_place_is_refused_in_a_sentence_that_names_it(what, tmp_path):
    make, sentence = REFUSED[what]
    with pytest.raises(ValueError) as caught:
        io.save_game(tmp_path / "a.nc", make())
    assert str(caught.value).startswith(sentence) or sentence in str(caught.value)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"reference": np.ones((2, 2))}, r"`reference` must have shape \(4, 3\)"),
        ({"reference": np.ones((S, A))}, r"`reference\[0\]` sums to 3"),
        ({"positions": {"0": (0.0, 1.0)}}, r"`positions\['1'\]` is missing"),
    ],
)
def test_what_does_not_fit_the_game_is_refused(options, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        io.save_game(tmp_path / "a.nc", GAMES["dense, a table"], **options)


def test_a_game_file_has_its_own_name(tmp_path):
    file = io.load_game(EXAMPLE)
    with pytest.raises(ValueError, match="is a `GameFile`, which has name"):
        io.save_game(tmp_path / "a.nc", file, name="b")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return io.save_game(tmp_path_factory.mktemp("games") / "game.nc", GAMES["lists, joint law"])


def damaged(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 255
    return bytes(changed)


@pytest.mark.parametrize(
    "change",
    [lambda c: b"", lambda c: b"no netCDF", lambda c: c[: len(c) // 2], lambda c: c[:-200]]
    + [lambda c, k=k: damaged(c, k * len(c) // 20) for k in range(20)],
)
def test_a_damaged_game_is_refused(saved, tmp_path, change):
    path = tmp_path / "a.nc"
    path.write_bytes(change(saved.read_bytes()))
    with pytest.raises(ValueError, match="cannot be read as netCDF") as caught:
        io.load_game(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def without_attribute(name):
    def change(dataset):
        dataset.attrs.pop(name)
        return dataset

    return change


CHANGES = {
    "foreign": (lambda ds: ds.drop_attrs(), "is no game of mfgjax: it has no attribute `format`"),
    "old": (
        lambda ds: ds.assign_attrs(format="mfgjax-game/0"),
        "has the format 'mfgjax-game/0', but this version of mfgjax reads 'mfgjax-game/1'",
    ),
    "of another kind": (
        lambda ds: ds.assign_attrs(format="mfgjax-equilibrium/1"),
        "is an equilibrium: read it with `mfgjax.io.load_equilibrium`",
    ),
    "no law": (lambda ds: ds.drop_vars("initial"), "is damaged: the variable `initial` is missing"),
    "no labels": (lambda ds: ds.drop_vars("state"), "is damaged: the labels `state` are missing"),
    "no horizon": (without_attribute("horizon"), "is damaged: the attribute `horizon` is missing"),
    "another kernel": (lambda ds: ds.assign_attrs(kernel="magic"), "its attribute `kernel` is 'magic', but it must be"),
    "another theta": (lambda ds: ds.assign_attrs(theta='{"kind": "sine"}'), "which is no Θ"),
    "no JSON": (lambda ds: ds.assign_attrs(theta="{"), "which is no Θ"),
    "transposed": (
        lambda ds: ds.assign(successors=ds.successors.transpose("action", "state", "successor")),
        "`successors` has dims",
    ),
    "wrong numbers": (lambda ds: ds.assign(initial=ds.initial * 2), "is damaged: `initial` sums to 2"),
    "a wrong horizon": (lambda ds: ds.assign_attrs(horizon=0), "is damaged: `horizon` must be at least 1"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_file_of_something_else_is_refused_in_one_sentence(what, saved, tmp_path):
    change, sentence = CHANGES[what]
    path = tmp_path / "a.nc"
    change(xr.load_dataset(saved, engine="netcdf4")).to_netcdf(path)
    with pytest.raises(ValueError) as caught:
        io.load_game(path)
    assert str(path) in str(caught.value) and sentence in str(caught.value) and "\n" not in str(caught.value)


def test_the_other_readers_say_who_reads_a_game(saved):
    with pytest.raises(ValueError, match=r"is a game: read it with `mfgjax.io.load_game`"):
        io.load_equilibrium(saved)
    with pytest.raises(ValueError, match=r"this is netCDF, or HDF5: `mfgjax.io.load_game` reads games in it"):
        games.load_game(saved)


def test_missing_files_and_folders_are_named(tmp_path):
    for name in ("a.nc", "a.toml", "a", "a\0b", "x" * 5000):
        with pytest.raises(ValueError, match=r"no such file|cannot be read"):
            io.load_game(tmp_path / name)
    with pytest.raises(ValueError, match="`path` must be the path of a file; got 3"):
        io.load_game(3)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        io.save_game(tmp_path / "no" / "a.nc", GAMES["dense, a table"])
    with pytest.raises(IsADirectoryError, match="but that is a folder"):
        io.save_game(tmp_path, GAMES["dense, a table"])
    with pytest.raises(ValueError, match=r"g\.txt, but such a file ends in \.nc or \.toml\.$"):
        io.save_game(tmp_path / "g.txt", GAMES["dense, a table"])


def test_a_double_precision_game_is_rounded_where_jax_has_single(saved):
    with jax.enable_x64(False):
        game = io.load_game(saved).game
        assert game.dtype == np.float32
        np.testing.assert_array_equal(game.initial, INITIAL.astype(np.float32))


def test_the_command_line_solves_a_game_in_netcdf(tmp_path):
    file = io.load_game(EXAMPLE)
    path = str(io.save_game(tmp_path / "game.nc", file))
    arguments = ["--beta", "3", "--json"]
    status, out, err = run("solve", path, *arguments)
    assert (status, err) == (0, "")
    found, wanted = json.loads(out), json.loads(run("solve", EXAMPLE, *arguments)[1])
    assert found["request"].pop("game") == path and wanted["request"].pop("game") == EXAMPLE
    assert found == wanted
    status, _, err = run("solve", str(tmp_path / "nothing.nc"), "--beta", "3")
    assert status != 0 and "there is no such file" in err and "Traceback" not in err


def test_every_ready_made_game_is_kept_or_refused(tmp_path):
    for name in ("grid_crowd", "ring_crowd", "left_right", "coordination", "infection_tipping", "mturk"):
        game = getattr(games, name)()
        try:
            path = io.save_game(tmp_path / "a.nc", game)
        except ValueError as error:
            assert "a file holds tables only" in str(error) and name in ("coordination", "infection_tipping", "mturk")
        else:
            assert_same_game(io.load_game(path).game, game)
    assert inspect.signature(io.load_game).parameters.keys() == inspect.signature(games.load_game).parameters.keys()
