"""Run one ASGI app on one loopback port: bind, announce, serve until SIGTERM, then flush.

uvicorn with uvloop and httptools: the cheapest of twelve server stacks per streamed chunk. It sets
TCP_NODELAY, and one ASGI body message is one write, so a stream's events are not merged.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tfy_last9.standins.asgi import ON_LEAVE, WRITE_NOW, Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Awaitable[None]]
HOST = "127.0.0.1"
EXIT_ERROR = 23
COLLECT_BRIEFLY = (5_000, 1_000, 1_000)
"""When cycles are looked for: among few young objects at a time (a millisecond), hardly ever among all,
which with 500 streams open takes a tenth of a second."""
KEEP_ALIVE_S = 600
"""Longer than any run: an idle pooled connection must not close under a client's next request."""


class PortInUse(Exception):
    """The port that was asked for is taken."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} is in use on {HOST}: stop what listens there, or choose another with --port"
        )


def bind(port: int) -> socket.socket:
    """Bind and listen on a loopback port, 0 for an ephemeral one; raises PortInUse."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port) from error
        raise
    return listener


def announce(port: int, **more: str) -> None:
    """Tell the parent on stdout that this process answers on that port."""
    sys.stdout.write(orjson.dumps({"ready": True, "port": port, **more}).decode() + "\n")
    sys.stdout.flush()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with two short cuts: to write a part of a body, and to learn that the client left.

    Both spare what thousands of small events a second would pay for: a message and its checks for each, a
    task per request that waits for nothing but the end.
    """

    _leaving: Callable[[], None] | None = None

    def on_headers_complete(self) -> None:
        """Offer them to the request; its task has been made and has not begun."""
        super().on_headers_complete()
        # Extensions are dictionaries by specification; these two are callables, for the stand-ins alone.
        offered: dict[str, Any] = {WRITE_NOW: self._write_now, ON_LEAVE: self._on_leave}
        self.scope["extensions"] = offered

    def _write_now(self, part: bytes) -> bool:
        cycle = self.cycle
        waits = self.flow.write_paused or cycle.disconnected or self.pipeline
        if waits or not cycle.chunked_encoding:
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
        return True

    def _on_leave(self, callback: Callable[[], None] | None) -> None:
        self._leaving = callback
        if callback is not None:
            self.flow.resume_reading()  # or a client that leaves would not be noticed

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever wants to know."""
        super().connection_lost(exc)
        if self._leaving is not None:
            self._leaving()


class _AnnouncingServer(uvicorn.Server):
    """A uvicorn server that says when it accepts connections."""

    def __init__(self, config: uvicorn.Config, port: int, more: dict[str, str]) -> None:
        super().__init__(config)
        self._port = port
        self._more = more

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second, and every other time look for cycles among the young.

        By itself the collector begins when 5,000 more objects were made than freed: with hundreds of streams open
        that is seldom, and all that lives has become young again by then (20 ms).
        """
        if counter % 2 == 0:
            gc.collect(0)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        announce(self._port, **self._more)


def run(app: App, port: int) -> int:
    """Bind the port and serve until SIGTERM or SIGINT; returns the exit code of the process."""
    try:
        listener = bind(port)
    except PortInUse as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_ERROR
    serve(app, listener)
    return 0


def serve(
    app: App, listener: socket.socket, certificate: Path | None = None, **announced: str
) -> None:
    """Serve until SIGTERM or SIGINT; open responses get a second to finish.

    With a `certificate`, a PEM file that holds the key too, it speaks TLS.
    What else is `announced` goes into the line that says the process is ready.
    """
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate,
    )
    server = _AnnouncingServer(config, listener.getsockname()[1], announced)
    # uvicorn raises the signal again when it is done; without a handler that would end the process
    # before what is still queued has been flushed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    # A full collection walks every live object and shows up as a pause in what clients measure.
    gc.freeze()
    gc.set_threshold(*COLLECT_BRIEFLY)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listener]))


def _ignore(_number: int, _frame: object) -> None:
    """Take a signal that uvicorn has already acted upon."""
