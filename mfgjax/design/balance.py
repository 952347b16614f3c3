"""The condition of first order for the least of a largest value."""

import numpy as np

_NEAR = 1e-5


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
    return np.array([smallest_gradient(own, slopes[:, k]) <= gtol for k, own in enumerate(values)])


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
