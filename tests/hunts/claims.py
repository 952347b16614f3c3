"""Attacks on claims: random games for which something is said to be proved or exact, and loops that try to refute it.

    python tests/hunts/claims.py --num 20000 --seed 0

An attack is one claim about one game that was tried. A false claim is a failure; `--kind K --seed N --num 1` repeats
the game of one, as a game depends on its kind and its seed alone.
"""

import sys
from pathlib import Path

import jax

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import exponentials
import finite_numbers
import orders
import reports
import tally
from quick_compile import compile_quickly

PARTS = (reports, orders, finite_numbers, exponentials)
KINDS = [kind for part in PARTS for kind in part.KINDS]
ATTACKS = {kind: part.attack for part in PARTS for kind in part.KINDS}


def hunt(kinds, num, seed, table, most_games=None):
    """Attack games of all kinds in turn until `num` claims were tried."""
    games, done, idle = 0, dict.fromkeys(kinds, 0), set(kinds)
    rounds = max(2, -(-num // (3 * len(kinds))))
    while kinds and table.total("attacks") < num and (most_games is None or games < most_games):
        share, before = max(1, (num - table.total("attacks")) // len(kinds)), table.total("attacks")
        for kind in kinds:
            # kind by kind, so that a program is compiled once and then dropped
            goal = min(num, table.total("attacks") + share)
            for _ in range(rounds):
                if table.total("attacks") >= goal or (most_games is not None and games >= most_games):
                    break
                tried, own = table.total("attacks"), seed + done[kind]
                done[kind], games = done[kind] + 1, games + 1
                try:
                    ATTACKS[kind](kind, own, table)
                except Exception as error:
                    refused = isinstance(error, ValueError) or "custom_vjp" in str(error)  # JAX says why
                    table.count(kind.split("/")[0], "refused" if refused else "ERROR")
                    if not refused:
                        table.fail(kind, own, f"{type(error).__name__}: {str(error)[:300]}")
                if table.total("attacks") > tried:
                    idle.discard(kind)
                table.progress(table.total("attacks"), num)
        if table.total("attacks") == before:
            break
    table.remark(f"{len(idle)} of {len(kinds)} kinds in which nothing was claimed", sorted(idle))
    return table


def main():
    """Run the attacks from the command line."""
    jax.config.update("jax_enable_x64", True)
    compile_quickly()
    chosen = tally.options(__doc__.splitlines()[0], 20_000, KINDS)
    table = tally.Tally()
    hunt(chosen.kinds, chosen.num, chosen.seed, table)
    raise SystemExit(table.report())


if __name__ == "__main__":
    main()
