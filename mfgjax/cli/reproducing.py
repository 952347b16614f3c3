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


def run_gains(preset: str, out: Path, *, as_json: bool) -> int:
    """Compute what one agent among N gains, write figure 3 with its numbers, and print them.

    Args:
      preset: "paper" or "author-code".
      out: the folder.
      as_json: print JSON in place of a table.

    Returns:
      The exit status.
    """
    with jax.enable_x64(True):
        with staged(out) as folder, progress_line(len(reproduce.BETAS) + 1) as begin:
            assert folder is not None
            found = reproduce.populations(preset, report=begin)
            begin("drawing and saving")
            names = reproduce.write_gain(found, folder)
        rows, slopes = found.rows(), found.slopes()
        if as_json:
            files = [str(out / name) for name in names]
            print_json({"preset": preset, "slopes": slopes, "rows": rows, "files": files})
        else:
            _print_gains(preset, rows, slopes, out, names)
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


def _print_gains(
    preset: str, rows: list[dict[str, Any]], slopes: list[dict[str, float]], out: Path, names: list[str]
) -> None:
    title = f"Resource allocation, Theorem 2 ({preset}): what one agent among N gains by leaving the equilibrium"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("", "N", "gain KL", "Monte Carlo", "bound", "gain", "value gap", "Monte Carlo"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    shapes = {slope["beta"]: slope for slope in slopes}
    for beta, slope in shapes.items():
        for row in (row for row in rows if row["beta"] == beta):
            table.add_row(
                f"β = {beta:g}",
                f"{row['num_agents']:,}",
                _number(row["gain_regularised"], "{:.3e}"),
                _estimate(row["sampled_gain_regularised"], row["sampled_gain_error"]),
                _number(row["bound_regularised"], "{:.2e}"),
                _number(row["gain"], "{:.5f}"),
                _number(row["value_gap"], "{:.3e}"),
                _estimate(row["sampled_value_gap"], row["sampled_value_gap_error"]),
            )
        names_of = ("gain_regularised", "bound_regularised", "value_gap")
        kl, bound, gap = (f"slope {slope[name]:.3f}" for name in names_of)
        table.add_row("", "", kl, "", bound, f"to {slope['gain_limit']:.5f}", gap, "", end_section=True)
    screen = console()
    screen.print(table, markup=False)
    low, high = reproduce.FIT
    for line in (
        "gain: what an agent gains by leaving the policy, in units of reward; gain KL: counting KL terms; bound: on it",
        "value gap: difference of what N agents and infinitely many earn, each on average",
        f"slope: exponent of N, fitted between N = {low} and {high:,}; Theorem 2 of the paper has −1/2",
        f"saved in {out}: {', '.join(names)}",
    ):
        screen.print(line, markup=False, soft_wrap=True)


def _estimate(value: float | None, error: float | None) -> str:
    return "" if value is None or error is None else f"{value:.2e} ± {error:.0e}"
