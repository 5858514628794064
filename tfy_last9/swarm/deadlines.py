"""Time-outs for many streams at once: one greenlet looks at all of them ten times a second.

A timer per stream, reset at each chunk, would cost more than reading the chunk.
"""

from __future__ import annotations

import time
from typing import Protocol

import gevent

PERIOD_S = 0.1
"""Resolution of every time-out, and so the most by which one can be late."""


class Expirable(Protocol):
    """Something with a deadline."""

    @property
    def deadline_ns(self) -> int:
        """Monotonic instant at which to give up."""

    def expire(self) -> None:
        """Give up: the deadline is past."""

    def abort(self) -> None:
        """Give up: the run is over."""


class Deadlines:
    """Watches the deadlines of whatever is registered; `deadline_ns` may move at any time."""

    def __init__(self) -> None:
        self._watched: set[Expirable] = set()
        self._greenlet = gevent.spawn(self._watch)

    def __len__(self) -> int:
        """Return how many are watched."""
        return len(self._watched)

    def add(self, item: Expirable) -> None:
        """Start watching."""
        self._watched.add(item)

    def discard(self, item: Expirable) -> None:
        """Stop watching."""
        self._watched.discard(item)

    def abort_all(self) -> None:
        """Give up on everything that is watched."""
        for item in list(self._watched):
            item.abort()

    def close(self) -> None:
        """End the watching greenlet."""
        self._greenlet.kill(block=False)

    def _watch(self) -> None:
        while True:
            gevent.sleep(PERIOD_S)
            now_ns = time.monotonic_ns()
            for item in [item for item in self._watched if now_ns > item.deadline_ns]:
                item.expire()
