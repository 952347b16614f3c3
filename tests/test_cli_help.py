"""The help of the command line: it fits one screen, starts from a task, and its examples work."""

import shlex
from pathlib import Path

import pytest
import typer
from commands import ROOT, run

from mfgjax.cli.app import app
from mfgjax.cli.help import prose_and_examples

COMMANDS = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]


def examples_of(name):
    """The commands that the help of a command shows, in one line each."""
    shown = "\n".join(prose_and_examples(COMMANDS[name].help)[1])
    return [shlex.split(line) for line in shown.replace("\\\n", "").splitlines()]


@pytest.fixture(autouse=True)
def screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_the_help_of_the_program_fits_one_screen_and_has_a_line_for_each_command():
    status, out, err = run("--help")
    lines = out.splitlines()
    assert (status, err) == (0, "") and len(lines) <= 24 and max(map(len, lines)) <= 80
    assert lines[2].startswith("Find equilibria") and "  mfgjax solve resource-allocation --beta 3" in lines
    for name, command in COMMANDS.items():
        assert f"  {name:13}{command.help.splitlines()[0]}" in lines


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_fits_one_screen_with_an_example(name):
    status, out, err = run(name, "--help")
    lines = out.splitlines()
    assert (status, err) == (0, "") and len(lines) <= 40 and max(map(len, lines)) <= 80
    assert lines[0].startswith(f"Usage: mfgjax {name}") and lines[-1].startswith("Exit status: 0 done")
    shown = [line.split()[:2] for line in lines[lines.index("") :] if line.startswith("  mfgjax")]
    assert shown and all(words == ["mfgjax", name] for words in shown)
    assert len(shown) == len(examples_of(name))
    for option in COMMANDS[name].params:
        assert option.help and (option.opts[0] in out or option.metavar in out)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_help_are_understood(name):
    """Commands, arguments and options exist, and so do files of examples; nothing is run."""
    for program, command, *arguments in examples_of(name):
        assert (program, command) == ("mfgjax", name)
        COMMANDS[name].make_context(name, list(arguments))
        assert all((ROOT / word).exists() for word in arguments if word.startswith("examples/"))


@pytest.mark.parametrize("name", ["list", "solve", "plot"])
def test_the_first_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*examples_of(name)[0][1:])
    assert (status, err) == (0, "") and out
    assert name != "plot" or Path("game.png").stat().st_size > 5_000


def test_a_narrow_terminal_gets_narrow_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("solve", "--help")[1].splitlines()
    options = lines[lines.index("Game and agents:") :]
    assert max(map(len, options[:-2])) <= 60
