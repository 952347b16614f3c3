"""A live game on a grid: what its sliders show without Python."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from .. import _checks
from .._names import did_you_mean
from .._result import Result
from ..equilibrium import Equilibrium
from ..sweeps import sweep
from .live import Live, check_labels, labels_of
from .quantities import Quantity
from .sliders import Slider, evenly
from .stored import Stored, stored

_FIELDS = ("log_policy", "values", "q", "exploitability")
"""What functions of an equilibrium may read, beside law and policy."""

_POINTS = {1: 101, 2: 33, 3: 10}
"""Values of each slider by the number of sliders, about a thousand points together; 5 for more."""


def grid_points(sliders: Sequence[Slider], points: Any, is_live: bool) -> list[int]:
    """Return the most values of each slider; None for `points`: by the number of sliders, or all of a dataset."""
    most = [_POINTS.get(len(sliders), 5) if is_live else len(slider) for slider in sliders]
    if points is None:
        return most
    if not isinstance(points, Mapping):
        return [_checks.integer_at_least("points", points, 2)] * len(sliders)
    names = [slider.name for slider in sliders]
    for name, number in points.items():
        if name not in names:
            raise ValueError(f"`points` has {name!r}, but there is no such slider{did_you_mean(name, names)}")
        most[names.index(name)] = _checks.integer_at_least(f"points[{name!r}]", number, 2)
    return most


def precomputed(live: Live, points: Sequence[int], place: Sequence[int]) -> Stored:
    """Solve a live game at evenly chosen values of its sliders, those of a place among them, all together."""
    triples = zip(live.sliders, points, place, strict=True)
    sliders = [slider.having(evenly(len(slider), most, step)) for slider, most, step in triples]
    function = live.quantity.function
    game, _, _ = live.problem(live.axes([0] * len(sliders)))
    outputs = ["mean_field", "policy", *(_FIELDS if function is not None else _FIELDS[-1:])]
    outputs += [] if function is None or game.aggregate is None else ["aggregate"]
    axes = {slider.axis.name: _values(slider) for slider in sliders}
    dataset = sweep(live.game, live.response, solver=live.solver, outputs=outputs, **axes)
    states, actions = (tuple(map(str, dataset[dim].values)) for dim in ("state", "action"))
    check_labels(labels_of(game), (states, actions))
    found = stored(dataset, sliders=sliders)
    if function is None:
        return found
    own = quantities_at_each_point(live.quantity, dataset, game.observes)
    return dataclasses.replace(found, quantities=own, quantity=live.quantity)


def _values(slider: Slider) -> Any:
    """Return the values of an axis as `sweep` takes them."""
    if slider.numbers is None:  # words tell values apart
        return dict(zip(map(str, slider.axis.labels), slider.axis.values, strict=True))
    return list(slider.axis.values)


def quantities_at_each_point(quantity: Quantity, dataset: xr.Dataset, observes: str) -> np.ndarray:
    """Return the quantity of every equilibrium of a sweep, made of what the sweep has kept of it."""
    loaded = {str(name): array.values for name, array in dataset.data_vars.items()}
    shape = loaded["result_code"].shape
    timed = [str(name) for name, array in dataset.data_vars.items() if "time" in array.dims]
    components = tuple(map(str, dataset["component"].values)) if "component" in dataset.coords else ()
    found = np.empty(shape)
    for at in np.ndindex(*shape):
        # of games that end sooner than others, later times are NaN
        times = int((~np.isnan(loaded["policy"][at]).all(axis=(-2, -1))).sum())
        one: Any = {
            name: jnp.asarray(array[at][:times] if name in timed else array[at]) for name, array in loaded.items()
        }
        result = Result(one.pop("result_code"), one.pop("result_period"))
        found[at] = quantity.of(
            Equilibrium(
                **one,
                residual_history=jnp.empty(0),
                result=result,
                criterion=dataset.attrs["criterion"],
                observes=observes,
                aggregate_labels=components,
            )
        )
    return found
