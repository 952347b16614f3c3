"""What is shown while long computations run: in notebooks without ipywidgets, and within one chunk of a sweep."""

import contextlib
import importlib
import sys
import types
import warnings

import pytest
import rich.console

import mfgjax as mfg
from mfgjax._progress import progress_bar


@pytest.fixture
def cell(monkeypatch):
    """The texts that the output of a notebook's cell shows, one after the other."""
    texts = []

    def show(data, raw, display_id=None):
        texts.append(data["text/plain"])
        return types.SimpleNamespace(update=show)

    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=show))
    return texts


def test_a_notebook_shows_the_bar_as_text_without_a_warning_and_clears_it(cell):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with progress_bar("sweep", 8) as bar:
            bar.says("compiling")
            bar.within(3)
            bar.says()
            bar(8)
            bar.says("writing")
    first, *shown, last = cell
    assert (first, last) == ("", "")
    assert shown[0].startswith("sweep: compiling") and "0/8" in shown[0]
    assert shown[1].startswith("sweep ") and "3/8" in shown[1]
    assert "8/8" in shown[-1]


def test_nothing_is_shown_where_nobody_looks(cell, capsys):
    with progress_bar("sweep", 8, shown=False) as bar:
        bar(8)
    assert cell == [] and capsys.readouterr() == ("", "")


def test_a_sweep_tells_that_it_compiles_and_moves_within_a_chunk(monkeypatch):
    told = []

    @contextlib.contextmanager
    def recorded(description, total, done=0, *, shown):
        class Bar:
            def __call__(self, units):
                told.append(("done", units))

            def within(self, units):
                told.append(("within", units))

            def says(self, doing=""):
                told.append(("says", doing))

        assert (total, shown) == (3, True)
        yield Bar()

    monkeypatch.setattr(importlib.import_module("mfgjax.sweeps.sweep"), "progress_bar", recorded)
    mfg.sweep(mfg.games.left_right(), beta=[0.5, 1.0, 2.0], chunk=2, outputs=())
    one = [("says", "compiling"), ("says", ""), ("within", 2), ("done", 2)]
    two = [("says", "compiling"), ("says", ""), ("within", 1), ("done", 1)]
    assert told == one + two  # the second chunk is filled up with a copy, which does not count
