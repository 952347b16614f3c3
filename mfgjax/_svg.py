"""Small pictures as SVG for what objects show: lines, bars and maps. Matplotlib takes too long for a `repr`."""

import base64
import html
import math
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._largest_states import evenly
from ._shorten import cut

# Paul Tol's palette "bright", which people with defective colour vision can read, too
COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB")
_VIRIDIS = (
    "440154",
    "482475",
    "414487",
    "355f8d",
    "2a788e",
    "21918c",
    "22a884",
    "44bf70",
    "7ad151",
    "bddf26",
    "fde725",
)
_MISSING = COLOURS[-1]
_WIDTH, _HEIGHT = 340, 170
_LEFT, _TOP, _BOTTOM, _LEGEND = 48, 10, 34, 92
_MOST_POINTS, _MOST_CELLS, _SHADES = 120, 64, 64


class Line(NamedTuple):
    """A line of a picture: its name, and the numbers along both axes; with `dots` only points are drawn."""

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    dots: bool = False


class _Scale(NamedTuple):
    """How numbers become places along an axis of a picture."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False
    whole: bool = False  # ticks at whole numbers only, as of times

    def place(self, values: np.ndarray | float) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = np.log10(values) if self.log else np.asarray(values, float)
        return self.begin + (numbers - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        if self.log:
            first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
            step = max(1, math.ceil((last - first) / 4))
            powers = [10.0**k for k in range(first, last + 1, step)]
            if len(powers) > 1:
                return powers
            near = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 5)]
            return [tick for tick in near if self.low - 1e-9 <= math.log10(tick) <= self.high + 1e-9]
        raw = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(raw))
        step = unit * min((m for m in (1, 2, 5, 10) if m * unit >= raw * (1 - 1e-9)), default=10)
        step = max(step, 1) if self.whole else step
        return [k * step for k in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def lines(
    series: Sequence[Line], x_label: str, y_label: str, *, log_x: bool = False, log_y: bool = False, zero: bool = False
) -> str:
    """Draw lines; what is not finite, or not above 0 on a scale of logs, is left out.

    Args:
      series: the lines; several have a legend.
      x_label: of the horizontal axis.
      y_label: of the vertical axis.
      log_x: whether the horizontal axis is one of logs.
      log_y: the same for the vertical axis.
      zero: whether the vertical axis begins at 0.
    """
    right = _WIDTH - (_LEGEND if len(series) > 1 else 10)
    across = _scale([line.x for line in series], _LEFT, right, log_x)
    across = across._replace(whole=all((np.asarray(line.x) == np.round(line.x)).all() for line in series))
    up = _scale([line.y for line in series], _HEIGHT - _BOTTOM, _TOP, log_y, zero)
    drawn = [_axes(across, up, x_label, y_label)]
    for i, line in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        x, y = across.place(np.asarray(line.x, float)), up.place(np.asarray(line.y, float))
        drawn.append(_points(x, y, colour) if line.dots else _path(x, y, colour))
    if len(series) > 1:
        drawn.append(_legend([line.label for line in series], right + 10))
    return _svg(drawn, f"{y_label} against {x_label}")


def bars(heights: np.ndarray, labels: Sequence[str], x_label: str, y_label: str) -> str:
    """Draw a bar for each of a few labels."""
    count, right = len(labels), _WIDTH - 10
    up = _scale([heights], _HEIGHT - _BOTTOM, _TOP, False, zero=True)
    room = (right - _LEFT) / count
    drawn = [_axes(None, up, x_label, y_label)]
    for i, height in enumerate(heights):
        top = float(up.place(height))
        if math.isfinite(top):
            x, width = _LEFT + (i + 0.1) * room, 0.8 * room
            drawn.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(up.begin - top, 0):.1f}" '
                f'fill="{COLOURS[0]}"/>'
            )
    wide = 6 * min(max(map(len, labels)), 7) + 4
    drawn += [_text(x, up.begin + 13, word, "middle") for x, word in _named(labels, count, _LEFT, right, wide)]
    return _svg(drawn, f"{y_label} against {x_label}")


def heat_map(table: np.ndarray, columns: Sequence[object], labels: Sequence[str], x_label: str, y_label: str) -> str:
    """Draw a table of numbers from 0 on, `[rows, columns]`, as a map; of many neighbours the greatest is drawn.

    What is no finite number is grey, which a legend says.
    """
    height, right = _HEIGHT + 30, _WIDTH - 60
    bottom = height - _BOTTOM
    cells = greatest_of_neighbours(np.asarray(table, float), _MOST_CELLS, _MOST_CELLS)
    is_number = np.isfinite(cells)
    greatest = cells[is_number].max(initial=0.0)
    shares = np.where(is_number, cells, 0) / (greatest if greatest > 0 else 1)
    shades = np.where(is_number, np.round(shares * (_SHADES - 1)), _SHADES).astype(np.uint8)
    place = f'x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}" preserveAspectRatio="none"'
    drawn = [f'<image {place} style="image-rendering:pixelated" href="{_png(shades)}"/>']
    drawn += [_text(x, bottom + 13, word, "middle") for x, word in _named(columns, table.shape[1], _LEFT, right, 26)]
    drawn += [_text(_LEFT - 4, y + 3, word, "end") for y, word in _named(labels, len(table), _TOP, bottom, 12)]
    drawn += [_text((_LEFT + right) / 2, height - 5, x_label, "middle"), _vertical(y_label, (_TOP + bottom) / 2)]
    ramp = np.arange(_SHADES - 1, -1, -1, dtype=np.uint8)[:, None]
    bar = f'x="{right + 10}" y="{_TOP}" width="10" height="{bottom - _TOP}" preserveAspectRatio="none"'
    drawn.append(f'<image {bar} href="{_png(ramp)}"/>')
    drawn += [_text(right + 24, _TOP + 8, _number(greatest), "start"), _text(right + 24, bottom, "0", "start")]
    if not is_number.all():
        drawn.append(f'<rect x="{right + 10}" y="{bottom + 8}" width="10" height="10" fill="{_MISSING}"/>')
        drawn.append(_text(right + 24, bottom + 17, "nan", "start"))
    return _svg(drawn, f"{y_label} against {x_label}", height)


def _named(words: Sequence[object], count: int, begin: float, end: float, room: float) -> list[tuple[float, str]]:
    """Return the middles of equal cells with their names, of as many as there is room for."""
    width = (end - begin) / count
    step = max(1, math.ceil(room / width))
    return [(begin + (i + 0.5) * width, cut(str(words[i]), 7)) for i in range(0, count, step)]


def _scale(values: Sequence, begin: float, end: float, log: bool, zero: bool = False) -> _Scale:
    numbers = np.concatenate([np.ravel(np.asarray(one, float)) for one in values]) if values else np.zeros(0)
    numbers = numbers[np.isfinite(numbers) & ((numbers > 0) | (not log))]
    low, high = (numbers.min(), numbers.max()) if numbers.size else (1.0, 1.0)
    if log:
        low, high = math.log10(low), math.log10(high)
    low = min(low, 0.0) if zero else low
    # spans that are rounding alone would give every tick the same label
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
        around = 0.5 if log else 0.5 * abs(high) or 1.0
        low, high = low - (0 if zero else around), high + around
    return _Scale(low, high, begin, end, log)


def _axes(across: _Scale | None, up: _Scale, x_label: str, y_label: str) -> str:
    right = _WIDTH - 10 if across is None else across.end
    drawn = [f'<path d="M{_LEFT} {up.end}V{up.begin}H{right:g}" fill="none" stroke="currentColor" opacity=".5"/>']
    ticks = up.ticks()
    words, y_label = _told_apart(ticks, y_label)
    for tick, word in zip(ticks, words, strict=True):
        y = float(up.place(tick))
        drawn.append(f'<path d="M{_LEFT} {y:.1f}H{right:g}" stroke="currentColor" opacity=".15"/>')
        drawn.append(_text(_LEFT - 4, y + 3, word, "end"))
    if across is not None:
        ticks = across.ticks()
        words, x_label = _told_apart(ticks, x_label)
        places = (float(across.place(x)) for x in ticks)
        drawn += [_text(x, up.begin + 13, word, "middle") for x, word in zip(places, words, strict=True)]
    drawn += [_text((_LEFT + right) / 2, _HEIGHT - 5, x_label, "middle"), _vertical(y_label, (up.begin + up.end) / 2)]
    return "".join(drawn)


def _path(x: np.ndarray, y: np.ndarray, colour: str) -> str:
    """Return a line through points, with gaps where one is missing; a point without neighbours is a dot."""
    chosen = evenly(len(x), _MOST_POINTS)
    x, y = x[chosen], y[chosen]
    seen = np.isfinite(x) & np.isfinite(y)
    steps, alone = [], []
    for i in np.flatnonzero(seen):
        after, before = i + 1 < len(x) and seen[i + 1], i > 0 and seen[i - 1]
        if not after and not before:
            alone.append(i)
        steps.append(f"{'L' if before else 'M'}{x[i]:.1f} {y[i]:.1f}")
    stroke = f'fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"'
    return f'<path d="{"".join(steps)}" {stroke}/>' + _points(x[alone], y[alone], colour)


def _points(x: np.ndarray, y: np.ndarray, colour: str) -> str:
    chosen = evenly(len(x), _MOST_POINTS)
    places = [(x[i], y[i]) for i in chosen if math.isfinite(x[i]) and math.isfinite(y[i])]
    return "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" fill="{colour}"/>' for a, b in places)


def _legend(names: Sequence[str], x: float) -> str:
    drawn = []
    for i, name in enumerate(names):
        y = _TOP + 8 + 14 * i
        drawn.append(f'<path d="M{x:g} {y - 3}h12" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="2.5"/>')
        drawn.append(_text(x + 16, y, cut(name, 12), "start"))
    return "".join(drawn)


def _svg(drawn: Sequence[str], said: str, height: int = _HEIGHT) -> str:
    head = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" role="img"'
    style = "font-size:10px;font-family:inherit"
    body = f"<title>{html.escape(said)}</title>{''.join(drawn)}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {head} style="{style}">{body}</svg>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{html.escape(text)}</text>'


def _vertical(text: str, y: float) -> str:
    at = f'transform="translate(10 {y:.1f}) rotate(-90)" text-anchor="middle" fill="currentColor"'
    return f"<text {at}>{html.escape(text)}</text>"


def _number(value: float) -> str:
    text = f"{value:.3g}"
    text = f"{value:.0e}" if len(text) > 5 and abs(value) < 1 else text  # 0.0001 would reach into the label
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _told_apart(ticks: Sequence[float], label: str) -> tuple[list[str], str]:
    """Return ticks as texts that differ, and the label: it says from where they count if a few digits are not enough.

    There is room for a few digits only.
    """
    words = [_number(tick) for tick in ticks]
    if len(set(words)) == len(words):
        return words, label
    first = f"{ticks[0]:.12g}"
    sign = f"+ {first[1:]}" if first[0] == "-" else f"− {first}"
    return [_number(tick - ticks[0]) for tick in ticks], f"{label} {sign}"


def greatest_of_neighbours(table: np.ndarray, *most: int) -> np.ndarray:
    """Return the greatest number of every block of a table that has too many cells, along each axis, for a picture."""
    for axis, limit in enumerate(most):
        block = -(-table.shape[axis] // limit)
        if block > 1:
            # slices are much faster than `reduceat`; the last block may be smaller
            parts = [np.moveaxis(table, axis, 0)[i::block] for i in range(block)]
            whole = np.array(parts[0])
            for part in parts[1:]:
                np.fmax(whole[: len(part)], part, out=whole[: len(part)])
            table = np.moveaxis(whole, 0, axis)
    return table


def _png(shades: np.ndarray) -> str:
    """Return an image of numbered shades of viridis, behind which is one for what is missing.

    It is the address of a picture with its data in it.
    """
    stops = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in _VIRIDIS])
    at = np.linspace(0, len(stops) - 1, _SHADES)
    palette = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    missing = [int(_MISSING[i : i + 2], 16) for i in (1, 3, 5)]
    palette = np.vstack([palette, missing])
    height, width = shades.shape
    # each row begins with the number of its filter, 0 for none
    rows = np.hstack([np.zeros((height, 1), np.uint8), shades]).tobytes()
    chunks = [
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.round().astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in chunks:
        data += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return "data:image/png;base64," + base64.b64encode(data).decode()
