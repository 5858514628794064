"""Stops a target that keeps refusing: a wrong key or model must not burn the whole schedule."""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.swarm.call import Answer

STOP_AFTER = 8
"""Refusals in a row, with no answer of another kind between them."""
_REFUSALS = frozenset({400, 401, 403})


@dataclass(slots=True)
class Trip:
    """Why a target was stopped, and how many of its arrivals were not sent since."""

    status: int
    message: str
    skipped: int = 0


class Breaker:
    """Counts refusals in a row per target."""

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}
        self.trips: dict[str, Trip] = {}

    def is_stopped(self, target: str) -> bool:
        """Tell whether the target was stopped, and count the arrival that is skipped for it."""
        trip = self.trips.get(target)
        if trip is None:
            return False
        trip.skipped += 1
        return True

    def take(self, target: str, answer: Answer) -> None:
        """Take note of an answer."""
        status = answer.status
        if status is None:
            return
        if status not in _REFUSALS:
            self._in_a_row[target] = 0
            return
        count = self._in_a_row.get(target, 0) + 1
        self._in_a_row[target] = count
        if count >= STOP_AFTER and target not in self.trips:
            self.trips[target] = Trip(status, answer.error_message or f"HTTP {status}")
