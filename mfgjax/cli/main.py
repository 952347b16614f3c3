"""From the arguments of a process to its exit status."""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Sequence
from difflib import get_close_matches

import typer

from .app import app
from .output import Interrupted, spell_out

INTERRUPTED = 130

# typer's own copy of click is private to it, but its public errors derive from the class wanted here
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
      arguments: in place of those of the process.

    Returns:
      The exit status: 0 done, 1 no equilibrium found, 2 bad input, 130 interrupted.
    """
    spell_out()
    os.environ.setdefault("MPLBACKEND", "agg")  # pictures go to files: no window is needed
    if arguments is None:
        sys.unraisablehook = interrupt_again
    try:
        status = _run(None if arguments is None else list(arguments))
        if status == INTERRUPTED and arguments is None:
            os._exit(status)  # the compiler's threads still run; an ordinary end would crash on them
        return status
    except BrokenPipeError:  # whoever read stdout has gone: `mfgjax list | head`
        # else Python would fail once more when it flushes stdout at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def interrupt_again(dropped: "sys.UnraisableHookArgs") -> None:
    """Interrupt the main thread once more if Python dropped a Ctrl-C; tell other dropped errors as Python does.

    It drops what is raised inside a finaliser, a callback of a weak reference or of the garbage collector, and JAX
    has many of these.
    """
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, _press_again).start()  # not here, where it would be dropped as well
    else:
        sys.__unraisablehook__(dropped)


def _press_again() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:  # to the thread itself, as that also ends its waiting
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _run(arguments: list[str] | None) -> int:
    try:
        # not standalone: typer would print errors itself, and exit
        status = app(args=arguments, prog_name="mfgjax", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has gone is dealt with
        if status == INTERRUPTED:  # typer has caught it
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except BrokenPipeError:
        raise
    except _UsageError as error:
        problem = error.format_message().replace("Value error, ", "")  # pyright: ignore[reportAttributeAccessIssue]
        if nearest := getattr(error, "possibilities", None):  # of an option
            problem = f"{problem.split(' (')[0]}; did you mean {get_close_matches(problem, nearest, 1, 0)[0]}?"
    except Interrupted as error:
        _say(str(error))
        return INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted.")
        return INTERRUPTED
    except ValueError as error:
        problem = str(error)
    except MemoryError as error:
        problem = f"there is not enough memory for this ({error})."
    except OverflowError as error:
        problem = f"a number is too large for this ({error})."
    except RuntimeError as error:
        # so XLA says that memory is used up; any other is a fault of the library
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        problem = "there is not enough memory for this."
    except OSError as error:
        problem = f"`{error.filename}`: {error.strerror}." if error.filename else f"{error}."
    _say(problem)
    return 2


def _say(sentence: str) -> None:
    line = " ".join(sentence.split())
    print(f"mfgjax: {line}" + ("" if line.endswith((".", ")", "?")) else "."), file=sys.stderr, flush=True)
