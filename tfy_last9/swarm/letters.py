"""The relay's bookkeeping, without sockets or clocks: numbered letters, resent until acknowledged.

A worker numbers its letters from 1. The master acknowledges the greatest number up to which everything is
on its disk; what is not acknowledged in time goes out again. So a letter may arrive late, twice or out of
order, and is still kept exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WINDOW = 8
"""Letters on their way at a time: bounds what piles up in sockets while a connection is cut."""
RESEND_S = 3.0
"""Wait for an acknowledgement; doubled with each attempt, up to `GREATEST_RESEND_S`."""
GREATEST_RESEND_S = 6.0


@dataclass(slots=True)
class Letter:
    """Something the master must get."""

    number: int
    content: dict[str, Any]
    attempts: int = 0
    again_at_s: float = 0.0
    """When it goes out again; monotonic seconds."""


@dataclass(slots=True)
class Window:
    """The sender's side: what is to be sent now, and what is still unacknowledged."""

    last: int = 0
    """Number of the newest letter."""
    resent: int = 0
    _open: dict[int, Letter] = field(default_factory=dict)

    def add(self, content: dict[str, Any]) -> Letter:
        """Give a letter its number; it goes out as soon as the window has room."""
        self.last += 1
        letter = self._open[self.last] = Letter(self.last, content)
        return letter

    def due(self, now_s: float) -> list[Letter]:
        """Return the letters to send now, oldest first; they count as sent."""
        found = []
        for letter in list(self._open.values())[:WINDOW]:
            if letter.attempts and now_s < letter.again_at_s:
                continue
            self.resent += letter.attempts > 0
            letter.attempts += 1
            wait_s = min(GREATEST_RESEND_S, RESEND_S * 2 ** (letter.attempts - 1))
            letter.again_at_s = now_s + wait_s
            found.append(letter)
        return found

    def acknowledge(self, through: int) -> None:
        """Forget every letter up to a number."""
        for number in [number for number in self._open if number <= through]:
            del self._open[number]

    @property
    def is_empty(self) -> bool:
        """Tell whether everything was acknowledged."""
        return not self._open


@dataclass(slots=True)
class Inbox:
    """The receiver's side, for one worker."""

    through: int = 0
    """Every letter up to this number is stored: what may be acknowledged."""
    last: int | None = None
    """Number of the farewell; None before it came."""
    _stored: set[int] = field(default_factory=set)
    """Beyond `through`."""
    _at_work: set[int] = field(default_factory=set)

    def take(self, number: int) -> bool:
        """Tell whether a letter is new; if so, `stored` or `failed` must follow."""
        if number <= self.through or number in self._stored or number in self._at_work:
            return False
        self._at_work.add(number)
        return True

    def stored(self, number: int) -> None:
        """Take note that a letter is on disk."""
        self._at_work.discard(number)
        self._stored.add(number)
        while self.through + 1 in self._stored:
            self.through += 1
            self._stored.discard(self.through)

    def failed(self, number: int) -> None:
        """Take note that a letter could not be kept: it is not acknowledged, and will come again."""
        self._at_work.discard(number)

    @property
    def is_complete(self) -> bool:
        """Tell whether everything up to the farewell is stored."""
        return self.last is not None and self.through >= self.last

    @property
    def gaps(self) -> int:
        """Return how many letters are known to exist and are not stored."""
        newest = max((self.last or 0, self.through, *self._stored, *self._at_work))
        return newest - self.through - len(self._stored)
