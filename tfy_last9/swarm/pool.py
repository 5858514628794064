"""Open arrivals inside Locust: waiting users, and a scheduler that hands them due arrivals.

An arrival that finds no waiting user is missed and counted, never delayed: a delay would hide exactly
the stall that the run is there to find (coordinated omission).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import Waiter, get_hub
from locust.exception import StopUser

from tfy_last9.arrivals.schedule import Arrival


class _Ticket:
    """One user's turn in the queue."""

    __slots__ = ("arrival", "waiter")

    def __init__(self) -> None:
        self.waiter: Any = Waiter()
        self.arrival: Arrival | None = None

    def redeem(self, arrival: Arrival | None) -> None:
        """Wake the user, as soon as the hub runs; None: there is no more work."""
        self.arrival = arrival
        get_hub().loop.run_callback(self.waiter.switch, None)


class UserPool:
    """Users wait here for work. One per worker process, reopened at each run."""

    def __init__(self) -> None:
        self._waiting: deque[_Ticket] = deque()
        self._open = True
        self._source: Callable[[], Arrival | None] | None = None
        self._on_dropped: Callable[[Arrival], None] = lambda _: None

    def reopen(self) -> None:
        """Make users wait again (a new run starts)."""
        self._open = True
        self._source = None

    def ask_from_now_on(self, source: Callable[[], Arrival | None]) -> None:
        """Let users take their next request from a source from now on: a closed loop."""
        self._source = source

    @property
    def waiting(self) -> int:
        """How many users wait."""
        return len(self._waiting)

    def when_dropped(self, take: Callable[[Arrival], None]) -> None:
        """Say who accounts for an arrival whose user was killed before it could begin."""
        self._on_dropped = take

    def wait(self) -> Arrival:
        """Block a user until an arrival is due. Raises `StopUser` when the run is over."""
        if not self._open:
            raise StopUser
        if self._source is not None:
            return self._asked(self._source)
        ticket = _Ticket()
        self._waiting.append(ticket)
        try:
            ticket.waiter.get()
        except BaseException:  # killed while waiting: nobody may hand work to this ticket
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            elif ticket.arrival is not None and not self.hand_over(ticket.arrival):
                self._on_dropped(ticket.arrival)
            raise
        if ticket.arrival is None:
            raise StopUser
        return ticket.arrival

    def _asked(self, source: Callable[[], Arrival | None]) -> Arrival:
        arrival = source()
        if arrival is None:
            raise StopUser
        return arrival

    def hand_over(self, arrival: Arrival) -> bool:
        """Give an arrival to the user that has waited longest; False when nobody waits."""
        if not self._waiting:
            return False
        self._waiting.popleft().redeem(arrival)
        return True

    def close(self) -> None:
        """Let all waiting users go."""
        self._open = False
        while self._waiting:
            self._waiting.popleft().redeem(None)
