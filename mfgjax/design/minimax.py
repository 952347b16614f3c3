"""The search for the least of a largest value: sequential quadratic programming, with L-BFGS for the curvature.

With the condition of first order for such a least, `balanced`.
"""

from typing import NamedTuple

import numpy as np

from .descent import BALANCED, GOAL, RUNNING, SETTLED, STUCK

_MEMORY = 20
_ARMIJO = 1e-4
_LONGEST = 4.0
_SHORTEST = 2.0**-20
_PATIENCE = 8
_RECENT = 3
_NEAR = 1e-5

_Pairs = tuple[tuple[np.ndarray, np.ndarray], ...]


class Minimax(NamedTuple):
    """The state of one search: the last accepted design, the values and gradients of its scenarios, and the direction.

    Attributes:
      point: coordinates of the design that was accepted last.
      values: of the scenarios there; empty before the first.
      slopes: their gradients, `[scenarios, coordinates]`.
      weights: of the scenarios in the direction's quadratic program.
      direction: to the design on trial, for length 1.
      bend: what is added at length t, times t², to stay on a ridge that is curved: found from a design that was not
        accepted.
      length: by which the direction is taken.
      predicted: by how much the worst would fall along the direction, by the linear models.
      pairs: steps and changes of the weighted gradient, the newest last.
      recent: the worst values of the last designs: one may rise above the last on the way along a ridge.
      lowest: the lowest worst value.
      flat: steps without progress.
      status: RUNNING, or why it ended.
    """

    point: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    weights: np.ndarray
    direction: np.ndarray
    bend: np.ndarray
    length: float
    predicted: float
    pairs: _Pairs
    recent: tuple[float, ...]
    lowest: float
    flat: int
    status: int

    @property
    def trial(self) -> np.ndarray:
        """Return the coordinates of the design on trial."""
        return self.point + self.length * self.direction + self.length**2 * self.bend


def start(point: np.ndarray) -> Minimax:
    """Return a search whose design on trial is its start."""
    nothing = np.zeros(0)
    return Minimax(point, nothing, nothing, nothing, 0 * point, 0 * point, 1.0, 0.0, (), (np.inf,), np.inf, 0, RUNNING)


def judge(
    search: Minimax, values: np.ndarray, slopes: np.ndarray, found: bool, gtol: float, goal: float, eps: float
) -> tuple[Minimax, bool]:
    """Update a search with the objectives of the design on trial, and tell whether that was accepted.

        minimise over d:  max_k (f_k + ⟨g_k, d⟩) + ⟨d, B d⟩/2

    gives the direction, with B the curvature of Σ_k w_k f_k and w the multipliers of the program before.

    Args:
      search: the search.
      values: of the scenarios at the design on trial.
      slopes: their gradients.
      found: whether it has equilibria in all scenarios.
      gtol: the search has converged where `smallest_gradient` is at most this.
      goal: worst value that is good enough.
      eps: spacing of the numbers that the values were computed in.

    Source: Han (1977), "Variable metric methods for minimizing a class of nondifferentiable functions"; Nocedal and
    Wright (2006), Numerical Optimization, algorithm 7.4, for the curvature.
    """
    if search.status != RUNNING:
        return search, False
    usable = bool(found and np.isfinite(values).all() and np.isfinite(slopes).all())
    worst = float(values.max()) if usable else np.inf
    wanted = max(search.recent) - _ARMIJO * search.length * search.predicted
    if not (usable and (worst <= wanted + 4 * eps * abs(worst) or not search.values.size)):
        return _shortened(search, values if usable else None), False
    point, pairs = search.trial, search.pairs
    if search.values.size:
        step, change = point - search.point, search.weights @ (slopes - search.slopes)
        # pairs of negative curvature would make B indefinite
        if step @ change > 1e-8 * np.linalg.norm(step) * np.linalg.norm(change):
            pairs = (*pairs, (step, change))[-_MEMORY:]
    progress = worst < search.lowest - 1e-9 * abs(search.lowest)
    flat = 0 if progress or not search.values.size else search.flat + 1
    lowest, recent = min(worst, search.lowest), (*search.recent[-_RECENT + 1 :], worst)
    recent = recent if search.values.size else (worst,)
    status = SETTLED if flat >= _PATIENCE else RUNNING
    status = BALANCED if worst <= lowest and smallest_gradient(values, slopes) <= gtol else status
    status = GOAL if worst <= goal else status
    after = search._replace(point=point, values=values, slopes=slopes, recent=recent, lowest=lowest)
    return _directed(after._replace(flat=flat, status=status), pairs), True


def _shortened(search: Minimax, values: np.ndarray | None) -> Minimax:
    """Return the search after a rejected trial: the next trial is on a bent or a shorter path."""
    if not search.values.size:
        return search._replace(status=STUCK)
    if values is not None and not search.bend.any():
        ahead = search.length * search.direction
        _, corrected = _program(search.pairs, search.slopes, values - search.slopes @ ahead)
        # the second-order correction: linear models at the new values show how the ridge bends
        bend = (corrected - ahead) / search.length**2
        if np.abs(corrected - ahead).max() <= np.abs(ahead).max():
            return search._replace(bend=bend)
    length = search.length / (4 if values is None else 2)
    if length >= _SHORTEST:
        return search._replace(length=length)
    if search.pairs:  # the curvature may mislead: begin anew without it
        return _directed(search._replace(recent=search.recent[-1:], length=1.0), ())
    return search._replace(status=STUCK if values is None else SETTLED)


def _directed(search: Minimax, pairs: _Pairs) -> Minimax:
    """Return the search with the direction of its quadratic program, solved by its dual."""
    weights, direction = _program(pairs, search.slopes, search.values)
    predicted = float(search.values.max() - (search.values + search.slopes @ direction).max())
    size = max(float(np.abs(direction).max()), np.finfo(float).tiny)
    length = min(1.0, _LONGEST / size, 4 * search.length)
    return search._replace(
        pairs=pairs,
        weights=weights,
        direction=direction,
        bend=np.zeros_like(direction),
        predicted=max(predicted, 0.0),
        length=length,
    )


def _program(pairs: _Pairs, slopes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the multipliers and the direction of the quadratic program."""
    largest = max(float(np.abs(slopes).max()), np.finfo(float).tiny)
    scaled = np.stack([_times_inverse(pairs, slope, largest) for slope in slopes])
    weights = _least_on_simplex(slopes @ scaled.T, values)
    return weights, -weights @ scaled


def _times_inverse(pairs: _Pairs, vector: np.ndarray, largest: float) -> np.ndarray:
    """Return B⁻¹ v of the L-BFGS matrix; without pairs a multiple of v."""
    q, alphas = vector.astype(float), []
    for step, change in reversed(pairs):
        alpha = step @ q / (step @ change)
        alphas.append(alpha)
        q = q - alpha * change
    # the size of the newest curvature, the usual first guess of L-BFGS; at the start a step of about 1
    q = q * (pairs[-1][0] @ pairs[-1][1] / (pairs[-1][1] @ pairs[-1][1]) if pairs else 1 / largest)
    for (step, change), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + (alpha - change @ q / (step @ change)) * step
    return q


def _least_on_simplex(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the w >= 0 of sum 1 that minimises ⟨w, M w⟩/2 − ⟨w, f⟩, by steps between the two entries most at odds."""
    weights = np.zeros(len(values))
    weights[values.argmax()] = 1.0
    for _ in range(200 * len(values)):
        pull = values - matrix @ weights
        # the multiplier that should grow most, and among those above 0 the one that should fall most
        i, j = int(pull.argmax()), int(np.where(weights > 0, pull, np.inf).argmin())
        gap = pull[i] - pull[j]
        if gap <= 1e-15 * np.abs(values).max():
            break
        curvature = matrix[i, i] + matrix[j, j] - matrix[i, j] - matrix[j, i]
        # exact along the edge, but for the bound 0 of a weight
        moved = weights[j] if curvature * weights[j] <= gap else gap / curvature
        weights[i], weights[j] = weights[i] + moved, weights[j] - moved
    return weights


def balanced(values: np.ndarray, slopes: np.ndarray, gtol: float) -> np.ndarray:
    """Tell for each search whether its design meets the condition for a least worst value, `[searches]`.

        min ‖Σ_k w_k g_k‖∞ <= gtol   over w >= 0, Σ_k w_k = 1,   k among the scenarios within 1e-5 of the worst

    with g_k the gradients: then no direction lowers all of these scenarios by more than `gtol` per unit, to first
    order. The w of the least Euclidean norm are taken. It is necessary for a least, not sufficient.

    Args:
      values: the objective, `[searches, scenarios]`.
      slopes: its gradients, `[scenarios, searches, coordinates]`.
      gtol: largest entry.

    Source: Clarke (1983), Optimization and Nonsmooth Analysis, propositions 2.3.2 and 2.3.12.
    """
    return np.array(
        [smallest_gradient(values_of_search, slopes[:, k]) <= gtol for k, values_of_search in enumerate(values)]
    )


def smallest_gradient(values: np.ndarray, slopes: np.ndarray) -> float:
    """Return the largest entry of the mean of the worst scenarios' gradients that has the least Euclidean norm.

    Args:
      values: `[scenarios]`.
      slopes: `[scenarios, coordinates]`.
    """
    from scipy.optimize import nnls  # most of a second to import

    if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
        return np.inf
    worst = values.max()
    gradients = slopes[values >= worst - _NEAR * abs(worst)].astype(float)
    size = np.abs(gradients).max()
    if size == 0:
        return 0.0
    # the sum of the weights is a row of its own, so heavy that it holds
    heavy = 1e3 * size
    matrix = np.vstack([gradients.T, np.full(len(gradients), heavy)])
    weights, _ = nnls(matrix, np.append(np.zeros(gradients.shape[1]), heavy))
    weights = weights / weights.sum()
    return float(np.abs(weights @ gradients).max())
