"""One of everything that the folders of the library offer, built by the names of its arguments.

A class whose arguments have the names of others' is built here without a word; a new name needs a line in one of the
tables below.
"""

import importlib
import inspect

import numpy as np
import pytest

from mfgjax._names import offered

S, A = 4, 3
EPSILON = 0.2

KERNELS = {  # random numbers for S states and A actions
    "law": lambda rng: rng.dirichlet(np.ones(S)),
    "next_state": lambda rng: rng.integers(0, S, size=(S, A)),
    "num_actions": lambda rng: A,
    "probabilities": lambda rng: rng.dirichlet(np.ones(S), size=(S, A)),
}
RESPONSES = {
    "beta": lambda rng: rng.uniform(0.5, 2),
    "epsilon": lambda rng: EPSILON,
}
LEARNERS = {"num_agents": 50, "num_samples": 50, "num_updates": 200}  # in place of larger defaults


def classes(folder):
    """Return what a folder offers, by name."""
    module = importlib.import_module(f"mfgjax.{folder}")
    return {name: getattr(module, name) for name in offered(folder)}


def built(kind, examples, *rng):
    """Build one of a class: what has no default is in the examples by its name."""
    given = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.default is parameter.empty:
            if name not in examples:
                pytest.fail(f"`{kind.__name__}` has an argument `{name}`: give an example of it in tests/entries.py.")
            given[name] = examples[name](*rng)
    return kind(**given)


def small(learner):
    """Build a learner that is quick: numbers that the table above knows are taken from there."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(learner).parameters.items()}
    return learner(**{name: number for name, number in LEARNERS.items() if isinstance(defaults.get(name), int)})
