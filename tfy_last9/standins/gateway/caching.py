"""The answer cache around a model call: looked up before it, filled after it.

Semantic lookups need an embedding model, which this sandbox has not: they report `error` and the model is
called, as the documented status allows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tfy_last9.standins.asgi import Scope, header
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.policy.cache import Cache, CacheConfig, Kept
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import Attempt, Story

HEADER = b"x-tfy-cache-config"
STATUS = b"x-tfy-cache-status"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of an answer."""

    attempt: Attempt
    """Whose model and text the cached request's trace shows."""
    events: list[tuple[bytes, bool]] | None
    """Of a stream: events and whether each bears a token."""
    document: Any
    """Of a whole answer."""


class Lookup:
    """The cache and one request."""

    def __init__(
        self, cache: Cache, config: CacheConfig, request: ModelRequest, story: Story, path: str
    ) -> None:
        self._cache = cache
        self._config = config
        self._story = story
        self._key = config.key(story.subject or "", f"{path} {request.model}", request.body)

    def find(self) -> Kept | None:
        """Look the request up and note what came of it."""
        applied = self._story.applied
        if self._config.kind != "exact-match":
            applied.cache_status = "error"
            return None
        kept = self._cache.find(self._key, time.monotonic())
        applied.cache_status = "miss" if kept is None else "hit"
        applied.cached_trace_id = kept.trace_id if kept is not None else None
        return kept

    def keep(self, events: list[tuple[bytes, bool]] | None, document: Any) -> None:
        """Keep a complete answer for the next who asks the same."""
        if self._story.applied.cache_status != "miss" or not self._story.attempts:
            return
        answer = Answer(self._story.attempts[-1], events, document)
        kept = Kept(f"{self._story.trace_id:032x}", answer)
        self._cache.store(self._key, kept, self._config.ttl_s, time.monotonic())


def lookup(
    cache: Cache, scope: Scope, request: ModelRequest, story: Story, path: str
) -> Lookup | None:
    """Begin a lookup if the client asks for one; raises the 400 for a header that cannot be read."""
    text = header(scope, HEADER)
    if text is None or request.form is not None:
        return None
    try:
        config = CacheConfig.parse(text)
    except ValueError as error:
        raise envelope.bad_request(f"x-tfy-cache-config: {error}") from None
    return Lookup(cache, config, request, story, path)


async def replay(answer: Answer, client: Client, *, as_model_span: bool) -> None:
    """Send a kept answer; whether its trace has a Model span is a switch."""
    story, now_ns = client.story, time.monotonic_ns()
    if as_model_span:
        kept = answer.attempt
        attempt = Attempt(kept.card, now_ns, kept.path, now_ns, kept.status)
        attempt.reached_provider = False
        attempt.text, attempt.finish_reason = kept.text, kept.finish_reason
        attempt.answer_id, attempt.served_model = kept.answer_id, kept.served_model
        story.attempts.append(attempt)
    if answer.events is None:
        await client.whole(answer.document)
    else:
        for event, is_token in answer.events[:-1]:
            await client.write(event, is_token=is_token)
        await client.end(answer.events[-1][0] if answer.events else b"")
    story.served()
