"""How many answers a vendor gives at once: what comes on top waits, and too much is refused.

So overload looks like overload: time to first token grows with the queue, throughput does not grow
any more, and beyond the queue there is 429.
"""

from __future__ import annotations

import asyncio
from collections import deque

WAITING_PER_PLACE = 4
"""A queue of four answers per place, then 429."""


class Full(Exception):
    """No place is free and the queue is as long as it may be."""


class Capacity:
    """The places of one vendor, given first come, first served."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Take a place, now or when one becomes free; raises Full."""
        if self.busy < self.places and not self._waiting:
            self.busy += 1
            return
        if len(self._waiting) >= self.places * WAITING_PER_PLACE:
            raise Full
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            else:
                self._waiting.remove(place)
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.busy -= 1
        self.admit()

    def admit(self) -> None:
        """Hand free places to those who wait."""
        while self._waiting and self.busy < self.places:
            place = self._waiting.popleft()
            if not place.done():
                self.busy += 1
                place.set_result(None)
