"""Stops a target that only fails: a wrong key, model or outage must not burn the whole schedule."""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.model.request import Outcome
from tfy_last9.swarm.call import Answer

STOP_AFTER = 8
"""Refusals in a row, with no answer of another kind between them."""
STOP_AFTER_FAILURES = 50
"""Failures of any kind in a row; enough that no error rate worth measuring is cut off: at 90 % errors
50 in a row begin with one request in 200, at 50 % practically never."""
_REFUSALS = frozenset({400, 401, 403})


@dataclass(slots=True)
class Trip:
    """Why a target was stopped, and how many of its arrivals were not sent since."""

    status: int | None
    message: str
    skipped: int = 0


class Breaker:
    """Counts refusals and failures in a row per target."""

    def __init__(self, stop_after_failures: int | None = None) -> None:
        """`stop_after_failures`: 0 for never, None for the default."""
        self._limit = STOP_AFTER_FAILURES if stop_after_failures is None else stop_after_failures
        self._refused: dict[str, int] = {}
        self._failed: dict[str, int] = {}
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
        if answer.outcome is Outcome.OK:
            self._failed.pop(target, None)
            self._refused.pop(target, None)
            return
        self._count_refusals(target, answer)
        if answer.outcome is Outcome.ABORTED:  # we ended it: it says nothing about the target
            return
        failed = self._failed[target] = self._failed.get(target, 0) + 1
        if self._limit and failed >= self._limit:
            last = answer.error_message or answer.error_type or answer.outcome.value
            self._trip(target, answer, f"its last {failed} requests all failed, the last: {last}")

    def _count_refusals(self, target: str, answer: Answer) -> None:
        status = answer.status
        if status is None:
            return
        if status not in _REFUSALS:
            self._refused[target] = 0
            return
        count = self._refused[target] = self._refused.get(target, 0) + 1
        if count >= STOP_AFTER:
            self._trip(target, answer, answer.error_message or f"HTTP {status}")

    def _trip(self, target: str, answer: Answer, message: str) -> None:
        self.trips.setdefault(target, Trip(answer.status, message))
