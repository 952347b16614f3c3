"""The equilibrium near a mean field, to full precision, and how rounding moves values. NumPy only, as in `plain.py`.

For smooth responses, in extended precision: Newton's method on μ ↦ Γ(μ) − μ. It starts from the mean field that is to
be judged, so what comes out is the equilibrium that it stands for.
"""

import numpy as np
import plain
import scipy.linalg
from plain import LONG, Hand, Plain

STEP = LONG(1e-9)  # of differences of functions
MOST_VECTORS = 160


def true_equilibrium(game: Plain, hand: Hand, flow: np.ndarray) -> np.ndarray | None:
    """Return the equilibrium near a flow `[T, S]`; None if Newton's method does not lead straight to one.

    Of a stationary game with two states it is the nearest of all, by bisection.
    """
    rest = game.horizon == 0

    def image(at):
        _, policy, _ = plain.answer(game, hand, at)
        return plain.generated(game, policy, at)

    def moved(at, step):
        after = at + step(image(at) - at)
        return after / after.sum(axis=1, keepdims=True)  # differences of functions leave the simplex a little

    # mass that rounding lost or added is no part of the distance that Newton's method has to go
    start = flow / flow.sum(axis=1, keepdims=True)
    if rest and start.size == 2:
        return _nearest_of_two(image, start)
    at, first, last, length = start, None, LONG(0), LONG(np.inf)
    for _ in range(20):
        if length > last / 10:  # a derivative serves as long as steps shrink fast
            step = _solver_at_rest(game, hand, at) if rest else _solver_in_time(image, at)
        after = moved(at, step)
        last, length, at = length, plain.apart(after, at), after
        first = length if first is None else first
        distance = plain.apart(at, start)
        # steps, not residuals: those of states that are seldom left fall late
        if length <= max(LONG(1e-15), LONG(1e-3) * distance):
            # a method that wanders may find another equilibrium than the one that the mean field stands for
            is_direct = abs(distance - first) <= max(LONG(1e-15), first / 2)
            for _ in range(2):
                at = moved(at, step)
            return at if is_direct and at.min() > -1e-15 else None
    return None


def _nearest_of_two(image, start):
    """Return the law of two states nearest to a given one that stays as it is."""

    def moved(share):
        at = np.array([[share, 1 - share]], LONG)
        return (image(at) - at)[0, 0]

    grid = np.unique(np.append(np.linspace(0, 1, 101), start[0, 0]).clip(0, 1).astype(LONG))
    signs = [moved(share) for share in grid]
    found = [share for share, sign in zip(grid, signs, strict=True) if sign == 0]
    for low, high, left, right in zip(grid[:-1], grid[1:], signs[:-1], signs[1:], strict=True):
        if left * right >= 0:
            continue
        for _ in range(64):
            middle = (low + high) / 2
            low, high = (middle, high) if moved(middle) * left > 0 else (low, middle)
        found.append((low + high) / 2)
    nearest = min(found, key=lambda share: abs(share - start[0, 0]))
    return np.array([[nearest, 1 - nearest]], LONG)


def _solver_at_rest(game, hand, at):
    """Return the map from Γ(z) − z to the step of Newton's method, by the derivative of the Bellman equation."""
    z, available, S = at[0], game.available[0], at.shape[1]
    values, policy, q = plain.answer(game, hand, at)
    values, policy = values[0], policy[0]
    weights = plain.act(hand, 0, q[0], available)[2]
    moves = game.kernel(0, z)

    def slopes(f):
        return np.stack([(f(z + STEP * e) - f(z - STEP * e)) / (2 * STEP) for e in np.eye(S, dtype=LONG)], axis=-1)

    def backed(law):
        pay = np.where(available, game.reward(0, law), 0)
        return pay + game.discount * plain.ahead(game.kernel(0, law), values, available)

    direct = slopes(backed)  # [S, A, S]
    system = np.eye(S) - (game.discount * plain.chain(moves, weights, available)).astype(float)
    of_values = np.linalg.solve(system, (weights[..., None] * direct).sum(axis=1).astype(float)).astype(LONG)
    ahead = np.stack([plain.ahead(moves, column, available) for column in of_values.T], axis=-1)
    of_q = direct + game.discount * ahead
    of_policy = LONG(hand.beta) * policy[..., None] * (of_q - (policy[..., None] * of_q).sum(axis=1, keepdims=True))
    moved = slopes(lambda law: plain.generated(game, policy[None], law[None])[0])
    turned = z[:, None, None] * of_policy
    moved = moved + np.stack([plain.push(moves, turned[..., i], available) for i in range(S)], axis=-1)
    # I − DΦ maps onto vectors of sum zero; what is added to it acts on the others
    factors = scipy.linalg.lu_factor((np.eye(S) - moved + LONG(1) / S).astype(float))
    return lambda off: scipy.linalg.lu_solve(factors, off[0].astype(float)).astype(LONG)[None]


def _solver_in_time(image, at):
    """Return the map from Γ(μ) − μ to the step of Newton's method, by GMRES with differences of Γ."""

    def tilted(vector):
        change = vector.reshape(at.shape)
        return vector - ((image(at + STEP * change) - image(at - STEP * change)) / (2 * STEP)).ravel()

    def step(off):
        right = off.ravel()
        size = np.sqrt((right**2).sum())
        if size == 0:
            return off
        basis, columns = [right / size], []
        for k in range(min(MOST_VECTORS, right.size)):
            vector, column = tilted(basis[k]), np.zeros(k + 2, LONG)
            for _ in range(2):  # twice is enough
                for i, other in enumerate(basis):
                    part = (other * vector).sum()
                    column[i] += part
                    vector = vector - part * other
            column[k + 1] = np.sqrt((vector**2).sum())
            columns.append(column)
            table = np.zeros((k + 2, k + 1))
            for j, entries in enumerate(columns):
                table[: j + 2, j] = entries
            first = np.zeros(k + 2)
            first[0] = 1
            parts = np.linalg.lstsq(table, first, rcond=None)[0]
            if np.linalg.norm(table @ parts - first) < 1e-9 or column[k + 1] < 1e-15:
                break
            basis.append(vector / column[k + 1])
        return size * sum(LONG(part) * other for part, other in zip(parts, basis, strict=False)).reshape(at.shape)

    return step


def amplified(game: Plain, hand: Hand, flow: np.ndarray, q: np.ndarray) -> tuple[LONG, LONG]:
    """Return how many times an error of one backup values are off by, and their differences.

    At rest errors are summed by G = (I − γ P)⁻¹. All values move alike by 1/(1 − γ) times the error, which no policy
    depends on; differences move by the rows of G less their mean, little where the chain mixes fast.
    """
    if game.horizon:
        return LONG(game.horizon + 1), LONG(game.horizon + 1)
    available = game.available[0]
    weights = plain.act(hand, 0, q[0], available)[2]
    moved = plain.chain(game.kernel(0, flow[0]), weights, available).astype(float)
    sums = np.linalg.inv(np.eye(len(moved)) - float(game.discount) * moved)
    return 1 / (1 - game.discount), 1 + 2 * LONG(np.abs(sums - sums.mean(axis=0)).sum(axis=1).max())
