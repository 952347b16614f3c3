"""Where results go: a folder that gets all files at the end or none, JSON, and tables; and the word at Ctrl-C."""

import codecs
import io
import json
import math
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_TOP_STATES = 3  # of a law in a table


class Interrupted(Exception):
    """Ctrl-C where there is more to say than that; typer would take a `KeyboardInterrupt` for itself."""


@contextmanager
def staged(out: Path | None) -> Iterator[Path | None]:
    """Yield a folder to write into, whose files move to `out` at the end; on failure nothing is left.

    The folder is made inside `out`, hence on the same file system, and before anything is computed: what
    cannot be written is refused then. Files of the same names are replaced, others left alone.

    Args:
      out: what `--out` says; it is made if it does not exist. None: None is yielded.

    Raises:
      ValueError: if `out` is no folder and cannot become one, or cannot be written to.
    """
    if out is None:
        yield None
        return
    with writable(out):
        folder = _new_folder(out)
        try:
            yield folder
            files = sorted(folder.iterdir())
            for file in files:
                if (out / file.name).is_dir():
                    raise ValueError(f"`--out` is {str(out)!r}, but {file.name} in it is a folder, not a file.")
            for file in files:
                os.replace(file, out / file.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writable(out: Path) -> Iterator[None]:
    """Make a folder that things can be written into; on failure it is removed again unless something is in it.

    Args:
      out: what `--out` says; it may be there already.

    Raises:
      ValueError: if `out` is no folder and cannot become one, or cannot be written to.
    """
    made = _make_folder(out)
    try:
        _new_folder(out).rmdir()
        yield
    except BaseException:
        for path in made:
            try:
                path.rmdir()
            except OSError:  # somebody else has put something there
                break
        raise


def _new_folder(out: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=".mfgjax-", dir=out))
    except OSError as error:
        raise _refusal(out, error) from error


def _make_folder(out: Path) -> list[Path]:
    """Make a folder with its parents; return those that were not there, innermost first."""
    try:
        missing = [path for path in (out, *out.parents) if not path.exists()]
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ValueError(f"`--out` is {str(out)!r}, but that is a file, not a folder.") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise _refusal(out, error) from error
    return missing


def _refusal(out: Path, error: Exception) -> ValueError:
    reason = getattr(error, "strerror", None) or str(error)
    return ValueError(f"`--out` is {str(out)!r}, but nothing can be written there: {reason}.")


def console() -> Console:
    """Return a console on stdout in which no table is cut: a narrow terminal wraps lines instead."""
    return Console(highlight=False, width=max(Console().width, 124))


def json_of(content: Mapping[str, Any]) -> str:
    """Return one object as text."""
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one object; what stdout cannot encode is escaped, which JSON reads as the same."""
    text = json_of(content)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(content, ensure_ascii=True, indent=2, allow_nan=False)
    print(text)


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """Spell out what a stream cannot encode: letters by name, marks of mathematics as programs write them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    marks = {"–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "→": "->", "≤": "<=", "≥": ">=", "…": "...", "∞": "inf"}
    spelt = []
    for mark in error.object[error.start : error.end]:
        name = unicodedata.name(mark, "").split()
        letter = name[-1].capitalize() if "CAPITAL" in name else name[-1].lower() if name else "?"
        plain = unicodedata.normalize("NFKD", mark).encode("ascii", "ignore").decode()
        spelt.append(marks.get(mark) or (letter if "GREEK" in name else plain or "?"))
    return "".join(spelt), error.end


codecs.register_error("mfgjax-spelt", _spelt)


def spell_out() -> None:
    """Let stdout and stderr spell what they cannot encode, so that no command fails for the sake of a letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="mfgjax-spelt")


def finite(number: Any) -> float | None:
    """Return a number for JSON, which knows none that are not finite."""
    value = float(number)
    return value if math.isfinite(value) else None


def print_sweep(report: Mapping[str, Any]) -> None:
    """Print the summary of a sweep."""
    request, groups, along = report["request"], report["groups"], report["along"]
    title = f"{report['game']} ({request['response']}, solver {request['solver']}), lanes along {along}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in (*groups[0]["at"], "result"):
        table.add_column(name)
    for heading in (f"worst {report['criterion']}", "steps, most"):
        table.add_column(heading, justify="right")
    for end in groups[0]["ends"]:
        law = "law" if "law" in end else "law at the end"
        table.add_column(f"{'mean state and ' * ('mean_state' in end)}{law}, {along} = {_text(end[along])}")
    for group in groups:
        worst = "–" if group["worst_residual"] is None else f"{group['worst_residual']:.1e}"
        numbers = _counts(group["results"]), worst, f"{group['median_steps']:g}, {group['most_steps']}"
        table.add_row(*map(_text, group["at"].values()), *numbers, *map(_heaviest, group["ends"]))
    screen = console()
    screen.print(table, markup=False)
    if len(groups) < report["num_groups"]:
        screen.print(f"{report['num_groups'] - len(groups):,} combinations of the other axes are not shown.")
    axes = " × ".join(f"{axis['count']:,} {name}" for name, axis in report["axes"].items())
    lines = [f"lanes           {report['num_lanes']:,} ({axes}), of which {report['num_converged']:,} converged"]
    computed, devices = report["num_computed"], f"{report['num_devices']} {report['platform']} device"
    if computed < report["num_lanes"]:
        lines.append(f"before          {report['num_lanes'] - computed:,} of them were there")
    if computed:
        time = f"{report['seconds']:.1f} s with compilation: {report['lanes_per_second']:,.4g} lanes per second"
        lines.append(f"time            {time} on {devices}{'s' * (report['num_devices'] > 1)} ({report['dtype']})")
    lines.append("steps           the median of those taken, and the most")
    lines += [f"saved           {file}" for file in report["files"]]
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def failures_of(report: Mapping[str, Any]) -> str:
    """Return a sentence on the lanes of a sweep that did not converge."""
    counts = {name: count for name, count in report["results"].items() if name != "converged"}
    lanes = f"{sum(counts.values()):,} of {report['num_lanes']:,} lanes did not converge ({_counts(counts)})"
    first, (low, high) = dict(report["first_failure"]), report["first_failure"][report["along"]]
    first[report["along"]] = _text(low) if low == high else f"{_text(low)} to {_text(high)}"
    return f"{lanes}, the first at {', '.join(f'{name} {_text(value)}' for name, value in first.items())}."


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _counts(results: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in results.items())


def _heaviest(end: Mapping[str, Any]) -> str:
    """Return the states of a law with most mass, after their mean if it is told, or how the lane failed."""
    if end["result"] != "converged":
        return end["result"]
    law = end["law"] if "law" in end else end["terminal_law"]
    masses = sorted(law.items(), key=lambda item: -round(item[1], 6))[:_TOP_STATES]
    mean = f"{end['mean_state']:.4f};  " if end.get("mean_state") is not None else ""
    return mean + ", ".join(f"{state}: {mass:.3f}" for state, mass in masses if mass >= 5e-4)
