"""The client's side of one request: what has been sent to it, and whether a status can still be."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from tfy_last9.standins.asgi import (
    EVENT_STREAM_HEADERS,
    Header,
    Send,
    WriteNow,
    never_now,
    send_json,
)
from tfy_last9.standins.gateway.story import OK, Story


@dataclass(slots=True)
class Client:
    """Sends one answer; each event is a write of its own, and its instant is noted."""

    story: Story
    send: Send
    write_now: WriteNow = never_now
    headers: tuple[Header, ...] = ()
    """Sent with the status line, whatever the status."""
    finished: bool = False
    """Whether the last byte is on its way."""
    started: bool = False
    """Whether the status line has gone out, after which no error status can be sent."""
    gate: asyncio.Future[None] | None = None
    """What has to succeed before anything is sent: guardrails that run beside the model call."""
    kept: list[tuple[bytes, bool]] | None = None
    """Events that were sent, if they are to be cached."""

    def is_done(self) -> bool:
        """Tell whether the client has all it will get."""
        return self.finished

    async def write(self, event: bytes, *, is_token: bool) -> None:
        """Send one event of a stream."""
        if not self.started:
            await self.start()
        if self.kept is not None:
            self.kept.append((event, is_token))
        if is_token:
            self.story.sending_token(time.monotonic_ns())
        self.story.events_sent += 1
        if not self.write_now(event):
            await self.send({"type": "http.response.body", "body": event, "more_body": True})

    async def start(self) -> None:
        """Send the status line and the headers of a stream."""
        await self._pass_gate()
        self.started = True
        headers = [*EVENT_STREAM_HEADERS, *self.headers]
        await self.send({"type": "http.response.start", "status": OK, "headers": headers})

    async def end(self, event: bytes) -> None:
        """Send the last event of a stream."""
        if not self.started:
            await self.start()
        if self.kept is not None and event:
            self.kept.append((event, False))
        self.story.events_sent += bool(event)
        self.finished = True
        await self.send({"type": "http.response.body", "body": event})

    async def whole(self, document: object, *more: Header) -> None:
        """Send an answer at once, as JSON."""
        await self._pass_gate()
        self._note_whole()
        await send_json(self.send, OK, document, (*self.headers, *more))

    async def bytes(self, media_type: str, content: bytes, *more: Header) -> None:
        """Send an answer at once, as it is."""
        await self._pass_gate()
        self._note_whole()
        headers = [
            (b"content-type", media_type.encode("latin-1")),
            (b"content-length", str(len(content)).encode()),
            *self.headers,
            *more,
        ]
        await self.send({"type": "http.response.start", "status": OK, "headers": headers})
        await self.send({"type": "http.response.body", "body": content})

    async def _pass_gate(self) -> None:
        if self.gate is not None:
            await asyncio.shield(self.gate)

    def _note_whole(self) -> None:
        self.started = self.finished = True
        self.story.sending_token(time.monotonic_ns())
        self.story.events_sent = 1
