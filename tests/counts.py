"""Count what a reader of the library has to pass: files, lines, functions behind a call, places that ask for kinds.

    python tests/counts.py

Files and functions behind a call are those of `mfgjax/` that Python enters during the first call in a new process, by
its profiler: comprehensions and lambdas belong to the function around them. A line that asks for a kind is one that
compares with, or asks for, a kind of game, of response or `Auto`.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "mfgjax"

CALLS = {
    "solve": "mfg.solve(game, response)",
    "sweep": "mfg.sweep(game, beta=[1.0, 2.0, 3.0], progress=False)",
    "certify": "mfg.certify(game, response)",
}

GAMES = r"\bis_stationary\b|isinstance\([^#]*\b(StationaryGame|FiniteHorizonGame|LaneGame)\b"
RESPONSES = (
    r"\bis_smooth\b|isinstance\([^#]*\b(AbstractTempered|AbstractTrembling|Boltzmann|EntropyRegularized|EpsilonGreedy|"
    r"Greedy|Trembling)\b"
)
KINDS = {
    "lines outside model/ that ask for the kind of a game": (GAMES, "model"),
    "lines outside responses/ that ask which response it is": (RESPONSES, "responses"),
    "lines that ask whether a solver is Auto": (r"isinstance\([^#]*\bAuto\b|\| Auto\b", ""),
}

PROFILED = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
import mfgjax as mfg
mfg.sweep  # imported when it is first used
game, response = mfg.games.left_right(), mfg.EntropyRegularized(2.0)
root, seen = {root!r}, set()
def note(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(root):
        name = code.co_qualname if hasattr(code, "co_qualname") else code.co_name
        name = name.replace("<locals>.", "")
        while name.split(".")[-1].startswith("<") and "." in name:
            name = name.rpartition(".")[0]
        if not name.startswith("<"):
            seen.add((code.co_filename, name))
sys.setprofile(note)
{call}
sys.setprofile(None)
print(json.dumps(sorted(seen)))
"""


def behind(call):
    """Return the functions that the first call enters, as pairs of file and name."""
    code = PROFILED.format(root=str(ROOT) + "/", call=call)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def asking(pattern, home):
    """Return the lines that ask for a kind, outside of the folder that the kind lives in."""
    lines = []
    for path in sorted(ROOT.rglob("*.py")):
        if home and home in path.relative_to(ROOT).parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line) and not line.lstrip().startswith("#"):
                lines.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return lines


def main():
    """Print the counts, and with `--list` what was counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print every function and every line, too")
    listed = parser.parse_args().list
    files = sorted(ROOT.rglob("*.py"))
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    print(f"{len(files)} files, {sum(lengths.values()):,} lines, longest {max(lengths.values())}")
    for name, call in CALLS.items():
        functions = behind(call)
        print(f"first {name}: {len({file for file, _ in functions})} files, {len(functions)} functions")
        if listed:
            print(*(f"    {Path(file).relative_to(ROOT)}: {own}" for file, own in functions), sep="\n")
    for what, (pattern, home) in KINDS.items():
        lines = asking(pattern, home)
        print(f"{len(lines)} {what}")
        if listed:
            print(*(f"    {line}" for line in lines), sep="\n")


if __name__ == "__main__":
    main()
