"""One request on one connection, read by a hub callback.

The callback runs for every readable moment of the socket: it takes the kernel's receive time, feeds the
parsers, and wakes the user's greenlet once, when the answer is over. No greenlet switch per chunk.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import AsyncResult

from tfy_last9.model.request import Clock, Outcome
from tfy_last9.model.scenario import Limits
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.transport import Connection, KernelClock
from tfy_last9.wire.http1 import ProtocolError, ResponseReader
from tfy_last9.wire.sse import SseParser

_NS_PER_S = 1_000_000_000
_OK = range(200, 300)
_GREATEST_ERROR_BODY = 65536


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
        *("_answer", "_at_ns", "_body", "_clock", "_connection", "_over", "_reader", "_sse"),
        *("_stamped", "_streaming", "_total_deadline_ns", "_watcher", "deadline_ns", "limits"),
    )

    def __init__(
        self,
        connection: Connection,
        answer: Answer,
        limits: TimeLimits,
        clock: KernelClock,
        *,
        streaming: bool,
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._clock = clock
        self._streaming = streaming
        self._reader = ResponseReader(self._on_body)
        self._sse = SseParser()
        self._body = bytearray()
        self._over: Any = AsyncResult()
        self._at_ns = answer.started_ns
        self._stamped = True
        self.limits = limits
        self._total_deadline_ns = answer.started_ns + limits.total_ns
        wait_ns = limits.first_token_ns if streaming else limits.total_ns
        self.deadline_ns = min(answer.started_ns + wait_ns, self._total_deadline_ns)
        self._watcher: Any = gevent.get_hub().loop.io(connection.sock.fileno(), 1)

    def read(self) -> bool:
        """Wait for the end of the answer; return whether the connection can be used again."""
        self._watcher.start(self._on_readable)
        try:
            self._over.get()
        finally:
            self._watcher.stop()
            self._watcher.close()
        return self._reader.complete and self._reader.keep_alive

    def expire(self) -> None:
        """End the exchange because its deadline is past; says which of the time-outs it was."""
        now_ns = time.monotonic_ns()
        facts, seconds = self._answer.facts, 1 / _NS_PER_S
        if now_ns > self._total_deadline_ns:
            text = f"not finished after {self.limits.total_ns * seconds:g} s"
            self._finish(now_ns, Outcome.TIMEOUT, "total_timeout", text)
        elif facts.first_token_ns is None:
            text = f"no token after {self.limits.first_token_ns * seconds:g} s"
            self._finish(now_ns, Outcome.TIMEOUT, "first_token_timeout", text)
        else:
            text = f"silent for {self.limits.idle_ns * seconds:g} s"
            self._finish(now_ns, Outcome.STREAM_BROKEN, "stall", text)

    def abort(self) -> None:
        """End the exchange because the run is over."""
        self._finish(time.monotonic_ns(), Outcome.ABORTED, "run_over", "the run ended first")

    def _on_readable(self) -> None:
        try:
            received = self._connection.receive()
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
        if not data:  # part of a TLS record, or a session ticket: nothing of the answer yet
            return
        self._take_instant(stamp_ns)
        answer = self._answer
        answer.bytes_in += len(data)
        if answer.first_byte_ns is None:
            answer.first_byte_ns = self._at_ns
        try:
            self._reader.feed(data)
        except ProtocolError as error:
            self._finish(self._at_ns, Outcome.STREAM_BROKEN, "bad_http", str(error))
            return
        if self._reader.complete:
            self._complete()
        elif answer.facts.first_token_ns is not None:
            self.deadline_ns = min(self._at_ns + self.limits.idle_ns, self._total_deadline_ns)

    def _take_instant(self, stamp_ns: int | None) -> None:
        """Fix the instant of this read: the kernel's if it is there and plausible, else ours."""
        now_ns = time.monotonic_ns()
        if stamp_ns is not None:
            at_ns = self._clock.to_monotonic(stamp_ns)
            if self._at_ns <= at_ns <= now_ns:  # an answer's instants never go backwards
                self._at_ns = at_ns
                return
        self._stamped = False
        self._at_ns = now_ns

    def _on_body(self, body: bytes) -> None:
        if self._streaming and self._reader.status in _OK:
            for event in self._sse.feed(body):
                self._answer.facts.take_event(event.data, self._at_ns)
        elif len(self._body) < _GREATEST_ERROR_BODY or self._reader.status in _OK:
            self._body += body

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
        answer, facts = self._answer, self._answer.facts
        if self._reader.status in _OK:
            if not self._streaming:
                facts.take_answer(bytes(self._body))
            if facts.error_type is not None:
                answer.fail(Outcome.STREAM_BROKEN, facts.error_type, facts.error_message or "")
            elif not facts.done:
                answer.fail(
                    Outcome.STREAM_BROKEN, "missing_done", "the stream ended without [DONE]"
                )
            else:
                answer.outcome = Outcome.OK
        self._end(self._at_ns)

    def _finish(self, at_ns: int, outcome: Outcome, error_type: str, message: str) -> None:
        self._answer.fail(outcome, error_type, message)
        self._end(at_ns)

    def _end(self, at_ns: int) -> None:
        answer = self._answer
        answer.finished_ns = at_ns
        answer.status = self._reader.status
        answer.headers = self._reader.headers
        answer.clock = Clock.KERNEL if self._stamped else Clock.USER
        self._watcher.stop()
        if not self._over.ready():
            self._over.set(None)

    def keep_what_is_known(self, at_ns: int) -> None:
        """Copy status and headers into the answer of an exchange that is being killed."""
        if self._answer.finished_ns is None:
            self._answer.fail(Outcome.ABORTED, "killed", "the user was stopped in the middle")
            self._end(at_ns)

    @property
    def error_body(self) -> bytes:
        """Body of an answer other than 2xx."""
        return bytes(self._body)
