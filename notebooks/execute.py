"""Execute notebooks and write them back with their outputs: `python notebooks/execute.py [names]`, such as `01 05`.

Needs the extra `notebooks`. What differs from run to run or from machine to machine (times, versions, names of
kernels) is taken out, so that a notebook that shows the same is the same file.
"""

import os
import sys
import time
from pathlib import Path

import nbclient
import nbformat

HERE = Path(__file__).parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Keep sources and outputs alone, with cells numbered from top to bottom."""
    notebook.metadata = nbformat.from_dict(METADATA)
    number = 0
    for place, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"cell-{place:02d}", nbformat.NotebookNode()
        if cell.cell_type != "code":
            continue
        number += 1
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            if "metadata" in output:
                output.metadata = nbformat.NotebookNode()


def execute(path: Path) -> float:
    """Run a notebook from top to bottom, write it back, and return the seconds that took.

    Args:
      path: of the notebook.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    start = time.perf_counter()
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    ).execute()
    seconds = time.perf_counter() - start
    normalise(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds


def main(names: list[str]) -> None:
    """Execute all notebooks, or those whose file names begin with one of some names.

    Args:
      names: such as "01".
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the committed numbers are those of a CPU
    paths = [path for path in sorted(HERE.glob("*.ipynb")) if not names or path.stem.startswith(tuple(names))]
    if not paths:
        sys.exit(f"no notebook in {HERE.name} begins with {' or '.join(names)}")
    for path in paths:
        seconds = execute(path)
        print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
