"""Progress on stderr: it disappears when the work is done, and is not shown without a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


@contextmanager
def progress_bar(description: str, total: int, done: int = 0, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show the progress of a long computation and the time left; yields a function to advance it.

    Args:
      description: of the computation.
      total: units of work in all.
      done: units that were done before, which take no time now.
      shown: else nothing is shown; nor is it where there is neither a terminal nor a notebook.
    """
    console = Console(stderr=True)
    columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn()]
    columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    visible = shown and (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, transient=True, disable=not visible) as progress:
        task = progress.add_task(description, total=total, completed=done)
        yield lambda units: progress.advance(task, units)
