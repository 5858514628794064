"""OpenAI's legacy text completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from tfy_last9.standins.providers.answer import Kind, Piece, Plan
from tfy_last9.standins.providers.dialects import chat
from tfy_last9.standins.providers.dialects.dialect import Name, Writer
from tfy_last9.standins.providers.wish import BadRequest, Wish, limit_of, stops_of, words_to_tokens

DEFAULT_MAX_TOKENS = 16
"""OpenAI's default for this endpoint."""


def wish(body: dict[str, Any], method: str) -> Wish:
    """Read a request for a text completion; of several prompts only one is answered."""
    del method
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadRequest("prompt must be a string, or an array of one")
    stream, options = bool(body.get("stream")), body.get("stream_options") or {}
    return Wish(
        input_tokens=words_to_tokens(prompt),
        stream=stream,
        max_tokens=limit_of(body, "max_tokens") or DEFAULT_MAX_TOKENS,
        stops=stops_of(body.get("stop")),
        reports_usage=not stream or options.get("include_usage") is True,
    )


def _document(name: Name, text: str, finish: str | None) -> dict[str, Any]:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return {
        "id": f"cmpl-{name.number}",
        "object": "text_completion",
        "created": name.created,
        "model": name.model,
        "choices": [choice],
    }


class CompletionWriter(chat.ChatWriter):
    """Writes `text_completion` events; ends and fails as chat does."""

    def head(self) -> Iterator[bytes]:
        """Give nothing: a completion has no role."""
        yield from ()

    def piece(self, piece: Piece) -> bytes:
        """Give one token."""
        return _event(_document(self._name, piece.text, None))

    def tail(self) -> Iterator[bytes]:
        """Give the finish reason, usage if it was asked for, and the end mark."""
        last = _document(self._name, "", chat.FINISH[self._plan.finish])
        yield _event(last)
        if self._wish.reports_usage:
            yield _event(last | {"choices": [], "usage": chat.usage(self._plan)})
        yield chat.DONE


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


def writer(plan: Plan, wish: Wish, name: Name) -> Writer:
    """Make a writer for one stream."""
    return CompletionWriter(plan, wish, name)


def whole(plan: Plan, wish: Wish, name: Name) -> object:
    """Give the `text_completion` object."""
    del wish
    found = _document(name, plan.joined(Kind.TEXT), chat.FINISH[plan.finish])
    return found | {"usage": chat.usage(plan)}
