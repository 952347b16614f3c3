"""What the shell offers at the tab key; nothing heavy is imported, as it is asked at every press."""

from pathlib import Path

from .._names import by_word, offered


def games(incomplete: str) -> list[str]:
    """Return names of games, and the files of games and folders next to what is typed."""
    # both spellings are accepted; the one that is typed is offered
    names = offered("games") if "_" in incomplete else by_word("games")
    return [name for name in names if name.startswith(incomplete)] + _files(incomplete, (".toml", ".nc"))


def files(incomplete: str) -> list[str]:
    """Return the TOML files and folders next to what is typed."""
    return _files(incomplete, (".toml",))


def _files(incomplete: str, endings: tuple[str, ...]) -> list[str]:
    folder, _, name_start = incomplete.rpartition("/")
    place = Path(f"{folder}/" if incomplete.startswith("/") or folder else ".")
    found = []
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.name.startswith(name_start) and (path.is_dir() or path.suffix in endings) and path.name[0] != ".":
            found.append(f"{incomplete[: len(incomplete) - len(name_start)]}{path.name}{'/' if path.is_dir() else ''}")
    return found


def learners(incomplete: str) -> list[str]:
    """Return lists of learners that begin as what is typed."""
    before, comma, name_start = incomplete.rpartition(",")
    chosen_before = before.split(",")
    return [
        f"{before}{comma}{name}"
        for name in by_word("learners")
        if name.startswith(name_start) and name not in chosen_before
    ]
