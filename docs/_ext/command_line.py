"""The reference of the command line, written from the commands themselves."""

from pathlib import Path
from typing import Any


def page() -> str:
    """Return the page in MyST's markdown."""
    import typer

    from mfgjax.cli.app import STATUS, app
    from mfgjax.cli.help import grouped, prose_and_examples, term, usage

    group = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "`mfgjax COMMAND --help` prints the same. Precision is double, or single with `--float32`.",
        "",
        f"{STATUS} [Use it from scripts](../scripts.md) says more.",
    ]
    for name, command in group.commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        said, examples = prose_and_examples(command.help or "")
        lines += ["", f"## mfgjax {name}", "", "```text", f"mfgjax {usage(command)}", "```", "", said, ""]
        lines += ["```sh", *examples, "```"]
        for title, parameters in grouped(command).items():
            lines += ["", f"**{title}**"]
            for one in parameters:
                lines += ["", f"`{term(one)}`", f": {one.help or ''}"]
    return "\n".join(lines) + "\n"


def _write(app: Any) -> None:
    target = Path(app.srcdir) / "reference" / "command-line.md"
    text = page()
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Write the page before Sphinx looks for its sources."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True}
