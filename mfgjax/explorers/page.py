"""One page with everything in it: scripts, styles and numbers, that opens without a network."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .._files import written_whole
from .frames import verdict, whole_numbers
from .scenes import Names, scene_of
from .stored import Stored

SCRIPTS = ("format", "axes", "flow", "places", "policy", "quantity", "controls", "sources", "explorer")
"""The renderer: scripts that make one ES module, in this order."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="mfgjax-page">
<main id="explorer"></main>
<noscript>This page needs JavaScript.</noscript>
<script type="application/json" id="data">{data}</script>
<script type="module">
{script}
const host = document.getElementById("explorer");
mount(host, await storedSource(JSON.parse(document.getElementById("data").textContent)));
</script>
</body>
</html>
"""


def script() -> str:
    """Return the renderer as the text of one ES module, which exports what anywidget wants as its default."""
    return "\n".join(_read(f"{name}.js") for name in SCRIPTS)


def style() -> str:
    """Return the styles of the renderer."""
    return _read("explorer.css")


def _read(name: str) -> str:
    return (files("mfgjax.explorers") / "page" / name).read_text(encoding="utf-8")


def write_page(
    path: Path, grid: Stored, names: Names, labels: Sequence[Any], paths: Sequence[Mapping], megabytes: float
) -> Path:
    """Write a page of the points of a dataset, fewer if they take more than so many megabytes.

    Args:
      path: of the file.
      grid: the points.
      names: of states and actions.
      labels: where the sliders start.
      paths: of equilibria along a slider.
      megabytes: most of the numbers.
    """
    limit = _checks.number_in("megabytes", megabytes, 0, np.inf, "(0, inf)") * 1e6
    kept, notes = _fitting(grid, limit, _places(grid, labels))
    place = _places(kept, labels)
    scene = {**scene_of(names, kept.sliders, place, kept.quantity), "pathable": [], "notes": notes}
    data = {"scene": scene, "paths": list(paths), **_numbers(kept)}
    # "<" cannot end the element, nor begin a comment, if it is escaped in strings
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    page = _PAGE.format(title=escape(names.title or "Mean-field game"), style=style(), data=text, script=script())
    with written_whole(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _places(grid: Stored, labels: Sequence[Any]) -> list[int]:
    return [slider.nearest(label) for slider, label in zip(grid.sliders, labels, strict=True)]


def _fitting(grid: Stored, limit: float, place: Sequence[int]) -> tuple[Stored, list[str]]:
    """Return an even choice of the points that fits into so many bytes, and notes that say so."""
    each = _bytes_of_point(grid)
    counts, all_counts = [len(slider) for slider in grid.sliders], [len(slider) for slider in grid.sliders]
    while np.prod(counts) * each > limit and max(counts) > 2:
        most = int(np.argmax(counts))
        counts[most] = max(2, counts[most] * 9 // 10)
    if counts == all_counts:
        return grid, []
    kept = grid.thinned(counts, place)
    now, was = (" × ".join(f"{len(s):,} {s.name}" for s in one.sliders) for one in (kept, grid))
    whole = np.prod(all_counts) * each / 1e6
    size = f"{whole:,.0f} MB" if whole >= 10 else f"{whole:.2g} MB"
    return kept, [f"This page has {now} of the {was} points that were computed, evenly chosen: all would take {size}."]


def _bytes_of_point(grid: Stored) -> float:
    """Return about how many bytes of the page a point takes, from an even choice of them."""
    few = grid.thinned([3] * len(grid.sliders))
    numbers = _numbers(few)
    return sum(len(text) for text in numbers.values() if isinstance(text, str)) / few.quantities.size


def _numbers(grid: Stored) -> dict[str, Any]:
    """Return the numbers of all points, packed: points in the order of the sliders, the last one fastest."""
    kinds, which = np.unique(np.stack([array.ravel() for array in grid.results]), axis=1, return_inverse=True)
    numbers = {
        name: _deflated(grid.dataset[name].values.astype("<f8")) if name in grid.dataset else None
        for name in ("residual", "exploitability")
    }
    return {
        "law": _deflated(whole_numbers(grid.law.values)),
        "policy": None if grid.policy is None else _deflated(whole_numbers(grid.policy.values)),
        "quantity": _deflated(grid.quantities.astype("<f8")),
        "verdict": _deflated(which.astype("<u2")),
        "verdicts": [verdict(int(code), int(period)) for code, period in kinds.T],
        **numbers,
    }


def _deflated(array: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
