"""What the hunts share: options, progress, counts, failures."""

import argparse
import time
import zlib
from collections import Counter
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

MOST_MAPS = 30_000


def options(description: str, num: int, kinds: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--num", type=int, default=num, help=f"how many (default {num:,})")
    parser.add_argument("--seed", type=int, default=0, help="of the first game of every kind")
    parser.add_argument("--kind", action="append", help="only kinds that contain this; may be given several times")
    parser.add_argument("--list", action="store_true", help="print the kinds")
    parser.add_argument("--failures", action="store_true", help="list at the end what no method solved, too")
    chosen = parser.parse_args()
    wanted = chosen.kind or [""]
    chosen.kinds = [kind for kind in kinds if any(part in kind for part in wanted)]
    if chosen.list:
        print("\n".join(chosen.kinds))
        raise SystemExit(0)
    if not chosen.kinds:
        parser.error(f"no kind contains {chosen.kind}")
    return chosen


def generator(kind: str, seed: int) -> np.random.Generator:
    """Return the random numbers of one game, which depend on its kind and seed alone."""
    return np.random.default_rng([zlib.crc32(kind.encode()), seed])


def _num_maps():
    """Return how many pieces of memory this process maps; where that cannot be read, as many as lead to a cleaning."""
    maps = Path("/proc/self/maps")
    return len(maps.read_text().splitlines()) if maps.exists() else 2 * MOST_MAPS


class Tally:
    """Counts by kind, and the failures."""

    def __init__(self, quiet: bool = False):
        self.counts: dict[str, Counter] = {}
        self.failures: list[str] = []
        self.unsolved: list[str] = []
        self.remarks: list[str] = []
        self.quiet, self.start, self.last, self.games = quiet, time.time(), time.time(), 0

    def count(self, row: str, column: str, number: int = 1) -> None:
        """Add to one number of the table."""
        self.counts.setdefault(row, Counter())[column] += number

    def total(self, column: str) -> int:
        """Return the sum of one column."""
        return sum(counter[column] for counter in self.counts.values())

    def fail(self, kind: str, seed: int, what: str) -> None:
        """Note a failure and print it at once."""
        line = f"FAILURE --kind '{kind}' --seed {seed} --num 1: {what}"
        self.failures.append(line)
        if not self.quiet:
            print(line, flush=True)

    def note(self, kind: str, seed: int, what: str) -> None:
        """Note what was not solved, which is no failure of the hunt, and print it at once."""
        self.unsolved.append(f"unsolved --kind '{kind}' --seed {seed}: {what}")
        if not self.quiet:
            print(self.unsolved[-1], flush=True)

    def remark(self, what: str, names: list[str]) -> None:
        """Note for the end of the report something that was seen, and where."""
        self.remarks.append(f"{what}: {', '.join(names) or 'none'}")

    def progress(self, done: int, of: int) -> None:
        """Print a line now and then, and free what is compiled: Linux lets a process map 65,530 pieces of memory."""
        self.games += 1
        if not self.quiet and self.games % 20 == 0 and _num_maps() > MOST_MAPS:
            eqx.clear_caches()
            jax.clear_caches()
        if not self.quiet and time.time() - self.last > 20:
            self.last = time.time()
            print(f"{done:,} of {of:,}, {self.last - self.start:.0f} s, {len(self.failures)} failures", flush=True)

    def report(self) -> int:
        """Print the table and return the exit code."""
        columns = sorted({column for counter in self.counts.values() for column in counter})
        width = max(len(row) for row in [*self.counts, "all"])
        print(" " * width, *columns, sep="  ")
        for row, counter in [*sorted(self.counts.items()), ("all", sum(self.counts.values(), Counter()))]:
            print(row.ljust(width), *(f"{counter[c]:>{len(c)}}" for c in columns), sep="  ")
        print(f"{len(self.failures)} failures in {time.time() - self.start:.0f} s")
        print("\n".join([*self.failures, *self.remarks]))
        return 1 if self.failures else 0
