"""Bounds of what is tuned: coordinates keep them, searches that start near them get away, bad ones are refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg
from mfgjax.design import Variable, tune
from mfgjax.design.variables import LAW, POSITIVE, REAL, SHARE, coordinates_of


@pytest.mark.parametrize(
    ("kind", "start", "bounds"),
    [
        (REAL, [1.0, -2.0], {}),
        (REAL, [1.0, 3.0], {"lower": 0.5}),
        (REAL, [-1.0, -3.0], {"upper": [0.0, -1.0]}),
        (REAL, [0.2, 0.4], {"lower": 0.0, "upper": 1.0}),
        (POSITIVE, [0.1, 30.0], {}),
        (SHARE, [0.5, 0.9], {}),
        (LAW, [0.2, 0.8, 0.0], {}),
        (LAW, [0.2, 0.8, 0.0], {"lower": 0.1}),
    ],
)
def test_coordinates_lead_back_to_the_start_and_keep_the_bounds(kind, start, bounds, rng):
    found = coordinates_of("x", kind, Variable(start, **bounds), np.asarray(start))
    assert_close(found.array(jnp.asarray(found.origin)), start, atol=1e-14)
    for _ in range(5):
        x = np.asarray(found.array(jnp.asarray(found.origin + 3 * rng.standard_normal(found.origin.shape))))
        assert ((x >= np.asarray(bounds.get("lower", -np.inf))) | (np.asarray(start) == 0)).all()
        assert (x <= np.asarray(bounds.get("upper", np.inf))).all()
        if kind == LAW:
            assert_close(x.sum(), 1.0, atol=1e-14)
            assert x[2] == 0


def at_bar(t, mean_field, toll):
    return jnp.array([0.0, 1 - toll - 2 * mean_field[1]])[:, None]


MOVES = mfg.MovesKernel([[0, 1], [1, 0]])
BAR = mfg.FiniteHorizonGame(MOVES, at_bar, [1.0, 0.0], 3, params={"toll": 0.0})


@pytest.mark.parametrize(("start", "bounds"), [
    (0.01, {"lower": 0.0, "upper": 1.0}),
    (1e-6, {"lower": 0.0}),
    (0.99, {"upper": 1.0}),
    (0.0, {"lower": 0.0, "upper": 1.0}),  # on a bound
])  # fmt: skip
def test_a_search_that_starts_near_a_bound_leaves_it_in_a_few_steps(start, bounds):
    """A toll between 0 and 1 makes 30% go; near a bound the objective is concave in the coordinate of the toll."""
    toll = {"toll": Variable(start, **bounds)}
    found = tune(BAR, toll, lambda eq: (eq.mean_field[-1, 1] - 0.3) ** 2, response=mfg.EntropyRegularized(5.0))
    assert found.num_steps <= 25
    assert_close(found.equilibrium.mean_field[-1, 1], 0.3, atol=1e-6)
    assert found.status == ("The gradient is below `gtol`.",)


def test_a_start_on_one_of_two_bounds_is_moved_inside_and_one_outside_or_on_a_single_bound_is_refused():
    def coordinates(start, where=None, **bounds):
        return coordinates_of("x", REAL, Variable(start, where=where, **bounds), np.asarray(start))

    moved = coordinates([0.0, 2.0, 4.0, 0.0], [True, True, True, False], lower=0.0, upper=4.0)
    assert_close(moved.start, [0.04, 2.0, 3.96, 0.0], atol=1e-14)
    with pytest.raises(ValueError, match=r"start\[1\]` is 0.0, but it must not lie on the bound: choose a start well"):
        coordinates([1.0, 0.0], lower=0.0)
    with pytest.raises(ValueError, match=r"start\[0\]` is -1.0, but it must lie between the bounds"):
        coordinates([-1.0], lower=0.0, upper=4.0)


def test_bounds_in_the_wrong_order_are_refused_at_once():
    with pytest.raises(ValueError, match=r"`lower` is 1.0, but it must be below `upper` = 0.0\."):
        Variable(0.5, lower=1, upper=0)
    with pytest.raises(ValueError, match=r"`lower\[1\]` is 0.5, but it must be below `upper` = 0.5\."):
        Variable([0.5, 0.5], lower=[0.0, 0.5], upper=0.5)


def test_convergence_is_judged_by_the_derivative_in_x_where_lower_values_lie_away_from_the_bound():
    """With x = σ(y) and x = exp(y) at x = 1e-4, df/dy is df/dx times x (1 − x), or x."""
    y = np.log([1e-4 / (1 - 1e-4)])
    both = coordinates_of("x", REAL, Variable([0.5], lower=0.0, upper=1.0), np.array([0.5]))
    single = coordinates_of("x", REAL, Variable([0.5], lower=0.0), np.array([0.5]))
    for slope, expected in [(3.0, 3e-4), (-3.0, 3.0)]:
        assert_close(single.steepness(jnp.log(jnp.array([1e-4])), jnp.array([slope * 1e-4])), [expected], rtol=1e-9)
    # half of the interval is the unit
    for slope, expected in [(3.0, 3e-4 * (1 - 1e-4)), (-3.0, 1.5 * (1 - 1e-4))]:
        at = both.steepness(jnp.asarray(y), jnp.array([slope * 1e-4 * (1 - 1e-4)]))
        assert_close(at, [expected], rtol=1e-9)
