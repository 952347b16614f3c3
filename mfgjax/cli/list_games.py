"""The command `list`."""

from typing import Any

from .._names import by_word


def list_games() -> None:
    """List the ready-made games, with the parameters that [b]--set[/b] changes and their defaults."""
    from ..games import ready_made  # slow to import

    for shown, name in by_word("games").items():
        print(shown + (" (stationary)" if ready_made.is_stationary(name) else ""))
        print(f"    {ready_made.summary(name)}")
        for key, parameter in ready_made.parameters(name).items():
            print(f"    --set {key}={_default(parameter.default)}")


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "..." if value is None else str(value)
