"""What the sliders of an explorer stand for: a parameter each, with the values that it takes."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import jax
import numpy as np

from .. import _checks
from .._names import did_you_mean
from ..sweeps.grid import SweptAxis, parse_axes

STEPS = 200
"""Steps of a slider over a range of numbers."""

_WORDS = {"beta": "β, inverse temperature", "epsilon": "ε, share of random actions", "mix": "mix with the reference"}


@dataclasses.dataclass(frozen=True, eq=False)
class Slider:
    """A parameter and the values that its slider takes.

    Attributes:
      name: as it was given.
      axis: the same as an axis of a sweep, which has every value.
      log: whether the values are evenly spaced on a logarithmic scale.
      make: from a number to what the axis has for it, where any number may be asked for; None: only the values.
    """

    name: str
    axis: SweptAxis
    log: bool = False
    make: Callable[[float], Any] | None = None

    def __len__(self) -> int:
        return len(self.axis.values)

    @property
    def numbers(self) -> np.ndarray | None:
        """The values as numbers; None if they are words or arrays."""
        labels = self.axis.labels
        return labels.astype(float) if labels.dtype.kind in "iuf" and np.isfinite(labels).all() else None

    def nearest(self, value: Any) -> int:
        """Return the step of the value that is nearest, on the scale of the slider; of words the one that is equal."""
        if self.numbers is None:
            return self._step_of(value)
        number = _checks.number_in(self.name, value, -np.inf, np.inf, "(-inf, inf)")
        # what is not positive has no place on a scale of logarithms
        log = self.log and number > 0
        return int(np.argmin(abs(np.log(self.numbers / number)) if log else abs(self.numbers - number)))

    def described(self) -> dict[str, Any]:
        """Return what a page needs to draw the slider."""
        numbers, last = self.numbers, self.name.split(".")[-1]
        own = last.replace("_", " ")
        return {
            "name": self.name,
            "label": _WORDS.get(last, own),
            "symbol": {"beta": "β", "epsilon": "ε"}.get(last, own),
            "log": self.log,
            "digits": 3 if numbers is None else _digits(numbers),
            "numbers": None if numbers is None else [float(f"{number:.15g}") for number in numbers],
            "texts": [str(label) for label in self.axis.labels] if numbers is None else None,
        }

    def single(self, asked: Any) -> SweptAxis:
        """Return the axis with one value: a number, the label of a value, or the value itself."""
        if self.make is not None:
            number = _checks.number_in(self.name, asked, -np.inf, np.inf, "(-inf, inf)")
            number = int(number) if self.axis.labels.dtype.kind == "i" else number
            return self.axis._replace(values=[self.make(number)], labels=np.array([number]))
        return self.at(self._step_of(asked))

    def _step_of(self, asked: Any) -> int:
        """Return the step of a value, given by its label or by itself."""
        for step, (value, label) in enumerate(zip(self.axis.values, self.axis.labels, strict=True)):
            if asked is value or (np.ndim(asked) == 0 and str(label) == str(asked)):
                return step
        which = did_you_mean(str(asked), map(str, self.axis.labels))
        raise ValueError(f"`{self.name}` has no value {_checks.shorten(asked)}{which}")

    def at(self, step: int) -> SweptAxis:
        """Return the axis with the value of one step of the slider."""
        return self.axis._replace(values=[self.axis.values[step]], labels=self.axis.labels[[step]])

    def through(self, number: float | None) -> "Slider":
        """Return a slider that has a number in place of the nearest value, if it lies between the ends of a range."""
        if number is None or self.make is None or self.axis.labels.dtype.kind == "i":
            return self
        step = self.nearest(number)
        if step in (0, len(self) - 1):
            return self
        values, labels = list(self.axis.values), self.axis.labels.copy()
        values[step], labels[step] = self.make(number), number
        return dataclasses.replace(self, axis=self.axis._replace(values=values, labels=labels))

    def having(self, steps: np.ndarray) -> "Slider":
        """Return a slider with some of the values."""
        values: Any = [self.axis.values[step] for step in steps]
        return dataclasses.replace(self, axis=self.axis._replace(values=values, labels=self.axis.labels[steps]))


def evenly(count: int, most: int, kept: int) -> np.ndarray:
    """Return about so many of 0, ..., count − 1, evenly chosen, with both ends and one that is to be kept."""
    return np.union1d(np.linspace(0, count - 1, min(most, count)).round().astype(int), [kept])


def parse_sliders(ranges: Mapping[str, Any], builder: Callable | None, params: Sequence[str]) -> list[Slider]:
    """Read what the sliders move: a range (low, high), or values as `sweep` takes them.

    Args:
      ranges: by name.
      builder: the function that builds the games, if there is one.
      params: names of the parameters of the game.

    Raises:
      ValueError: naming the parameter and what it must be.
    """
    spread = {name: _spread(name, given, builder) for name, given in ranges.items() if _is_range(given)}
    axes = parse_axes({name: spread.get(name, given) for name, given in ranges.items()}, builder, params)
    return [slider_of(axis, _itself if axis.name in spread else None) for axis in axes]


def _digits(numbers: np.ndarray) -> int:
    """Return how many digits tell the numbers apart, at least 3."""
    different = len(np.unique(numbers))
    return next((digits for digits in range(3, 15) if len({f"{x:.{digits}g}" for x in numbers}) == different), 15)


def mix_slider(ends: Any, policy: str, uniform: np.ndarray, reference: np.ndarray) -> Slider:
    """Return the slider from the uniform policy, at 0, to a reference, at 1: (1 − m) uniform + m reference.

    Args:
      ends: the range of m, in [0, 1].
      policy: the name of the response's policy, "reference" or "prior".
      uniform: `[#T, S, A]`.
      reference: `[#T, S, A]`.
    """
    if not _is_range(ends) or not 0 <= ends[0] < ends[1] <= 1:
        raise ValueError(f"`mix` must be a range within [0, 1], such as `mix=(0, 1)`; got {_checks.shorten(ends)}.")

    def mixed(share: float) -> np.ndarray:
        return (1 - share) * uniform + share * reference

    shares = np.linspace(ends[0], ends[1], STEPS // 2 + 1)
    return Slider("mix", SweptAxis(policy, list(map(mixed, shares)), shares, False), make=mixed)


def _itself(number: float) -> float:
    return number


def slider_of(axis: SweptAxis, make: Callable[[float], Any] | None = None) -> Slider:
    """Return the slider of an axis; it is logarithmic where neighbouring values have equal ratios."""
    slider = Slider(axis.name, axis, make=make)
    numbers = slider.numbers
    if numbers is None or len(numbers) < 3 or numbers.min() <= 0:
        return slider
    ratios = np.diff(np.log(numbers))
    is_log = bool(np.allclose(ratios, ratios[0], rtol=1e-3) and numbers.max() > 4 * numbers.min())
    return dataclasses.replace(slider, log=is_log)


def _is_range(given: Any) -> bool:
    def is_number(end: Any) -> bool:
        return isinstance(end, Real) or (isinstance(end, np.ndarray | jax.Array) and end.ndim == 0)

    return isinstance(given, tuple) and len(given) == 2 and all(map(is_number, given))


def _spread(name: str, ends: tuple[Any, Any], builder: Callable | None) -> np.ndarray:
    """Return the values of a range: even steps, for β even ratios, and whole numbers where the builder takes those."""
    low, high = (_checks.number_in(name, end, -np.inf, np.inf, "(-inf, inf)") for end in ends)
    if low >= high:
        raise ValueError(f"`{name}` is the range ({ends[0]}, {ends[1]}), but its first number must be the smaller one.")
    taken = None if builder is None else inspect.signature(builder).parameters.get(name)
    if taken is not None and isinstance(taken.default, int) and not isinstance(taken.default, bool):
        if ends != (int(low), int(high)):
            raise ValueError(f"`{name}` must be a range of whole numbers; got ({ends[0]}, {ends[1]}).")
        return np.unique(np.linspace(low, high, min(int(high - low), STEPS) + 1).round().astype(int))
    if name.removeprefix("response.") == "beta" and low > 0:
        return np.geomspace(low, high, STEPS + 1)
    return np.linspace(low, high, STEPS + 1)
