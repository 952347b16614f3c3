"""The crowd on a grid: its moves and obstacles, Γ against loops, its equilibria, and a cost of O(H·S·A)."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import assert_close, repeat
from oracle import PlainGame

import mfgjax as mfg
from mfgjax.games import grid_crowd

STEPS = {"stay": (0, 0), "north": (-1, 0), "south": (1, 0), "west": (0, -1), "east": (0, 1)}

# the goal is the corner below on the right; there is one way round the wall
WALL = np.array(
    [
        [False, False, False, False, False],
        [False, True, True, True, False],
        [False, False, False, True, False],
        [True, False, False, False, False],
    ]
)


def blocked_cells(game):
    """Cells whose one action is to stay and that no other cell leads to."""
    table, available = np.asarray(game.kernel.next_state), np.asarray(game.available[0])
    entered = {int(table[s, a]) for s, a in np.argwhere(available) if table[s, a] != s}
    return [s for s in range(game.num_states) if available[s].tolist() == [True] + [False] * 4 and s not in entered]


def reachable_from(start, blocked):
    """Cells that a walk over free cells reaches."""
    found, waiting = {start}, [start]
    while waiting:
        r, c = waiting.pop()
        for dr, dc in STEPS.values():
            cell = (r + dr, c + dc)
            inside = 0 <= cell[0] < blocked.shape[0] and 0 <= cell[1] < blocked.shape[1]
            if inside and not blocked[cell] and cell not in found:
                found.add(cell)
                waiting.append(cell)
    return found


def plain_grid(blocked, horizon, congestion):
    """The game from its description, in loops."""
    rows, columns = blocked.shape
    S, A = blocked.size, len(STEPS)
    moves, available = np.zeros((S, A, S)), np.zeros((S, A), bool)
    pay, start = np.zeros(S), np.zeros(S)
    for r in range(rows):
        for c in range(columns):
            s = r * columns + c
            pay[s] = -((rows - 1 - r) + (columns - 1 - c)) / (rows + columns - 2)
            start[s] = 3 * r < rows and 3 * c < columns and not blocked[r, c]
            for a, (dr, dc) in enumerate(STEPS.values()):
                x, y = r + dr, c + dc
                inside = 0 <= x < rows and 0 <= y < columns
                if a == 0 or (inside and not blocked[r, c] and not blocked[x, y]):
                    available[s, a], moves[s, a, x * columns + y] = True, 1

    def reward(t, seen):
        return np.repeat((pay - congestion * seen)[:, None], A, axis=1)

    return PlainGame(lambda t, _: moves, reward, start / start.sum(), horizon, repeat(available[None], horizon + 1))


def test_every_available_move_leads_one_cell_in_its_direction():
    game = grid_crowd(5, 7, 3, obstacles=0.2)
    table, available = np.asarray(game.kernel.next_state), np.asarray(game.available[0])
    assert list(game.action_labels) == list(STEPS)
    for s, a in np.argwhere(available):
        (r, c), step = divmod(int(s), 7), STEPS[game.action_labels[a]]
        assert divmod(int(table[s, a]), 7) == (r + step[0], c + step[1])
        assert game.state_labels[s] == f"{r},{c}"


def test_moves_are_unavailable_exactly_into_walls_and_obstacles():
    available = np.asarray(grid_crowd(4, 5, 3, obstacles=WALL).available[0])
    np.testing.assert_array_equal(available, plain_grid(WALL, 3, 1.0).available[0])


@pytest.mark.parametrize(("rows", "columns", "share"), [(9, 12, 0.1), (8, 8, 0.25), (7, 2, 0.2), (2, 2, 0.25)])
def test_a_share_of_obstacles_is_that_many_pillars_around_which_all_free_cells_connect(rows, columns, share):
    game = grid_crowd(rows, columns, 2, obstacles=share)
    cells = [divmod(s, columns) for s in blocked_cells(game)]
    places = (rows // 2) * (columns // 2) - (rows % 2 == columns % 2 == 0)  # not the goal
    assert len(cells) == min(round(share * rows * columns), places)
    assert all(r % 2 == c % 2 == 1 for r, c in cells)
    blocked = np.zeros((rows, columns), bool)
    blocked[tuple(np.array(cells, int).reshape(-1, 2).T)] = True
    assert len(reachable_from((rows - 1, columns - 1), blocked)) == rows * columns - len(cells)


def test_the_seed_places_the_pillars():
    first, again, other = (np.asarray(grid_crowd(9, 9, 2, seed=seed).available) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_the_crowd_starts_evenly_on_the_free_cells_of_the_north_west_ninth():
    blocked = np.zeros((6, 9), bool)
    blocked[1, 1] = True
    initial = np.asarray(grid_crowd(6, 9, 2, obstacles=blocked).initial).reshape(6, 9)
    expected = np.zeros((6, 9))
    expected[:2, :3] = 1 / 5
    expected[1, 1] = 0
    assert_close(initial, expected, atol=1e-16)


@pytest.mark.parametrize("beta", [0.01, 3.0, 1000.0])
def test_gamma_equals_loops_over_the_formulas(beta, rng):
    game, plain = grid_crowd(4, 5, 8, congestion=2.0, obstacles=WALL), plain_grid(WALL, 8, 2.0)
    law = rng.dirichlet(np.ones(20), size=9)
    image = jax.jit(mfg.mean_field_map(game, mfg.EntropyRegularized(beta)))
    expected = oracle.gamma(plain, law, oracle.soft(beta, oracle.uniform_reference(plain)))
    # action values of size 27, times β, rounded at each of nine times
    assert_close(image(law), expected, atol=1e-14 * (1 + 30 * beta))


def test_mass_is_conserved_and_no_obstacle_ever_carries_any(rng):
    game = grid_crowd(8, 9, 24, obstacles=0.2)
    obstacles = blocked_cells(game)
    assert obstacles
    weights = rng.random((25, 72, 5)) * np.asarray(game.available)
    flow = np.asarray(mfg.propagate(game, weights / weights.sum(axis=-1, keepdims=True)))
    # sums of 72 numbers, after two dozen steps
    assert_close(flow.sum(axis=1), 1, atol=1e-13)
    assert (flow[:, obstacles] == 0).all()
    eq = mfg.solve(game, mfg.EntropyRegularized(3.0))
    assert (np.asarray(eq.mean_field)[:, obstacles] == 0).all()


@pytest.mark.parametrize("beta", [1.0, 10.0])
def test_the_equilibrium_is_found_and_is_the_only_one(beta):
    """The reward falls in the crowd at one's own cell: with two equilibria, monotonicity would be violated."""
    game, response = grid_crowd(8, 8, 16), mfg.EntropyRegularized(beta)
    eq = mfg.solve(game, response)
    assert eq.converged and float(eq.residual) <= 1e-10
    assert 0 <= float(eq.exploitability) < 1e-12
    elsewhere = np.zeros((17, 64))
    elsewhere[:, -1] = 1
    again = mfg.solve(game, response, guess=elsewhere)
    # two residuals of 1e-10, times the conditioning of the equilibrium (I − DΓ)⁻¹, below 100 here
    assert_close(again.mean_field, eq.mean_field, atol=1e-8)


def test_the_crowd_reaches_the_goal_and_spreads_as_congestion_grows():
    at_goal = []
    for congestion in (0.0, 0.5, 2.0):
        eq = mfg.solve(grid_crowd(5, 5, 14, congestion=congestion), mfg.EntropyRegularized(10.0))
        at_goal.append(float(eq.mean_field[-1, -1]))
    assert at_goal[0] > 0.5 > at_goal[2] > 1 / 25
    assert sorted(at_goal, reverse=True) == at_goal


def compiled_gamma(n, horizon):
    game = grid_crowd(n, n, horizon)
    flow = jax.ShapeDtypeStruct((horizon + 1, n * n), game.dtype)

    def gamma(game, response, flow):
        return mfg.mean_field_map(game, response)(flow)

    return game, jax.jit(gamma).lower(game, mfg.EntropyRegularized(5.0), flow).compile()


def test_gamma_on_ten_thousand_cells_takes_the_memory_of_a_few_policies():
    game, gamma = compiled_gamma(100, 100)
    memory = gamma.memory_analysis()
    used = memory.temp_size_in_bytes + memory.output_size_in_bytes + memory.argument_size_in_bytes
    policy = 101 * 10_000 * 5 * game.dtype.itemsize
    # one table of states by states would be 20 policies
    assert policy < used < 3 * policy


def test_a_game_holds_a_few_numbers_for_each_state_and_action():
    game = grid_crowd(60, 60, 5)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(game))
    assert held <= 60 * 60 * 5 * 20  # bytes
    assert game.reward.L.base.shape == game.reward.L.weight.shape == (1, 3600, 1)


def test_the_cost_of_gamma_is_linear_in_states_and_at_most_linear_in_time():
    """XLA's count of operations and of bytes touched, where a loop may count once or as often as it runs."""
    cost = {size: compiled_gamma(*size)[1].cost_analysis() for size in [(30, 20), (60, 20), (120, 20), (60, 41)]}
    for key in ("flops", "bytes accessed"):
        small, middle, large, longer = (cost[size][key] for size in cost)
        assert abs(middle / (4 * small) - 1) < 0.1
        assert abs(large / (16 * small) - 1) < 0.1
        assert middle <= 1.01 * longer <= 2.02 * middle  # 42 times in place of 21


def grid_of(*cells, rows=4, columns=5):
    blocked = np.zeros((rows, columns), bool)
    blocked[tuple(np.array(cells).T)] = True
    return blocked


ERRORS = {
    "rows": (lambda: grid_crowd(rows=1), "`rows` must be at least 2; got 1."),
    "columns": (lambda: grid_crowd(columns=2.5), "`columns` must be a whole number of at least 2; got 2.5."),
    "horizon": (lambda: grid_crowd(horizon=0), "`horizon` must be at least 1; got 0."),
    "congestion": (lambda: grid_crowd(congestion=np.inf), "`congestion` is inf, but it must lie in (-inf, inf)."),
    "seed": (lambda: grid_crowd(seed=-1), "`seed` must be at least 0; got -1."),
    "share": (lambda: grid_crowd(obstacles=0.3), "`obstacles` is 0.3, but it must lie in [0, 0.25]."),
    "negative": (lambda: grid_crowd(obstacles=-0.1), "`obstacles` is -0.1, but it must lie in [0, 0.25]."),
    "none": (lambda: grid_crowd(obstacles=None), "`obstacles` must be a real number; got None."),
    "numbers": (lambda: grid_crowd(2, 2, obstacles=[[0, 1], [0, 0]]), "or booleans [rows, columns]; got"),
    "ragged": (lambda: grid_crowd(2, 2, obstacles=[[True], []]), "or booleans [rows, columns]; got"),
    "shape": (lambda: grid_crowd(obstacles=WALL), "`obstacles` must have shape (20, 20) (rows, columns); got (4, 5)."),
    "goal": (lambda: grid_crowd(4, 5, obstacles=grid_of((3, 4))), "`obstacles[3, 4]` is True, but that is the goal"),
    "start": (lambda: grid_crowd(4, 5, obstacles=grid_of((0, 0), (0, 1), (1, 0), (1, 1))), "cover all cells of the"),
    "cut off": (lambda: grid_crowd(4, 5, obstacles=grid_of((2, 4), (3, 3))), "cut the goal off from cell (0, 0)"),
    "traced booleans": (
        lambda: jax.jit(lambda x: grid_crowd(2, 2, obstacles=x))(np.zeros((2, 2), bool)),
        "or booleans",
    ),
    "traced": (lambda: jax.jit(lambda x: grid_crowd(obstacles=x))(0.1), "`obstacles` is traced by JAX (it depends on"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_parameters_are_one_sentence(case):
    call, sentence = ERRORS[case]
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert sentence in message and message.endswith(".") and "\n" not in message


def test_congestion_may_be_traced():
    game = jax.jit(lambda c: grid_crowd(3, 3, 2, congestion=c).reward(jnp.int32(0), jnp.ones(9) / 9))
    assert_close(game(2.0) - game(1.0), -1 / 9, atol=1e-15)
