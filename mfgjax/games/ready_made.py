"""The ready-made games by name, with their parameters given as text."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from .. import games
from .._names import did_you_mean
from ..model import StationaryGame
from .file import GameFile


def builder(name: str) -> Callable[..., Any]:
    """Return the function of `mfgjax.games` that builds a game; "-" in the name counts as "_"."""
    return getattr(games, name.replace("-", "_"))


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a game by name."""
    return dict(inspect.signature(builder(name)).parameters)


def summary(name: str) -> str:
    """Return the first sentence of a builder's docstring, as a description of the game."""
    sentence = (inspect.getdoc(builder(name)) or "").splitlines()[0].removeprefix("Build ")
    return sentence[:1].upper() + sentence[1:]


def is_stationary(name: str) -> bool:
    """Tell whether a game is stationary."""
    return inspect.signature(builder(name)).return_annotation is StationaryGame  # told without building the game


def build(name: str, arguments: Mapping[str, Any]) -> GameFile:
    """Build a game from the builder's arguments, with the reference of its example if it has one."""
    name = name.replace("-", "_")
    game = builder(name)(**arguments)
    reference = getattr(games, f"{name}_reference", None)
    return GameFile(name, game, None if reference is None else reference(game), None, summary(name))


@dataclass(frozen=True)
class Setting:
    """A parameter of a builder and the text that gives its value.

    Attributes:
      option: what the user wrote, such as "--set beta=2", for sentences about what is wrong.
      text: the value.
      parameter: of the builder.
    """

    option: str
    text: str
    parameter: inspect.Parameter

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types that the value may have; where it may be any array, that of the default."""
        # of `float | Array` both, of `int` itself
        kinds = get_args(self.parameter.annotation) or (self.parameter.annotation,)
        return (type(self.parameter.default),) if kinds == (Any,) else kinds

    def value(self, text: str | None = None) -> Any:
        """Return the value that this text, or another one, stands for.

        Raises:
          ValueError: if it is not of the kind that the parameter has.
        """
        text = self.text if text is None else text
        if bool in self.kinds:  # not by `bool`, for which "false" is true
            if text.lower() not in ("true", "false"):
                raise ValueError(f"`{self.option}`: it must be true or false; got {text!r}.")
            return text.lower() == "true"
        if tuple in self.kinds:
            return self._numbers(text, len(self.parameter.default))
        for kind, noun in ((int, "a whole number"), (float, "a number")):
            if kind in self.kinds:
                try:
                    return kind(text)
                except ValueError:
                    raise ValueError(f"`{self.option}`: it must be {noun}; got {text!r}.") from None
        return text

    def _numbers(self, text: str, count: int) -> tuple[float, ...]:
        try:
            values = tuple(float(word) for word in text.split(","))
        except ValueError:
            # refused below, as a wrong count is
            values = ()
        if len(values) != count:
            raise ValueError(f"`{self.option}`: it must be {count} numbers with commas between them; got {text!r}.")
        return values


def settings_of(name: str, texts: Sequence[str], option: str = "--set") -> dict[str, Setting]:
    """Read "key=value" texts as settings of a game's parameters, by name.

    Args:
      name: of the game.
      texts: each as "key=value".
      option: what gives them, for sentences.

    Raises:
      ValueError: if a text is no "key=value", there is no such parameter, or it is given twice.
    """
    known_parameters, settings = parameters(name), {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")  # as options are written in a shell
        if not equals or not key:
            raise ValueError(f"`{option}` takes KEY=VALUE; got {text!r}.")
        if key not in known_parameters:
            hint = did_you_mean(key, known_parameters, f"; it has {', '.join(known_parameters) or 'none'}.")
            raise ValueError(f"`{option} {text}`: {name.replace('-', '_')} has no parameter {key!r}{hint}")
        if key in settings:
            raise ValueError(f"`{option} {text}`: {key!r} is set twice.")
        settings[key] = Setting(f"{option} {text}", value.strip(), known_parameters[key])
    return settings
