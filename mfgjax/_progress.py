"""Progress on stderr: it disappears when the work is done, and is not shown without a terminal."""

import importlib
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_EVERY = 0.2
"""Seconds between two changes of a line in a notebook."""


@contextmanager
def progress_line(total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Show which task is running; yields a function to call with the name of each task as it begins.

    Tasks are announced from the host, between compiled calls: nothing is called back from inside them.

    Args:
      total: number of tasks; None: no bar, only a spinner.
    """
    console = Console(stderr=True)
    # names may hold brackets, which are markup to rich
    columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    if total is not None:
        columns += [BarColumn(bar_width=24), MofNCompleteColumn()]
    columns += [TimeElapsedColumn()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=total)
        num_begun = 0

        def begin(description: str) -> None:
            nonlocal num_begun
            progress.update(task, description=description, completed=num_begun)
            num_begun += 1

        yield begin


class Bar:
    """The progress of a long computation; call it with the units of work that are done, to advance it."""

    def __init__(self, progress: Progress, description: str, total: int, done: int, notebook: "_Notebook | None"):
        self._progress, self._description, self._done, self._notebook = progress, description, done, notebook
        self._task = progress.add_task(description, total=total, completed=done)

    def __call__(self, units: int) -> None:
        self._done += units
        self._show(completed=self._done)

    def stands_at(self, units: int) -> None:
        """Show how many units are done in all, by whomever."""
        self._done = units
        self._show(completed=units)

    def within(self, units: int) -> None:
        """Show units of a piece of work that is not all done yet, and is counted by a call in the end."""
        self._show(completed=self._done + units)

    def says(self, doing: str = "") -> None:
        """Show what is being done, such as "compiling"."""
        self._show(description=f"{self._description}: {doing}" if doing else self._description)

    def _show(self, **what: Any) -> None:
        self._progress.update(self._task, **what)
        if self._notebook is not None:
            self._notebook.show(self._progress.get_renderable(), at_once="description" in what)


class _Notebook:
    """A line of text in the output of a notebook's cell. Rich itself would need ipywidgets, and warn without."""

    def __init__(self):
        display: Any = importlib.import_module("IPython.display")
        self._handle = display.display({"text/plain": ""}, raw=True, display_id=True)
        self._when = 0.0

    def show(self, renderable: Any, at_once: bool) -> None:
        now = time.monotonic()
        if at_once or now - self._when > _EVERY:
            self._when, text = now, io.StringIO()
            # without colours: then the part of the bar that is not done is blank
            Console(file=text, width=100, force_jupyter=False, color_system=None, no_color=True).print(renderable)
            self._handle.update({"text/plain": text.getvalue().rstrip()}, raw=True)

    def clear(self) -> None:
        self._handle.update({"text/plain": ""}, raw=True)


@contextmanager
def progress_bar(description: str, total: int, done: int = 0, *, shown: bool = True) -> Iterator[Bar]:
    """Show the progress of a long computation and the time left; yields what advances it.

    Args:
      description: of the computation.
      total: units of work in all.
      done: units that were done before, which take no time now.
      shown: else nothing is shown; nor is it where there is neither a terminal nor a notebook.
    """
    console = Console(stderr=True)
    columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn()]
    columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    notebook = _Notebook() if shown and console.is_jupyter else None
    visible = shown and console.is_terminal and notebook is None
    with Progress(*columns, console=console, transient=True, disable=not visible) as progress:
        try:
            yield Bar(progress, description, total, done, notebook)
        finally:
            if notebook is not None:
                notebook.clear()
