"""What the gateway has to know of an interface, and what it takes from each event of an answer."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, Protocol

import orjson

from tfy_last9.standins.gateway.catalogue import Card
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import Attempt

SHORT_HAND_CHARACTERS = 100
DATA = b"data: "


class Read(NamedTuple):
    """What one event of a stream means to the gateway."""

    forward: bytes
    """What the client gets; empty if nothing."""
    is_token: bool = False
    is_last: bool = False
    """Whether the interface says that the answer is complete."""


class Passing(NamedTuple):
    """What of an answer the client and the trace are to see."""

    usage: bool
    """Whether the provider reports usage at all."""
    wants_usage: bool
    """Whether the client asked for it, where that is asked."""


class Format(Protocol):
    """One interface."""

    @property
    def kind(self) -> Kind:
        """What traces call it."""
        ...

    def check(self, body: dict[str, Any]) -> None:
        """Raise the 400 for a body that the gateway itself refuses."""
        ...

    def preview(self, body: dict[str, Any]) -> tuple[str, str]:
        """Give what the trace shows as input: as JSON, and in short."""
        ...

    def path(self, request: ModelRequest, card: Card) -> str:
        """Give the path at the vendor."""
        ...

    def body(self, request: ModelRequest, card: Card) -> bytes:
        """Write the body for the vendor."""
        ...

    def read(self, event: bytes, attempt: Attempt, passing: Passing) -> Read:
        """Take from an event what the trace needs; raises the Rejection that an error event stands for."""
        ...

    def whole(self, document: dict[str, Any], attempt: Attempt, passing: Passing) -> None:
        """Take from a whole answer what the trace needs, and add what the gateway adds."""
        ...

    def broken(self, rejection: Rejection) -> bytes:
        """Write the event that tells of a failure after the first token."""
        ...

    def refusal(self, rejection: Rejection) -> dict[str, object]:
        """Write an error as the vendor of this interface does."""
        ...


def shortened(text: object) -> str:
    """Give the short form of an input."""
    return text[:SHORT_HAND_CHARACTERS] if isinstance(text, str) else ""


def json_text(document: object) -> str:
    """Encode what a trace shows."""
    return orjson.dumps(document).decode()


def payload(event: bytes) -> bytes:
    """Give the data of an SSE event of one data line; empty for a comment."""
    start = event.find(DATA)
    return event[start + len(DATA) :].strip() if start >= 0 else b""


def named_event(kind: str, document: dict[str, object]) -> bytes:
    """Write an SSE event with a name."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(document))


def plain_event(document: object) -> bytes:
    """Write an SSE event without a name."""
    return DATA + orjson.dumps(document) + b"\n\n"


def with_model(request: ModelRequest, card: Card, **more: object) -> bytes:
    """Write the client's body with the vendor's name of the model in it."""
    return orjson.dumps({**request.body, "model": card.model, **more})


def token(attempt: Attempt, text: str) -> None:
    """Note a delta that arrives now."""
    attempt.saw_token(text, time.monotonic_ns())
