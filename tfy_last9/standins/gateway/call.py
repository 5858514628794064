"""Serve one admitted request: call the targets, forward what one says, note what happened.

Events are forwarded one by one as they arrive. What they mean is the format's business.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from tfy_last9.standins.asgi import Header
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.envelope import Blocked, Rejection, TooSlow
from tfy_last9.standins.gateway.formats.format import Format, Passing, json_text
from tfy_last9.standins.gateway.guarding import GIVEN_UP, Checks
from tfy_last9.standins.gateway.policies import Ruling
from tfy_last9.standins.gateway.policy.config import Retry, Target
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import OK, Attempt, Story
from tfy_last9.standins.gateway.upstream import JSON, Reply, Upstream, UpstreamLost

UNREACHABLE = 503
NO_RETRY = Retry(attempts=0)
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
    ruling: Ruling | None = None
    """The rules that concern the request, if any do."""
    checks: Checks | None = None
    holds_streams: bool = False
    """Whether a stream is held back until output guardrails have seen all of it."""
    keeps: bool = False
    """Whether a whole answer is to be cached."""
    reports_usage: bool = True
    """False when the provider forgets to report usage (fault `missing_tokens`)."""
    names_target: bool = True
    """Whether the client is told which target served."""
    timeout_type: str = "APIError"
    document: Any = None
    """A whole answer as it was sent, if it is kept."""
    _passing: Passing = field(init=False)
    _headers: tuple[Header, ...] = field(init=False)
    """What the client gets whichever target serves."""

    def __post_init__(self) -> None:
        self._passing = Passing(self.reports_usage, self.request.wants_usage)
        self._headers = self.client.headers

    async def serve(self) -> None:
        """Answer the client; raises Rejection, and whoever catches it sees whether the client has begun."""
        *first, last = self.request.targets
        for target in first:
            try:
                await self._insist(target)
            except Rejection as rejection:
                if self.client.started or not _falls_back(target, rejection):
                    raise
            else:
                return
        await self._insist(last)

    async def _insist(self, target: Target) -> None:
        """Try one target as often as its `retry_config` says."""
        retry = target.retry_config or NO_RETRY
        for number in range(retry.attempts):
            try:
                await self._serve_one(target, is_retry=number > 0)
            except Rejection as rejection:
                if self.client.started or not _is_worth_a_retry(retry, rejection):
                    raise
            else:
                return
            await asyncio.sleep(retry.delay_s)
        await self._serve_one(target, is_retry=retry.attempts > 0)

    async def _serve_one(self, target: Target, *, is_retry: bool) -> None:
        path = self.format.path(self.request, target.card)
        attempt = Attempt(target.card, time.monotonic_ns(), path, is_retry=is_retry)
        self.story.attempts.append(attempt)
        try:
            await self._with_rules(target, attempt)
        except Blocked:
            attempt.is_aborted = attempt.status is None
            raise
        except Rejection as rejection:
            attempt.status = rejection.status
            attempt.error_message = rejection.message
            raise
        except asyncio.CancelledError as cancelled:
            if GIVEN_UP in cancelled.args:
                attempt.is_aborted = attempt.status is None
            else:
                attempt.status = attempt.status or envelope.CLIENT_LEFT
                attempt.error_message = "client closed the request"
            raise
        finally:
            attempt.finished_ns = attempt.finished_ns or time.monotonic_ns()
            if self.ruling is not None:
                self.ruling.after(attempt)

    async def _with_rules(self, target: Target, attempt: Attempt) -> None:
        if self.ruling is not None:
            attempt.reached_provider = False
            self.ruling.before(target)
            attempt.reached_provider = True
        await self._attempt(target, attempt)

    async def _attempt(self, target: Target, attempt: Attempt) -> None:
        provider, request = attempt.card.provider, self.request
        try:
            async with (
                asyncio.timeout(request.request_timeout_s),
                asyncio.timeout(request.ttft_timeout_s) as first_token,
            ):
                reply = await self._ask(target, attempt)
                try:
                    await self._forward(attempt, reply, first_token)
                finally:
                    reply.release()
        except TimeoutError:
            if first_token.expired():
                raise envelope.no_first_token(provider, self.timeout_type) from None
            raise envelope.timed_out(provider, "request timeout", self.timeout_type) from None
        except UpstreamLost as error:
            raise envelope.provider_error(provider, UNREACHABLE, str(error)) from error

    async def _ask(self, target: Target, attempt: Attempt) -> Reply:
        request = self.request
        if target.override_params:
            request = replace(request, body={**request.body, **target.override_params})
        card, form = attempt.card, request.form
        return await self.upstream.send(
            "POST",
            card.upstream_path(attempt.path),
            self.format.body(request, card),
            content_type=JSON if form is None else form[0],
            headers={
                name: value
                for name, value in target.headers_set.items()
                if name not in target.headers_remove
            },
        )

    async def _forward(self, attempt: Attempt, reply: Reply, first_token: asyncio.Timeout) -> None:
        if reply.status != OK:
            message = _vendor_message(await reply.body())
            wait = reply.headers.get("retry-after")
            raise envelope.provider_error(attempt.card.provider, reply.status, message, wait)
        self.client.headers = (*self._headers, *self._named(attempt))
        try:
            if self.request.streaming:
                await self._stream(attempt, reply, first_token)
            else:
                await self._whole(attempt, reply)
        except (KeyError, TypeError, IndexError, orjson.JSONDecodeError):
            raise envelope.invalid_response(attempt.card.provider, 502) from None

    def _named(self, attempt: Attempt) -> list[Header]:
        """Name the target and what was applied on the way to it."""
        found: list[Header] = []
        if self.names_target:
            found.append((b"x-tfy-resolved-model", attempt.card.name.encode()))
        applied = self.story.applied.document()
        if applied:
            before = [one.card.name for one in self.story.attempts[:-1]]
            configured = applied | ({"fallback": before} if before else {})
            rules = applied | {"resolved_model": attempt.card.name}
            found.append((b"x-tfy-applied-configurations", json_text(configured).encode()))
            found.append((b"x-tfy-applied-rules", json_text(rules).encode()))
        return found

    async def _stream(self, attempt: Attempt, reply: Reply, first_token: asyncio.Timeout) -> None:
        # While events are held the reply may still become an error with a status: nothing goes out.
        holds = self.request.ttft_timeout_s is not None or attempt.card.provider_type in HOLDS_BACK
        held: list[bytes] | None = [] if holds or self.holds_streams else None
        read, passing, client = self.format.read, self._passing, self.client
        last = b""
        complete = False
        async for event in reply.events():
            found = read(event, attempt, passing)
            if found.is_last:
                complete, last = True, found.forward
                continue
            if held is not None:
                if found.is_token:
                    first_token.reschedule(None)
                if not found.is_token or self.holds_streams:
                    held.append(found.forward)
                    continue
                await self._let_go(held)
                held = None
            if found.forward:
                await client.write(found.forward, is_token=found.is_token)
        if not complete:
            raise UpstreamLost("the provider ended its stream before the answer was complete")
        attempt.finished_ns = time.monotonic_ns()
        attempt.status = OK
        if self.holds_streams and self.checks is not None:
            await self.checks.after_stream("".join(attempt.text))
        await self._let_go(held or [])
        await client.end(last)
        self.story.served()

    async def _let_go(self, held: list[bytes]) -> None:
        """Send what was held; with all of a stream held, it is the first that the client sees of it."""
        for event in held:
            if event:
                await self.client.write(event, is_token=self.holds_streams)

    async def _whole(self, attempt: Attempt, reply: Reply) -> None:
        body = await reply.body()
        attempt.finished_ns = time.monotonic_ns()
        media_type = reply.headers.get("content-type", JSON)
        if media_type == JSON:
            document = orjson.loads(body)
            self.format.whole(document, attempt, self._passing)
            attempt.status = OK
            if self.checks is not None:
                document = await self.checks.after(document)
            self.document = document if self.keeps else None
            await self.client.whole(document, self._timing(attempt))
        else:
            attempt.status = OK
            await self.client.bytes(media_type, body, self._timing(attempt))
        self.story.served()

    def _timing(self, attempt: Attempt) -> Header:
        """Give `server-timing`: the stages in ms, those that took place."""
        stages = self.story.applied.stages_ns
        first_ns = self.story.attempts[0].started_ns
        rest_ns = (
            first_ns
            - self.story.received_ns
            - sum(taken for name, taken in stages.items() if name != "guardrails")
        )
        found = {"auth": rest_ns, **stages, "model": attempt.finished_ns - attempt.started_ns}
        text = ", ".join(f"{name};dur={taken / 1e6:.3f}" for name, taken in found.items())
        return b"server-timing", text.encode()


def _falls_back(target: Target, rejection: Rejection) -> bool:
    if isinstance(rejection, Blocked):
        return False
    return isinstance(rejection, TooSlow) or rejection.status in target.fallback_status_codes


def _is_worth_a_retry(retry: Retry, rejection: Rejection) -> bool:
    """Tell whether to try the same target again: not against the gateway's own limit."""
    is_own = rejection.level != "api_error"
    return not is_own and rejection.status in retry.on_status_codes


def _vendor_message(body: bytes) -> str:
    """Find the text in a vendor's error body, which nests it as `error.message` or names it `message`."""
    try:
        document = orjson.loads(body)
        found = document.get("error", document)
        return str(found["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode(errors="replace")[:200] or "no error message"
