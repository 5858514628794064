"""OpenAI chat completions: request bodies, and the facts of an answer, streamed or whole.

Source: OpenAI API reference, "Chat" and "Streaming". The gateway adds `costInUSD` to `usage`
(github.com/truefoundry/trueforge reads it); a stream reports usage only when asked to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import blake2b
from typing import Any, Protocol

import orjson

from tfy_last9.model.scenario import Prompt, Target
from tfy_last9.wire.skeleton import Skeleton

PATH = "/chat/completions"
DONE = b"[DONE]"
_MESSAGE_LIMIT = 200


def request_body(target: Target, prompt: Prompt) -> dict[str, object]:
    """Return the JSON body for a target; its `body:` is merged in last, so that it wins."""
    body: dict[str, object] = {
        "model": target.model,
        "messages": [
            {"role": message.role, "content": message.content} for message in prompt.messages
        ],
        "stream": target.stream,
    }
    if target.stream:
        body["stream_options"] = {"include_usage": True}
    if target.max_tokens is not None:
        body["max_tokens"] = target.max_tokens
    return body | dict(target.body)


def opened_by_nonce(prompt: Prompt, request_id: str) -> Prompt:
    """Return the prompt with a nonce in front that no other request has: no cache can know it.

    Always 18 characters, so that no arm of a comparison sends more than the other.
    """
    first, *rest = prompt.messages
    nonce = blake2b(request_id.encode(), digest_size=8).hexdigest()
    return Prompt((replace(first, content=f"{nonce}\n\n{first.content}"), *rest))


class TokenKind(Enum):
    """What a token is a piece of."""

    ANSWER = "answer"
    REASONING = "reasoning"
    TOOL = "tool"


TokenText = tuple[TokenKind, bytes]
"""A kind of token, and the key that its text has in a delta."""
_TOKEN_TEXTS: tuple[tuple[str, TokenText], ...] = (
    ("content", (TokenKind.ANSWER, b"content")),
    ("reasoning_content", (TokenKind.REASONING, b"reasoning_content")),
    ("reasoning", (TokenKind.REASONING, b"reasoning")),
    ("tool_calls", (TokenKind.TOOL, b"arguments")),
)
"""Members of a delta that make it a token; the first that is there says which kind."""


class Gaps(Protocol):
    """Where the times between tokens are counted."""

    def add(self, value: int, count: int = 1) -> None:
        """Count a gap of so many nanoseconds, `count` times."""


@dataclass(slots=True)
class ChatFacts:
    """What an answer said. Instants are in the caller's clock; None means "not said"."""

    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    last_token_ns: int | None = None
    chunks: int = 0
    """Events that brought a token: content, reasoning or a tool call."""
    reasoning_chunks: int = 0
    tool_chunks: int = 0
    max_gap_ns: int | None = None
    finish_reason: str | None = None
    resolved_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    error_type: str | None = None
    error_message: str | None = None
    done: bool = False
    """The stream said `[DONE]`, or the whole answer was read."""
    gaps: Gaps | None = field(default=None, compare=False)
    _skeleton: Skeleton | None = field(default=None, compare=False)
    _kind: TokenKind | None = field(default=None, compare=False)
    """Which kind of token the skeleton stands for."""

    def skim(self, block: bytes, start: int, at_ns: int) -> int:
        """Take the events at `start` that bring one more token each and nothing else; return their end."""
        if self._kind is None or self._skeleton is None:
            return start
        end, count = self._skeleton.run(block, start)
        if count:
            self._take_tokens(self._kind, count, at_ns)
        return end

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take the data of one stream event that arrived at `at_ns`."""
        if data == DONE:
            self.done = True
            return
        self._kind = None
        try:
            chunk = orjson.loads(data)
        except ValueError:
            self._fail("bad_event", data[:_MESSAGE_LIMIT].decode("utf-8", "replace"))
            return
        if not isinstance(chunk, dict):
            return
        if chunk.get("error") is not None:
            self._take_error(chunk["error"])
        before = self.chunks
        token = None
        for choice in _listed(chunk.get("choices")):
            token = self._take_delta(_mapped(choice.get("delta")), at_ns)
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        self._take_common(chunk)
        if token is not None and self.chunks == before + 1:
            self._learn(data, *token)

    def take_answer(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            self._fail("bad_body", body[:_MESSAGE_LIMIT].decode("utf-8", "replace"))
            return
        choices = _listed(answer.get("choices")) if isinstance(answer, dict) else []
        if not choices:
            self._fail("bad_body", "the answer holds no choices")
            return
        self.finish_reason = choices[0].get("finish_reason")
        self._take_common(answer)
        self.done = True

    def _take_delta(self, delta: Mapping[str, object], at_ns: int) -> TokenText | None:
        """Take one choice's delta; return its kind of token and the key of the text."""
        token = _token_in(delta)
        if token is not None:
            self._take_tokens(token[0], 1, at_ns)
        return token

    def _take_tokens(self, kind: TokenKind, count: int, at_ns: int) -> None:
        """Take tokens that arrived together: all but the first have no gap before them."""
        self.chunks += count
        if kind is TokenKind.ANSWER:
            if self.first_answer_ns is None:
                self.first_answer_ns = at_ns
        elif kind is TokenKind.REASONING:
            self.reasoning_chunks += count
        else:
            self.tool_chunks += count
        if self.last_token_ns is None:
            self.first_token_ns = self.last_token_ns = at_ns
            count -= 1
            if not count:
                return
        gap_ns = at_ns - self.last_token_ns
        self.last_token_ns = at_ns
        if self.max_gap_ns is None or gap_ns > self.max_gap_ns:
            self.max_gap_ns = gap_ns
        if self.gaps is not None:
            self.gaps.add(gap_ns)
            if count > 1:
                self.gaps.add(0, count - 1)

    def _learn(self, data: bytes, kind: TokenKind, key: bytes) -> None:
        if self._skeleton is None:
            self._skeleton = Skeleton()
        self._skeleton.learn(data, key)
        self._kind = kind

    def _take_common(self, document: Mapping[str, object]) -> None:
        model = document.get("model")
        if isinstance(model, str) and model:
            self.resolved_model = model
        usage = document.get("usage")
        if not isinstance(usage, dict):
            return
        self.input_tokens = _whole(usage.get("prompt_tokens"), self.input_tokens)
        self.output_tokens = _whole(usage.get("completion_tokens"), self.output_tokens)
        prompt_details = _mapped(usage.get("prompt_tokens_details"))
        self.cached_tokens = _whole(prompt_details.get("cached_tokens"), self.cached_tokens)
        details = _mapped(usage.get("completion_tokens_details"))
        self.reasoning_tokens = _whole(details.get("reasoning_tokens"), self.reasoning_tokens)
        cost = usage.get("costInUSD")
        if isinstance(cost, int | float) and not isinstance(cost, bool):
            self.cost_usd = float(cost)

    def _take_error(self, error: object) -> None:
        if isinstance(error, dict):
            kind = str(error.get("type") or error.get("code") or "stream_error")
            self._fail(kind, str(error.get("message") or "")[:_MESSAGE_LIMIT])
        else:
            self._fail("stream_error", str(error)[:_MESSAGE_LIMIT])

    def _fail(self, kind: str, message: str) -> None:
        if self.error_type is None:
            self.error_type, self.error_message = kind, message


def _token_in(delta: Mapping[str, object]) -> TokenText | None:
    for name, text in _TOKEN_TEXTS:
        if delta.get(name):
            return text
    return None


def _listed(value: object) -> list[dict[str, Any]]:
    """Return the objects of a JSON array; whatever else a broken gateway sends there counts as none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _mapped(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object, otherwise: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
