"""Which process computes which block of a sweep: files in a folder that all of them can write to.

A block that is computed has a file `block-B.N`, made by one process for itself alone and touched by it every few
seconds. N counts the processes that died at the block before. A process is dead if it ran on this machine and does so
no more, or if its file has not changed for a minute. Both the minute and the change are observed by whoever asks, with
a clock of its own, so that clocks of machines may differ.

Correct results do not depend on claims: the same block computed twice gives the same files, each written whole.
"""

import contextlib
import enum
import json
import os
import platform
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .._files import written_whole

_BEAT = 5.0
"""Seconds between two signs of life."""
_SILENT = 60.0
"""Seconds without a sign of life after which a process counts as dead."""
_GIVEN_UP = re.compile(r"block-(\d+)\.why")
_MOST_DEATHS = 2
"""Processes that may die at a block; then it is given up."""


class Status(enum.IntEnum):
    """What became of a block."""

    done = 0
    taken = 1  # by a process that is alive
    given_up = 2
    failed = 3  # an error in Python


class Claims:
    """The claims in one folder, as one process sees them."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._seen: dict[str, tuple[int, float]] = {}

    @contextlib.contextmanager
    def hold(self, block: int) -> Iterator[Status | None]:
        """Claim a block for the time of the context; yields None, or why it cannot be had: `taken` or `given_up`."""
        path = self._claim(block)
        if isinstance(path, Status):
            yield path
            return
        stop = threading.Event()
        beating = threading.Thread(target=_touch_until, args=(path, stop), daemon=True)
        beating.start()
        try:
            yield None
        finally:
            stop.set()
            beating.join()
            self._remove(block)

    def _claim(self, block: int) -> Path | Status:
        while True:
            claims = self._of(block)
            if claims and not self._is_dead(claims[-1]):
                return Status.taken
            if self._note(block).exists():
                return Status.given_up
            if len(claims) >= _MOST_DEATHS:
                self.give_up(block, f"{len(claims)} processes died while they computed it: {_listed(claims)}")
                return Status.given_up
            path = self._folder / f"block-{block}.{len(claims)}"
            self._folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # by another process, since we looked
                with open(path, "x", encoding="utf-8") as file:
                    json.dump(_whoami(), file)
                return path

    def deaths(self, block: int) -> int:
        """Return how many processes died at a block."""
        claims = self._of(block)
        return len(claims) - bool(claims and not self._is_dead(claims[-1]))

    def give_up(self, block: int, reason: str) -> None:
        """Note that a block is not to be tried again, and why."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self._note(block)) as partial:
            partial.write_text(reason, encoding="utf-8")

    def reasons(self) -> dict[int, str]:
        """Return why blocks were given up, by their numbers."""
        notes = {path: _GIVEN_UP.fullmatch(path.name) for path in self._folder.glob("*")}
        return {int(found[1]): path.read_text(encoding="utf-8") for path, found in notes.items() if found}

    def forgive(self) -> None:
        """Let blocks that were given up be tried again."""
        for block in self.reasons():
            self._remove(block)
            self._note(block).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what processes have left that died."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _note(self, block: int) -> Path:
        return self._folder / f"block-{block}.why"

    def _of(self, block: int) -> list[Path]:
        """Return the claims of a block; all but the last are of dead processes."""
        claims = []
        while (path := self._folder / f"block-{block}.{len(claims)}").exists():
            claims.append(path)
        return claims

    def _remove(self, block: int) -> None:
        for path in reversed(self._of(block)):
            path.unlink(missing_ok=True)

    def _is_dead(self, claim: Path) -> bool:
        try:
            changed, owner = claim.stat().st_mtime_ns, _owner(claim)
        except FileNotFoundError:  # given back
            return False
        if owner.get("where") == _where() and not _lives(owner):
            return True
        before = self._seen.get(claim.name)
        if before is None or before[0] != changed:
            self._seen[claim.name] = changed, time.monotonic()
            return False
        return time.monotonic() - before[1] > _SILENT


def _touch_until(path: Path, stop: threading.Event) -> None:
    while not stop.wait(_BEAT):
        with contextlib.suppress(OSError):  # a disk that fails for a while
            os.utime(path)


def _owner(claim: Path) -> dict:
    try:
        return json.loads(claim.read_text(encoding="utf-8"))
    except ValueError:  # killed before it had written: silence will tell
        return {}


def _listed(claims: list[Path]) -> str:
    owners = map(_owner, claims)
    return ", ".join(f"process {owner.get('process', '?')} on {owner.get('host', '?')}" for owner in owners)


def _whoami() -> dict:
    process = os.getpid()
    return {"host": platform.node(), "process": process, "where": _where(), "started": _started(process)}


def _where() -> str | None:
    """Return what tells apart machines, and containers on them, whose numbers of processes have nothing in common."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux: silence will tell
        return None


def _started(process: int) -> str | None:
    """Return when a process of this machine was started, in ticks since the machine was; None if it is not running."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else fields[18]  # killed, and nobody has asked for its status yet


def _lives(owner: dict) -> bool:
    return owner["where"] is None or _started(owner["process"]) == owner["started"]
