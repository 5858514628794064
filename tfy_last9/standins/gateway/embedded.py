"""The provider side within this process: requests go to an ASGI app without a socket between.

For measuring the gateway on one core; the sandbox keeps its providers in a process of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from tfy_last9.standins.asgi import ON_LEAVE, WRITE_NOW, Message, Scope
from tfy_last9.standins.gateway.upstream import JSON, Reply, UpstreamLost, cut_event
from tfy_last9.standins.serving import App


class _Exchange:
    """One request and its answer, written by the app's task and read by the gateway's."""

    __slots__ = (
        *("_body", "_buffer", "_complete", "_loop", "_waiter", "headers", "status", "task"),
    )

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._buffer = bytearray()
        self._complete = False
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.task: asyncio.Task[None]

    def begin(self, app: App, scope: Scope) -> None:
        self.task = self._loop.create_task(app(scope, self._receive, self._send))  # type: ignore[arg-type] # an app is a coroutine function
        self.task.add_done_callback(self._ended)

    async def _receive(self) -> Message:
        if self._body is None:
            await self._loop.create_future()  # the gateway hangs up by cancelling the task
        body, self._body = self._body, None
        return {"type": "http.request", "body": body}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode("latin-1") for k, v in message["headers"]}
        else:
            self._buffer += message["body"]
            self._complete = not message.get("more_body", False)
        self._wake()

    def write_now(self, part: bytes) -> bool:
        """Take a part of the body without a message."""
        self._buffer += part
        self._wake()
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # told below as a lost answer
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def progress(self) -> None:
        """Wait until the app has sent something; raises UpstreamLost if it ended without."""
        if self.task.done():
            raise UpstreamLost("the provider closed the connection before its answer was complete")
        self._waiter = self._loop.create_future()
        await self._waiter

    async def events(self) -> AsyncIterator[bytes]:
        """Yield each SSE event as soon as it is complete."""
        while True:
            while (event := cut_event(self._buffer)) is not None:
                yield event
            if self._complete:
                return
            await self.progress()

    async def body(self) -> bytes:
        """Read the whole body."""
        while not self._complete:
            await self.progress()
        return bytes(self._buffer)

    def release(self) -> None:
        """Stop an app that is not done."""
        if not self._complete:
            self.task.cancel()


def _cancels(callback: Callable[[], None] | None) -> None:
    """Call nothing: when the gateway hangs up it cancels the task itself."""
    del callback


class Embedded:
    """Answers requests with an app in this process."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def send(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Start the app on a request and wait for the status; raises UpstreamLost."""
        given = {"content-type": content_type, **(headers or {})}
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        }
        exchange = _Exchange(body)
        scope["extensions"] = {WRITE_NOW: exchange.write_now, ON_LEAVE: _cancels}
        exchange.begin(self._app, scope)
        try:
            while not exchange.status:
                await exchange.progress()
        except BaseException:
            exchange.task.cancel()
            raise
        return exchange
