"""Sweeps: labelled data, every point of which is the equilibrium of its own game."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
import xarray as xr
from helpers import assert_close, resource_allocation_by_hand

import mfgjax as mfg
from mfgjax import RESULTS

ATOL = 1e-10  # the default tolerance


# --- a grid on the example ---------------------------------------------------------------------------------

MILD = (0.1, 1.0, 3.0)
BETAS = (*MILD, 30.0, 1000.0)
EVEN = np.full(5, 0.2)


@functools.cache
def example():
    game = mfg.games.resource_allocation()
    return game, np.asarray(mfg.games.resource_allocation_reference(game))


@functools.cache
def grid():
    """Three axes on the example: mapped labels, a list with a law, numbers; the response is a class.

    Of the default solver the first three methods: at most 100 steps of Anderson's, 100 of Newton's, then damped ones.
    """
    game, rho = example()
    axes = {"reference": {"paper": rho, "uniform": None}, "initial": [game.initial, EVEN], "beta": BETAS}
    return mfg.sweep(game, max_steps=660, **axes)


def test_a_grid_has_one_dimension_for_each_axis_in_the_order_given():
    ds = grid()
    assert ds.mean_field.dims == ("reference", "initial", "beta", "time", "state")
    assert ds.policy.dims == ("reference", "initial", "beta", "time", "state", "action")
    for name in ("exploitability", "residual", "tolerance", "num_steps", "result_code", "result_period"):
        assert ds[name].dims == ("reference", "initial", "beta")
    assert ds.reference.values.tolist() == ["paper", "uniform"]
    assert ds.initial.values.tolist() == [0, 1]  # arrays are numbered
    assert ds.beta.values.tolist() == list(BETAS)
    assert ds.time.values.tolist() == list(range(6))
    assert ds.state.values.tolist() == [1, 2, 3, 4, 5]
    assert ds.sizes["action"] == 3


def test_each_point_of_a_grid_is_what_a_single_solve_finds_there():
    ds, (game, rho) = grid(), example()
    for reference, table in (("paper", rho), ("uniform", None)):
        for i, initial in enumerate((game.initial, EVEN)):
            one = eqx.tree_at(lambda g: g.initial, game, jnp.asarray(initial))
            for beta in MILD:
                eq = mfg.solve(one, mfg.EntropyRegularized(beta, table), max_steps=660)
                point = ds.sel(reference=reference, initial=i, beta=beta)
                assert int(point.num_steps) == int(eq.num_steps)
                for name in ("mean_field", "policy", "exploitability", "residual"):
                    assert_close(point[name], getattr(eq, name), atol=4 * ATOL)


def test_later_methods_serve_the_points_that_need_them():
    """With the residuals by loops; at β = 1000 both Anderson's steps and damped ones move in circles."""
    plain, rho = resource_allocation_by_hand()
    for beta in BETAS:
        point = grid().sel(reference="paper", initial=0, beta=beta)
        flow = point.mean_field.values
        distance = oracle.flow_distance(flow, oracle.gamma(plain, flow, oracle.soft(beta, rho)))
        # action values times β are rounded
        assert_close(point.residual, distance, atol=1e-14 * max(1, beta))
        assert (point.result_code == RESULTS.converged) == (distance <= point.tolerance)
        assert point.result_code == RESULTS.converged
        assert point.num_steps < 40
    alone = mfg.solve(example()[0], mfg.EntropyRegularized(1000.0, rho), mfg.Anderson(within=100), throw=False)
    assert alone.result.code != RESULTS.converged and point.num_steps > alone.num_steps  # of both methods


def test_the_paper_s_equilibria_are_found_under_their_labels():
    laws = {  # of the nodes at time 5: computed once by an independent program
        0.1: (0.004675, 0.004222, 0.512844, 0.473560, 0.004699),
        1.0: (0.002714, 0.002452, 0.603457, 0.388649, 0.002729),
        3.0: (0.000854, 0.000772, 0.670311, 0.327205, 0.000859),
    }
    for beta, law in laws.items():
        assert_close(grid().mean_field.sel(reference="paper", initial=0, beta=beta, time=5), law, atol=1e-6)


def test_a_dataset_says_what_made_it():
    attrs = grid().attrs
    assert attrs["mfgjax_version"] == mfg.__version__
    assert attrs["game"] == "FiniteHorizonGame"
    assert attrs["dtype"] == "float64"
    assert attrs["horizon"] == "5"
    assert attrs["observes"] == "states"
    assert attrs["criterion"] == "residual"
    assert '"kind": "EntropyRegularized", "beta": "swept"' in attrs["response"]
    assert '"kind": "Auto"' in attrs["solver"]
    assert {"jax_version", "platform", "format"} <= set(attrs)
    flags = grid().result_code.attrs
    assert dict(zip(flags["flag_values"], flags["flag_meanings"].split(), strict=True)) == {
        int(code): code.name for code in RESULTS
    }


# --- axes side by side, on two places that people avoid ----------------------------------------------------


def logistic(u):
    return 1 / (1 + np.exp(-u))


def share(beta, field, strength=-1.0, odds=(0.0, 0.0), initial=(0.5, 0.5)):
    """x = Σ_s m_s σ(β (c (2x − 1) + h) + log ρ(1|s)/ρ(0|s)) by bisection; the right-hand side falls in x."""
    low, high = 0.0, 1.0
    for _ in range(100):
        x = (low + high) / 2
        image = np.asarray(initial) @ logistic(beta * (strength * (2 * x - 1) + field) + np.asarray(odds))
        low, high = (x, high) if x < image else (low, x)
    return x


def avoiding(field=0.2, strength=-1.0):
    """A builder whose parameters are numbers."""
    return mfg.games.coordination(field, strength)


POINTS = {
    "beta": [0.5, 7.0, 1.0, 0.1, 1.5],
    "reward.L.field": np.array([0.1, -0.2, 0.3, 0.0, -0.3]),
    "reference": [np.array([[1 - p, p], [p, 1 - p]]) for p in (0.5, 0.4, 0.2, 0.7, 0.6)],
    "initial": [np.array([p, 1 - p]) for p in (0.5, 0.1, 0.9, 0.3, 1.0)],
}


def side_by_side(**options):
    return mfg.sweep(avoiding(), mfg.EntropyRegularized(1.0), solver=mfg.Picard(), zipped=True, **options, **POINTS)


@pytest.fixture(scope="module")
def zipped():
    return side_by_side()


def test_axes_side_by_side_are_one_dimension_of_points(zipped):
    assert zipped.mean_field.dims == ("point", "time", "state")
    assert zipped.sizes["point"] == 5
    for name in POINTS:
        assert zipped[name].dims == ("point",)
    assert zipped.beta.values.tolist() == POINTS["beta"]
    assert_close(zipped["reward.L.field"], POINTS["reward.L.field"])
    assert zipped.reference.values.tolist() == zipped.initial.values.tolist() == list(range(5))


def test_each_point_solves_the_equation_of_its_own_parameters(zipped):
    for point in (0, 2, 3, 4):
        table, initial = POINTS["reference"][point], POINTS["initial"][point]
        odds = np.log(table[:, 1] / table[:, 0])
        x = share(POINTS["beta"][point], POINTS["reward.L.field"][point], odds=odds, initial=initial)
        assert_close(zipped.mean_field[point, 1, 1], x, atol=2 * ATOL)
        assert_close(zipped.mean_field[point, 0], initial)


def test_a_point_that_fails_is_marked_and_harms_no_other(zipped):
    """At β = 7 the slope is -3: plain iteration cycles."""
    assert zipped.result_code.values.tolist() == [0, RESULTS.cycle, 0, 0, 0]
    assert zipped.result_period.values.tolist() == [0, 2, 0, 0, 0]
    assert (zipped.residual.values <= ATOL).tolist() == [True, False, True, True, True]
    assert np.isfinite(zipped.mean_field).all()


def test_blocks_and_chunks_of_any_size_give_the_same(zipped):
    """Blocks of two in chunks of three: both end with an incomplete one."""
    cut = side_by_side(block=2, chunk=3)
    assert cut.result_code.values.tolist() == zipped.result_code.values.tolist()
    good = zipped.result_code.values == 0
    for name in ("mean_field", "policy", "exploitability"):
        assert_close(cut[name][good], zipped[name][good], atol=4 * ATOL)
    assert cut[["beta", "time"]].identical(zipped[["beta", "time"]])


def test_the_same_call_without_a_bar_gives_the_same_bits(zipped):
    assert side_by_side(progress=False).identical(zipped)


# --- builders -----------------------------------------------------------------------------------------------


def twice(game, response, equilibrium):
    return 2 * equilibrium.mean_field[1]


OUTPUTS = {
    **dict.fromkeys(
        ["policy", "log_policy", "values", "q", "mean_field", "state_law", "terminal_law", "exploitability"]
    ),
    "share": lambda game, response, eq: eq.mean_field[1, 1],
    "doubled": (twice, ("state",)),
    "flux": lambda game, response, eq: eq.mean_field[0, :, None] * eq.policy[0],
    "heat": lambda game, response, eq: 1 / response.beta + game.reward.L.strength,
}


@pytest.fixture(scope="module")
def built():
    return mfg.sweep(
        avoiding,
        mfg.Boltzmann(1.0),
        solver=mfg.Picard(0.5),
        field={"low": -0.3, "high": 0.4},
        beta=[1, 2],
        strength=np.array([-1.0, -0.5, -0.2]),
        outputs=OUTPUTS,
    )


def test_parameters_of_a_builder_are_axes_like_any_other(built):
    assert built.share.dims == ("field", "beta", "strength")
    assert built.attrs["game"] == "avoiding"
    assert built.beta.dtype.kind == "i"
    for name, field in (("low", -0.3), ("high", 0.4)):
        for beta in (1, 2):
            for strength in (-1.0, -0.5, -0.2):
                point = built.sel(field=name, beta=beta, strength=strength)
                # at time 1 both actions earn the same, so both kinds of regularisation have the same values
                assert_close(point.share, share(beta, field, strength), atol=2 * ATOL)
                assert_close(point.heat, 1 / beta + strength, atol=1e-15)


def test_outputs_by_name_are_what_they_say(built):
    pairs, states = ("time", "state", "action"), ("time", "state")
    for name, dims in {"policy": pairs, "log_policy": pairs, "q": pairs, "values": states, "state_law": states}.items():
        assert built[name].dims[3:] == dims
    assert built.terminal_law.dims[3:] == ("state",)
    policy, q, flow = built.policy.values, built.q.values, built.mean_field.values
    assert_close(np.exp(built.log_policy), policy, atol=1e-15)
    assert_close(built.state_law, flow)
    assert_close(built.terminal_law, flow[..., -1, :])
    # rewards by hand: strength · μ(s) + field · s at time 1; Boltzmann's values are the largest
    field, strength = np.array([-0.3, 0.4])[:, None, None, None], built.strength.values[:, None]
    pay = strength * flow[..., 1, :] + field * np.arange(2)
    assert_close(built["values"][..., 1, :], pay, atol=1e-15)
    assert_close(q[..., 0, :, :], np.repeat(pay[..., None, :], 2, axis=-2), atol=1e-15)
    assert_close(built["values"], q.max(axis=-1), atol=1e-15)
    weights = np.exp(np.array([1, 2])[:, None, None, None] * q[..., 0, :, :])
    assert_close(policy[..., 0, :, :], weights / weights.sum(axis=-1, keepdims=True), atol=1e-14)
    # what leaving the policy gains: the best action at time 0 instead of the mixture
    gained = (flow[..., 0, :] * (q[..., 0, :, :].max(axis=-1) - (policy * q)[..., 0, :, :].sum(axis=-1))).sum(axis=-1)
    assert_close(built.exploitability, gained, atol=2 * ATOL)


def test_functions_of_users_see_one_game_and_their_dimensions_are_named(built):
    assert built.doubled.dims[3:] == ("state",)
    assert_close(built.doubled, 2 * built.mean_field[..., 1, :])
    assert built.flux.dims[3:] == ("flux_0", "flux_1")
    assert_close(built.flux, built.mean_field.values[..., 0, :, None] * built.policy.values[..., 0, :, :], atol=1e-16)


def test_an_action_that_does_not_exist_has_no_action_value():
    game = mfg.FiniteHorizonGame(
        np.full((2, 2, 2), 0.5), np.eye(2), [1.0, 0.0], 1, available=np.array([[True, True], [False, True]])
    )
    ds = mfg.sweep(game, solver=mfg.Picard(), beta=[1.0, 2.0], outputs=["q", "policy", "log_policy"])
    absent = ~np.broadcast_to(game.available, (2, 2, 2, 2))
    assert np.isnan(ds.q.values[absent]).all() and np.isfinite(ds.q.values[~absent]).all()
    assert (ds.policy.values[absent] == 0).all() and (ds.log_policy.values[absent] == -np.inf).all()


def plain_ring(n, horizon, congestion):
    """The ring from its description."""
    moves = np.zeros((n, 3, n))
    for s, a in np.ndindex(n, 3):
        moves[s, a, (s + a - 1) % n] = 1
    start = np.exp(-(((np.arange(n) - n / 2) / (n / 8)) ** 2))

    def reward(t, seen):
        place = np.cos(2 * np.pi * np.arange(n) / n) - congestion * seen
        return place[:, None] - np.array([0.05, 0, 0.05])

    mask = np.ones((horizon + 1, n, 3), bool)
    return oracle.PlainGame(lambda t, _: moves, reward, start / start.sum(), horizon, mask)


def assert_is_ring(point, n, horizon, congestion, beta):
    """The flow of the loops where there is one, and nothing elsewhere."""
    plain = plain_ring(n, horizon, congestion)
    flow = oracle.equilibrium(plain, oracle.soft(beta, oracle.uniform_reference(plain)), damping=0.7)
    assert_close(point.mean_field[: horizon + 1, :n], flow, atol=2 * ATOL)
    for array in (point.mean_field, point.policy):
        outside = np.ones(array.shape, bool)
        outside[: horizon + 1, :n] = False
        assert np.isnan(array.values[outside]).all()
        assert np.isfinite(array.values[~outside]).all()


def test_games_of_different_shapes_share_a_grid_and_are_nan_where_they_have_nothing():
    def ring(size, congestion):
        n, horizon = {"small": (3, 2), "wide": (4, 1)}[size]
        return mfg.games.ring_crowd(n, horizon, congestion)

    ds = mfg.sweep(ring, beta=[0.3, 0.6], size=["small", "wide"], congestion=[1.0, 2.0], solver=mfg.Picard(0.7))
    assert ds.mean_field.dims == ("beta", "size", "congestion", "time", "state")
    assert ds["size"].values.tolist() == ["small", "wide"]
    assert ds.time.values.tolist() == [0, 1, 2] and ds.state.values.tolist() == [0, 1, 2, 3]
    assert (ds.result_code == 0).all()
    for beta in (0.3, 0.6):
        for congestion in (1.0, 2.0):
            for size, n, horizon in (("small", 3, 2), ("wide", 4, 1)):
                point = ds.sel(beta=beta, size=size, congestion=congestion)
                assert_is_ring(point, n, horizon, congestion, beta)


def test_horizons_and_sizes_go_side_by_side():
    axes = {"num_states": [3, 4, 3], "horizon": [2, 1, 2], "congestion": [1.0, 2.0, 0.5], "beta": [0.3, 0.4, 0.5]}
    ds = mfg.sweep(mfg.games.ring_crowd, solver=mfg.Picard(0.7), zipped=True, **axes)
    assert ds.horizon.dims == ("point",) and ds.horizon.values.tolist() == [2, 1, 2]
    for point in range(3):
        assert_is_ring(ds.isel(point=point), *(values[point] for values in axes.values()))


# --- methods ------------------------------------------------------------------------------------------------


def test_neighbours_that_start_from_one_another_end_where_others_do():
    """The game is monotone: its equilibrium is unique. 18 points: two lead, one by itself."""
    betas = np.geomspace(0.1, 3, 18)
    options = {"solver": mfg.Picard(0.4), "outputs": ["terminal_law"]}
    warm = mfg.sweep(avoiding(), warm_start="beta", beta=betas, reference=[None], **options)
    assert warm.terminal_law.dims == ("beta", "reference", "state")
    assert (warm.result_code == 0).all()
    assert "mean_field" not in warm
    for beta in betas:
        assert_close(warm.terminal_law.sel(beta=beta)[0, 1], share(beta, 0.2), atol=2 * ATOL)
    # 16 of them start from an equilibrium that is close by
    assert warm.num_steps.values[1] < warm.num_steps.values[0]


def test_greedy_points_are_not_exploitable():
    """A share x at place 1 earns as much as the rest elsewhere where −x + h = −(1 − x)."""
    fields = np.array([0.2, -0.4, 0.6])
    ds = mfg.sweep(avoiding(), mfg.Greedy, solver=mfg.Picard(averaging="uniform"), **{"reward.L.field": fields})
    assert ds.attrs["criterion"] == "exploitability"
    assert (ds.result_code == 0).all()
    assert (ds.exploitability <= ds.tolerance).all()
    # a share δ too many gains at least (x or 1 − x) · 2δ
    for field, law in zip(fields, ds.mean_field[:, 1, 1].values, strict=True):
        assert_close(law, (1 + field) / 2, atol=5e-4)


def test_a_guess_is_shared_by_all_points():
    """From the root near it, of the two stable ones of people who seek each other."""
    for guess, side in (([0.9, 0.1], 0), ([0.1, 0.9], 1)):
        ds = mfg.sweep(
            mfg.games.coordination(), beta=[3.0, 4.0], solver=mfg.Picard(), guess=[[0.5, 0.5], guess], progress=False
        )
        assert (ds.mean_field[:, 1, side] > 0.9).all()


# --- refusals -----------------------------------------------------------------------------------------------


def refused(function, *words):
    """It raises one sentence with all of the words."""
    with pytest.raises(ValueError) as caught:
        function()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def swept(response=None, game=None, **options):
    default, rho = example()
    response = mfg.EntropyRegularized(1.0, rho) if response is None else response
    return mfg.sweep(default if game is None else game, response, **options)


def not_even(game, response, equilibrium):
    return equilibrium.mean_field


THIRDS = np.full((5, 3), 1 / 3)
REFUSED = {
    "no axes": (dict(), "needs something to sweep"),
    "an empty axis": (dict(beta=[]), "`beta` is empty"),
    "an empty mapping": (dict(reference={}), "`reference` is empty"),
    "an unknown name": (dict(gamma=[0.5]), "'gamma'", "beta, discount, initial", "reward.L.weight"),
    "a number in place of a list": (dict(beta=3.0), "`beta` must be a list of values", "got 3.0"),
    "a word in place of a list": (dict(beta="cold"), "`beta` must be a list of values", "'cold'"),
    "words in place of numbers": (dict(discount=["low"]), "`discount", "'low'"),
    "a value out of range": (dict(beta=[1, 2, -1.0]), "`beta[2]` is -1", "(0, inf)"),
    "a first value out of range": (dict(response=mfg.EntropyRegularized, beta=[0.0, 1]), "`beta", "(0, inf)"),
    "a reference that allows what is not there": (
        dict(reference={"uniform": None, "thirds": THIRDS}),
        "`reference[1, 2, 2]` is 0.33",
        "available",
    ),
    "a reference of another sum": (dict(reference=[2 * THIRDS]), "`reference[0, 0]` sums to 2"),
    "one policy by time, or as many policies": (
        dict(reference=np.stack([THIRDS] * 6)),
        "`reference` is an array of shape (6, 5, 3)",
        "`[reference]`",
        "`list(reference)`",
    ),
    "references of two shapes": (dict(reference=[THIRDS, THIRDS[:4]]), "`reference` has values of different shapes"),
    "a law that is none": (dict(initial=[[0.5, 0.5, 0.5, 0, 0]]), "`initial[0]` sums to 1.5"),
    "arrays of another shape": (
        dict(**{"reward.L.weight": [np.ones((2, 2))]}),
        "`reward.L.weight[0]` must have shape (6, 5, 1)",
    ),
    "one array under two names": (dict(beta=[1.0], **{"response.beta": [1.0]}), "response.beta", "`beta` sets too"),
    "lists of two lengths": (dict(zipped=True, beta=[1, 2], discount=[1.0]), "'beta' has 2 values", "'discount' has 1"),
    "an unknown axis to warm": (dict(beta=[1.0], warm_start="heat"), "`warm_start`", "beta", "'heat'"),
    "an unknown output": (dict(beta=[1.0], outputs=["flow"]), "'flow'", "mean_field", "function"),
    "an output that is there anyway": (dict(beta=[1.0], outputs=["residual"]), "'residual'", "which every sweep has"),
    "an output twice": (dict(beta=[1.0], outputs=["q", "q"]), "'q'", "given once"),
    "a word for outputs": (
        dict(beta=[1.0], outputs="policy"),
        "`outputs` must be a list of names",
        "`outputs=['policy']`",
    ),
    "an output that is no array": (
        dict(beta=[1.0], outputs={"x": lambda g, r, e: 1.0}),
        "`outputs['x']`",
        "array",
        "1.0",
    ),
    "too few dimensions": (dict(beta=[1.0], outputs={"x": (not_even, ("time",))}), "`outputs['x']`", "(6, 5)", "time"),
    "no block": (dict(beta=[1.0], block=0), "`block` must be at least 1; got 0"),
    "no chunk": (dict(beta=[1.0], chunk=0), "`chunk` must be at least 1; got 0"),
    "no truth": (dict(beta=[1.0], zipped="no"), "`zipped` must be True or False", "'no'"),
    "no bar": (dict(beta=[1.0], progress="bar"), "`progress` must be True or False", "'bar'"),
    "no steps": (dict(beta=[1.0], max_steps=0), "`max_steps` must be at least 1"),
    "a guess of other times": (dict(beta=[1.0], guess=np.full((2, 5), 0.2)), "`guess` must have shape (6, 5)"),
    "a guess that is no law": (dict(beta=[1.0], guess=np.ones((6, 5))), "`guess[0]` sums to 5"),
    "no game": (dict(game=3.0, beta=[1.0]), "`game` must be a game or a function that returns one", "3.0"),
    "a builder of no games": (dict(game=lambda n: n, n=[1, 2]), "`game` must be a game or a function", "got 1"),
    "a parameter that the builder refuses": (
        dict(game=mfg.games.ring_crowd, response=mfg.EntropyRegularized(1.0), num_states=[2, 3]),
        "`num_states` must be at least 3; got 2",
    ),
    "an array that the builder sets": (
        dict(
            game=avoiding,
            response=mfg.EntropyRegularized(1.0),
            field=[0.1, 0.2],
            **{"reward.L.field": [0.1, 0.2]},
        ),
        "reward.L.field",
        "which the function `game` sets too",
    ),
    "a class without a temperature": (
        dict(response=mfg.EntropyRegularized, discount=[0.5, 1.0]),
        "class EntropyRegularized",
        "`beta` is not swept",
    ),
    "no response": (dict(response=int, beta=[1.0]), "`response` must be a response or its class", "int"),
    "a response of another game": (
        dict(response=mfg.EntropyRegularized(1.0, THIRDS[:4]), beta=[1.0]),
        "`reference` must have shape (5, 3)",
    ),
    "a method for other responses": (
        dict(response=mfg.Greedy, solver=mfg.Newton(), discount=[1.0]),
        "needs a response that is continuous in the mean field, but the policy of `Greedy` jumps",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_swept_is_refused_in_one_sentence(name):
    options, *words = REFUSED[name]
    refused(lambda: swept(**options), *words)


class Compared(eqx.Module):
    """A reward with fields of the names of a response's."""

    reference: jax.Array
    prior: jax.Array

    def __call__(self, t, m):
        return self.reference - self.prior * m[:, None]


def test_a_field_called_reference_is_a_field_like_any_other(rng):
    """As many tables as the game has times, which would be ambiguous as policies."""
    tables = rng.standard_normal((3, 2, 2))
    game = mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [1, 0]]), Compared(jnp.asarray(tables[0]), jnp.asarray(1.0)), [0.4, 0.6], 2
    )
    response = mfg.EntropyRegularized(1.0)
    found = mfg.sweep(game, response, progress=False, **{"reward.reference": tables})
    for i, table in enumerate(tables):
        own = mfg.FiniteHorizonGame(game.kernel, Compared(table, jnp.asarray(1.0)), [0.4, 0.6], 2)
        assert_close(found.mean_field[i], mfg.solve(own, response).mean_field, atol=1e-9)
    with pytest.raises(ValueError, match=r"`reward\.prior\[0\]`.*None"):
        mfg.sweep(game, response, progress=False, **{"reward.prior": [None, 2.0]})


def test_names_that_stand_for_two_things_are_refused():
    """An axis as a dimension of the results, an output as an axis or a coordinate, a dimension that is there."""

    def build(time):
        return avoiding(time)

    response = mfg.EntropyRegularized(1.0)
    refused(lambda: mfg.sweep(build, response, time=[0.1, 0.2]), "`time`")
    for name in ("beta", "time"):
        refused(lambda name=name: swept(beta=[1.0], outputs={name: lambda g, r, e: e.residual}), f"'{name}'")
    doubled = (lambda g, r, e: e.mean_field[0], ("beta",))
    refused(lambda: swept(beta=[1.0], outputs={"x": doubled}), "`outputs['x']`", "beta")


def test_a_dimension_of_results_has_their_length():
    """There is one more decision than there are moves; one time is not all of them."""
    for count in (5, 1):
        output = {"moves": (lambda g, r, e, count=count: e.mean_field[:count], ("time", "state"))}
        refused(lambda output=output: swept(beta=[1.0], outputs=output), "`outputs['moves']`", f"({count}, 5)", "time")


def test_a_dataset_goes_to_netcdf_and_back(tmp_path):
    ds = grid().drop_attrs(deep=False)
    ds.to_netcdf(tmp_path / "grid.nc")
    with xr.open_dataset(tmp_path / "grid.nc") as back:
        assert_close(back.mean_field, ds.mean_field)
        assert back.reference.values.tolist() == ["paper", "uniform"]
