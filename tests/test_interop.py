"""Other people's objects: programs of QuantEcon (which is not needed), graphs of networkx, tables of pandas."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import stationary_oracle as oracle
import xarray as xr
from helpers import assert_close, random_mask

import mfgjax as mfg
from mfgjax import games, io

# Puterman (2005), section 3.1, in QuantEcon's two forms; Q[1, 1] is arbitrary, since R there is -inf
R, Q = [[5, 10], [-1, -np.inf]], [[(0.5, 0.5), (0, 1)], [(0, 1), (0.5, 0.5)]]
PAIRS = dict(R=np.array([5.0, 10.0, -1.0]), s_indices=np.array([0, 0, 1]), a_indices=np.array([0, 1, 0]))
ROWS = np.array([[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]])


def program(**fields):
    """What has the attributes of a `quantecon.markov.DiscreteDP`."""
    return SimpleNamespace(**{"beta": 0.95, "s_indices": None, "a_indices": None, **fields})


PROGRAMS = {
    "product": program(R=np.array(R), Q=np.array(Q)),
    "pairs": program(Q=ROWS, **PAIRS),
    "sparse pairs": program(Q=sp.csr_matrix(ROWS), **PAIRS),
    "sparse pairs, one unavailable": program(
        R=np.array([5.0, 10.0, -1.0, -np.inf]),
        Q=sp.csr_array(np.vstack([ROWS, [0.5, 0.5]])),
        s_indices=np.array([0, 0, 1, 1]),
        a_indices=np.array([0, 1, 0, 1]),
    ),
}


def rows_of(game):
    """P(s'|s,a) of a game whose moves do not depend on the crowd, 0 where there is no action."""
    rows = game.kernel_at(0, game.initial).expect(jnp.eye(game.num_states))
    return np.where(np.asarray(game.available[0])[..., None], rows, 0)


@pytest.mark.parametrize("form", PROGRAMS)
def test_every_form_of_a_program_of_quantecon_is_the_same_game(form):
    game = games.from_discrete_dp(PROGRAMS[form])
    exists = [[True, True], [True, False]]
    assert game.available[0].tolist() == exists and float(game.discount) == 0.95
    assert_close(rows_of(game), np.where(np.array(exists)[..., None], Q, 0))
    assert_close(game.reward_at(0, game.initial)[game.available[0]], [5, 10, -1])


@pytest.mark.parametrize("form", ["product", "sparse pairs, one unavailable"])
def test_a_program_of_quantecon_has_its_known_optimum(form):
    """v = (-60/7, -20) and action 0 everywhere, as Puterman gives them; state 1 is absorbing."""
    found = mfg.solve(games.from_discrete_dp(PROGRAMS[form]), mfg.Greedy())
    assert_close(found.values, [-60 / 7, -20], rtol=1e-9)
    assert found.policy.argmax(axis=1).tolist() == [0, 0]
    assert_close(found.mean_field, [0, 1], atol=1e-6)


def random_program(rng, S=4, A=3):
    mask = random_mask(rng, S, A)
    rows = rng.dirichlet(np.full(S, 0.3), (S, A))
    rows[rows < 0.1] = 0
    rows /= rows.sum(axis=-1, keepdims=True)
    return np.where(mask, rng.standard_normal((S, A)), -np.inf), rows, mask


@pytest.mark.parametrize("seed", range(3))
def test_all_forms_of_a_random_program_are_the_same_game_with_a_reward_of_the_crowd(seed):
    rng = np.random.default_rng(seed)
    pays, rows, mask = random_program(rng)
    S, A = mask.shape
    order = rng.permutation(mask.sum())  # in any order
    s, a = (index[order] for index in np.nonzero(mask))
    pairs = dict(R=pays[s, a], s_indices=s, a_indices=a, beta=0.8)
    forms = [
        program(R=pays, Q=rows, beta=0.8),
        program(Q=rows[s, a], **pairs),
        program(Q=sp.coo_matrix(rows[s, a]), **pairs),
    ]
    for ddp in forms:
        game = games.from_discrete_dp(ddp, reward=lambda z: -0.5 * z[:, None])
        assert game.num_actions == A and (np.asarray(game.available[0]) == mask).all()
        assert_close(rows_of(game), np.where(mask[..., None], rows, 0))
        for z in rng.dirichlet(np.ones(S), 2):
            assert_close(np.where(mask, game.reward_at(0, z), 0), np.where(mask, pays - 0.5 * z[:, None], 0))
    if seed:  # of a game whose arrays are right one equilibrium is enough
        return
    plain = oracle.PlainStationary(
        lambda z: rows, lambda z: np.where(mask, pays, 0) - 0.5 * z[:, None], np.full(S, 1 / S), mask, 0.8
    )
    soft = oracle.soft(1.0, mask / mask.sum(axis=1, keepdims=True))
    wanted = oracle.iterate(plain, soft, plain.initial, 300, 0.5)[-1]
    assert_close(mfg.solve(game, mfg.EntropyRegularized(1.0)).mean_field, wanted, atol=1e-8)


def test_sparse_probabilities_stay_sparse():
    size = 400
    chain = sp.diags_array([np.full(size - 1, 1.0)], offsets=[1]).tolil()
    chain[size - 1, size - 1] = 1.0
    states = np.arange(size)
    ddp = program(R=np.zeros(size), Q=chain.tocsr(), s_indices=states, a_indices=0 * states)
    assert games.from_discrete_dp(ddp).kernel.probabilities.shape == (1, size, 1, 1)


class Congestion(eqx.Module):
    weight: jax.Array

    def __call__(self, z):
        return -self.weight * z[:, None]


def test_what_the_crowd_adds_can_be_swept_and_may_be_pairwise():
    ddp = program(R=np.zeros((2, 2)), Q=np.array([[[1.0, 0.0], [0.0, 1.0]]] * 2), beta=0.5)
    game = games.from_discrete_dp(ddp, reward=Congestion(jnp.asarray(1.0)), initial=[0.9, 0.1])
    ds = mfg.sweep(game, beta=[1.0], **{"reward.of_crowd.weight": [0.5, 2.0]}, progress=False)
    assert (ds.result_code == 0).all()
    pairwise = mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(np.zeros((2, 1)), -np.ones((2, 1))))
    for z in ([0.9, 0.1], [0.25, 0.75]):
        paid = games.from_discrete_dp(ddp, reward=pairwise).reward_at(0, jnp.array(z))
        assert_close(paid, np.repeat(-np.array(z)[:, None], 2, axis=1))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"beta": 1.0},
            r"`ddp.beta` is 1, but a stationary game has its discount in \(0, 1\): give `FiniteHorizonGame`",
        ),
        ({"beta": 0}, r"`ddp.beta` is 0"),
        ({"R": np.full((2, 2), np.nan)}, r"`ddp.R\[0, 0\]` is nan"),
        ({"R": np.array([[0.0, 1.0], [-np.inf, -np.inf]])}, r"`ddp.R\[1\]` is -inf, but every state needs an action"),
        ({"Q": np.ones((2, 2, 3))}, r"`ddp.Q` must have shape \(2, 2, 2\)"),
        ({"Q": np.ones((2, 2, 2))}, r"`kernel\[0, 0\]` sums to 2"),
        ({"R": PAIRS["R"], "Q": ROWS}, r"`ddp.s_indices` must be whole numbers, one for each entry of R; got None"),
        ({**PAIRS, "Q": ROWS, "s_indices": np.array([0, 0, 2])}, r"`ddp.s_indices\[2\]` is 2, but there are 2 states"),
        ({**PAIRS, "Q": ROWS, "a_indices": np.array([0, 0, 0])}, "have a pair of state and action twice"),
        ({**PAIRS, "Q": sp.csr_matrix(ROWS[:2])}, r"`ddp.Q` must have shape \(3, any\)"),
    ],
)
def test_a_program_that_does_not_fit_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        games.from_discrete_dp(program(**{"R": np.array(R), "Q": np.array(Q), **fields}))


def test_what_is_no_program_is_refused():
    with pytest.raises(ValueError, match=r"`ddp` must have R, Q and beta, as a `DiscreteDP`; 3 has no R"):
        games.from_discrete_dp(3)
    with pytest.raises(ValueError, match=r"`reward` must be a callable \(z\)"):
        games.from_discrete_dp(PROGRAMS["product"], reward=1.0)


def house():
    graph = nx.DiGraph()
    graph.add_node("hall", share=0.75, value=0.0, place=(0, 0))
    graph.add_node("room", share=0.25, value=0.5, place=(1, 0))
    graph.add_node("exit", share=0.0, value=2.0, place=(2, 0))
    graph.add_edges_from([("hall", "hall"), ("hall", "room"), ("room", "exit"), ("room", "room"), ("exit", "exit")])
    return graph


def test_a_networkx_graph_is_the_game_of_its_edges_and_attributes():
    graph = house()
    shares, value = (nx.get_node_attributes(graph, name) for name in ("share", "value"))
    reward = games.NodeReward(value=value, congestion=1.0)
    game = games.graph_game(graph, horizon=3, initial=shares, terminal=reward)
    by_hand = games.graph_game(
        [("hall", "hall"), ("hall", "room"), ("room", "exit"), ("room", "room"), ("exit", "exit")],
        horizon=3,
        initial=[0.75, 0.25, 0.0],
        terminal=games.NodeReward(value=[0.0, 0.5, 2.0], congestion=1.0),
    )
    assert game.state_labels == ("hall", "room", "exit")
    assert games.moves(game) == games.moves(by_hand) == [["hall", "room"], ["exit", "room"], ["exit"]]
    assert_close(game.initial, by_hand.initial)
    assert_close(game.initial, [0.25 if name == "room" else 0.75 * (name == "hall") for name in game.state_labels])
    for t, law in ((0, game.initial), (3, game.initial), (3, jnp.array([0.2, 0.3, 0.5]))):
        assert_close(game.reward_at(jnp.int32(t), law), by_hand.reward_at(jnp.int32(t), law))
        own = np.array([0.0, 0.5, 2.0]) - law if t == 3 else np.zeros(3)
        assert_close(game.reward_at(jnp.int32(t), law), np.repeat(own[:, None], game.num_actions, axis=1), atol=1e-15)
    stationary = games.stationary_graph_game(graph, reward, 0.9, initial=shares)
    assert games.moves(stationary) == games.moves(game)


def test_undirected_edges_lead_both_ways_and_parallel_ones_are_refused():
    path = nx.path_graph(3)  # nodes 0, 1, 2
    game = games.graph_game(path, horizon=1, initial={0: 1.0}, running=games.NodeReward())
    assert games.moves(game) == [["1"], ["0", "2"], ["1"]]
    with pytest.raises(ValueError, match=r"\('a', 'b'\), which occurs twice"):
        games.graph_game(nx.MultiDiGraph([("a", "b"), ("a", "b"), ("b", "a")]), horizon=1, initial={"a": 1.0})
    with pytest.raises(ValueError, match="no edge that leaves node 'b'"):
        games.graph_game(nx.DiGraph([("a", "b")]), horizon=1, initial={"a": 1.0})


@pytest.fixture(scope="module")
def solved():
    game = games.resource_allocation()
    found = mfg.solve(game, mfg.EntropyRegularized(3.0))
    return game, found, io.to_dataset(game, found)


def test_a_table_has_a_row_for_each_time_state_and_available_action(solved):
    game, found, ds = solved
    table = io.to_frame(ds)
    assert list(table.columns) == ["time", "state", "action", "policy", "q", "leads_to"]
    assert len(table) == (game.horizon + 1) * int(game.available.sum())
    row = table[(table.time == 2) & (table.state == 4) & (table.action == "edge 1")].iloc[0]
    assert (row.policy, row.q, row.leads_to) == (float(found.policy[2, 3, 1]), float(found.q[2, 3, 1]), "4")
    assert_close(table.groupby(["time", "state"]).policy.sum(), 1, atol=1e-12)


def test_a_table_per_state_has_the_law_and_the_values(solved):
    _, found, ds = solved
    table = io.to_frame(ds, per="state")
    assert list(table.columns) == ["time", "state", "mean_field", "state_law", "values"]
    np.testing.assert_array_equal(table.pivot(index="time", columns="state", values="state_law"), found.state_law)


def test_a_table_per_point_names_the_results_of_a_sweep_and_keeps_what_has_no_other_axes():
    numbers = {"result_code": ("point", [0, 1, -1]), "residual": ("point", [0.0, 0.5, np.nan])}
    coords = {"beta": ("point", [1.0, 2.0, 3.0])}
    ds = xr.Dataset({**numbers, "values": (("point", "state"), np.zeros((3, 2)))}, coords)
    table = io.to_frame(ds, per="point")
    assert list(table.columns) == ["point", "beta", "result", "result_code", "residual"]
    assert table.result.tolist() == ["converged", "max_steps", "not computed"]
    assert table[table.result != "converged"].beta.tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match="`dataset` has no points: it is no sweep"):
        io.to_frame(ds.isel(point=0), per="point")


def test_a_table_of_a_stationary_game_has_no_times_and_one_of_a_sweep_begins_with_its_axes():
    game = games.from_discrete_dp(PROGRAMS["product"])
    table = io.to_frame(io.to_dataset(game, mfg.solve(game, mfg.EntropyRegularized(1.0))))
    assert list(table.columns) == ["state", "action", "policy", "q"] and len(table) == 3
    ds = mfg.sweep(games.left_right(), beta=[1.0, 2.0], outputs=("mean_field", "policy"), progress=False)
    table = io.to_frame(ds, per="state")
    assert list(table.columns) == ["beta", "time", "state", "mean_field"] and len(table) == 2 * 2 * 3
    np.testing.assert_array_equal(table.mean_field, ds.mean_field.values.ravel())
    with pytest.raises(ValueError, match="no variable with the dimension 'action'"):
        io.to_frame(ds[["mean_field"]])
    with pytest.raises(ValueError, match="`per` must be one of"):
        io.to_frame(ds, per="step")
    with pytest.raises(ValueError, match="`dataset` must be what `to_dataset` returns"):
        io.to_frame(ds.mean_field)
