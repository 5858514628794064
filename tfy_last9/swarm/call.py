"""What a driver is asked to send, and what it gives back. Instants are monotonic nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import Clock, Outcome
from tfy_last9.model.scenario import Prompt, Target
from tfy_last9.wire.chat import ChatFacts


@dataclass(frozen=True, slots=True)
class Call:
    """One request to send now."""

    arrival: Arrival
    request_id: str
    target: Target
    prompt: Prompt
    headers: Mapping[str, str]
    """Correlation headers and the target's own; never the key, which drivers hold themselves."""
    client_trace_id: str
    arm: str | None = None
    """Name of the arm; None without arms."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user that decides for itself wants instead of the scenario's prompt and target settings."""

    prompt: Prompt
    max_tokens: int | None = None
    body: Mapping[str, object] = field(default_factory=dict)

    def applied_to(self, target: Target) -> Target:
        """Return the target as it is asked."""
        return replace(
            target,
            max_tokens=self.max_tokens or target.max_tokens,
            body={**target.body, **self.body},
        )


@dataclass(slots=True)
class Answer:
    """What became of a call; filled in while it runs, so that a killed call keeps what it knew."""

    started_ns: int
    outcome: Outcome = Outcome.ABORTED
    written: bool = False
    connect_ns: int | None = None
    first_byte_ns: int | None = None
    finished_ns: int | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: ChatFacts = field(default_factory=ChatFacts)
    error_type: str | None = None
    error_message: str | None = None
    bytes_in: int = 0
    clock: Clock = Clock.USER

    def fail(self, outcome: Outcome, error_type: str, message: str) -> None:
        """Say how the call failed; the first word counts."""
        if self.error_type is None:
            self.outcome, self.error_type, self.error_message = outcome, error_type, message


class Driver(Protocol):
    """A client that can send calls, many at a time, one per greenlet."""

    def send(self, call: Call, answer: Answer) -> None:
        """Send and wait for the end of the answer; every mishap ends up in `answer`, none is raised."""

    def abort(self) -> None:
        """Give up on every call that is under way: each ends soon, with outcome `aborted`."""

    def close(self) -> None:
        """Let go of idle connections."""
