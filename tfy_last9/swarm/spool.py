"""Where the master puts what workers send: append-only files in the run folder's `.work/`.

Unpacking and writing happen on the hub's thread pool, so that a slow disk delays no heartbeat and no
stream. Whoever hands something over is told when it is on disk.
"""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import orjson
from gevent.event import Event
from gevent.lock import Semaphore

Then = Callable[[bool], None]
"""Called on the hub once it is known whether something reached the disk."""


@dataclass(slots=True)
class _File:
    """One append-only file: what is on disk, and what waits for it."""

    size: int = 0
    """Bytes known to be whole; a write that failed half way is cut off again."""
    pieces: list[tuple[bytes, bool]] = field(default_factory=list)
    """Bytes to append, and whether they are packed."""


class Spool:
    """Append-only NDJSON files and a few whole documents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, _File] = defaultdict(_File)
        self._documents: dict[str, bytes] = {}
        self._waiting: list[tuple[int, Then]] = []
        self._flushing = Semaphore()
        self._wake = Event()
        self._failures: dict[str, Exception] = {}
        self._greenlet: Any = gevent.spawn(self._flush_for_ever)

    @property
    def failure(self) -> Exception | None:
        """A write that failed (a full disk, say) and was not made good since."""
        return next(iter(self._failures.values()), None)

    def letter(
        self, worker: int, packed_rows: bytes, sample: dict[str, Any] | None, then: Then
    ) -> None:
        """Keep ledger rows and a health sample of a worker."""
        if packed_rows:
            self._files[f"rows-{worker}.ndjson"].pieces.append((packed_rows, True))
        if sample is not None:
            line = orjson.dumps(sample) + b"\n"
            self._files[f"health-{worker}.ndjson"].pieces.append((line, False))
        self._waiting.append((worker, then))
        self._wake.set()

    def document(self, name: str, content: object) -> None:
        """Keep a whole JSON document; a newer one replaces an older one."""
        self._documents[name] = orjson.dumps(content)
        self._wake.set()

    def close(self, name: str, content: Callable[[], object]) -> None:
        """Write what is pending, durably, then a last document, made when the rest is on disk."""
        self._flush(durable=True)
        self._documents[name] = orjson.dumps(content())
        self._flush(durable=True)
        self._greenlet.kill(block=False)

    def _flush_for_ever(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._flush(durable=False)

    def _flush(self, *, durable: bool) -> None:
        with self._flushing:
            waiting, self._waiting = self._waiting, []
            documents, self._documents = self._documents, {}
            files = list(self._files.items())
            broken = {name for name, file in files if not self._append(name, file, durable)}
            for name, data in documents.items():
                self._try(name, _replace, str(self.folder / name), data)
        for worker, then in waiting:
            then(broken.isdisjoint((f"rows-{worker}.ndjson", f"health-{worker}.ndjson")))

    def _append(self, name: str, file: _File, durable: bool) -> bool:  # noqa: FBT001 - internal
        pieces, file.pieces = file.pieces, []
        if not pieces and not durable:
            return True
        arguments = (str(self.folder / name), file.size, pieces, durable)
        size = self._try(name, _append, *arguments)
        file.size = file.size if size is None else size
        return size is not None

    def _try(self, name: str, work: Callable[..., int], *arguments: object) -> int | None:
        """Do something on the thread pool; None when it failed."""
        try:
            done: int = gevent.get_hub().threadpool.apply(work, arguments)
        except (OSError, zlib.error) as error:
            self._failures[name] = error
            return None
        self._failures.pop(name, None)
        return done


def _append(path: str, at: int, pieces: list[tuple[bytes, bool]], durable: bool) -> int:  # noqa: FBT001 - called through a thread pool
    data = b"".join(zlib.decompress(piece) if packed else piece for piece, packed in pieces)
    with open(path, "ab") as file:  # noqa: PTH123 - on a native thread, nothing patched
        file.truncate(at)
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return at + len(data)


def _replace(path: str, data: bytes) -> int:
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:  # noqa: PTH123 - as above
        file.write(data)
    os.replace(temporary, path)  # noqa: PTH105 - as above
    return len(data)
