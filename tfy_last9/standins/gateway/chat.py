"""Serve one admitted chat request: call the target, forward what it says, note what happened.

Events are forwarded one by one as they arrive, each in a write of its own. Only the usage event is
changed: the gateway adds `costInUSD`, or withholds it from clients that did not ask for usage.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

import orjson

from tfy_last9.standins.asgi import EVENT_STREAM_HEADERS, Header, Send, send_json
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.request import ChatRequest, upstream_body
from tfy_last9.standins.gateway.story import OK, Attempt, Story
from tfy_last9.standins.gateway.upstream import Reply, Upstream, UpstreamLost

DATA = b"data: "
DONE = b"data: [DONE]\n\n"
UNREACHABLE = 503
FALL_BACK_ON = frozenset({401, 403, 404, 408, 429, 500, 502, 503})
"""TrueFoundry's default `fallback_status_codes`, with the 408 that later documentation adds."""


@dataclass(slots=True)
class Chat:
    """One chat request on its way through the gateway."""

    story: Story
    request: ChatRequest
    upstream: Upstream
    send: Send
    headers: tuple[Header, ...]
    started: bool = False
    """Whether the status line has gone out, after which no error status can be sent."""
    hides_tokens: bool = False
    """Whether the provider forgets to report usage (fault `missing_tokens`)."""

    async def serve(self) -> None:
        """Answer the client; raises Rejection while a status can still be sent."""
        for card in self.request.fallbacks:
            try:
                await self._serve_one()
            except Rejection as rejection:
                if self.started or rejection.status not in FALL_BACK_ON:
                    raise
                self.request = replace(self.request, card=card)
            else:
                return
        await self._serve_one()

    async def _serve_one(self) -> None:
        attempt = Attempt(self.request.card, time.monotonic_ns())
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
        card, request = self.request.card, self.request
        try:
            async with (
                asyncio.timeout(request.request_timeout_s),
                asyncio.timeout(request.ttft_timeout_s) as first_token,
            ):
                reply = await self.upstream.post(card.upstream_path, upstream_body(request))
                try:
                    await self._forward(attempt, reply, first_token)
                finally:
                    reply.release()
        except TimeoutError:
            what = "request timeout" if attempt.first_token_ns else "time to first token"
            raise envelope.timed_out(card.provider, what) from None
        except UpstreamLost as error:
            raise envelope.provider_error(card.provider, UNREACHABLE, str(error)) from error

    async def _forward(self, attempt: Attempt, reply: Reply, first_token: asyncio.Timeout) -> None:
        if reply.status != OK:
            message = _vendor_message(await reply.body())
            raise envelope.provider_error(self.request.card.provider, reply.status, message)
        if self.request.streaming:
            await self._stream(attempt, reply, first_token)
        else:
            await self._whole(attempt, reply)

    async def _stream(self, attempt: Attempt, reply: Reply, first_token: asyncio.Timeout) -> None:
        # With a deadline for the first token the reply may still become a 408: nothing goes out yet.
        held: list[bytes] | None = [] if self.request.ttft_timeout_s is not None else None
        async for event in reply.events():
            if event == DONE:
                continue
            chunk = orjson.loads(event[len(DATA) :])
            content = _content(chunk)
            if content:
                attempt.saw_token(content, time.monotonic_ns())
                if held is not None:
                    first_token.reschedule(None)
                    for early in held:
                        await self._write(early, is_token=False)
                    held = None
            forwarded = self._note(attempt, chunk, event)
            if forwarded is None:
                continue
            if held is not None:
                held.append(forwarded)
            else:
                await self._write(forwarded, is_token=bool(content))
        attempt.finished_ns = time.monotonic_ns()
        attempt.status = OK
        await self._end(DONE)
        self.story.status, self.story.outcome = OK, "ok"

    def _note(self, attempt: Attempt, chunk: dict[str, Any], event: bytes) -> bytes | None:
        """Take what the trace needs from an event; returns what the client is to get, if anything."""
        if attempt.answer_id is None:
            attempt.answer_id, attempt.served_model = chunk.get("id"), chunk.get("model")
        for choice in chunk["choices"]:
            attempt.finish_reason = choice.get("finish_reason") or attempt.finish_reason
        usage = chunk.get("usage")
        if usage is None:
            return event
        if self.hides_tokens:
            return None
        _price(attempt, usage)
        return DATA + orjson.dumps(chunk) + b"\n\n" if self.request.wants_usage else None

    async def _write(self, event: bytes, *, is_token: bool) -> None:
        if not self.started:
            await self._start()
        if is_token:
            self.story.sending_token(time.monotonic_ns())
        self.story.events_sent += 1
        await self.send({"type": "http.response.body", "body": event, "more_body": True})

    async def _start(self) -> None:
        self.started = True
        headers = [*EVENT_STREAM_HEADERS, *self.headers, self._resolved()]
        await self.send({"type": "http.response.start", "status": OK, "headers": headers})

    async def _end(self, event: bytes) -> None:
        if not self.started:
            await self._start()
        self.story.events_sent += 1
        await self.send({"type": "http.response.body", "body": event})

    def _resolved(self) -> Header:
        return b"x-tfy-resolved-model", self.request.card.name.encode()

    async def break_off(self, rejection: Rejection) -> None:
        """End a stream that has begun and cannot be completed: an error event and no `[DONE]`.

        The shape of such an event is not on public record; this one carries the usual envelope.
        """
        await self._end(DATA + orjson.dumps(rejection.document()) + b"\n\n")

    async def _whole(self, attempt: Attempt, reply: Reply) -> None:
        document = orjson.loads(await reply.body())
        attempt.finished_ns = time.monotonic_ns()
        attempt.status = OK
        attempt.answer_id, attempt.served_model = document.get("id"), document.get("model")
        choice = document["choices"][0]
        attempt.text.append(choice["message"].get("content") or "")
        attempt.finish_reason = choice.get("finish_reason")
        if self.hides_tokens:
            document.pop("usage")
        else:
            _price(attempt, document["usage"])
        document["provider"] = self.request.card.provider_type
        model_ms = (attempt.finished_ns - attempt.started_ns) / 1e6
        before_ms = (attempt.started_ns - self.story.received_ns) / 1e6
        timing = f"auth;dur={before_ms:.3f}, model;dur={model_ms:.3f}".encode()
        self.story.sending_token(time.monotonic_ns())
        self.story.events_sent = 1
        self.started = True
        headers = (*self.headers, self._resolved(), (b"server-timing", timing))
        await send_json(self.send, OK, document, headers)
        self.story.status, self.story.outcome = OK, "ok"


def _content(chunk: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def _price(attempt: Attempt, usage: dict[str, Any]) -> None:
    attempt.input_tokens = usage["prompt_tokens"]
    attempt.output_tokens = usage["completion_tokens"]
    attempt.cost_usd = attempt.card.cost_usd(usage["prompt_tokens"], usage["completion_tokens"])
    usage["costInUSD"] = attempt.cost_usd


def _vendor_message(body: bytes) -> str:
    """Find the text in a vendor's error body: all three nest it as `error.message`."""
    try:
        return str(orjson.loads(body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode(errors="replace")[:200] or "no error message"
