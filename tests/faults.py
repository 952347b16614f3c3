"""A small game to put faults in, the faults that all numbers have in common, and how they must be refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mfgjax import FiniteHorizonGame, games

S, A, H = 3, 2, 4
KERNEL = np.full((S, A, S), 1 / S)
REWARD = np.arange(S * A, dtype=float).reshape(S, A) / 4
INITIAL = np.array([0.5, 0.25, 0.25])
MASK = np.array([[True, True], [True, False], [True, True]])
REFERENCE = np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]])
INTERACTION = np.ones((S, A, S))
NEXT = np.array([[0, 1], [1, 2], [2, 0]])
SUCCESSORS = np.array([[[0, 1], [1, 2]], [[1, 2], [2, 0]], [[2, 0], [0, -1]]])
CHANCES = np.array([[[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]]])
FLOW = np.tile(INITIAL, (H + 1, 1))
EDGES = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
nan, inf = np.nan, np.inf


def game(kernel=KERNEL, reward=REWARD, initial=INITIAL, horizon=H, **options):
    return FiniteHorizonGame(kernel, reward, initial, horizon, **options)


def put(array, index, value):
    changed = np.array(array)
    changed[index] = value
    return changed


def over_time(array, times):
    return np.broadcast_to(array, (times, *np.shape(array))).copy()


def graph(edges=EDGES, **options):
    return games.graph_game(edges, **{"horizon": 2, "initial": {"a": 1.0}, "running": games.NodeReward(), **options})


def traced(function, *shapes):
    """Call `function` with traced arrays of given shapes, whose values nobody knows."""
    return lambda: jax.eval_shape(function, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))


def under(name, wrong, make):
    """Give the faults that every scalar has in common, with what the sentence must hold."""
    return {
        f"{name}-{kind}": (lambda value=value: make(value), f"`{name}`", shown)
        for kind, value, shown in [
            ("nan", nan, "nan"),
            ("inf", inf, "inf"),
            ("string", "high", "'high'"),
            ("bool", True, "True"),
            ("complex", 1 + 1j, "(1+1j)"),
            ("dict", {"a": 1}, "{'a': 1}"),
            ("ragged", [1, [2, 3]], "[1, [2, 3]]"),
            ("array", [0.5, 0.5], "(2,)"),
            *wrong,
        ]
    }


def whole(name, make, least=1):
    """Give the faults that every whole number has in common."""
    return {
        f"{name}-{kind}": (lambda value=value: make(value), f"`{name}`", shown)
        for kind, value, shown in [
            ("small", least - 1, str(least - 1)),
            ("fraction", 2.5, "2.5"),
            ("float", 2.0, "2.0"),
            ("nan", nan, "nan"),
            ("string", "two", "'two'"),
            ("bool", True, "True"),
            ("complex", 2j, "2j"),
            ("list", [2], "[2]"),
            ("dict", {}, "{}"),
            ("many", np.array([2, 3]), "array([2, 3])"),
        ]
    }


NONE = ("none", None, "None")
NEGATIVE = ("negative", -0.5, "-0.5")
ABOVE_ONE = ("large", 1.5, "1.5")


def assert_refused(fault):
    """Make what has a fault: one sentence must refuse it, with all that it must hold."""
    make, *needles = fault
    with pytest.raises(ValueError) as caught:
        make()
    message = str(caught.value)
    assert type(caught.value) is ValueError, "a subclass comes from elsewhere"
    assert "\n" not in message and len(message) < 300 and message.endswith(".")
    assert "Traceback" not in message and "Tracer" not in message
    for needle in needles:
        assert needle in message
