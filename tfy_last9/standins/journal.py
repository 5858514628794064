"""The sandbox's own record of what truly happened: one JSON object per line, many writers.

Every stand-in process appends to the same file. A line goes out in a single `write` on a descriptor
opened with O_APPEND, which POSIX makes atomic with respect to the file offset, so lines of different
processes never interleave. Only tests read it: it is the truth the client side is compared with.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson


class Journal:
    """Append-only journal of one process."""

    __slots__ = ("_fd", "process")

    def __init__(self, path: Path | str, process: str) -> None:
        self.process = process
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, event: str, **fields: object) -> None:
        """Append one line; `t_ns` is wall time, `mono_ns` is comparable across local processes."""
        line = orjson.dumps(
            {
                "t_ns": time.time_ns(),
                "mono_ns": time.monotonic_ns(),
                "process": self.process,
                "event": event,
                **fields,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        os.write(self._fd, line)

    def close(self) -> None:
        """Close the descriptor; writing afterwards is an error."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
