"""All kernels, responses, solvers, learners or ready-made games in a page of the reference, from one line."""

import re
from typing import Any

import mfgjax
from mfgjax._names import offered


def written_out(text: str) -> str:
    """Return a page in which each `.. offered:: folder [kind]` is the directives of what that folder offers."""

    def directives(line: re.Match[str]) -> str:
        folder, kind = line.groups(default="")
        auto = "function" if folder == "games" else "class"
        names = [name for name, base in offered(folder).items() if base.endswith(kind)]
        # games and learners are in rooms of their own, as the page says; of the others the top level has some
        rooms = [
            "" if folder in ("games", "learners") or name in dir(mfgjax) else f"mfgjax.{folder}." for name in names
        ]
        return "\n\n".join(f".. auto{auto}:: {room}{name}" for room, name in zip(rooms, names, strict=True))

    return re.sub(r"^\.\. offered:: (\w+)(?: (\w+))?$", directives, text, flags=re.MULTILINE)


def setup(app: Any) -> dict[str, Any]:
    """Register the rewriting of pages."""

    def rewrite(app: Any, name: str, source: list[str]) -> None:
        source[0] = written_out(source[0])

    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True}
