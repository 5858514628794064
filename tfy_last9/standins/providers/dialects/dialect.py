"""What a wire format has to be able to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from tfy_last9.standins.providers.answer import Piece, Plan
from tfy_last9.standins.providers.wish import Wish


@dataclass(frozen=True, slots=True)
class Name:
    """What identifies an answer."""

    number: str
    """Vendor and number of the answer; formats put their own prefix before it."""
    created: int
    """Unix seconds."""
    model: str
    """The versioned name."""


class Writer(Protocol):
    """Writes the events of one stream, in order."""

    def head(self) -> Iterator[bytes]:
        """Give the events before the first token."""
        ...

    def piece(self, piece: Piece) -> bytes:
        """Give the events of one piece."""
        ...

    def tail(self) -> Iterator[bytes]:
        """Give the events that end the stream."""
        ...

    def alive(self) -> bytes:
        """Give the sign of life for a silent phase."""
        ...

    def failure(self, message: str) -> bytes:
        """Give the error that ends a stream which had begun."""
        ...


class Dialect(Protocol):
    """One wire format."""

    def wish(self, body: dict[str, Any], method: str) -> Wish:
        """Read a request; raises BadRequest."""
        ...

    def writer(self, plan: Plan, wish: Wish, name: Name) -> Writer:
        """Make a writer for one stream."""
        ...

    def whole(self, plan: Plan, wish: Wish, name: Name) -> object:
        """Give the body of an answer that is not streamed."""
        ...


def call_id(prefix: str, name: Name, number: int) -> str:
    """Name a function call."""
    return f"{prefix}{name.number.replace('-', '')}x{number}"
