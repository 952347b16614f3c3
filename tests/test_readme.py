"""What the README shows is true."""

import re
import shlex
from pathlib import Path

import numpy as np

import mfgjax as mfg

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def test_the_python_examples_run_and_give_what_their_comments_say():
    first, own = blocks("python")
    names: dict = {}
    exec(compile(first, "README.md", "exec"), names)
    shown = re.search(r"eq\.mean_field\[-1\]\s+# (\[.*\])", first)
    assert shown is not None
    np.testing.assert_allclose(names["eq"].mean_field[-1], np.array(eval(shown[1])), atol=5e-6)
    exec(compile(own, "README.md", "exec"), names)
    # 1 - 2 x = 0 where both places pay the same; regularisation moves the law by O(1/beta)
    assert bool(names["eq"].converged)
    np.testing.assert_allclose(names["eq"].mean_field[5], [0.5, 0.5], atol=0.05)


def test_the_first_block_holds_the_two_commands():
    main, tests = blocks("sh")[0].strip().splitlines()
    assert "mfgjax reproduce resource-allocation" in main and "pytest" in tests


def test_the_other_commands_exist():
    lines = [shlex.split(line[2:]) for line in blocks("console")[0].splitlines() if line.startswith("$ mfgjax")]
    assert [line[1] for line in lines] == ["solve", "solve", "list"]
    assert Path(__file__).parent.parent.joinpath(lines[0][2]).exists()


def test_plot_and_io_are_there_on_first_use():
    assert callable(mfg.plot.plot_flow) and callable(mfg.io.to_dataset)
