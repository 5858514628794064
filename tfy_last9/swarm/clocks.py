"""How far a worker's clocks are from the master's, measured over Locust's own connection.

The worker asks for the time; the master's answer was given somewhere between question and receipt. With
the fastest exchange of many that is known best (Cristian, "Probabilistic clock synchronization", 1989; NTP
filters by least delay too, RFC 5905 section 10). What is measured is the master's UTC at an instant of
the worker's *monotonic* clock: a wall clock that is stepped during a run changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import Event

BURST = 8
"""Exchanges before a run: the fastest of them counts."""
BURST_PAUSE_S = 0.02
EVERY_S = 5.0
"""Pause between exchanges afterwards; they show drift, and that the connection lives."""
ENOUGH = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """What one exchange says."""

    ahead_ns: int
    """Master's UTC minus the worker's monotonic clock."""
    uncertainty_ns: int
    """Half the round trip: the truth is within plus or minus this much."""
    wall_offset_ns: int
    """The worker's wall clock minus the master's; only told, never used."""

    @classmethod
    def of(cls, asked_ns: int, master_utc_ns: int, heard_ns: int, wall_ns: int) -> Reading:
        """Read one exchange: asked and heard by the monotonic clock, `wall_ns` when heard."""
        half_ns = (heard_ns - asked_ns) // 2
        ahead_ns = master_utc_ns - (asked_ns + half_ns)
        return cls(ahead_ns, half_ns, wall_ns - (heard_ns + ahead_ns))


class ClockSync:
    """A worker's view of the master's clock."""

    def __init__(self, ask: Callable[[dict[str, Any]], None]) -> None:
        self._ask = ask
        self._readings: list[Reading] = []
        self._enough = Event()
        self._greenlet: Any = gevent.spawn(self._measure)

    def answer(self, data: dict[str, Any]) -> None:
        """Take the master's answer."""
        now_ns = time.monotonic_ns()
        reading = Reading.of(data["asked_ns"], data["utc_ns"], now_ns, time.time_ns())
        self._readings = [*self._readings[-(2 * BURST) :], reading]
        if len(self._readings) >= ENOUGH:
            self._enough.set()

    def best(self, wait_s: float = 0.0) -> Reading | None:
        """Return the reading of the fastest recent exchange; None if the master never answered."""
        self._enough.wait(wait_s)
        return min(self._readings, key=lambda reading: reading.uncertainty_ns, default=None)

    def drift_since(self, start: Reading) -> int | None:
        """Return how far the clocks moved apart since a reading; None without a newer one."""
        best = self.best()
        return None if best is None or best is start else best.ahead_ns - start.ahead_ns

    def again(self) -> None:
        """Measure afresh: a run begins."""
        self._readings.clear()
        self._enough.clear()
        self._greenlet.kill(block=False)
        self._greenlet = gevent.spawn(self._measure)

    def _measure(self) -> None:
        for _ in range(BURST):
            self._ask({"asked_ns": time.monotonic_ns()})
            gevent.sleep(BURST_PAUSE_S)
        while True:
            gevent.sleep(EVERY_S)
            self._ask({"asked_ns": time.monotonic_ns()})
