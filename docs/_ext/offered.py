"""All kernels, responses, solvers, learners or ready-made games in a page of the reference, from one line."""

import re
from typing import Any

from mfgjax._names import offered


def written_out(text: str) -> str:
    """Return a page in which each `.. offered:: folder [kind]` is the directives of what that folder offers."""

    def directives(line: re.Match[str]) -> str:
        folder, kind = line.groups(default="")
        auto = "function" if folder == "games" else "class"
        names = [name for name, base in offered(folder).items() if base.endswith(kind)]
        return "\n\n".join(f".. auto{auto}:: {name}" for name in names)

    return re.sub(r"^\.\. offered:: (\w+)(?: (\w+))?$", directives, text, flags=re.MULTILINE)


def setup(app: Any) -> dict[str, Any]:
    """Register the rewriting of pages."""

    def rewrite(app: Any, name: str, source: list[str]) -> None:
        source[0] = written_out(source[0])

    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True}
