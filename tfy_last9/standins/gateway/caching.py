"""The answer cache around a model call: looked up before it, filled after it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tfy_last9.standins.asgi import Scope, header
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.policy.cache import EXACT, Cache, CacheConfig, Kept
from tfy_last9.standins.gateway.policy.guardrails import NESTING_KEYS, texts
from tfy_last9.standins.gateway.policy.semantic import SemanticCache, Words, words_of
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
    """The cache and one request, to be answered with the very same request's answer."""

    def __init__(self, cache: Cache, config: CacheConfig, key: str, story: Story) -> None:
        self._cache = cache
        self._config = config
        self._story = story
        self._key = key

    def find(self) -> Kept | None:
        """Look the request up and note what came of it."""
        return self._noted(self._cache.find(self._key, time.monotonic()))

    def _noted(self, kept: Kept | None) -> Kept | None:
        applied = self._story.applied
        applied.cache_status = "miss" if kept is None else "hit"
        applied.cached_trace_id = kept.trace_id if kept is not None else None
        return kept

    def keep(self, events: list[tuple[bytes, bool]] | None, document: Any) -> None:
        """Keep a complete answer for the next who asks the same."""
        if self._story.applied.cache_status != "miss" or not self._story.attempts:
            return
        answer = Answer(self._story.attempts[-1], events, document)
        self._store(Kept(f"{self._story.trace_id:032x}", answer))

    def _store(self, kept: Kept) -> None:
        self._cache.store(self._key, kept, self._config.ttl_s, time.monotonic())


class SemanticLookup(Lookup):
    """The cache and one request, to be answered with a similar request's answer."""

    def __init__(
        self,
        cache: Cache,
        similar: SemanticCache,
        config: CacheConfig,
        key: str,
        story: Story,
        words: Words,
    ) -> None:
        super().__init__(cache, config, key, story)
        self._similar = similar
        self._words = words

    def find(self) -> Kept | None:
        """Look for a similar question; a request without words has none, which is an error."""
        if not self._words:
            self._story.applied.cache_status = "error"
            return None
        now_s, threshold = time.monotonic(), self._config.threshold
        found = self._similar.find(self._key, self._words, threshold, now_s)
        self._story.applied.cache_similarity = found.score if found is not None else None
        return self._noted(found.kept if found is not None else None)

    def _store(self, kept: Kept) -> None:
        expires_s = time.monotonic() + self._config.ttl_s
        self._similar.store(self._key, self._words, kept, expires_s)


def lookup(
    cache: Cache,
    similar: SemanticCache,
    scope: Scope,
    request: ModelRequest,
    story: Story,
    path: str,
) -> Lookup | None:
    """Begin a lookup if the client asks for one; raises the 400 for a header that cannot be read."""
    text = header(scope, HEADER)
    if text is None or request.form is not None:
        return None
    try:
        config = CacheConfig.parse(text)
    except ValueError as error:
        raise envelope.bad_request(f"x-tfy-cache-config: {error}") from None
    subject, path = story.subject or "", f"{path} {request.model}"
    if config.kind == EXACT:
        return Lookup(cache, config, config.key(subject, path, request.body), story)
    rest = {name: value for name, value in request.body.items() if name not in NESTING_KEYS}
    words = words_of(texts(request.body))
    return SemanticLookup(cache, similar, config, config.key(subject, path, rest), story, words)


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
