"""The blocks of a sweep on disk: computed here, by an executor's workers, or by whoever joins in."""

import functools
import logging
import os
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from .. import _checks
from .._identity import identity
from .._progress import Bar, progress_bar
from .._shorten import shorten_text
from .._traced import as_it_is_now
from .call import Call
from .claims import Claims, Status
from .devices import advise_cores
from .grid import Tile
from .record import parts_of, provenance
from .store import Store
from .work import Work

_log = logging.getLogger("mfgjax")
_PAUSE = 0.2
"""Seconds between two looks at what others have done."""
_AGAIN = 5.0
"""Seconds until a block is handed out again that another process computes."""
_MOST_TRIES = 2
"""Times that an executor may lose a block; then it is given up."""
_opening = threading.Lock()


class Future(Protocol):
    """What `submit` of an executor returns."""

    def done(self) -> bool: ...

    def result(self) -> Any: ...


class Executor(Protocol):
    """What hands functions to workers, as executors of `concurrent.futures` do."""

    def submit(self, fn: Any, /, *args: Any) -> Future: ...


class Blocks:
    """The blocks of one sweep: the tiles that are computed at once and stored as one file of each array.

    Attributes:
      store: the folder.
      work: what computes a tile.
      tiles: in order; the number of a block is its place.
      claims: which process computes which.
    """

    def __init__(self, store: Store, work: Work, tiles: list[Tile]):
        self.store, self.work, self.tiles = store, work, tiles
        self.claims = Claims(store.notes / "claims")

    def progress(self, shown: bool) -> AbstractContextManager[Bar]:
        """Return a progress bar, on which the points that are computed already took no time."""
        return progress_bar("sweep", sum(tile.size for tile in self.tiles), self._num_done(self.open()), shown=shown)

    def open(self) -> list[int]:
        """Return the numbers of the blocks that are still to be computed: those last at which processes died."""
        done = self.store.is_done(self.tiles)
        numbers = [number for number in range(len(self.tiles)) if not done[number]]
        return sorted(numbers, key=self.claims.deaths)

    def compute(self, number: int, bar: Bar) -> Status:
        """Compute a block and write it, unless another process does or has given it up."""
        tile = self.tiles[number]
        with self.claims.hold(number) as obstacle:
            if obstacle is not None:
                return obstacle
            if not self.store.is_done([tile])[0]:
                self.store.write(tile, self.work.compute(tile, self.tiles[0].size, bar))
            return Status.done

    def compute_all(self, bar: Bar) -> int:
        """Compute all blocks here, but those that other processes compute meanwhile; wait for these.

        Returns:
          How many points were computed here.
        """
        since, computed = time.monotonic(), 0
        while waiting := self._not_given_up(bar):
            before = computed
            for number in waiting:
                if self.compute(number, bar) == Status.done:
                    bar(self.tiles[number].size)
                    computed += self.tiles[number].size
                    advise_cores(since)
            if computed == before:
                time.sleep(_PAUSE)
        return computed

    def hand_out(self, executor: Executor, bar: Bar) -> None:
        """Let the workers of an executor compute all blocks; hand a block out again that is lost with its worker."""
        folder, waiting, running = str(self.store.path), deque(self.open()), {}
        tries, later = dict.fromkeys(waiting, 0), []
        while waiting or running or later:
            while waiting:
                number = waiting.popleft()
                try:
                    running[number] = executor.submit(compute_block, folder, number)
                except Exception as error:  # broken pools raise kinds of their own
                    _log.warning(
                        "The executor takes no more work (%s); this process computes what is left.", _shown(error)
                    )
                    self.compute_all(bar)
                    return
            finished = [number for number, future in running.items() if future.done()]
            for number in finished:
                status = self._outcome(number, running.pop(number), tries)
                if status == Status.done:
                    bar(self.tiles[number].size)
                elif status == Status.taken:
                    later.append((time.monotonic() + _AGAIN, number))
            now = time.monotonic()
            waiting.extend(number for when, number in later if when <= now)
            later = [(when, number) for when, number in later if when > now]
            if not finished:
                time.sleep(_PAUSE / 4)

    def _outcome(self, number: int, future: Future, tries: dict[int, int]) -> Status:
        try:
            status = Status(future.result())
        except OSError:  # of the folder; `compute_block` raises nothing else
            raise
        except Exception as error:  # of the executor, which has lost the worker
            tries[number] += 1
            if tries[number] >= _MOST_TRIES:
                self.claims.give_up(number, f"the executor lost it {tries[number]} times: {_shown(error)}")
                return Status.given_up
            return Status.taken
        if status == Status.failed:
            raise ValueError(f"{self._named(number)} cannot be computed: {self.store.error(number)}")
        return status

    def conclude(self) -> None:
        """Warn of blocks that were given up; if there are none, remove what was noted on the way."""
        reasons, left = self.claims.reasons(), self.open()
        for number in left:
            if number in reasons:
                name = self._named(number)
                _log.warning("%s is not computed: %s. The same call of `sweep` tries again.", name, reasons[number])
        if not left:
            self.claims.clear()

    def _not_given_up(self, bar: Bar) -> list[int]:
        waiting, reasons = self.open(), self.claims.reasons()
        bar.stands_at(self._num_done(waiting))
        return [number for number in waiting if number not in reasons]

    def _num_done(self, waiting: list[int]) -> int:
        sizes = [tile.size for tile in self.tiles]
        return sum(sizes) - sum(sizes[number] for number in waiting)

    def _named(self, number: int) -> str:
        points, tile = self.work.points, self.tiles[number]
        if points.zipped:
            first, last = (str(tile.begin[0] + i) for i in (0, tile.size - 1))
            where = f"points {first} to {last}" if tile.size > 1 else f"point {first}"
        else:
            where = ", ".join(_extent(axis, tile, place) for place, axis in enumerate(points.axes))
        return f"Block {number} of the sweep in {self.store.path} ({where})"


def _extent(axis: Any, tile: Tile, place: int) -> str:
    labels = axis.labels[tile.region[place]]
    return f"{axis.name} = {labels[0]}" + (f" to {labels[-1]}" if len(labels) > 1 else "")


def _shown(error: Exception) -> str:
    return shorten_text(f"{type(error).__name__}: {error}".rstrip(": "), 160)


def compute_block(folder: str, number: int) -> int:
    """Compute a block of the sweep in a folder: what a worker of an executor is given to do.

    Args:
      folder: of a sweep that `sweep(..., out=folder)` has begun.
      number: of the block.

    Returns:
      A `Status` as a number.

    Raises:
      OSError: if the folder cannot be read or written.
    """
    try:
        with progress_bar("sweep", 1, shown=False) as bar:
            return int(_computed(Path(folder).absolute(), number, bar))
    except OSError:
        raise
    except Exception as error:  # kept in the folder: not every executor brings back every exception
        Store(Path(folder)).note_error(number, str(error))
        return int(Status.failed)


@as_it_is_now
def _computed(folder: Path, number: int, bar: Bar) -> Status:
    call, blocks = _opened(folder)
    with call.in_its_precision():
        return blocks.compute(number, bar)


def _opened(folder: Path) -> tuple[Call, Blocks]:
    """Return the call and the blocks of a folder, prepared once for all blocks that this process computes."""
    try:
        stat = (folder / ".zattrs").stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"{folder} holds no sweep that `sweep(..., out=...)` has begun.") from error
    with _opening:  # another thread may be at it
        return _opened_as(folder, stat.st_ino, stat.st_mtime_ns)


@functools.lru_cache(4)
def _opened_as(folder: Path, *version: int) -> tuple[Call, Blocks]:
    store = Store(folder)
    call = Call.load(store.notes)
    with call.in_its_precision():
        work, tiles = call.prepare()
        attrs = provenance(call.game, work.plans[0], work.points)
        store.check(identity(parts_of(work, attrs, tiles[0])))
    return call, Blocks(store, work, tiles)


@as_it_is_now
def join_sweep(folder: str | os.PathLike[str], *, progress: bool = True) -> int:
    """Compute blocks of a sweep that another process has begun, until none is left.

    Start it in as many processes as you like, on any machine that sees the folder, at any time; each may be killed at
    any moment. It reads what is to be computed from the folder, which holds Python objects: it runs code that whoever
    wrote the folder chose, so join the sweeps of people whom you trust.

    Args:
      folder: `out` of a call of `sweep` that has begun.
      progress: whether to show a progress bar, which counts the points that all processes have computed.

    Returns:
      How many points this process has computed.

    Raises:
      ValueError: if the folder holds no sweep, or its game cannot be rebuilt here.

    Example:
      >>> import mfgjax as mfg, tempfile, os
      >>> out = os.path.join(tempfile.mkdtemp(), "sweep")
      >>> _ = mfg.sweep(mfg.games.left_right(), beta=[0.5, 1.0], out=out, progress=False)
      >>> mfg.join_sweep(out)  # nothing is left to compute
      0
    """
    path = _checks.file_path("folder", folder).absolute()
    call, blocks = _opened(path)
    shown = _checks.boolean("progress", progress)
    with call.in_its_precision(), blocks.progress(shown) as bar:
        computed = blocks.compute_all(bar)
    blocks.conclude()
    return computed
