"""Closed-loop users of one worker: they begin together, ask when they like, and stop when the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from tfy_last9.arrivals.closed import ClosedLoop
from tfy_last9.arrivals.schedule import NS_PER_S, Arrival
from tfy_last9.model.scenario import Scenario
from tfy_last9.swarm.pool import UserPool


class ClosedFeed:
    """Where users ask for their next request."""

    def __init__(
        self,
        scenario: Scenario,
        loop: ClosedLoop,
        pool: UserPool,
        on_asked: Callable[[Arrival], None],
    ) -> None:
        self._scenario = scenario
        self._targets = [target.name for target in scenario.targets]
        self._loop = loop
        self._pool = pool
        self._on_asked = on_asked
        self._zero_ns = 0
        self._over = False
        self._begun: Any = Event()

    def run(self, zero_ns: int) -> None:
        """Let users begin at schedule zero (monotonic), spread over the mean pause; return at the end."""
        self._zero_ns = zero_ns
        self._sleep_until(0.0)
        self._begun.set()
        pause_s = self._scenario.think_s / max(1, self._pool.waiting)
        self._pool.ask_from_now_on(self.next)
        while self._pool.waiting and (arrival := self.next()) is not None:
            self._pool.hand_over(arrival)
            gevent.sleep(pause_s)
        self._sleep_until(self._scenario.duration_s)
        self._over = True

    def end(self) -> None:
        """Answer nobody any more; those who wait for the beginning are let go."""
        self._over = True
        self._begun.set()

    def next(self) -> Arrival | None:
        """Return the next request of the mix, due now; None when the time is over."""
        return self._take(None)

    def ask(self, target: str, count: int = 1) -> Arrival | None:
        """Return an arrival at a target, due now, at the earliest when the run begins; None when it is over.

        Raises `KeyError` for a target that the scenario does not have.
        """
        if target not in self._targets:
            known = ", ".join(self._targets)
            raise KeyError(f"the scenario has no target {target!r}; it has {known}")
        self._begun.wait()
        return self._take(self._targets.index(target), count)

    def pause_s(self) -> float:
        """Return how long a user pauses before its next request, seconds."""
        return self._loop.pause_s()

    def _take(self, target: int | None, count: int | None = None) -> Arrival | None:
        if self._over:
            return None
        arrival = self._loop.take(max(0, time.monotonic_ns() - self._zero_ns), target, count)
        if arrival is not None:
            self._on_asked(arrival)
        return arrival

    def _sleep_until(self, since_s: float) -> None:
        since_ns = time.monotonic_ns() - self._zero_ns
        gevent.sleep(max(0.0, since_s - since_ns / NS_PER_S))
