"""The site is true: docstrings say what they must, what is shown runs, and no public name changes unnoticed."""

import ast
import code
import doctest
import inspect
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import typer
from pages import run_and_compare
from public_names import SNAPSHOT, listing, members, public_names

import mfgjax as mfg
from mfgjax.cli.app import app
from mfgjax.engine.prepare import methods

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
NAMES = public_names()
FUNCTIONS = {name: x for name, x in NAMES.items() if inspect.isfunction(x)}
CLASSES = {name: x for name, x in NAMES.items() if inspect.isclass(x)}
ELSEWHERE = ("sweeps",)  # run by test_readme
LINES = re.DOTALL | re.MULTILINE


def documented(doc: str, section: str) -> set[str]:
    """Return the names that a section of a docstring explains."""
    found = re.search(rf"^{section}:\n((?:[ ]+.*\n|\n)*)", doc + "\n", flags=re.MULTILINE)
    return set() if found is None else set(re.findall(r"^  \*{0,2}(\w+): \S", found[1], flags=re.MULTILINE))


def parameters_of(thing: Any) -> set[str]:
    return {name for name in inspect.signature(thing).parameters if not name.startswith("_")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_its_arguments_are_and_what_it_returns(name):
    doc = inspect.getdoc(FUNCTIONS[name]) or ""
    assert doc.splitlines()[0].endswith("."), "one sentence first"
    assert documented(doc, "Args") == parameters_of(FUNCTIONS[name])
    assert "\nReturns:" in doc or re.match(r"(Return|Build|Write|Draw|Check|Place) ", doc)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_what_its_arguments_or_attributes_are(name):
    thing, doc = CLASSES[name], inspect.getdoc(CLASSES[name]) or ""
    assert doc.splitlines()[0].endswith("."), "one sentence first"
    if name == "mfgjax.RESULTS" or not parameters_of(thing):
        return
    said = documented(doc, "Args") | documented(doc, "Attributes")
    assert said >= parameters_of(thing) - {"message"}  # of an exception


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_class_offers_is_documented(name):
    for member, x in members(CLASSES[name]).items():
        assert inspect.getdoc(getattr(CLASSES[name], member, x)) or inspect.getdoc(x), member


def test_what_can_raise_says_so():
    """A `raise ValueError` or a check in the body of a public function is in its docstring."""
    for name, function in FUNCTIONS.items():
        if re.search(r"raise ValueError|_checks\.(?!is_traced)", inspect.getsource(function)):
            assert "ValueError" in documented(inspect.getdoc(function) or "", "Raises"), name


IS_DRAWN = re.compile(r"mfgjax\.plot\.(plot|animate)_")
ROOMS_OF_FUNCTIONS = ("design", "finite", "games", "io", "learners", "plot")
WITH_EXAMPLES = [name for name, x in NAMES.items() if ">>> " in (getattr(x, "__doc__", None) or "")]


def test_every_name_that_users_call_has_an_example():
    at_top = [f"mfgjax.{name}" for name in dir(mfg) if not inspect.ismodule(getattr(mfg, name))]
    in_rooms = [name for name in FUNCTIONS if name.split(".")[1] in ROOMS_OF_FUNCTIONS]
    assert {*at_top, *in_rooms} <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", [name for name in WITH_EXAMPLES if not IS_DRAWN.match(name)])
def test_the_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    thing = NAMES[name]
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(thing) or "", {}, name, None, None)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    told: list[str] = []
    runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


def calls(source: str) -> list[tuple[str, list[str], set[str]]]:
    """Return the calls in some Python: the function, the positional arguments, and the named ones with their values."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [(ast.unparse(c.func), [*map(ast.unparse, c.args)], {*map(ast.unparse, c.keywords)}) for c in found]


def test_the_example_of_a_plot_function_is_drawn_in_the_gallery():
    """The site's build runs the gallery. An example may leave out named arguments."""
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    drawn = [
        call
        for cell in re.findall(r"^```{code-cell} python\n(.*?)^```", page, flags=LINES)
        for call in calls(re.sub("^:tags:.*", "", cell))
    ]
    for name in filter(IS_DRAWN.match, WITH_EXAMPLES):
        (example,) = doctest.DocTestParser().get_examples(inspect.getdoc(NAMES[name]) or "")
        function, arguments, named = calls(example.source)[0]
        assert function == name.replace("mfgjax", "mfg"), name
        assert any(call[:2] == (function, arguments) and named <= call[2] for call in drawn), example.source


def test_the_reference_has_every_public_name(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "_ext"), *sys.path])
    from offered import written_out

    paths = (ROOT / "docs" / "reference").glob("*.md")
    pages = "\n".join(written_out(path.read_text(encoding="utf-8")) for path in paths)
    shown = set()
    for module, block in re.findall(r"currentmodule:: (\S+)\n(.*?)```", pages, flags=re.DOTALL):
        names = re.findall(r"auto\w+:: (\S+)", block)
        shown |= {name if name.startswith("mfgjax.") else f"{module}.{name}" for name in names}
    # certify's are in `mfgjax` itself
    assert {name for name in NAMES if not name.startswith(("mfgjax.certify.", "mfgjax.__"))} <= shown


def test_the_gallery_has_a_picture_of_every_plot_function():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^### (\w+)\n(?:(?!^#).)*?^mfg\.plot\.\1\(", page, flags=LINES)
    functions = [name for name in FUNCTIONS if IS_DRAWN.match(name)]
    assert sorted(f"mfgjax.plot.{name}" for name in drawn) == sorted(functions)


def test_public_names_and_signatures_are_as_listed():
    """If a change is meant: `python tests/public_names.py` writes the list anew, and the changelog says so."""
    assert listing() == SNAPSHOT.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    text = re.sub(r"^<!-- not run [^\n]*-->\n```python.*?^```", "", page.read_text(encoding="utf-8"), flags=LINES)
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=LINES)


SHOWN = [page for page in PAGES if blocks(page, "python") and page.stem not in ELSEWHERE]


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs_and_gives_what_it_shows(page, tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        if "jax.distributed.initialize" in block:  # waits for the other hosts
            continue
        # JAX has started here, so the number of devices is what it is
        run_and_compare(block.replace("mfg.use_cpu_cores()", ""), names)


class Pasted(code.InteractiveConsole):
    """An interactive Python that runs nothing, and keeps the blocks of lines that it could not read."""

    def __init__(self):
        super().__init__()
        self.refused: list[str] = []

    def runcode(self, code):
        pass

    def showsyntaxerror(self, *args, **kwargs):
        self.refused.append("\n".join(self.buffer))


def test_a_blank_line_ends_what_is_pasted_into_an_interactive_python():
    pasted = Pasted()
    for line in ["class A:", "    x: int", "", "    def f(self):", "        return 1", ""]:
        pasted.push(line)
    assert pasted.refused and all("def f" in lines or "return 1" in lines for lines in pasted.refused)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_the_python_of_a_page_can_be_pasted_into_an_interactive_python(page):
    """There a blank line ends a class or function, and only a blank line does."""
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=LINES):
        pasted = Pasted()
        # the Enter after a paste is a blank line
        is_unfinished = [pasted.push(line) for line in [*block.splitlines(), ""]][-1]
        assert not pasted.refused and not is_unfinished, pasted.refused


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_the_commands_of_a_page_are_understood(page):
    """Commands, arguments and options exist; nothing is run."""
    commands = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"`(mfgjax [^`\n]+)`", text)
    for block in [*blocks(page, "sh"), *blocks(page, "console")]:
        shown += re.findall(r"(?:^|&& |/)(?:\$ )?(mfgjax .+)$", block, flags=re.MULTILINE)
    for line in shown:
        name, *arguments = shlex.split(re.split(r" (?:\||&&|>|#)", line)[0])[1:]
        if name.isupper():  # `mfgjax COMMAND --help`
            continue
        assert name in commands, line
        if arguments and "..." not in arguments:
            commands[name].make_context(name, arguments)


def test_links_between_pages_lead_somewhere():
    for page in [*PAGES, *(ROOT / "docs" / "reference").glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            path = page.parent / target
            # the site writes these: the page of commands, and copies of the notebooks
            path = ROOT / "notebooks" / path.name if path.suffix == ".ipynb" else path
            assert path.exists() or path.name == "command-line.md", f"{page.name}: {target}"


def test_the_page_of_commands_has_them_all(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "_ext"), *sys.path])
    import command_line

    page = command_line.page()
    for name in typer.main.get_command(app).commands:  # pyright: ignore[reportAttributeAccessIssue]
        assert f"## mfgjax {name}\n" in page
    assert "[b]" not in page and "`--beta NUMBER`" in page


def table_after(page: str, words: str) -> list[list[str]]:
    """Return the rows of the first table below some words, without markup."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").split(words, 1)[1]
    found = re.search(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    assert found is not None
    head = text[found.start() :].splitlines()[0]
    rows = [head, *found[1].splitlines()]
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize(
    ("words", "game"),
    [("With a finite horizon:", mfg.games.left_right), ("In a stationary game:", mfg.games.infection_tipping)],
)
def test_the_table_says_which_solver_goes_with_which_response(words, game):
    made = {"Trembling": mfg.Trembling(0.1), "EpsilonGreedy": mfg.EpsilonGreedy(0.1), "Greedy": mfg.Greedy()}
    made |= {"EntropyRegularized": mfg.EntropyRegularized(1.0), "Boltzmann": mfg.Boltzmann(1.0)}
    head, *rows = table_after("choose-a-solver", words)
    for responses, *cells in rows:
        for response in responses.split(", "):
            for solvers, said in zip(head[1:], cells, strict=True):
                for solver in solvers.split(", "):
                    assert goes(game(), made[response], getattr(mfg.solvers, solver)()) == (said == "yes"), (
                        response,
                        solver,
                    )


def goes(game: Any, response: Any, solver: Any) -> bool:
    try:
        methods(game, response, solver)
    except ValueError:
        return False
    return True


def test_the_table_of_codes_has_them_all():
    _, *rows = table_after("my-solve-fails", "## The codes")
    assert {row[1]: int(row[0]) for row in rows} == {result.name: result.value for result in mfg.RESULTS}


def test_steps_are_said_to_be_an_argument_of_solve():
    with pytest.raises(mfg.ConvergenceError, match=r"`solve\(\.\.\., max_steps=\)`"):
        mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(1.0), mfg.Picard(0.5), max_steps=2)
    for page in ("docs/my-solve-fails.md", "docs/choose-a-solver.md"):
        assert "`solve(..., max_steps=" in (ROOT / page).read_text(encoding="utf-8"), page
