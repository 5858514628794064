"""The part of a request that blocks a greenlet: name look-up, connecting, TLS, writing.

It is bounded as a whole, and can be given up from outside. Both work as `gevent.Timeout` does: an
exception is thrown into the greenlet where it waits.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import gevent

from tfy_last9.swarm.deadlines import Deadlines


class RunOver(OSError):
    """The run ended while a connection was being made or a request written."""


class Attempt:
    """Use as a context manager in the greenlet that is about to block (`Expirable`)."""

    __slots__ = ("_deadlines", "_greenlet", "_over", "deadline_ns")

    def __init__(self, deadlines: Deadlines, deadline_ns: int) -> None:
        self._deadlines = deadlines
        self._greenlet: Any = gevent.getcurrent()
        self._over = False
        self.deadline_ns = deadline_ns

    def __enter__(self) -> Self:
        self._deadlines.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._deadlines.discard(self)

    def expire(self) -> None:
        """Raise `TimeoutError` where the greenlet waits."""
        self._throw_soon(TimeoutError("not connected and written in time"))

    def abort(self) -> None:
        """Raise `RunOver` where the greenlet waits."""
        self._throw_soon(RunOver("the run ended first"))

    def _throw_soon(self, error: OSError) -> None:
        # From the hub: there, a greenlet inside its attempt is certain to be waiting.
        gevent.get_hub().loop.run_callback(self._throw, error)

    def _throw(self, error: OSError) -> None:
        if not self._over:
            self._over = True
            self._greenlet.throw(error)
