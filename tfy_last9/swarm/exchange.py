"""One request on one connection, read by a hub callback.

The callback runs for every readable moment of the socket: it takes the kernel's receive time, feeds the
parsers, and calls whoever asked once, when the answer is over. No greenlet switch per chunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tfy_last9.model.request import Clock, Outcome
from tfy_last9.model.scenario import Limits
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.transport import Connection, KernelClock
from tfy_last9.wire.http1 import ProtocolError
from tfy_last9.wire.outgoing import is_event_stream
from tfy_last9.wire.sse import EventReader

_NS_PER_S = 1_000_000_000
_GREATEST_ERROR_BODY = 65536
LINGER_NS = 250_000_000
"""An MCP server may leave its event stream open after the response: so long is the end waited for."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The scenario's time-outs in nanoseconds."""

    first_token_ns: int
    idle_ns: int
    total_ns: int

    @classmethod
    def of(cls, limits: Limits) -> TimeLimits:
        """Convert from seconds."""
        first, idle, total = limits.first_token_s, limits.idle_s, limits.total_s
        return cls(int(first * _NS_PER_S), int(idle * _NS_PER_S), int(total * _NS_PER_S))


class Exchange:
    """Reads one answer into an `Answer`. `deadline_ns` is watched from outside (`Expirable`)."""

    __slots__ = (
        *("_answer", "_at_ns", "_body", "_clock", "_events", "_facts", "_is_over"),
        *("_reader", "_stamped", "_streaming", "_then", "connection", "limits"),
    )

    def __init__(
        self,
        connection: Connection,
        answer: Answer,
        limits: TimeLimits,
        clock: KernelClock,
        then: Callable[[Exchange], None],
        *,
        streaming: bool,
    ) -> None:
        """`then` is called once, when the answer is over: by the hub, or by whoever ends it from outside."""
        self.connection = connection
        self._answer = answer
        self._facts = answer.facts
        self._clock = clock
        self._streaming = streaming
        self._reader = connection.reader
        self._reader.reset()
        self._events: EventReader | None = None
        self._body = b""
        self._then = then
        self._is_over = False
        self._at_ns = answer.started_ns
        self._stamped = True
        self.limits = limits
        connection.listen(self._on_readable)

    @property
    def deadline_ns(self) -> int:
        """When to give up, if nothing more comes."""
        total_ns = self._answer.started_ns + self.limits.total_ns
        if self._is_answered():
            return min(self._at_ns + LINGER_NS, total_ns)
        if self._facts.first_token_ns is not None:
            return min(self._at_ns + self.limits.idle_ns, total_ns)
        if self._streaming:
            return min(self._answer.started_ns + self.limits.first_token_ns, total_ns)
        return total_ns

    @property
    def is_reusable(self) -> bool:
        """Tell whether the connection can be used again."""
        return self._reader.keep_alive and self._reader.complete

    def expire(self) -> None:
        """End the exchange because its deadline is past; says which of the time-outs it was."""
        now_ns = time.monotonic_ns()
        seconds = 1 / _NS_PER_S
        if self._is_answered():
            if not self._is_over:
                self._complete()
            return
        if now_ns > self._answer.started_ns + self.limits.total_ns:
            text = f"not finished after {self.limits.total_ns * seconds:g} s"
            self._finish(now_ns, Outcome.TIMEOUT, "total_timeout", text)
        elif self._facts.first_token_ns is None:
            text = f"no token after {self.limits.first_token_ns * seconds:g} s"
            self._finish(now_ns, Outcome.TIMEOUT, "first_token_timeout", text)
        else:
            text = f"silent for {self.limits.idle_ns * seconds:g} s"
            self._finish(now_ns, Outcome.STREAM_BROKEN, "stall", text)

    def _is_answered(self) -> bool:
        """Tell whether events that nobody asked to be a stream of tokens have brought the answer (MCP)."""
        return not self._streaming and self._events is not None and self._facts.done

    def abort(self) -> None:
        """End the exchange because the run is over."""
        self._finish(time.monotonic_ns(), Outcome.ABORTED, "run_over", "the run ended first")

    def _on_readable(self) -> None:
        try:
            received = self.connection.receive()
        except BlockingIOError:
            return
        except OSError as error:
            now_ns = time.monotonic_ns()
            self._finish(now_ns, Outcome.STREAM_BROKEN, "connection_lost", str(error))
            return
        if received is None:
            self._on_end_of_input()
            return
        data, stamp_ns = received
        size = len(data)
        if not size:  # part of a TLS record, or a session ticket: nothing of the answer yet
            return
        self._take_instant(stamp_ns)
        answer = self._answer
        answer.bytes_in += size
        if answer.first_byte_ns is None:
            answer.first_byte_ns = self._at_ns
        reader = self._reader
        try:
            body = reader.feed(data)
        except ProtocolError as error:
            self._on_body(reader.take_body())
            self._finish(self._at_ns, Outcome.STREAM_BROKEN, "bad_http", str(error))
            return
        if body:
            self._on_body(body)
        if reader.complete and not self._is_over:
            self._complete()

    def _take_instant(self, stamp_ns: int | None) -> None:
        """Fix the instant of this read: the kernel's if it is there and plausible, else ours."""
        now_ns = time.monotonic_ns()
        if stamp_ns is not None:
            at_ns = stamp_ns - self._clock.offset_ns
            if self._at_ns <= at_ns <= now_ns:  # an answer's instants never go backwards
                self._at_ns = at_ns
                return
        self._stamped = False
        self._at_ns = now_ns

    def _on_body(self, body: bytes) -> None:
        if self._events is not None:
            self._events.feed(body, self._at_ns)
            return
        is_ok, headers = self._is_ok(), self._reader.headers
        coding = headers.get("content-encoding", "")
        if is_ok and coding and coding.strip().lower() not in {"", "identity"}:
            text = f"the answer is compressed ({coding}) although identity was asked for"
            self._finish(self._at_ns, Outcome.STREAM_BROKEN, "compressed", text)
            return
        kind = headers.get("content-type", "")
        if is_ok and is_event_stream(kind, asked=self._streaming):
            self._events = EventReader(self._facts)
            self._events.feed(body, self._at_ns)
        elif len(self._body) < _GREATEST_ERROR_BODY or is_ok:
            self._body += body

    def _is_ok(self) -> bool:
        status = self._reader.status
        return status is not None and 200 <= status < 300  # noqa: PLR2004 - success

    def _on_end_of_input(self) -> None:
        now_ns = time.monotonic_ns()
        self._reader.end_of_input()
        if self._reader.complete:
            self._complete()
        elif self._answer.first_byte_ns is None:
            text = "the gateway closed the connection before it answered"
            self._finish(now_ns, Outcome.STREAM_BROKEN, "no_response", text)
        else:
            text = "the gateway closed the connection in the middle of the answer"
            self._finish(now_ns, Outcome.STREAM_BROKEN, "early_close", text)

    def _complete(self) -> None:
        """Judge a complete response: what it says may still be an error or a stream without an end."""
        answer, facts = self._answer, self._facts
        if self._is_ok():
            is_whole = self._events is None
            if is_whole and (self._body or not self._streaming):
                facts.take_answer(self._body)
            if is_whole and self._streaming and facts.mishap() is None:
                text = "a stream was asked for, and one whole answer came"
                answer.fail(Outcome.STREAM_BROKEN, "not_a_stream", text)
            answer.conclude()
        self._end(self._at_ns)

    def _finish(self, at_ns: int, outcome: Outcome, error_type: str, message: str) -> None:
        if not self._is_over:
            self._answer.fail(outcome, error_type, message)
            self._end(at_ns)

    def _end(self, at_ns: int) -> None:
        """Fix what is known, and say so."""
        self._is_over = True
        self.connection.listen(None)
        answer = self._answer
        answer.finished_ns = at_ns
        answer.status = self._reader.status
        answer.headers = self._reader.headers
        answer.clock = Clock.KERNEL if self._stamped else Clock.USER
        self._then(self)

    def give_up(self) -> None:
        """End the exchange because its user is being killed; the answer keeps what is known."""
        text = "the user was stopped in the middle"
        self._finish(time.monotonic_ns(), Outcome.ABORTED, "killed", text)

    @property
    def answer(self) -> Answer:
        """What became of the call."""
        return self._answer

    @property
    def error_body(self) -> bytes:
        """Body of an answer other than 2xx."""
        return self._body
