"""Where the master puts what workers send: append-only files in the run folder's `.work/`.

Writing happens on the hub's thread pool, so that a slow disk delays no heartbeat and no stream.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import gevent
import orjson
from gevent.lock import Semaphore


class Spool:
    """Append-only NDJSON files, flushed twice a second and at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._pending: dict[str, list[bytes]] = defaultdict(list)
        self._flushing = Semaphore()
        self._greenlet = gevent.spawn(self._flush_for_ever)
        self.failure: OSError | None = None
        """The first write that failed (a full disk, say): the run is then incomplete."""

    def rows(self, worker: int, lines: bytes) -> None:
        """Keep ledger rows of a worker."""
        self._pending[f"rows-{worker}.ndjson"].append(lines)

    def health(self, worker: int, sample: dict[str, object]) -> None:
        """Keep a health sample of a worker."""
        self._pending[f"health-{worker}.ndjson"].append(orjson.dumps(sample) + b"\n")

    def replace(self, name: str, document: object) -> None:
        """Write a whole JSON file, atomically and at once."""
        path = self.folder / name
        temporary = path.with_suffix(".tmp")
        try:
            temporary.write_bytes(orjson.dumps(document))
            temporary.replace(path)
        except OSError as error:
            self.failure = self.failure or error

    def close(self) -> None:
        """Write what is pending, durably, after what is being written at this moment."""
        self._flush(durable=True)
        self._greenlet.kill(block=False)

    def _flush_for_ever(self) -> None:
        while True:
            gevent.sleep(0.5)
            self._flush(durable=False)

    def _flush(self, *, durable: bool) -> None:
        with self._flushing:
            pending, self._pending = self._pending, defaultdict(list)
            for name, pieces in pending.items():
                path = str(self.folder / name)
                data = b"".join(pieces)
                try:
                    gevent.get_hub().threadpool.apply(_append, (path, data, durable))
                except OSError as error:
                    self.failure = self.failure or error


def _append(path: str, data: bytes, durable: bool) -> None:  # noqa: FBT001 - called through a thread pool
    with open(path, "ab") as file:  # noqa: PTH123 - on a native thread, nothing patched
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())
