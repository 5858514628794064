"""What a request asks of a model, whatever vendor's words it is written in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TOKENS_PER_WORD = 4 / 3
TOKENS_PER_MESSAGE = 4
TOKENS_PER_IMAGE = 85
"""A picture at low detail, as OpenAI bills it."""


class BadRequest(Exception):
    """A body that the vendor refuses with 400; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    schema: dict[str, Any]
    """JSON Schema of its arguments."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One request for text."""

    input_tokens: int
    stream: bool = False
    max_tokens: int | None = None
    calls: tuple[Tool, ...] = ()
    """The functions that the answer calls; empty for an answer in words."""
    schema: dict[str, Any] | None = None
    """JSON Schema that the answer has to follow; None for free text."""
    thinks: bool | None = None
    """Whether to reason first; None leaves it to the model."""
    shows_thinking: bool = True
    stops: tuple[str, ...] = ()
    reports_usage: bool = True
    """Whether a stream ends with token counts."""


def words_to_tokens(text: str) -> int:
    """Estimate the tokens of a text from its words."""
    return math.ceil(len(text.split()) * TOKENS_PER_WORD)


def count_tokens(messages: Iterable[object]) -> int:
    """Estimate prompt tokens: words of text parts, a flat number for each picture."""
    return sum(TOKENS_PER_MESSAGE + _content_tokens(message) for message in messages)


def _content_tokens(message: object) -> int:
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, str):
        return words_to_tokens(content)
    if not isinstance(content, list):
        return 0
    parts = [part for part in content if isinstance(part, dict)]
    text = " ".join(str(part.get("text") or "") for part in parts)
    pictures = sum("image" in str(part.get("type")) for part in parts)
    return words_to_tokens(text) + pictures * TOKENS_PER_IMAGE


def limit_of(body: dict[str, Any], *names: str) -> int | None:
    """Read a limit of tokens; raises BadRequest for anything but a positive integer."""
    for name in names:
        limit = body.get(name)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise BadRequest(f"{name} must be a positive integer, saw {limit!r}")
        return limit
    return None


def stops_of(value: object) -> tuple[str, ...]:
    """Read stop sequences: none, one, or a list."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def chosen_calls(
    tools: tuple[Tool, ...], *, forced: str | None, answering: bool, several: bool
) -> tuple[Tool, ...]:
    """Decide which functions an answer calls.

    A simulated model has no judgement, so it goes by rule: a function that the request forces is
    called; otherwise the first one is, unless the last message already brings a function's result,
    which is answered in words. So an agent's loop ends. `several` allows two calls in one answer.
    """
    if forced is not None and forced != "any":
        return tuple(tool for tool in tools if tool.name == forced)
    if answering and forced is None:
        return ()
    return tools[: 2 if several else 1]
