"""The command `reproduce` for the examples in which agents learn."""

from pathlib import Path
from typing import Any

import jax
from rich.box import SIMPLE_HEAD
from rich.table import Table

from .. import _checks, reproduce
from .._progress import progress_line
from .output import console, print_json, staged


def run(example: str, out: Path, *, seeds: int | None, steps: int | None, agents: int | None, as_json: bool) -> int:
    """Solve the example from both ends, let the learners run, write figures and tables, and print the table.

    Args:
      example: "infection-spread" or "mturk".
      out: the folder.
      seeds: runs of each learner; None: 20.
      steps: of each run; None: 150.
      agents: that learn together; None: 1,000.
      as_json: print JSON in place of a table.

    Returns:
      The exit status.
    """
    given = {"num_seeds": ("seeds", seeds), "num_steps": ("steps", steps), "num_agents": ("agents", agents)}
    counts = {
        name: _checks.integer_at_least(f"--{option}", value, 1)
        for name, (option, value) in given.items()
        if value is not None
    }
    effort = reproduce.Effort(**counts)
    is_market = example == "mturk"
    tasks = reproduce.MARKET_TASKS if is_market else reproduce.INFECTION_TASKS
    with jax.enable_x64(True), staged(out) as folder, progress_line(tasks + 1) as begin:
        assert folder is not None
        if is_market:
            found = reproduce.mturk(effort, report=begin)
            begin("drawing and saving")
            names = reproduce.write_market(found, folder)
        else:
            found = reproduce.infection_spread(effort, report=begin)
            begin("drawing and saving")
            names = reproduce.write_infection(found, folder)
        rows, equilibria = found.rows(), found.equilibria()
    if as_json:
        print_json({"equilibria": equilibria, "rows": rows, "files": [str(out / name) for name in names]})
    else:
        _print(example, effort, equilibria, rows, [f"saved in {out}: {', '.join(names)}"])
    return 0


def _print(
    example: str, effort: Any, equilibria: list[dict[str, Any]], rows: list[dict[str, Any]], ending: list[str]
) -> None:
    screen = console()
    setting = next(iter(rows[0]))
    table = Table(title=f"{example}: equilibria", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in (setting, "least mean", "greatest mean", "apart"):
        table.add_column(heading, justify="right")
    for one in equilibria:
        means = (f"{one[name]:.6f}" for name in ("least_mean_state", "greatest_mean_state"))
        table.add_row(f"{one[setting]:g}", *means, f"{one['distance']:.1e}")
    screen.print(table, markup=False)
    title = (
        f"{example}: {effort.num_seeds} runs of {effort.num_steps} steps each from the uniform population and Q_0 = 0, "
        "mean ± deviation"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(setting, justify="right")
    table.add_column("learner")
    for heading in ("mean state", "distance to the least", "to the greatest", "policy off by"):
        table.add_column(heading, justify="right")
    for i, row in enumerate(rows):
        least, greatest, mean, policy = (
            f"{row[name]:.3f} ± {row[f'{name}_deviation']:.3f}"
            for name in ("distance_to_least", "distance_to_greatest", "mean_state", "policy_error")
        )
        last = i + 1 < len(rows) and rows[i + 1][setting] != row[setting]
        table.add_row(f"{row[setting]:g}", row["learner"], mean, least, greatest, policy, end_section=last)
    screen.print(table, markup=False)
    for one in equilibria:
        for way, pairs in one.get("jumps", {}).items():
            words = ", ".join(f"{low:.4g} to {high:.4g}" for low, high in pairs)
            screen.print(f"jumps on the way {way}, between neighbouring values of {setting}: {words}", markup=False)
    more = [reproduce.WHY_BELOW] if example == "infection-spread" else []
    for line in (
        "distance: total variation between the population at the end and that of an equilibrium",
        "policy off by: from that of the nearer equilibrium, total variation, averaged over the population at the end",
        *more,
        *ending,
    ):
        screen.print(line, markup=False, soft_wrap=True)
