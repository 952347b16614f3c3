"""Kernels that are none are refused in one sentence that names the field, the place and the value."""

import jax.numpy as jnp
import numpy as np
import pytest
from faults import (
    CHANCES,
    KERNEL,
    MASK,
    NEXT,
    SUCCESSORS,
    A,
    H,
    S,
    assert_refused,
    game,
    inf,
    nan,
    over_time,
    put,
    traced,
)
from scipy import sparse

from mfgjax import DenseKernel, MovesKernel, SuccessorKernel


class Moving:
    """A kernel whose `__call__` was forgotten."""


def late_kernel(t, mean_field):
    return jnp.where(t == H - 1, 0.5, 1.0) * KERNEL


KERNELS = {
    "kernel-nan": (lambda: game(put(KERNEL, (1, 0, 2), nan)), "`kernel[1, 0, 2]`", "nan"),
    "kernel-inf": (lambda: game(put(KERNEL, (1, 0, 2), inf)), "`kernel[1, 0, 2]`", "inf"),
    "kernel-negative": (lambda: game(put(KERNEL, (2, 1), [-0.5, 0.5, 1])), "`kernel[2, 1, 0]`", "-0.5"),
    "kernel-sum": (lambda: game(put(KERNEL, (2, 1), [0.25, 0.25, 0.25])), "`kernel[2, 1]`", "0.75"),
    "kernel-sum at a time": (
        lambda: game(put(over_time(KERNEL, H), (3, 2, 1), [1, 1, 0])),
        "`kernel[3, 2, 1]`",
        "sums to 2",
    ),
    "kernel-nan where unavailable": (
        lambda: game(put(KERNEL, (1, 1, 0), nan), available=MASK),
        "`kernel[1, 1, 0]`",
        "nan",
    ),
    "kernel-times": (lambda: game(over_time(KERNEL, H + 1)), "`kernel`", "5 times", "horizon = 4"),
    "kernel-no times": (lambda: game(np.ones((0, S, A, S))), "`kernel`", "(0, 3, 2, 3)"),
    "kernel-other states": (lambda: game(np.full((4, A, 4), 0.25)), "`kernel`", "4 states", "`initial` has 3"),
    "kernel-other actions": (lambda: game(np.full((S, 3, S), 1 / 3), available=MASK), "`available`", "(3, 2)"),
    "kernel-not square": (lambda: game(np.full((S, A, 4), 0.25)), "`kernel`", "(3, 2, 4)"),
    "kernel-matrix": (lambda: game(np.eye(S)), "`kernel`", "(3, 3)"),
    "kernel-number": (lambda: game(1.0), "`kernel`", "()"),
    "kernel-none": (lambda: game(None), "`kernel`", "None"),
    "kernel-string": (lambda: game("stay"), "`kernel`", "'stay'"),
    "kernel-no call": (
        lambda: game(Moving()),
        "`kernel` must be an array or a function; got <test_bad_kernels.Moving object at 0x",
        ", which has no `__call__`.",
    ),
    "kernel-dict": (lambda: game({"a": 1}), "`kernel`", "{'a': 1}"),
    "kernel-bool": (lambda: game(np.ones((S, A, S), bool)), "`kernel`", "True", "bool"),
    "kernel-complex": (lambda: game(KERNEL + 0j), "`kernel`", "complex"),
    "kernel-ragged": (lambda: game([[1, 0], [0]]), "`kernel`", "[[1, 0], [0]]"),
    "kernel-string within": (lambda: game([[[1.0]], [["x"]]]), "`kernel[1, 0, 0]`", "'x'"),
    "kernel-none within": (lambda: game([[[1.0]], [[None]]]), "`kernel[1, 0, 0]`", "None"),
    "kernel-traced, not square": (traced(lambda k: game(k), (S, A, 4)), "`kernel`", "(3, 2, 4)"),
    "kernel-traced, times": (traced(lambda k: game(k), (2, S, A, S)), "`kernel`", "2 times"),
    "DenseKernel-shape": (lambda: DenseKernel(np.eye(S)), "`kernel`", "(3, 3)"),
    "kernel callable-one argument": (lambda: game(lambda t: KERNEL), "`kernel`", "(t, mean_field)", "(t)"),
    "kernel callable-keyword": (lambda: game(lambda t, *, mean_field: KERNEL), "`kernel`", "(t, *, mean_field)"),
    "kernel callable-shape": (lambda: game(lambda t, m: np.eye(S)), "`kernel`", "(3, 3)"),
    "kernel callable-time axis": (lambda: game(lambda t, m: over_time(KERNEL, H)), "`kernel`", "(4, 3, 2, 3)"),
    "kernel callable-kernel of many times": (
        lambda: game(lambda t, m: DenseKernel(over_time(KERNEL, H))),
        "`kernel`",
        "(4, 3, 2)",
    ),
    "kernel callable-kernel of other states": (
        lambda: game(lambda t, m: DenseKernel(np.full((4, A, 4), 0.25))),
        "`kernel`",
        "(1, 4, 2)",
    ),
    "kernel callable-none": (lambda: game(lambda t, m: None), "`kernel`", "None"),
    "kernel callable-string": (lambda: game(lambda t, m: "stay"), "`kernel`", "'stay'"),
    "kernel callable-tuple": (lambda: game(lambda t, m: (KERNEL, 1)), "`kernel`", "array"),
    "kernel callable-complex": (lambda: game(lambda t, m: KERNEL * 1j), "`kernel`", "complex"),
    "kernel callable-sum": (lambda: game(lambda t, m: KERNEL / 2), "`kernel[0, 0]` at t = 0", "0.5"),
    "kernel callable-late sum": (lambda: game(late_kernel), "`kernel[0, 0]` at t = 3", "0.5"),
    "kernel callable-nan": (lambda: game(lambda t, m: KERNEL * jnp.log(m - 0.25)), "`kernel[0, 0, 1]` at t = 0", "inf"),
    "kernel callable-nowhere": (
        lambda: game(lambda t, m: MovesKernel(put(NEXT, (1, 1), -1))),
        "`next_state[1, 1]` at t = 0",
        "-1",
    ),
    "next_state-fraction": (lambda: MovesKernel(NEXT + 0.5), "`next_state[0, 0]`", "0.5"),
    "next_state-large": (lambda: MovesKernel(put(NEXT, (1, 0), 3)), "`next_state[1, 0]`", "3", "between 0 and 2"),
    "next_state-large, in a list": (
        lambda: MovesKernel([[0, 3], [1, 0], [2, 2]]),
        "`next_state[0, 1]` is 3, but a next state lies between 0 and 2, or is -1 if the action does not exist.",
    ),
    "next_state-large, as floats": (
        lambda: MovesKernel([[0.0, 3.0], [1.0, 0.0], [2.0, 2.0]]),
        "`next_state[0, 1]` is 3.0, but a next state lies between 0 and 2, or is -1 if the action does not exist.",
    ),
    "next_state-negative": (lambda: MovesKernel(put(NEXT, (1, 0), -2)), "`next_state[1, 0]`", "-2"),
    "next_state-nan": (lambda: MovesKernel(put(NEXT * 1.0, (1, 0), nan)), "`next_state[1, 0]`", "nan"),
    "next_state-inf": (lambda: MovesKernel(put(NEXT * 1.0, (1, 0), inf)), "`next_state[1, 0]`", "inf"),
    "next_state-bool": (lambda: MovesKernel(MASK), "`next_state`", "bool"),
    "next_state-none": (lambda: MovesKernel(None), "`next_state`", "None"),
    "next_state-string": (lambda: MovesKernel([["a", 1]]), "`next_state[0, 0]`", "'a'"),
    "next_state-dict": (lambda: MovesKernel({0: [1]}), "`next_state`", "{0: [1]}"),
    "next_state-complex": (lambda: MovesKernel(NEXT + 0j), "`next_state`", "complex"),
    "next_state-ragged": (lambda: MovesKernel([[0, 1], [1]]), "`next_state`", "[[0, 1], [1]]"),
    "next_state-list": (lambda: MovesKernel([0, 1]), "`next_state`", "(2,)"),
    "next_state-empty": (lambda: MovesKernel(np.zeros((0, 2), int)), "`next_state`", "(0, 2)"),
    "next_state-traced": (traced(MovesKernel, (S, A)), "`next_state`", "traced"),
    "next_state-nowhere, available": (
        lambda: game(MovesKernel(put(NEXT, (2, 1), -1)), available=np.ones((S, A), bool)),
        "`next_state[2, 1]`",
        "-1",
    ),
    "next_state-nowhere at all": (lambda: game(MovesKernel(put(NEXT, 2, -1))), "`kernel[2]`", "has no next state"),
    "kernel-zero, available": (
        lambda: game(put(KERNEL, (1, 1), 0), available=np.ones((S, A), bool)),
        "`kernel[1, 1]`",
        "sums to 0",
    ),
    "kernel-zero at a time": (
        lambda: game(put(over_time(KERNEL, H), (2, 1, 1), 0)),
        "`available`",
        "`kernel[2, 1, 1]`",
    ),
    "kernel-actions first": (lambda: game(np.moveaxis(KERNEL, 1, 0)), "`kernel`", "`numpy.moveaxis(kernel, 0, 1)`"),
    "kernel-actions first at times": (
        lambda: game(np.moveaxis(over_time(KERNEL, H), 2, 1)),
        "`kernel`",
        "`numpy.moveaxis(kernel, 1, 2)`",
    ),
    "kernel-sparse": (
        lambda: game(sparse.csr_array(KERNEL.reshape(S * A, S))),
        "`kernel`",
        "`kernel.toarray().reshape(S, A, S)`",
    ),
    "kernel-sparse per action": (
        lambda: game([sparse.csr_matrix(KERNEL[:, a]) for a in range(A)]),
        "list of 2 sparse",
        "`numpy.stack([k.toarray() for k in kernel], axis=1)`",
    ),
    "next_state-nowhere, once available": (
        lambda: game(MovesKernel(put(NEXT, (1, 1), -1)), available=put(over_time(MASK, H + 1), (2, 1, 1), True)),
        "`next_state[1, 1]`",
        "-1",
    ),
    "successors-large": (
        lambda: SuccessorKernel(put(SUCCESSORS, (0, 1, 0), 9), CHANCES),
        "`successors[0, 1, 0]`",
        "9",
    ),
    "successors-shape": (lambda: SuccessorKernel(NEXT, CHANCES), "`successors`", "(3, 2)"),
    "successors-fraction": (lambda: SuccessorKernel(SUCCESSORS * 0.5, CHANCES), "`successors[0, 0, 1]`", "0.5"),
    "probabilities-shape": (lambda: SuccessorKernel(SUCCESSORS, CHANCES[..., :1]), "`probabilities`", "(3, 2, 1)"),
    "probabilities-string": (lambda: SuccessorKernel(SUCCESSORS, "half"), "`probabilities`", "'half'"),
    "probabilities-unused": (
        lambda: SuccessorKernel(SUCCESSORS, put(CHANCES, (2, 1), 0.5)),
        "`probabilities[2, 1, 1]`",
        "0.5",
    ),
    "probabilities-nan": (
        lambda: game(SuccessorKernel(SUCCESSORS, put(CHANCES, (0, 1, 1), nan))),
        "`kernel[0, 1, 1]`",
        "nan",
    ),
    "probabilities-negative": (
        lambda: game(SuccessorKernel(SUCCESSORS, put(CHANCES, (0, 1), [1.5, -0.5]))),
        "`kernel[0, 1, 1]`",
        "-0.5",
    ),
    "probabilities-sum": (
        lambda: game(SuccessorKernel(SUCCESSORS, put(CHANCES, (0, 1, 1), 0.25))),
        "`kernel[0, 1]`",
        "0.75",
    ),
    "probabilities-times": (
        lambda: game(SuccessorKernel(SUCCESSORS, over_time(CHANCES, H + 1))),
        "`kernel`",
        "5 times",
        "horizon = 4",
    ),
    "with_probabilities-shape": (
        lambda: SuccessorKernel(SUCCESSORS, CHANCES).with_probabilities(jnp.ones((S, A, 1))),
        "`probabilities`",
        "(3, 2, 1)",
    ),
}


@pytest.mark.parametrize("fault", KERNELS)
def test_a_faulty_kernel_is_refused_in_one_sentence_with_field_place_and_value(fault):
    assert_refused(KERNELS[fault])
