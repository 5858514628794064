"""Serve one admitted request: call the targets, forward what one says, note what happened.

Events are forwarded one by one as they arrive. What they mean is the format's business.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import orjson

from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.catalogue import Card
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.formats.format import Format, Passing
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import OK, Attempt, Story
from tfy_last9.standins.gateway.upstream import JSON, Reply, Upstream, UpstreamLost

UNREACHABLE = 503
FALL_BACK_ON = frozenset({401, 403, 404, 408, 429, 500, 502, 503})
"""TrueFoundry's default `fallback_status_codes`, with the 408 that later documentation adds."""
HOLDS_BACK = frozenset({"anthropic"})
"""Provider types whose streams are held until the first token, so that an error before it can fall back."""


@dataclass(slots=True)
class Call:
    """One request on its way to a model."""

    story: Story
    request: ModelRequest
    format: Format
    upstream: Upstream
    client: Client
    reports_usage: bool = True
    """False when the provider forgets to report usage (fault `missing_tokens`)."""
    names_target: bool = True
    """Whether the client is told which target served."""
    timeout_type: str = "APIError"
    _passing: Passing = field(init=False)

    def __post_init__(self) -> None:
        self._passing = Passing(self.reports_usage, self.request.wants_usage)

    async def serve(self) -> None:
        """Answer the client; raises Rejection, and whoever catches it sees whether the client has begun."""
        *first, last = self.request.targets
        for card in first:
            try:
                await self._serve_one(card)
            except Rejection as rejection:
                if self.client.started or rejection.status not in FALL_BACK_ON:
                    raise
            else:
                return
        await self._serve_one(last)

    async def _serve_one(self, card: Card) -> None:
        attempt = Attempt(card, time.monotonic_ns(), self.format.path(self.request, card))
        self.story.attempts.append(attempt)
        try:
            await self._attempt(attempt)
        except Rejection as rejection:
            attempt.status = rejection.status
            attempt.error_message = rejection.message
            raise
        except asyncio.CancelledError:
            attempt.status = attempt.status or envelope.CLIENT_LEFT
            attempt.error_message = "client closed the request"
            raise
        finally:
            attempt.finished_ns = attempt.finished_ns or time.monotonic_ns()

    async def _attempt(self, attempt: Attempt) -> None:
        provider, request = attempt.card.provider, self.request
        try:
            async with (
                asyncio.timeout(request.request_timeout_s),
                asyncio.timeout(request.ttft_timeout_s) as first_token,
            ):
                reply = await self._ask(attempt)
                try:
                    await self._forward(attempt, reply, first_token)
                finally:
                    reply.release()
        except TimeoutError:
            what = "request timeout" if attempt.first_token_ns else "time to first token"
            raise envelope.timed_out(provider, what, self.timeout_type) from None
        except UpstreamLost as error:
            raise envelope.provider_error(provider, UNREACHABLE, str(error)) from error

    async def _ask(self, attempt: Attempt) -> Reply:
        card, form = attempt.card, self.request.form
        path = card.upstream_path(attempt.path)
        body = self.format.body(self.request, card)
        content_type = JSON if form is None else form[0]
        return await self.upstream.send("POST", path, body, content_type=content_type)

    async def _forward(self, attempt: Attempt, reply: Reply, first_token: asyncio.Timeout) -> None:
        if reply.status != OK:
            message = _vendor_message(await reply.body())
            wait = reply.headers.get("retry-after")
            raise envelope.provider_error(attempt.card.provider, reply.status, message, wait)
        if self.names_target:
            named = (b"x-tfy-resolved-model", attempt.card.name.encode())
            self.client.headers = (*self.client.headers, named)
        try:
            if self.request.streaming:
                await self._stream(attempt, reply, first_token)
            else:
                await self._whole(attempt, reply)
        except (KeyError, TypeError, IndexError, orjson.JSONDecodeError):
            raise envelope.invalid_response(attempt.card.provider, 502) from None

    async def _stream(self, attempt: Attempt, reply: Reply, first_token: asyncio.Timeout) -> None:
        # While events are held the reply may still become an error with a status: nothing goes out.
        holds = self.request.ttft_timeout_s is not None or attempt.card.provider_type in HOLDS_BACK
        held: list[bytes] | None = [] if holds else None
        read, passing, client = self.format.read, self._passing, self.client
        last = b""
        complete = False
        async for event in reply.events():
            found = read(event, attempt, passing)
            if found.is_last:
                complete, last = True, found.forward
                continue
            if held is not None:
                if not found.is_token:
                    held.append(found.forward)
                    continue
                first_token.reschedule(None)
                await self._let_go(held)
                held = None
            if found.forward:
                await client.write(found.forward, is_token=found.is_token)
        if not complete:
            raise UpstreamLost("the provider ended its stream before the answer was complete")
        attempt.finished_ns = time.monotonic_ns()
        attempt.status = OK
        await self._let_go(held or [])
        await client.end(last)
        self.story.served()

    async def _let_go(self, held: list[bytes]) -> None:
        for event in held:
            if event:
                await self.client.write(event, is_token=False)

    async def _whole(self, attempt: Attempt, reply: Reply) -> None:
        body = await reply.body()
        attempt.finished_ns = time.monotonic_ns()
        media_type = reply.headers.get("content-type", JSON)
        timing = self._timing(attempt)
        if media_type == JSON:
            document = orjson.loads(body)
            self.format.whole(document, attempt, self._passing)
            attempt.status = OK
            await self.client.whole(document, timing)
        else:
            attempt.status = OK
            await self.client.bytes(media_type, body, timing)
        self.story.served()

    def _timing(self, attempt: Attempt) -> tuple[bytes, bytes]:
        before_ms = (attempt.started_ns - self.story.received_ns) / 1e6
        model_ms = (attempt.finished_ns - attempt.started_ns) / 1e6
        return b"server-timing", f"auth;dur={before_ms:.3f}, model;dur={model_ms:.3f}".encode()


def _vendor_message(body: bytes) -> str:
    """Find the text in a vendor's error body, which nests it as `error.message` or names it `message`."""
    try:
        document = orjson.loads(body)
        found = document.get("error", document)
        return str(found["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode(errors="replace")[:200] or "no error message"
