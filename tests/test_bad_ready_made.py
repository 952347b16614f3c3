"""Ready-made games refuse a fault in their arguments in one sentence that names it."""

import numpy as np
import pytest
from faults import ABOVE_ONE, EDGES, NEGATIVE, NONE, assert_refused, game, graph, inf, nan, under, whole

from mfgjax import games

ZOO = {
    **whole("num_states", lambda n: games.random_dense(num_states=n)),
    **whole("num_actions", lambda n: games.random_dense(num_actions=n)),
    **whole("seed", lambda n: games.random_dense(seed=n), least=0),
    **under("steepness", [NONE], lambda value: games.random_dense(steepness=value)),
    **{f"random_dense {k}": c for k, c in whole("horizon", lambda n: games.random_dense(horizon=n)).items()},
    **{f"ring_crowd {k}": c for k, c in whole("num_states", lambda n: games.ring_crowd(num_states=n), least=3).items()},
    **{f"ring_crowd {k}": c for k, c in whole("horizon", lambda n: games.ring_crowd(horizon=n)).items()},
    **under("congestion", [NONE], lambda value: games.ring_crowd(congestion=value)),
    **under("field", [NONE], lambda value: games.coordination(field=value)),
    **under("strength", [NONE], lambda value: games.coordination(strength=value)),
    "preset-other": (lambda: games.resource_allocation("printed"), "`preset`", "'printed'"),
    "preset-none": (lambda: games.resource_allocation(None), "`preset`", "None"),
    "self_loop_at_2-string": (lambda: games.resource_allocation(self_loop_at_2="no"), "`self_loop_at_2`", "'no'"),
    "edges-none": (lambda: graph(None), "`edges`", "None"),
    "edges-number": (lambda: graph(3), "`edges`", "3"),
    "edges-empty": (lambda: graph([]), "`edges`", "empty"),
    "edges-numbers": (lambda: graph([1, 2]), "`edges`", "1"),
    "edges-triple": (lambda: graph([("a", "a"), ("a", "b", 1.0)]), "`edges[1]`", "('a', 'b', 1.0)"),
    "edges-twice": (lambda: graph([*EDGES, ("a", "b")]), "`edges[4]`", "('a', 'b')"),
    "edges-unhashable": (lambda: graph([(["a"], "b")]), "`edges[0]`", "['a']"),
    "edges-other node": (lambda: graph(nodes=["a"]), "`edges[1]`", "'b'"),
    "edges-dead end": (lambda: graph([("a", "b")]), "`edges`", "'b'"),
    "nodes-twice": (lambda: graph(nodes=["a", "b", "a"]), "`nodes`", "'a' occurs twice"),
    "nodes-number": (lambda: graph(nodes=2), "`nodes`", "2"),
    "nodes-isolated": (lambda: graph(nodes=["a", "b", "c"]), "`edges`", "'c'"),
    **{f"graph_game {k}": c for k, c in whole("horizon", lambda n: graph(horizon=n)).items()},
    **{
        f"graph_game {k}": c
        for k, c in under("discount", [NONE, NEGATIVE, ABOVE_ONE], lambda value: graph(discount=value)).items()
        if "array" not in k
    },
    "graph_game initial-other node": (lambda: graph(initial={"c": 1.0}), "`initial`", "'c'"),
    "graph_game initial-sum": (lambda: graph(initial={"a": 0.5}), "`initial`", "0.5"),
    "graph_game initial-nan": (lambda: graph(initial={"b": nan}), "`initial[1]`", "nan"),
    "graph_game initial-string": (lambda: graph(initial="a"), "`initial`", "'a'"),
    "graph_game initial-string within": (lambda: graph(initial={"a": "all"}), "`initial['a']`", "'all'"),
    "graph_game initial-array within": (lambda: graph(initial={"a": [1, 0]}), "`initial['a']`", "(2,)"),
    "graph_game initial-none": (lambda: graph(initial=None), "`initial`", "None"),
    "graph_game initial-shape": (lambda: graph(initial=[1.0, 0, 0]), "`initial`", "(3,)"),
    "running-number": (lambda: graph(running=1.0), "`running`", "1.0"),
    "terminal-dict": (lambda: graph(terminal={"a": 1.0}), "`terminal`", "{'a': 1.0}"),
    "terminal-zero": (lambda: graph(terminal=0), "`terminal`", "0"),
    "NodeReward value-other node": (
        lambda: graph(running=games.NodeReward({"c": 1})),
        "value`",
        "'c'",
    ),
    "NodeReward value-nan": (lambda: graph(running=games.NodeReward({"b": nan})), "value[1]`", "nan"),
    "NodeReward value-string": (lambda: graph(running=games.NodeReward("x")), "value`", "'x'"),
    "NodeReward value-none": (lambda: graph(running=games.NodeReward(None)), "value`", "None"),
    "NodeReward value-bool": (lambda: graph(running=games.NodeReward(True)), "value`", "True"),
    "NodeReward value-shape": (lambda: graph(running=games.NodeReward(np.ones(3))), "value`", "(3,)"),
    "NodeReward congestion-inf": (
        lambda: graph(terminal=games.NodeReward(congestion=[0, inf])),
        "congestion[1]`",
        "inf",
    ),
    "NodeReward congestion-ragged": (
        lambda: graph(terminal=games.NodeReward(congestion=[0, [1, 2]])),
        "congestion`",
        "[0, [1, 2]]",
    ),
    "NodeReward scale-string": (lambda: games.NodeReward(scale="x"), "scale`", "'x'"),
    "NodeReward exponent-zero": (lambda: games.NodeReward(exponent=0), "exponent`", "0"),
    "moves-dense": (lambda: games.moves(game()), "`game.kernel`", "DenseKernel"),
    "moves-none": (lambda: games.moves(None), "`game`", "None"),
    "policy_on_edges-game": (lambda: games.policy_on_edges(game(), {}), "`game.kernel`", "DenseKernel"),
    "policy_on_edges-none": (lambda: games.policy_on_edges(graph(), None), "`reference`", "None"),
    "policy_on_edges-other node": (lambda: games.policy_on_edges(graph(), {"c": {}}), "`reference`", "'c'"),
    "policy_on_edges-number": (lambda: games.policy_on_edges(graph(), {"a": 1.0}), "`reference['a']`", "1.0"),
    "policy_on_edges-no edge": (
        lambda: games.policy_on_edges(graph(), {"a": {"c": 1.0}}),
        "`reference['a']`",
        "'c'",
    ),
    "policy_on_edges-string": (
        lambda: games.policy_on_edges(graph(), {"a": {"b": "x"}}),
        "`reference['a']['b']`",
        "'x'",
    ),
    "policy_on_edges-array": (
        lambda: games.policy_on_edges(graph(), {"a": {"b": [1, 0]}}),
        "`reference['a']['b']`",
        "(2,)",
    ),
    "policy_on_edges-nan": (lambda: games.policy_on_edges(graph(), {"a": {"b": nan}}), "`reference['a']['b']`", "nan"),
    "policy_on_edges-negative": (
        lambda: games.policy_on_edges(graph(), {"a": {"b": -0.5, "a": 1.5}}),
        "`reference[0, 1]`",
        "-0.5",
    ),
    "policy_on_edges-sum": (lambda: games.policy_on_edges(graph(), {"a": {"b": 0.5}}), "`reference[0]`", "0.5"),
}


@pytest.mark.parametrize("fault", ZOO)
def test_a_faulty_ready_made_game_is_refused_in_one_sentence_with_field_place_and_value(fault):
    assert_refused(ZOO[fault])
