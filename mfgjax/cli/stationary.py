"""What the command `solve` tells of a stationary equilibrium."""

from typing import Any

import numpy as np
from rich.table import Table

from .._largest_states import largest_states
from ..equilibrium import Equilibrium
from ..model import StationaryGame
from .output import finite

MOST_ROWS = 40


def told(game: StationaryGame, found: Equilibrium) -> dict[str, Any]:
    """Return for JSON the law, its mean (None where states are no numbers), the likeliest actions and the values."""
    law, names = np.asarray(found.state_law), game.state_labels
    likeliest = [game.action_labels[a] for a in np.argmax(np.asarray(found.policy), axis=1)]
    return {
        "law": {name: finite(mass) for name, mass in zip(names, law, strict=True)},
        "mean_state": finite(found.mean_state) if game.has_numbered_states else None,
        "actions": dict(zip(names, likeliest, strict=True)),
        "values": {name: finite(value) for name, value in zip(names, found.values, strict=True)},
        "value": finite((found.state_law * found.values).sum()),
    }


def table(game: StationaryGame, found: Equilibrium, title: str) -> tuple[Table, str]:
    """Return the states with most mass, in their own order, and what is left out."""
    rows = Table(title=title, title_justify="left")
    rows.add_column("state")
    for heading in ("share", "likeliest action", "its probability", "value"):
        rows.add_column(heading, justify="right")
    law, policy = np.asarray(found.state_law), np.asarray(found.policy)
    shown = largest_states(law, MOST_ROWS)
    for s in shown:
        a = int(policy[s].argmax())
        numbers = f"{policy[s, a]:.4f}", f"{float(found.values[s]):.6f}"
        rows.add_row(game.state_labels[s], f"{law[s]:.6f}", game.action_labels[a], *numbers)
    left = game.num_states - len(shown)
    return rows, f"{left} states with less mass are not shown." if left else ""


def lines(game: StationaryGame, found: Equilibrium) -> list[str]:
    """Return the mean state and what an agent earns, in words."""
    value = float((found.state_law * found.values).sum())
    mean = [f"mean state      {float(found.mean_state):.6f}"] if game.has_numbered_states else []
    worth = f"discounted by {float(game.discount):g} a step, in units of reward"
    return [*mean, f"value           {value:.6f} (of an agent somewhere in the population, {worth})"]
