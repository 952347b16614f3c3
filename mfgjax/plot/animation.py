"""Animations that notebooks show."""

import base64
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib import rc_context, rcParams
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes

from .styles import STYLE

INTERVAL = 80  # milliseconds from one picture to the next


class ShownAnimation(FuncAnimation):
    """An animation that notebooks show as a GIF where it is the value of a cell."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "animation.gif")
            self.save(path, writer="pillow")
            text = base64.b64encode(path.read_bytes()).decode("ascii")
        plt.close(self._fig)  # pyright: ignore  # else notebooks also show its first picture
        # an <img>, as not every notebook draws image/gif by itself
        return {"text/plain": repr(self), "text/html": f'<img src="data:image/gif;base64,{text}" alt="animation">'}


def animate(ax: Axes, draw: Callable[[Any], list[Any]], frames: Sequence[Any]) -> ShownAnimation:
    """Return the animation of some frames.

    Args:
      ax: on what figure.
      draw: draws a frame and returns its artists.
      frames: in order.
    """
    figure: Any = ax.get_figure(root=True)
    style: Any = {key: rcParams[key] for key in STYLE}  # of now, not of when a frame is drawn

    def in_style(frame: Any) -> list[Any]:
        with rc_context(style):
            return draw(frame)

    return ShownAnimation(figure, in_style, frames=frames, interval=INTERVAL, cache_frame_data=False)  # pyright: ignore


def moments(num_times: int, frames_per_step: int) -> list[tuple[int, int]]:
    """Return (t, k), k of `frames_per_step` parts of the way from time t to t + 1; half as many pictures stand at t."""
    standing = max(1, frames_per_step // 2)
    frames = [(t, k) for t in range(num_times) for k in (*[0] * standing, *range(1, frames_per_step))]
    # there is no way from the last time on; the end stands as long as any other time
    return frames[: len(frames) - (frames_per_step - 1)] + [(num_times - 1, 0)] * standing


def tell_time(ax: Axes, title: str | None, now: Any, then: Any = None) -> None:
    """Write the time behind a title, or from which time to which the way leads."""
    heading = (f"{title}, " if title else "") + f"t = {now}" + ("" if then is None else f" → {then}")
    # on the left it stands still, as digits are of one width
    ax.set_title(heading, loc="left", parse_math=False)


def eased(k: int, frames_per_step: int) -> float:
    """Return the share of the way after k of all parts; the motion is slow at both ends."""
    part = k / frames_per_step
    return part**2 * (3 - 2 * part)
