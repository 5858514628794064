"""One HTTP request to the gateway, whatever its protocol: what a driver sends and how it reads the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tfy_last9.wire.facts import AnswerFacts

JSON = "application/json"
EVENTS = "text/event-stream"
ANY = "*/*"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A POST below the gateway's address."""

    path: str
    body: Mapping[str, object]
    new_facts: Callable[[], AnswerFacts]
    """Makes the reader of the answer; ask `facts` for it."""
    stream: bool
    """True: tokens are expected one by one, so that a first one has a deadline of its own."""
    accept: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    """What the protocol itself needs; the target's own headers win."""
    operation: str | None = None
    """What is asked for, where a protocol has more to ask for than one thing."""
    tool: str | None = None
    """Tool of an MCP call."""
    is_kept: bool = False
    """True: somebody will read what the answer says, so that it is kept until then."""

    def facts(self) -> AnswerFacts:
        """Return the reader of the answer."""
        facts = self.new_facts()
        if self.is_kept:
            facts.kept = []
        return facts


def is_event_stream(content_type: str, *, asked: bool) -> bool:
    """Tell whether a body is to be read as events; a gateway that names no type sends what was asked for."""
    if content_type == EVENTS:  # nearly always
        return True
    named = content_type.partition(";")[0].strip().lower()
    if named == EVENTS:
        return True
    return asked and named != JSON
