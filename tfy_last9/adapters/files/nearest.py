"""What somebody probably meant by a path that is not there."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

MOST = 10_000


def nearest_path(path: Path) -> Path | None:
    """Return the file or folder beside it whose name is nearest; None where nothing is near."""
    names: list[str] = []
    with suppress(OSError):
        for entry in path.parent.iterdir():
            names.append(entry.name)
            if len(names) == MOST:
                break
    found = get_close_matches(path.name, names, 1)
    return path.with_name(found[0]) if found else None
