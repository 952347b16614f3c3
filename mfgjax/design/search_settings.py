"""How a design is sought, from the table [search] of a problem file."""

from dataclasses import asdict, dataclass
from typing import Any

import optax

from .. import _toml

KEYS = ("optimizer", "learning_rate", "max_steps", "restarts", "spread", "seed", "gtol", "goal")
_OPTIMIZERS = {
    "adam": optax.adam,
    "adabelief": optax.adabelief,
    "rmsprop": optax.rmsprop,
    "sgd": optax.sgd,
}
_MOST_STEPS, _MOST_RESTARTS, _MOST_SEED = 10**6, 10**5, 2**32 - 1


@dataclass(frozen=True)
class SearchSettings:
    """How a design is sought; names and meanings are those of `design.tune`."""

    optimizer: str
    learning_rate: float | None
    max_steps: int
    restarts: int
    spread: float
    seed: int
    gtol: float | None
    goal: float | None

    @property
    def method(self) -> optax.GradientTransformation | None:
        """The optimizer; None is L-BFGS."""
        return None if self.learning_rate is None else _OPTIMIZERS[self.optimizer](self.learning_rate)

    @property
    def told(self) -> dict[str, Any]:
        """What is chosen, for JSON."""
        return asdict(self)


def search_of(value: Any) -> SearchSettings:
    """Return how a design is sought.

    Args:
      value: what stands at `search` in the file.

    Raises:
      ValueError: naming the key and the value.
    """
    table = _toml.table("search", value, "a table")
    _toml.check_keys("search.", table, KEYS)
    optimizer = _toml.one_of("search.optimizer", table.get("optimizer", "lbfgs"), ("lbfgs", *_OPTIMIZERS))
    rate = None
    if optimizer != "lbfgs":
        if "learning_rate" not in table:
            raise ValueError(
                f"`search.learning_rate` is missing, but {optimizer!r} needs it, a number > 0 such as 0.05."
            )
        rate = _toml.number_above("search.learning_rate", table["learning_rate"], 0)
    elif "learning_rate" in table:
        must = "'lbfgs' finds the length of its steps itself"
        raise _toml.wrong("search.learning_rate", table["learning_rate"], must)
    return SearchSettings(
        optimizer,
        rate,
        _toml.whole("search.max_steps", table.get("max_steps", 200), _MOST_STEPS),
        _toml.whole("search.restarts", table.get("restarts", 1), _MOST_RESTARTS),
        _toml.number_above("search.spread", table.get("spread", 1.0), 0, included=True),
        _toml.whole("search.seed", table.get("seed", 0), _MOST_SEED, 0),
        None if "gtol" not in table else _toml.number_above("search.gtol", table["gtol"], 0, included=True),
        None if "goal" not in table else _toml.number("search.goal", table["goal"]),
    )
