"""The reference of the command line, written from the commands themselves."""

import re
from pathlib import Path
from typing import Any

_MARKUP = re.compile(r"\[/?(?:b|dim|i)\]")


def page() -> str:
    """Return the page in MyST's markdown."""
    import typer

    from mfgjax.cli.app import STATUS, app

    group = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "`mfgjax COMMAND --help` prints the same. Every command takes the precision from `--float32` (else double).",
        "",
        STATUS,
    ]
    for name, command in group.commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        lines += ["", f"## mfgjax {name}", ""]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and not p.hidden and p.name != "help"]
        usage = ["mfgjax", name, *(p.metavar or p.name.upper() for p in arguments)] + ["[OPTIONS]"] * bool(options)
        lines += ["```text", " ".join(usage), "```", "", _prose(command.help or "")]
        for parameter in arguments:
            lines += ["", f"`{parameter.metavar or parameter.name.upper()}`", f": {_plain(parameter.help or '')}"]
        for parameter in options:
            names = ", ".join([*parameter.opts, *parameter.secondary_opts])
            lines += ["", f"`{names}{_value(parameter)}`", f": {_plain(parameter.help or '')}{_default(parameter)}"]
    return "\n".join(lines) + "\n"


def _value(parameter: Any) -> str:
    if parameter.is_flag:
        return ""
    if parameter.metavar:
        return f" {parameter.metavar}"
    return " VALUE"


def _default(parameter: Any) -> str:
    default = parameter.default
    if default in (None, []) or parameter.is_flag or parameter.required:
        return ""
    return f" Default: `{default}`."


def _plain(text: str) -> str:
    text = re.sub(r"\[b\](-[\w-]+|\w+)\[/b\]", r"`\1`", text)
    return _MARKUP.sub("", text)


def _prose(text: str) -> str:
    """Return the text of a command: examples as a block, the rest as paragraphs."""
    found: list[str] = []
    for paragraph in text.split("\n\n"):
        plain = _plain(paragraph)
        if plain.strip("`") == "Examples":
            found += ["Examples:"]
        elif plain.startswith((" ", "mfgjax ")):
            block = [line[2:] if line.startswith("  ") else line for line in plain.splitlines()]
            language = "sh" if block[0].startswith("mfgjax ") else "text"
            if found and found[-1].startswith(f"```{language}\n"):
                found[-1] = found[-1].removesuffix("\n```") + "\n" + "\n".join(block) + "\n```"
            else:
                found += [f"```{language}\n" + "\n".join(block) + "\n```"]
        else:
            found += [plain]
    return "\n\n".join(found)


def _write(app: Any) -> None:
    target = Path(app.srcdir) / "reference" / "command-line.md"
    text = page()
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Write the page before Sphinx looks for its sources."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True}
