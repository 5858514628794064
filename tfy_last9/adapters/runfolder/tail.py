"""Reads ledger rows while the load process still writes them: each complete line once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class Tail:
    """The `rows-*.ndjson` files of a `.work` folder; files may appear, grow and vanish."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        """Bytes that were read of each file."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what has been written since; a line that is not whole yet waits for the next call."""
        for path in sorted(self._folder.glob("rows-*.ndjson")):
            for line in self._lines(path):
                try:
                    yield orjson.loads(line)
                except ValueError:
                    continue  # whoever seals the ledger counts what cannot be read

    def _lines(self, path: Path) -> list[bytes]:
        start = self._read.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read[path] = start + len(whole)
        return whole.splitlines()
