"""Spans on their way into the book: a file, so that memory holds one answer and not fifty."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfy_last9.model.trace import Span


class Waiting:
    """Lines of JSON, one per span, with the instant at which it was asked for."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="tfy-last9-spans-")
        self._path = Path(self._place.name) / "spans.ndjson"
        self._file = self._path.open("wb")
        self.lines = 0

    def put(self, spans: Iterable[Span], asked_ns: int) -> None:
        """Append spans."""
        start = b'{"asked_ns":%d,' % asked_ns
        for span in spans:
            line = orjson.dumps(span, default=dict, option=orjson.OPT_APPEND_NEWLINE)
            self._file.write(start)
            self._file.write(line[1:])
            self.lines += 1

    def written(self) -> Path:
        """Return the file with everything in it."""
        self._file.flush()
        return self._path

    def clear(self) -> None:
        """Begin again."""
        self._file.seek(0)
        self._file.truncate()
        self.lines = 0

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        self._place.cleanup()
