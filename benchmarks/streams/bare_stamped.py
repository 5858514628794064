"""A loop that measures and does nothing else: no Locust, no scenario, no schedule, no ledger on disk.

Per stream: a hub callback, `recvmsg` with the kernel's receive time, llhttp, JSON only where it carries facts
(first content, finish, usage), tokens and largest gap, one greenlet switch at the end, a row packed into a buffer.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any
from urllib.parse import urlsplit

import gevent
import httptools
import orjson
from gevent.hub import Waiter

MOST = int(os.environ["BENCH_REQUESTS"])
CONNECTIONS = 20
BODY = orjson.dumps(
    {"model": "acc/m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
)
REQUEST = b"POST /chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)
STAMPS = 35  # SO_TIMESTAMPNS
ROW = struct.Struct("<qqqqqqiiii")
ROWS = bytearray(ROW.size * MOST)
OFFSET_NS = time.time_ns() - time.monotonic_ns()


class Stream:
    """One connection and the answer that is being read from it."""

    def __init__(self, place: tuple[str, int]) -> None:
        self.sock = socket.create_connection(place)
        self.sock.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
        self.sock.setblocking(False)
        self.parser = httptools.HttpResponseParser(self)
        self.watcher: Any = gevent.get_hub().loop.io(self.sock.fileno(), 1)
        self.watcher.start(self.on_readable)

    def ask(self, number: int) -> None:
        """Send a request, wait for the end of its answer, write its row."""
        self.tokens = self.gap_ns = self.first_ns = self.last_ns = self.usage = 0
        self.waiter: Any = Waiter()
        started_ns = time.monotonic_ns()
        self.sock.send(REQUEST)
        self.waiter.get()
        assert self.tokens == 20
        ROW.pack_into(
            *(ROWS, number * ROW.size, number, started_ns, self.first_ns, self.last_ns),
            *(self.at_ns, self.gap_ns, self.parser.get_status_code(), self.tokens, self.usage, 0),
        )

    def on_readable(self) -> None:
        """Take what has come, and when it came."""
        data, ancillary, _, _ = self.sock.recvmsg(65536, 64)
        now_ns = self.at_ns = time.monotonic_ns()
        for _, kind, stamp in ancillary:
            if kind == STAMPS:
                seconds, nanoseconds = struct.unpack("<qq", stamp)
                self.at_ns = min(now_ns, seconds * 1_000_000_000 + nanoseconds - OFFSET_NS)
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take one event."""
        if self.tokens and body.find(b'"delta":{"content":"') > 0:
            self.tokens += 1
            self.gap_ns = max(self.gap_ns, self.at_ns - self.last_ns)
            self.last_ns = self.at_ns
        elif body != b"data: [DONE]\n\n":
            chunk = orjson.loads(body[6:])
            if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                self.tokens = 1
                self.first_ns = self.last_ns = self.at_ns
            if "usage" in chunk:
                self.usage = chunk["usage"]["completion_tokens"]

    def on_message_complete(self) -> None:
        """Wake the greenlet that asked."""
        self.waiter.switch(None)


def work(place: tuple[str, int], first: int, share: int) -> None:
    stream = Stream(place)
    for number in range(first, first + share):
        stream.ask(number)


parts = urlsplit(os.environ["TFY_GATEWAY_URL"])
origin = (parts.hostname or "", parts.port or 80)
part = MOST // CONNECTIONS
greenlets = [gevent.spawn(work, origin, n * part, part) for n in range(CONNECTIONS)]
gevent.joinall(greenlets, raise_error=True)
