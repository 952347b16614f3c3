"""One small example of every public class that shows itself, made by hand: nothing is solved."""

import jax.numpy as jnp
import numpy as np
from entries import RESPONSES, built, classes, small
from helpers import KERNELS

import mfgjax as mfg
from mfgjax.certify.complementarity import Condition
from mfgjax.multiplicity.ascent import Ascent

STATES, ACTIONS = ("<b>home</b>", "bar & grill"), ("stay", "go")
FLOW = np.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]])
POLICY = np.full((3, 2, 2), 0.5)
LAW, HALF = np.array([0.25, 0.75]), np.full((2, 2), 0.5)


def equilibrium(mean_field, code=0, labels=(), num_actions=2):
    """An equilibrium with a given mean field, as `solve` returns one; all other numbers are simple."""
    field = np.asarray(mean_field, float)
    policy = np.full((*field.shape, num_actions), 1 / num_actions)
    values = np.zeros(field.shape)
    numbers = [jnp.asarray(x) for x in (1e-12, np.nan, 1e-10)]
    result, history = mfg.results.Result(code), jnp.asarray([0.5, 1e-12])
    arrays = [jnp.asarray(x) for x in (field, policy, np.log(policy), values, 0 * policy)]
    rest = (jnp.int32(7), history, jnp.asarray(2e-12), result, "residual", "states", -1, labels)
    return mfg.results.Equilibrium(*arrays, *numbers, *rest)


EQUILIBRIUM = equilibrium(FLOW, labels=STATES)
LEAST, GREATEST = equilibrium([0.75, 0.25]), equilibrium([0.25, 0.75])
GAME = mfg.FiniteHorizonGame(
    mfg.MovesKernel([[0, 1], [1, 0]]),
    np.zeros((2, 2)),
    [1.0, 0.0],
    2,
    state_labels=STATES,
    action_labels=ACTIONS,
)
STATIONARY = mfg.StationaryGame(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), 0.9)
RESPONSE = mfg.EntropyRegularized(3.0, HALF)
ASCENT = Ascent(np.array([[1.0, 0.0], LAW]), 0.0, 0, 0.0, 1.0, 0.0, False, 0.5, 2.0, 1e-12, 1e-15, np.full(2, np.nan))
WORDS = ("It is so.", "what the value is")
CERTIFICATES = tuple(
    mfg.results.Certificate(name, *WORDS, np.asarray(0.5), np.asarray(np.inf), np.int8(1), "a theorem", "a", "b", "c")
    for name in ("contraction", "unique")
)
CONDITIONS = (Condition("r rises", "holds", 0.0, ""), Condition("r supermodular", "fails", 0.5, "state 1"))
TABLE = np.array([0.5, 0.25, np.nan])
NUMBERS = np.array([2, 10, 100])

EXAMPLES = {
    "Equilibrium": EQUILIBRIUM,
    "FiniteHorizonGame": GAME,
    "StationaryGame": STATIONARY,
    "Aggregate": mfg.Aggregate([0.0, 1.0], labels=["<b>mean"]),
    "Explorer": mfg.explore(GAME, RESPONSE, beta=[0.5, 1.0, 3.0]),
    "Result": mfg.results.Result(1),
    "BestResponse": mfg.results.BestResponse(POLICY, np.log(POLICY), FLOW, POLICY),
    "Lipschitz": mfg.Lipschitz(1.0, 0.5),
    "Certificate": CERTIFICATES[0],
    "Report": mfg.results.Report(CERTIFICATES, np.asarray(0.5), None, None, None, None),
    "Complementarity": mfg.results.Complementarity("action", CONDITIONS, True, 4),
    "MonotoneResponse": mfg.results.MonotoneResponse("action", CONDITIONS, 2),
    "Bracket": mfg.results.Bracket(LEAST, GREATEST, ASCENT, ASCENT, 0.5, False, None),
    "MultiStart": mfg.results.MultiStart((LEAST, GREATEST), (5, 2), 8, 1),
    "Branch": mfg.results.Branch(
        np.array([0.0, 1.0, 0.5]), np.array([LAW] * 3), np.array([1.0]), np.zeros(0), False, "It was lost.", list
    ),
    "Hysteresis": mfg.results.Hysteresis(
        "cost", np.array([1.0, 2.0]), np.array([LAW, [0.75, 0.25]]), np.array([LAW, LAW]), False, np.zeros((2, 2))
    ),
    "PairwiseReward": mfg.PairwiseReward(np.zeros((2, 2, 2))),
    "OwnStateInteraction": mfg.rewards.OwnStateInteraction(HALF, HALF),
    "SuccessorInteraction": mfg.rewards.SuccessorInteraction(HALF, HALF, [[0, 1], [1, 0]]),
    "Power": mfg.rewards.Power(scale=2.0, exponent=3),
    "NodeReward": mfg.games.NodeReward({"a": 1.0}, 0.5),
    "GameFile": mfg.games.GameFile("a game", GAME, HALF, None, "what it is"),
    "LeastEffort": mfg.design.LeastEffort(POLICY, np.log(POLICY), np.zeros(3), np.asarray(0.0)),
    "InverseReference": mfg.design.InverseReference(np.log(POLICY), POLICY, FLOW, np.asarray(0.0)),
    "TargetLaw": mfg.design.TargetLaw([0.5, 0.5]),
    "TargetFlow": mfg.design.TargetFlow(FLOW),
    "Occupancy": mfg.design.Occupancy([0]),
    "Cost": mfg.design.Cost(),
    "Inequality": mfg.design.Inequality(),
    "Entropy": mfg.design.Entropy(),
    "ReferenceChange": mfg.design.ReferenceChange(HALF),
    "DesignProblem": mfg.design.load_problem("examples/half_and_half.toml"),
    "Sensitivity": mfg.design.Sensitivity(
        np.asarray(0.5), {"beta": np.asarray(2.0)}, {"beta": np.asarray(3.0)}, (STATES, ACTIONS)
    ),
    "TradeOff": mfg.design.TradeOff(TABLE, TABLE, TABLE, np.array([True, True, False]), {}, ("done",) * 3, 4),
    "Tuned": mfg.design.Tuned(
        {"beta": 2.0},
        GAME,
        RESPONSE,
        EQUILIBRIUM,
        0.25,
        np.array([0.25]),
        np.array([0.25]),
        {"beta": np.array([2.0])},
        ("It stopped.",),
        TABLE[:, None],
        TABLE[:, None],
        np.array([[False], [True], [False]]),
        3,
    ),
    "Variable": mfg.design.Variable(1.0, lower=0.5),
    "Comparison": mfg.finite.Comparison(
        NUMBERS,
        FLOW,
        np.tile(FLOW[..., None], 3),
        np.ones((3, 3)),
        np.asarray(1.0),
        *[TABLE] * 3,
        np.asarray(0.0),
        *[TABLE] * 3,
        "enumeration",
        True,
    ),
    "DeviationGain": mfg.finite.DeviationGain(
        NUMBERS,
        *[TABLE] * 4,
        np.asarray(1.0),
        np.asarray(0.0),
        TABLE,
        np.zeros((3, 2, 2, 3)),
        np.zeros((3, 2, 2, 3)),
        TABLE,
        TABLE,
        "Monte Carlo",
    ),
    "PopulationLaw": mfg.finite.PopulationLaw(
        NUMBERS, FLOW, np.ones((3, 3)), np.ones((3, 3)), TABLE, None, np.ones((3, 3)), FLOW
    ),
    "Simulation": mfg.finite.Simulation(
        np.int32(4),
        np.array([[[4, 4], [0, 0]], [[1, 3], [3, 1]]]),
        np.array([[1.0, 1.0], [2.0, 4.0]]),
        np.asarray(0.5),
        None,
        None,
        None,
        None,
        None,
    ),
    "SmallestPopulation": mfg.finite.SmallestPopulation(6, 0.5, 0.75, "gain"),
    "Polynomial": mfg.learners.Polynomial(0.75),
    "Task": mfg.learners.Task(STATIONARY, mfg.Trembling(0.1), mfg.learners.GameSimulator(STATIONARY)),
    "GameSimulator": mfg.learners.GameSimulator(STATIONARY),
    "Guarantee": mfg.learners.Guarantee(0.5, 0.25, np.inf),
    "Constants": mfg.learners.Constants(1.0, 2.0, 3.0, 4.0, 5.0),
    "Run": mfg.learners.Run(np.array([[[0.5, 0.5], LAW]]), POLICY[:1], None, 1, 0),
    **{type(kernel).__name__: kernel for kernel, _ in (make(np.random.default_rng(0)) for make in KERNELS.values())},
    **{name: built(kind, RESPONSES, np.random.default_rng(0)) for name, kind in classes("responses").items()},
    **{name: kind() for name, kind in classes("solvers").items()},
    **{name: small(kind) for name, kind in classes("learners").items()},
}
"""By the name of the class: what is public and not here has no example, which a test finds."""
