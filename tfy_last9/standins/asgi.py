"""The few lines of raw ASGI that the stand-ins share: bodies, JSON answers, clients that hang up."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

import orjson

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

WriteNow = Callable[[bytes], bool]
"""Writes a part of a body at once, without a message; False if that has to be sent in the usual way."""

WRITE_NOW = "sandbox.write_now"
"""Extension under which a server offers that, for streams of thousands of small events a second."""

OnLeave = Callable[[Callable[[], None] | None], None]
"""Says what is to be called when the client hangs up; None for nothing any more."""

ON_LEAVE = "sandbox.on_leave"
"""Extension under which a server offers that; where none does, a task waits for the end."""

JSON_TYPE: Header = (b"content-type", b"application/json")
EVENT_STREAM_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
)


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of that lower-case name, or None."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def carries_key(scope: Scope, key: str) -> bool:
    """Tell whether the request is authorised as `Bearer <key>`."""
    seen = (header(scope, b"authorization") or "").encode("latin-1")
    return hmac.compare_digest(seen, f"Bearer {key}".encode())


def never_now(part: bytes) -> bool:
    """Write nothing: for servers that do not offer it."""
    del part
    return False


def write_now(scope: Scope) -> WriteNow:
    """Give the server's short cut for parts of a body."""
    extensions = scope.get("extensions") or {}
    found: WriteNow = extensions.get(WRITE_NOW, never_now)
    return found


class ClientLeft(Exception):
    """The client hung up before its request was complete."""


async def read_body(receive: Receive) -> bytes:
    """Collect the request body; raises ClientLeft."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def send_json(
    send: Send, status: int, payload: object, headers: tuple[Header, ...] = ()
) -> None:
    """Answer with one JSON document."""
    body = orjson.dumps(payload)
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [JSON_TYPE, length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_bytes(send: Send, media_type: bytes, body: bytes) -> None:
    """Answer with anything that is not JSON."""
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class ClientWatch:
    """Cancels the work inside its `with` block when the client hangs up.

    The server reports the end of a complete response as a disconnect, too: leave the block right after
    the last `send`, without waiting in between, or say with `is_done` when the response is complete.
    """

    __slots__ = ("_is_done", "_on_leave", "_receive", "_watcher", "_worker", "left")

    def __init__(
        self, scope: Scope, receive: Receive, is_done: Callable[[], bool] = lambda: False
    ) -> None:
        self.left = False
        self._on_leave: OnLeave | None = (scope.get("extensions") or {}).get(ON_LEAVE)
        self._receive = receive
        self._is_done = is_done
        self._watcher: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[None] | None = None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        if self._worker is not None and not self._is_done():
            self.left = True
            self._worker.cancel()

    def __enter__(self) -> Self:
        self._worker = asyncio.current_task()
        if self._on_leave is not None:
            self._on_leave(self._leave)
        else:
            self._watcher = asyncio.create_task(self._watch())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        # What refers to the tasks is let go of: a cycle per request would keep the collector busy.
        worker, self._worker = self._worker, None
        if self._on_leave is not None:
            self._on_leave(None)
        elif self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        if worker is None or not self.left or kind is not asyncio.CancelledError:
            return False
        worker.uncancel()
        return True
