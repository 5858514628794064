"""Wakes whoever waits for an instant: one timer of the loop for all streams, not one per token.

A timer and its handle cost more than the token they pace. Waits end on ticks of a millisecond, which is
also the resolution of the loop's own timers, and never before their instant.
"""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, Future, TimerHandle
from heapq import heappop, heappush
from itertools import count

TICK_NS = 1_000_000


class Pacer:
    """The waits of one event loop, the next one first."""

    __slots__ = ("_number", "_timer", "_timer_ns", "_waits", "loop")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self._waits: list[tuple[int, int, Future[None]]] = []
        self._number = count()
        self._timer: TimerHandle | None = None
        self._timer_ns = 0
        """When the timer goes off."""

    def wait(self, due_ns: int) -> Future[None]:
        """Give what is done at an instant of the monotonic clock."""
        future = self.loop.create_future()
        heappush(self._waits, (due_ns, next(self._number), future))
        if self._timer is None:
            self._arm(time.monotonic_ns())
        elif due_ns < self._timer_ns - TICK_NS:
            self._timer.cancel()
            self._arm(time.monotonic_ns())
        return future

    def _arm(self, now_ns: int) -> None:
        left_ns = max(TICK_NS, self._waits[0][0] - now_ns)
        self._timer_ns = now_ns + left_ns
        self._timer = self.loop.call_later(left_ns / 1e9, self._tick)

    def _tick(self) -> None:
        waits, now_ns = self._waits, time.monotonic_ns()
        while waits and waits[0][0] <= now_ns:
            future = heappop(waits)[2]
            if not future.done():  # cancelled with the request it belonged to
                future.set_result(None)
        self._timer = None
        if waits:
            self._arm(now_ns)
