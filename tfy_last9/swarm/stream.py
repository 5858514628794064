"""The fast driver: keep-alive connections, hub callbacks, kernel timestamps (`driver: stream`)."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping

import orjson

from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Limits
from tfy_last9.swarm.call import Answer, Call
from tfy_last9.swarm.deadlines import Deadlines
from tfy_last9.swarm.exchange import Exchange, TimeLimits
from tfy_last9.swarm.transport import Connection, KernelClock, Origin
from tfy_last9.wire import chat
from tfy_last9.wire.gateway import read_refusal
from tfy_last9.wire.http1 import request_head

KEEP_IDLE_NS = 4_000_000_000
"""Idle connections older than this are not used again: common servers close theirs after 5 s, and a
request on a connection that is being closed cannot be told from a lost one."""
_OK = range(200, 300)


class StreamDriver:
    """Sends calls on pooled connections; one greenlet per call."""

    def __init__(self, base_url: str, api_key: str, limits: Limits) -> None:
        self._origin = Origin.parse(base_url)
        self._key = api_key
        self._connect_s = limits.connect_s
        self._limits = TimeLimits.of(limits)
        self._tls = ssl.create_default_context() if self._origin.tls else None
        self._idle: list[Connection] = []
        self._deadlines = Deadlines()
        self.clock = KernelClock()

    def send(self, call: Call, answer: Answer) -> None:
        """Send one call and read its answer (see `Driver.send`)."""
        connection = self._connect(answer)
        if connection is None:
            return
        reusable = False
        try:
            reusable = self._exchange(connection, call, answer)
        finally:
            if reusable:
                connection.idle_since_ns = time.monotonic_ns()
                self._idle.append(connection)
            else:
                connection.close()

    def abort(self) -> None:
        """Give up on every call that is under way."""
        self._deadlines.abort_all()

    def close(self) -> None:
        """Close idle connections and stop watching deadlines."""
        while self._idle:
            self._idle.pop().close()
        self._deadlines.close()

    def _connect(self, answer: Answer) -> Connection | None:
        oldest_ns = time.monotonic_ns() - KEEP_IDLE_NS
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since_ns > oldest_ns and connection.is_usable():
                return connection
            connection.close()
        before_ns = time.monotonic_ns()
        try:
            connection = Connection(self._origin, self._connect_s, self._tls)
        except OSError as error:
            answer.finished_ns = time.monotonic_ns()
            answer.fail(Outcome.CONNECT_ERROR, _connect_error_type(error), str(error))
            return None
        answer.connect_ns = time.monotonic_ns() - before_ns
        return connection

    def _exchange(self, connection: Connection, call: Call, answer: Answer) -> bool:
        try:
            connection.send(self._request(call), self._connect_s)
        except OSError as error:
            answer.finished_ns = time.monotonic_ns()
            answer.fail(Outcome.CONNECT_ERROR, "not_written", str(error))
            return False
        answer.written = True
        streaming = call.target.stream
        exchange = Exchange(connection, answer, self._limits, self.clock, streaming=streaming)
        self._deadlines.add(exchange)
        try:
            reusable = exchange.read()
        except BaseException:  # killed: the row still gets what is known
            exchange.keep_what_is_known(time.monotonic_ns())
            raise
        finally:
            self._deadlines.discard(exchange)
        if answer.status is not None and answer.status not in _OK and answer.error_type is None:
            refusal = read_refusal(answer.status, answer.headers, exchange.error_body)
            answer.fail(refusal.outcome, refusal.error_type, refusal.message)
        return reusable

    def _request(self, call: Call) -> bytes:
        body = orjson.dumps(chat.request_body(call.target, call.prompt))
        headers: dict[str, str] = {
            "host": self._origin.authority,
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "accept": "text/event-stream" if call.target.stream else "application/json",
            "accept-encoding": "identity",  # a compressed stream has no readable chunk instants
            "content-length": str(len(body)),
        }
        return request_head("POST", self._path, _merged(headers, call.headers)) + body

    @property
    def _path(self) -> str:
        return self._origin.base_path + chat.PATH


def _merged(headers: dict[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Let the call's headers win, except over framing and the key."""
    fixed = {"host", "authorization", "content-length"}
    return headers | {
        name.lower(): value for name, value in own.items() if name.lower() not in fixed
    }


def _connect_error_type(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate_refused"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    return "dns" if type(error).__name__ == "gaierror" else "unreachable"
