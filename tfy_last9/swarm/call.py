"""What a driver is asked to send, and what it gives back. Instants are monotonic nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.conversation import McpScript
from tfy_last9.model.request import Clock, LedgerRow, Outcome
from tfy_last9.model.scenario import Prompt, Target
from tfy_last9.wire.chat import ChatFacts
from tfy_last9.wire.facts import AnswerFacts
from tfy_last9.wire.outgoing import Outgoing


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What requests of one target, phase, prompt and arm have in common: all but a few ids."""

    example: Call
    """A request with `marks` where others have their `ids`."""
    marks: tuple[str, ...]
    """Texts that occur nowhere else in it."""

    def headers(self, ids: tuple[str, ...]) -> Mapping[str, str]:
        """Return the example's headers with ids in the place of its marks."""
        found = dict(self.example.headers)
        for name, value in found.items():
            for mark, own in zip(self.marks, ids, strict=True):
                value = value.replace(mark, own)  # noqa: PLW2901 - one mark after the other
            found[name] = value
        return found


@dataclass(slots=True)
class Call:
    """One request to send now."""

    arrival: Arrival
    request_id: str
    target: Target
    outgoing: Outgoing
    own_headers: Mapping[str, str] | None
    """None: those of the shape's example, with this call's ids."""
    client_trace_id: str
    arm: str | None = None
    """Name of the arm; None without arms."""
    due_ns: int | None = None
    """Monotonic instant at which it is due, where that is not the arrival's: a later turn."""
    session_id: str | None = None
    """Conversation that it is part of; None for a request on its own."""
    shape: Shape | None = None
    """None if this request is like no other."""
    ids: tuple[str, ...] = ()
    """What it has where the shape's example has marks."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Correlation headers and the target's own; never the key, which drivers hold themselves."""
        if self.own_headers is None:
            assert self.shape is not None
            return self.shape.headers(self.ids)
        return self.own_headers


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user that decides for itself wants instead of the scenario's prompt and target settings."""

    prompt: Prompt
    max_tokens: int | None = None
    body: Mapping[str, object] = field(default_factory=dict)
    is_kept: bool = False
    """True: the user wants to read the answer, so that it is kept until then."""
    mcp: McpScript | None = None
    """What a session with an MCP server does; the prompt then means nothing."""

    @property
    def turns(self) -> int:
        """How many requests it takes."""
        return 1 if self.mcp is None else len(self.mcp.operations)

    def read(self, call: Call) -> Call:
        """Return the call with its answer kept, if the user wants to read it."""
        if not self.is_kept:
            return call
        return replace(call, outgoing=replace(call.outgoing, is_kept=True))

    def applied_to(self, target: Target) -> Target:
        """Return the target as it is asked."""
        return replace(
            target,
            max_tokens=self.max_tokens or target.max_tokens,
            body={**target.body, **self.body},
            mcp=self.mcp or target.mcp,
        )


class Sent(NamedTuple):
    """A request that was sent and is over: its row, and what its answer said if that was kept."""

    row: LedgerRow
    text: str


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
    facts: AnswerFacts = field(default_factory=ChatFacts)
    error_type: str | None = None
    error_message: str | None = None
    bytes_in: int = 0
    clock: Clock = Clock.USER

    def conclude(self) -> None:
        """Judge an answer with status 2xx that was received to its end."""
        mishap = self.facts.mishap()
        if mishap is not None:
            self.fail(*mishap)
        elif self.error_type is None:
            self.outcome = Outcome.OK

    def fail(self, outcome: Outcome, error_type: str, message: str) -> None:
        """Say how the call failed; the first word counts."""
        if self.error_type is None:
            self.outcome, self.error_type, self.error_message = outcome, error_type, message


class Driver(Protocol):
    """A client that can send calls, many at a time, one per greenlet."""

    def send(self, call: Call, answer: Answer) -> None:
        """Send and wait for the end of the answer; every mishap ends up in `answer`, none is raised."""

    def begin(
        self, call: Call, answer: Answer, then: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Send without waiting, and have `then` called, once, when the answer is over.

        Returns how to give up on it. None: nothing was sent, since that takes a greenlet that can wait (`send`).
        """

    def abort(self) -> None:
        """Give up on every call that is under way: each ends soon, with outcome `aborted`."""

    def close(self) -> None:
        """Let go of idle connections."""
