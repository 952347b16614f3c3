"""The command `reproduce`."""

from pathlib import Path
from typing import Any

import jax
from rich.box import SIMPLE_HEAD
from rich.table import Table

from .. import reproduce
from .._progress import progress_line
from .output import console, print_json, staged


def run(preset: str, out: Path, *, as_json: bool) -> int:
    """Solve the example, write figures, equilibria and tables, and print the table.

    Args:
      preset: "paper" or "author-code".
      out: the folder.
      as_json: print JSON in place of a table.

    Returns:
      The exit status.
    """
    with jax.enable_x64(True):
        with staged(out) as folder, progress_line(reproduce.NUM_RUNS + 1) as begin:
            assert folder is not None
            reproduction = reproduce.resource_allocation(preset, report=begin)
            begin("drawing and saving")
            names = reproduce.write(reproduction, folder)
        rows = reproduction.rows()
        if as_json:
            print_json({"preset": preset, "rows": rows, "files": [str(out / name) for name in names]})
        else:
            _print(preset, rows, out, names)
    return 0


def _number(value: float | None, text: str = "{:.1e}") -> str:
    return "–" if value is None else text.format(value)


def _print(preset: str, rows: list[dict[str, Any]], out: Path, names: list[str]) -> None:
    nodes = list(rows[0]["terminal_law"])
    title = f"Resource allocation, section V ({preset}): shares of the population at time 5, by node"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("", no_wrap=True)
    for node in nodes:
        table.add_column(node, justify="right")
    for heading in ("result", "steps", "residual", "expl. KL", "expl.", "solver"):
        table.add_column(heading, justify="left" if heading in ("result", "solver") else "right")
    for row in rows:
        result = f"cycle of {row['period']}" if row["result"] == "cycle" else row["result"] or "–"
        residual = row["residual"] if row["criterion"] == "residual" else None
        ending = (
            result,
            _number(row["num_steps"], "{}"),
            _number(residual),
            _number(row["exploitability_regularised"]),
            _number(row["exploitability"]),
            row["solver"] or "–",
        )
        # a cycle has no law of its own: those it visits in turn, in lines of their own
        first, *others = row["cycle"] or [row["terminal_law"]]
        table.add_row(row["label"], *(f"{first[node]:.4f}" for node in nodes), *ending)
        for law in others:
            table.add_row("  and in turn", *(f"{law[node]:.4f}" for node in nodes))
    screen = console()
    screen.print(table, markup=False)
    for line in (
        "residual: distance of the flow and the flow of the response to it, total variation, the largest over time",
        "expl.: what an agent gains by leaving the policy, in units of reward; expl. KL: counting KL terms",
        "in a cycle, both are those of the best iterate",
        f"saved in {out}: {', '.join(names)}",
    ):
        screen.print(line, markup=False, soft_wrap=True)
