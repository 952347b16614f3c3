"""Kill the processes of a sweep at random moments, and compare what is left in the end with an undisturbed run.

    python tests/hunts/kills.py --num 20 --seed 0

A round starts a sweep of 48 blocks, alone, with two workers of a pool, with two processes that join it, or two calls
at once; after a random time it kills, with SIGKILL, the call, one of the others, or all, once or several times; some
rounds also remove the files of a random block, as if a disk had lost them. Then the same call runs to its end. Every
array must be equal to that of the undisturbed run, bit for bit, and no draft of a file may count as a result.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import tally

TESTS = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
KINDS = ("alone", "pool", "joined", "two calls")
SCRIPT = """
import sys, multiprocessing, concurrent.futures
sys.path.insert(0, {tests!r})
from sweep_to_kill import swept
if __name__ == "__main__":
    if {pool}:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            swept(sys.argv[1], executor=executor)
    else:
        swept(sys.argv[1])
"""


def arrays_of(folder):
    """Return the contents of all files of the dataset by their names; what is noted beside it is no part of it."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path): (folder / path).read_bytes() for path in files if path.parts[0] != ".mfgjax"}


def started(kind, script, folder):
    """Return the processes of a round; each leads a group of its own, so that its workers can be found."""
    call = [sys.executable, str(script), str(folder)]
    join = [sys.executable, "-m", "mfgjax", "work", str(folder)]
    commands = {"alone": [call], "pool": [call], "joined": [call, join, join], "two calls": [call, call]}[kind]
    environment = ENVIRONMENT | {"PYTHONPATH": str(TESTS.parent)}
    found = []
    for command in commands:
        if command is join:
            while not (folder / ".mfgjax" / "call.pickle").exists() and found[0].poll() is None:
                time.sleep(0.01)
        found.append(
            subprocess.Popen(
                command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
    return found


def members(process):
    """Return the processes of a group: a call and the workers of its pool."""
    listed = subprocess.run(["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def kill(rng, processes):
    """Kill one process, one group or all; return how many."""
    alive = [pid for process in processes for pid in members(process)]
    chosen = rng.choice([alive, [rng.choice(alive)] if alive else [], members(rng.choice(processes))])
    for pid in chosen:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(chosen)


def play(kind, seed, scripts, whole, seconds, folder):
    """Play one round; return what differs in the end, and how many processes were killed."""
    rng, killed = random.Random(f"{kind} {seed}"), 0
    for _ in range(rng.choice([1, 1, 2, 3])):
        processes = started(kind, scripts[kind == "pool"], folder)
        time.sleep(rng.uniform(0, 1.2 * seconds))
        killed += kill(rng, processes)
        for process in processes:
            if rng.random() < 0.5:
                for pid in members(process):
                    os.kill(pid, signal.SIGKILL)
            process.wait(timeout=600)
    if rng.random() < 0.3 and (codes := [path for path in (folder / "result_code").glob("[0-9]*")]):
        rng.choice(codes).unlink()
    for _ in range(3):  # a block that was given up is tried again by the next call
        subprocess.run(
            [sys.executable, str(scripts[False]), str(folder)],
            env=ENVIRONMENT | {"PYTHONPATH": str(TESTS.parent)},
            check=True,
            capture_output=True,
            timeout=600,
        )
    found = arrays_of(folder)
    names = {name for name in found | whole if found.get(name) != whole.get(name)}
    return sorted(name for name in names if not name.endswith(".partial")), killed


def main():
    """Run the rounds from the command line."""
    arguments = tally.options(__doc__, 20, list(KINDS))
    kinds = arguments.kinds
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        scripts = []
        for pool in (False, True):
            scripts.append(root / f"call_{pool}.py")
            scripts[-1].write_text(SCRIPT.format(tests=str(TESTS), pool=pool))
        since = time.monotonic()
        started("alone", scripts[0], root / "whole")[0].wait()
        seconds, whole = time.monotonic() - since, arrays_of(root / "whole")
        table = tally.Tally()
        for n in range(arguments.num):
            kind, seed = kinds[n % len(kinds)], arguments.seed + n // len(kinds)
            differing, killed = play(kind, seed, scripts, whole, seconds, root / "round")
            table.count(kind, "rounds")
            table.count(kind, "killed", killed)
            if differing:
                table.fail(kind, seed, ", ".join(differing[:5]))
            shutil.rmtree(root / "round", ignore_errors=True)
            table.progress(n + 1, arguments.num)
        return table.report()


if __name__ == "__main__":
    sys.exit(main())
