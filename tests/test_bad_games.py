"""What else is wrong with a game is refused in one sentence, and one wrong entry is always found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faults import (
    ABOVE_ONE,
    INITIAL,
    MASK,
    NEGATIVE,
    NONE,
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
    under,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mfgjax import EntropyRegularized, FiniteHorizonGame, solve

FIELDS = {
    "initial-nan": (lambda: game(initial=[0.5, nan, 0.5]), "`initial[1]`", "nan"),
    "initial-inf": (lambda: game(initial=[0.5, inf, 0.5]), "`initial[1]`", "inf"),
    "initial-negative": (lambda: game(initial=[0.75, 0.5, -0.25]), "`initial[2]`", "-0.25"),
    "initial-sum": (lambda: game(initial=[0.25, 0.25, 0.25]), "`initial`", "0.75"),
    "initial-counts": (lambda: game(initial=[1, 1, 1]), "`initial`", "sums to 3"),
    "initial-shape": (lambda: game(initial=INITIAL[None]), "`initial`", "(1, 3)"),
    "initial-number": (lambda: game(initial=1.0), "`initial`", "()"),
    "initial-empty": (lambda: game(initial=[]), "`initial`", "(0,)"),
    "initial-other states": (lambda: game(initial=[0.5, 0.5]), "`kernel`", "`initial` has 2 states"),
    "initial-unlike kernel and reward": (
        lambda: game(initial=[0.5, 0.5]),
        "`initial` has 2 states, but `kernel` and `reward` have 3.",
    ),
    "initial-unlike all others": (
        lambda: game(initial=[0.5, 0.5], available=MASK, state_labels=["a", "b", "c"]),
        "`initial` has 2 states, but `kernel`, `reward`, `available` and `state_labels` have 3.",
    ),
    "initial-none": (lambda: game(initial=None), "`initial`", "None"),
    "initial-string": (lambda: game(initial="uniform"), "`initial`", "'uniform'"),
    "initial-dict": (
        lambda: game(initial={"a": 1.0}),
        "`initial` must hold real numbers, in an array or a `pandas.Series` with labels; got the dict {'a': 1.0}.",
    ),
    "initial-string within": (lambda: game(initial=[0.5, "half", 0]), "`initial[1]`", "'half'"),
    "initial-none within": (lambda: game(initial=[0.5, None, 0.5]), "`initial[1]`", "None"),
    "initial-bool": (lambda: game(initial=[True, False, False]), "`initial`", "True"),
    "initial-complex": (lambda: game(initial=[1j, 0, 1]), "`initial`", "1j"),
    "initial-ragged": (lambda: game(initial=[0.5, [0.5]]), "`initial`", "[0.5, [0.5]]"),
    "initial-callable": (lambda: game(initial=lambda: INITIAL), "`initial`", "function"),
    "initial-traced": (traced(lambda m: game(initial=m), (1, S)), "`initial`", "(1, 3)"),
    "initial-traced list, ragged": (traced(lambda x: game(initial=[x, [x]]), ()), "`initial`", "rectangular"),
    "initial-traced bool": (
        lambda: jax.eval_shape(lambda m: game(initial=m), jnp.ones(S, bool)),
        "`initial`",
        "bool",
    ),
    "initial-traced complex": (
        lambda: jax.eval_shape(lambda m: game(initial=m), jnp.ones(S, complex)),
        "`initial`",
        "complex",
    ),
    "available-integers": (lambda: game(available=MASK.astype(int)), "`available`", "int", "[[1, 1]"),
    "available-floats": (lambda: game(available=MASK * 1.0), "`available`", "float"),
    "available-nan": (lambda: game(available=np.full((S, A), nan)), "`available`", "nan"),
    "available-string": (lambda: game(available="all"), "`available`", "'all'"),
    "available-dict": (lambda: game(available={}), "`available`", "{}"),
    "available-bool": (lambda: game(available=True), "`available`", "()"),
    "available-none within": (lambda: game(available=[[True, None]] * S), "`available`", "None"),
    "available-ragged": (lambda: game(available=[[True], [True, False]]), "`available`", "[[True], [True, False]]"),
    "available-shape": (lambda: game(available=MASK.T), "`available`", "(2, 3)"),
    "available-times": (lambda: game(available=over_time(MASK, H)), "`available`", "(4, 3, 2)"),
    "available-row": (lambda: game(available=put(MASK, 1, False)), "`available[1]`", "False"),
    "available-row at a time": (
        lambda: game(available=put(over_time(MASK, H + 1), (4, 2), False)),
        "`available[4, 2]`",
        "False",
    ),
    "available-traced": (traced(lambda x: game(available=x), (S, A)), "`available`", "float32"),
    "available-traced shape": (
        traced(lambda x: game(available=x > 0), (A, S)),
        "`available`",
        "(2, 3)",
    ),
    "observes-other": (lambda: game(observes="actions"), "`observes`", "'actions'"),
    "observes-none": (lambda: game(observes=None), "`observes`", "None"),
    "observes-list": (lambda: game(observes=["states"]), "`observes`", "['states']"),
    "observes-array": (lambda: game(observes=np.array(["states", "x"])), "`observes`", "array"),
    **under("discount", [NONE, ("zero", 0.0, "0.0"), NEGATIVE, ABOVE_ONE], lambda value: game(discount=value)),
    "discount-traced": (traced(lambda d: game(discount=d), (2,)), "`discount`", "(2,)"),
    **whole("horizon", lambda value: game(horizon=value)),
    "horizon-none": (lambda: game(horizon=None), "`horizon`", "None"),
    "horizon-traced": (lambda: jax.eval_shape(lambda n: game(horizon=n), jnp.int32(3)), "`horizon`", "traced"),
    **{
        f"{name}-{kind}": (lambda name=name, value=value: game(**{name: value}), f"`{name}{place}`", shown)
        for name, count in (("state_labels", S), ("action_labels", A))
        for kind, value, place, shown in [
            ("few", ["a"], "", "got 1: a"),
            ("many", list("abcd"), "", "got 4: a, b, c, d"),
            ("twice", ["a"] * count, "[1]", "'a'"),
            ("string", "abc"[:count], "", "'ab"),
            ("number", 3, "", "3"),
            ("dict", dict.fromkeys(range(count)), "", "{0: None"),
            ("none within", [None, *"ab"][:count], "[0]", "None"),
            ("list within", ["a", ["b"], "c"][:count], "[1]", "['b']"),
        ]
    },
}


@pytest.mark.parametrize("fault", FIELDS)
def test_a_faulty_field_of_a_game_is_refused_in_one_sentence_with_field_place_and_value(fault):
    assert_refused(FIELDS[fault])


sizes = st.tuples(*(st.integers(1, 4),) * 3)
not_finite = st.sampled_from([nan, inf, -inf])
a_few = settings(max_examples=40, deadline=None)


def valid_tables(num_states, num_actions, horizon, seed):
    rng = np.random.default_rng(seed)
    return {
        "kernel": rng.dirichlet(np.ones(num_states), size=(horizon, num_states, num_actions)),
        "reward": rng.normal(size=(horizon + 1, num_states, num_actions)),
        "initial": rng.dirichlet(np.ones(num_states)),
    }


@a_few
@given(sizes, st.integers(0, 2**31), st.sampled_from(["kernel", "reward", "initial"]), not_finite, st.data())
def test_one_entry_that_is_not_finite_is_always_found(size, seed, field, value, data):
    tables = valid_tables(*size, seed)
    index = np.unravel_index(data.draw(st.integers(0, tables[field].size - 1)), tables[field].shape)
    tables[field][index] = value
    # a table for a single time is shown without its time axis, as it could have been given
    shown = index[1:] if field == "kernel" and size[2] == 1 else index
    place = ", ".join(map(str, shown))
    with pytest.raises(ValueError) as caught:
        FiniteHorizonGame(**tables, horizon=size[2])
    assert str(caught.value) == f"`{field}[{place}]` is {value}, but it must be a finite number."


@a_few
@given(sizes, st.integers(0, 2**31), st.floats(1e-4, 1e3), st.booleans(), st.data())
def test_one_row_that_is_no_distribution_is_always_found(size, seed, amount, is_negative, data):
    tables = valid_tables(*size, seed)
    kernel = tables["kernel"]
    index = np.unravel_index(data.draw(st.integers(0, kernel.size - 1)), kernel.shape)
    kernel[index] = -amount if is_negative else kernel[index] + amount
    shown = index[1:] if size[2] == 1 else index
    place = ", ".join(map(str, shown if is_negative else shown[:-1]))
    with pytest.raises(ValueError, match="negative" if is_negative else "sums to") as caught:
        FiniteHorizonGame(**tables, horizon=size[2])
    assert str(caught.value).startswith(f"`kernel[{place}]`")


@a_few
@given(st.sampled_from([(3, 2, 2), (2, 3, 1)]), st.integers(0, 2**31), st.data())
def test_a_reference_off_the_available_actions_is_always_found(size, seed, data):
    num_states, num_actions, horizon = size
    tables = valid_tables(*size, seed)
    rng = np.random.default_rng(seed)
    mask = rng.random((horizon + 1, num_states, num_actions)) < 0.7
    mask[..., 0] = True
    reference = mask / mask.sum(axis=-1, keepdims=True)
    made = FiniteHorizonGame(**tables, horizon=horizon, available=mask)
    t, s, a = np.unravel_index(data.draw(st.integers(0, mask.size - 1)), mask.shape)
    if mask[t, s].sum() == 1 and mask[t, s, a]:
        return  # the only action of a row has probability 1, or the row is no distribution
    reference[t, s, a] = 0 if mask[t, s, a] else 0.5
    reference[t, s] /= reference[t, s].sum()
    with pytest.raises(ValueError) as caught:
        solve(made, EntropyRegularized(1.0, reference))
    assert f"(time, state, action) = ({t}, {s}, {a})" in str(caught.value)
