"""The fast driver: keep-alive connections, hub callbacks, kernel timestamps (`driver: stream`)."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from gevent import getcurrent
from gevent.hub import Waiter, get_hub

from tfy_last9.adapters.network import Proxy, certificates
from tfy_last9.model.request import Clock, Outcome
from tfy_last9.model.scenario import Limits
from tfy_last9.swarm.attempt import Attempt, RunOver
from tfy_last9.swarm.call import Answer, Call
from tfy_last9.swarm.deadlines import Deadlines
from tfy_last9.swarm.dialing import Dialler, ProxyRefused
from tfy_last9.swarm.exchange import Exchange, TimeLimits
from tfy_last9.swarm.moderation import Moderation
from tfy_last9.swarm.prepared import PreparedRequests
from tfy_last9.swarm.transport import Connection, KernelClock, Origin
from tfy_last9.wire.gateway import read_refusal
from tfy_last9.wire.http1 import request_head

KEEP_IDLE_NS = 4_000_000_000
"""Idle connections older than this are not used again: common servers close theirs after 5 s, and a
request on a connection that is being closed cannot be told from a lost one."""
PEEK_AFTER_NS = 1_000_000
"""A connection that was idle for longer is looked at before it is used again; of one that was not, a look
could hardly tell more than the hub, which watches it all the time."""
CLOCK_AGE_NS = 1_000_000_000
"""How long the offset between wall clock and monotonic clock is trusted."""
AT_ONCE = 16384
"""Bytes that the kernel takes at once from a connection on which nothing waits to be sent."""
_NS_PER_S = 1_000_000_000
_OK = range(200, 300)


class StreamDriver:
    """Sends calls on pooled connections; one greenlet per call."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        limits: Limits,
        *,
        proxy: Proxy | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._origin = Origin.parse(base_url)
        self._key = api_key
        self._connect_ns = int(limits.connect_s * _NS_PER_S)
        self._limits = TimeLimits.of(limits)
        tls = tls_context(ca_bundle) if self._origin.tls else None
        self._dialler = Dialler(self._origin, tls, proxy)
        self._idle: list[Connection] = []
        self._deadlines = Deadlines()
        self._moderation = Moderation(self._deadlines.__len__)
        self._clock_read_ns = time.monotonic_ns()
        self._prepared = PreparedRequests(self._request)
        self.clock = KernelClock()

    def send(self, call: Call, answer: Answer) -> None:
        """Send one call and read its answer (see `Driver.send`)."""
        try:
            request = self._prepared.request(call)
        except (TypeError, ValueError) as error:
            answer.finished_ns = time.monotonic_ns()
            answer.fail(Outcome.ABORTED, "unsendable", str(error))
            return
        connection = self._deliver(request, answer)
        if connection is not None:
            self._read(connection, call, answer)

    def begin(
        self, call: Call, answer: Answer, then: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Send one call without waiting (see `Driver.begin`)."""
        try:
            request = self._prepared.request(call)
        except (TypeError, ValueError):
            return None
        connection = self._idle_connection() if len(request) <= AT_ONCE else None
        if connection is None:
            return None
        try:
            rest = connection.begin_send(request)
        except OSError:
            rest = request
        if rest:  # no server acts on part of a request
            connection.close()
            return None
        answer.written = True

        def over(exchange: Exchange) -> None:
            self._settle(exchange)
            then()

        return self._listen(connection, call, answer, over).give_up

    def abort(self) -> None:
        """Give up on every call that is under way."""
        self._deadlines.abort_all()

    def close(self) -> None:
        """Close idle connections and stop watching deadlines."""
        while self._idle:
            self._idle.pop().close()
        self._deadlines.close()
        self._moderation.close()
        self.clock.close()

    def _deliver(self, request: bytes, answer: Answer) -> Connection | None:
        """Hand the request to the kernel on an idle or a new connection; None if that failed."""
        connection = self._idle_connection()
        try:
            if connection is None:
                connection = self._connect(answer)
            if rest := connection.begin_send(request):
                with self._attempt():
                    connection.finish_send(rest)
        except (OSError, UnicodeError) as error:
            answer.finished_ns = time.monotonic_ns()
            _blame(answer, error, connected=connection is not None)
            if connection is not None:
                connection.close()
            return None
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        answer.written = True
        return connection

    def _attempt(self) -> Attempt:
        return Attempt(self._deadlines, time.monotonic_ns() + self._connect_ns)

    def _idle_connection(self) -> Connection | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            idle_ns = time.monotonic_ns() - connection.idle_since_ns
            if idle_ns < PEEK_AFTER_NS and not connection.is_spent:
                return connection
            if idle_ns < KEEP_IDLE_NS and connection.is_usable():
                return connection
            connection.close()
        return None

    def _connect(self, answer: Answer) -> Connection:
        before_ns = time.monotonic_ns()
        with self._attempt():
            connection = self._dialler.dial()
        answer.connect_ns = time.monotonic_ns() - before_ns
        return connection

    def _read(self, connection: Connection, call: Call, answer: Answer) -> None:
        """Block the greenlet until the answer is over."""
        waiter: Any = Waiter()

        def wake(exchange: Exchange) -> None:
            self._settle(exchange)
            hub = get_hub()
            if getcurrent() is hub:
                waiter.switch(None)
            else:
                hub.loop.run_callback(waiter.switch, None)

        exchange = self._listen(connection, call, answer, wake)
        try:
            waiter.get()
        except BaseException:  # killed: the row still gets what is known
            exchange.give_up()
            raise

    def _listen(
        self, connection: Connection, call: Call, answer: Answer, then: Callable[[Exchange], None]
    ) -> Exchange:
        self._refresh_clock()
        streaming = call.outgoing.stream
        exchange = Exchange(connection, answer, self._limits, self.clock, then, streaming=streaming)
        self._deadlines.add(exchange)
        return exchange

    def _settle(self, exchange: Exchange) -> None:
        """Classify what came, and keep the connection if it can be used again."""
        self._deadlines.discard(exchange)
        answer, connection = exchange.answer, exchange.connection
        self._moderation.is_stamped = answer.clock is Clock.KERNEL
        if answer.status is not None and answer.status not in _OK and answer.error_type is None:
            refusal = read_refusal(answer.status, answer.headers, exchange.error_body)
            answer.fail(refusal.outcome, refusal.error_type, refusal.message)
        if answer.error_message:  # some gateways say which key they refuse
            answer.error_message = answer.error_message.replace(self._key, "#")
        if exchange.is_reusable:
            connection.idle_since_ns = time.monotonic_ns()
            self._idle.append(connection)
        else:
            connection.close()

    def _refresh_clock(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._clock_read_ns > CLOCK_AGE_NS:
            self._clock_read_ns = now_ns
            self.clock.refresh()

    def _request(self, call: Call) -> bytes:
        outgoing = call.outgoing
        body = orjson.dumps(outgoing.body)
        headers: dict[str, str] = {
            "host": self._origin.authority,
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "accept": outgoing.accept,
            "accept-encoding": "identity",  # a compressed stream has no readable chunk instants
            "content-length": str(len(body)),
            **outgoing.headers,
        }
        path = self._origin.base_path + outgoing.path
        return request_head("POST", path, _merged(headers, call.headers)) + body


def tls_context(ca_bundle: str | None = None) -> ssl.SSLContext:
    """Return a context that verifies certificates and offers HTTP/1.1 alone."""
    context = certificates(ca_bundle)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _merged(headers: dict[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Let the call's headers win, except over framing, encoding and the key."""
    fixed = {"host", "authorization", "content-length", "transfer-encoding", "accept-encoding"}
    return headers | {
        name.lower(): value for name, value in own.items() if name.lower() not in fixed
    }


def _blame(answer: Answer, error: OSError | UnicodeError, *, connected: bool) -> None:
    if isinstance(error, RunOver):
        answer.fail(Outcome.ABORTED, "run_over", str(error))
    elif connected:
        answer.fail(Outcome.CONNECT_ERROR, "not_written", str(error))
    else:
        answer.fail(Outcome.CONNECT_ERROR, connect_error_type(error), str(error))


def connect_error_type(error: OSError | UnicodeError) -> str:
    """Return the ledger's name for what went wrong while connecting."""
    if isinstance(error, ProxyRefused):
        return "proxy_refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate_refused"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    is_name = isinstance(error, UnicodeError) or type(error).__name__ == "gaierror"
    return "dns" if is_name else "unreachable"
