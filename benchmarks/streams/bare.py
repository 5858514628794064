"""The least a Python client can do for a stream: hub callback, recv, llhttp, one decoded chunk. No Locust, no ledger."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

import gevent
import httptools
import orjson

LEFT = int(os.environ["BENCH_REQUESTS"])
CONNECTIONS = 20
BODY = orjson.dumps(
    {"model": "acc/m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
)
REQUEST = b"POST /chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


class Stream:
    """One connection that sends the next request as soon as an answer is over."""

    def __init__(self, place: tuple[str, int]) -> None:
        self.sock = socket.create_connection(place)
        self.sock.setblocking(False)
        self.watcher: Any = gevent.get_hub().loop.io(self.sock.fileno(), 1)
        self.watcher.start(self.on_readable)
        self.begin()

    def begin(self) -> None:
        """Send a request, or stop."""
        global LEFT  # noqa: PLW0603 - a script
        if LEFT == 0:
            self.watcher.stop()
            return
        LEFT -= 1
        self.tokens = 0
        self.parser = httptools.HttpResponseParser(self)
        self.sock.send(REQUEST)

    def on_readable(self) -> None:
        """Feed what has come."""
        self.parser.feed_data(self.sock.recv(65536))

    def on_body(self, body: bytes) -> None:
        """Decode the first event, count the others."""
        if self.tokens == 0:
            orjson.loads(body[6:])
        self.tokens += 1

    def on_message_complete(self) -> None:
        """Go on with the next request."""
        assert self.tokens > 20
        self.begin()


parts = urlsplit(os.environ["TFY_GATEWAY_URL"])
streams = [Stream((parts.hostname or "", parts.port or 80)) for _ in range(CONNECTIONS)]
gevent.wait()
sys.exit(0)
