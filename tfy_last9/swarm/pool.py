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


class Ticket:
    """One user's turn in the queue."""

    __slots__ = ("_is_redeemed", "_waiter", "arrival", "give_up", "is_leaving", "is_lent")

    def __init__(self, *, is_lent: bool = False) -> None:
        """`is_lent`: requests may be served for the user while it waits; it need not see each arrival."""
        self._waiter: Any = Waiter()
        self._is_redeemed = False
        self.arrival: Arrival | None = None
        self.is_lent = is_lent
        self.give_up: Callable[[], None] | None = None
        """Ends the request that is being served for the waiting user; None while there is none."""
        self.is_leaving = False

    def redeem(self, arrival: Arrival | None) -> None:
        """Wake the user, as soon as the hub runs; None: there is no more work."""
        if not self._is_redeemed:
            self._is_redeemed = True
            self.arrival = arrival
            get_hub().loop.run_callback(self._waiter.switch, None)

    def leave(self) -> None:
        """Let the user go: now, or when the request is over that it has."""
        self.is_leaving = True
        if self.give_up is None:
            self.redeem(None)

    def wait(self) -> None:
        """Block the user until its ticket is redeemed."""
        self._waiter.get()


class UserPool:
    """Users wait here for work. One per worker process, reopened at each run."""

    def __init__(self) -> None:
        self._waiting: deque[Ticket] = deque()
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

    def wait(self, ticket: Ticket | None = None) -> Arrival:
        """Block a user until an arrival is due. Raises `StopUser` when the run is over."""
        if not self._open:
            raise StopUser
        if self._source is not None:
            return self._asked(self._source)
        ticket = ticket or Ticket()
        self._waiting.append(ticket)
        try:
            ticket.wait()
        except BaseException:  # killed while waiting: nobody may hand work to this ticket
            self._killed(ticket)
            raise
        if ticket.arrival is None:
            raise StopUser
        return ticket.arrival

    def _killed(self, ticket: Ticket) -> None:
        ticket.is_leaving = True
        if ticket.give_up is not None:
            ticket.give_up()
        elif ticket in self._waiting:
            self._waiting.remove(ticket)
        elif ticket.arrival is not None and not self.hand_over(ticket.arrival):
            self._on_dropped(ticket.arrival)

    def _asked(self, source: Callable[[], Arrival | None]) -> Arrival:
        arrival = source()
        if arrival is None:
            raise StopUser
        return arrival

    def take(self) -> Ticket | None:
        """Return the ticket of the user that has waited longest; None when nobody waits."""
        while self._waiting:
            ticket = self._waiting.popleft()
            if not ticket.is_leaving:
                return ticket
        return None

    def take_back(self, ticket: Ticket) -> None:
        """Let a user wait on, for whom a request was served."""
        ticket.give_up = None
        if self._open and not ticket.is_leaving:
            self._waiting.append(ticket)
        else:
            ticket.redeem(None)

    def hand_over(self, arrival: Arrival) -> bool:
        """Give an arrival to the user that has waited longest; False when nobody waits."""
        ticket = self.take()
        if ticket is not None:
            ticket.redeem(arrival)
        return ticket is not None

    def close(self) -> None:
        """Let all waiting users go."""
        self._open = False
        while self._waiting:
            self._waiting.popleft().redeem(None)
