"""The facts of an answer that every protocol of the gateway has in common, streamed or whole.

A protocol subclasses `AnswerFacts` and reads its own events and bodies into these fields; what it does
not have stays None, which means "not said" and is never 0.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Protocol

import orjson

from tfy_last9.model.conversation import ToolCall
from tfy_last9.model.request import Outcome
from tfy_last9.wire.envelope import MESSAGE_LIMIT, envelope_in
from tfy_last9.wire.json_values import mapped


class TokenKind(Enum):
    """What a token is a piece of."""

    ANSWER = "answer"
    REASONING = "reasoning"
    TOOL = "tool"


class Gaps(Protocol):
    """Where the times between tokens are counted."""

    def add(self, value: int, count: int = 1) -> None:
        """Count a gap of so many nanoseconds, `count` times."""


class Said(NamedTuple):
    """What an answer says in words."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


class Mishap(NamedTuple):
    """Why an answer with status 2xx is no good one."""

    outcome: Outcome
    error_type: str
    message: str


@dataclass(slots=True)
class AnswerFacts:
    """What an answer said. Instants are in the caller's clock; None means "not said"."""

    END_MARK: ClassVar[str] = "its last event"
    """What a whole stream ends with, as error messages name it."""

    first_token_ns: int | None = None
    """First content, reasoning or tool delta."""
    first_answer_ns: int | None = None
    """First content delta: what a user can read."""
    last_token_ns: int | None = None
    chunks: int = 0
    """Events that brought a token: content, reasoning or a tool call."""
    reasoning_chunks: int = 0
    tool_chunks: int = 0
    max_gap_ns: int | None = None
    finish_reason: str | None = None
    resolved_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    tool_calls: int | None = None
    """Tool calls the answer asks for; None where it asks for none."""
    items: int | None = None
    """Embeddings, tools listed, or parts of a tool's result."""
    error_type: str | None = None
    error_message: str | None = None
    failure: Outcome = Outcome.STREAM_BROKEN
    """What an answer that carries an error ended as."""
    done: bool = False
    """The stream said its end, or the whole answer was read."""
    gaps: Gaps | None = field(default=None, compare=False)
    kept: list[bytes] | None = None
    """Events or body as they came, where somebody will read what was said; None: nobody will."""

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take the data of one stream event that arrived at `at_ns`."""
        raise NotImplementedError

    def take_answer(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        raise NotImplementedError

    def said(self) -> Said:
        """Return what `kept` says in words: nothing where a protocol has none."""
        return Said()

    def mishap(self) -> Mishap | None:
        """Return what is wrong with an answer that was received to its end; None for a good one."""
        if self.error_type is not None:
            return Mishap(self.failure, self.error_type, self.error_message or "")
        if not self.done:
            message = f"the stream ended without {self.END_MARK}"
            return Mishap(Outcome.STREAM_BROKEN, "missing_done", message)
        return None

    def _take_tokens(self, kind: TokenKind, count: int, at_ns: int) -> None:
        """Take tokens that arrived together: all but the first have no gap before them."""
        self.chunks += count
        if kind is TokenKind.ANSWER:
            if self.first_answer_ns is None:
                self.first_answer_ns = at_ns
        elif kind is TokenKind.REASONING:
            self.reasoning_chunks += count
        else:
            self.tool_chunks += count
        if self.last_token_ns is None:
            self.first_token_ns = self.last_token_ns = at_ns
            count -= 1
            if not count:
                return
        gap_ns = at_ns - self.last_token_ns
        self.last_token_ns = at_ns
        if self.max_gap_ns is None or gap_ns > self.max_gap_ns:
            self.max_gap_ns = gap_ns
        if self.gaps is not None:
            self.gaps.add(gap_ns)
            if count > 1:
                self.gaps.add(0, count - 1)

    def _take_tool_call(self) -> None:
        self.tool_calls = (self.tool_calls or 0) + 1

    def _event(self, data: bytes) -> dict[str, object]:
        """Return the JSON object of an event; an unreadable one is an error and comes out empty."""
        return self._decoded(data, "bad_event")

    def _body(self, body: bytes) -> dict[str, object]:
        return self._decoded(body, "bad_body")

    def _kept_documents(self) -> list[dict[str, Any]]:
        """Return what was kept, decoded; what cannot be decoded was an error when it came."""
        found = []
        for data in self.kept or ():
            with suppress(ValueError):
                found.append(mapped(orjson.loads(data)))
        return found

    def _decoded(self, data: bytes, problem: str) -> dict[str, object]:
        if self.kept is not None:
            self.kept.append(data)
        try:
            found = orjson.loads(data)
        except ValueError:
            self._fail(problem, data[:MESSAGE_LIMIT].decode("utf-8", "replace"))
            return {}
        return found if isinstance(found, dict) else {}

    def _take_error(self, error: object) -> None:
        """Take an error in an answer, as an object or as text of whatever shape."""
        found = envelope_in(error)
        kind = found.kind or found.code or "stream_error"
        self._fail(kind, found.message or "")

    def _refuse(self, answer: object) -> None:
        """Take a whole answer that is an error although its status is not one."""
        self.failure = Outcome.PROVIDER_ERROR
        self._take_error(answer)

    def _fail(self, kind: str, message: str) -> None:
        if self.error_type is None:
            self.error_type, self.error_message = kind, message
