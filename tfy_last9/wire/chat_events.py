"""Stream events of chat completions that were met before, in this stream or another: decoded once, then looked up.

An event is a head that all events of its stream share (id, time, model) and a rest that recurs from stream to stream
(`"choices":[...]`, usage). Where the head, closed by a brace, and the rest behind a brace are JSON objects each,
the event is the object with the members of both (RFC 8259, section 4), so reading them apart says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from tfy_last9.wire.facts import TokenKind
from tfy_last9.wire.json_values import listed, mapped
from tfy_last9.wire.skeleton import Skeleton

SEAM = b'"choices":'
"""Where the rest begins."""
LONGEST = 2048
"""Bytes of a rest that is remembered."""
_OF_THE_REST = frozenset({"choices", "usage", "error", "status"})

TokenText = tuple[TokenKind, bytes]
"""A kind of token, and the key that its text has in a delta."""
_TOKEN_TEXTS: tuple[tuple[str, TokenText], ...] = (
    ("content", (TokenKind.ANSWER, b"content")),
    ("refusal", (TokenKind.ANSWER, b"refusal")),
    ("reasoning_content", (TokenKind.REASONING, b"reasoning_content")),
    ("reasoning", (TokenKind.REASONING, b"reasoning")),
    # With `x-tfy-strict-openai: false` TrueFoundry shows Claude's thinking blocks.
    ("thinking_blocks", (TokenKind.REASONING, b"thinking")),
    ("tool_calls", (TokenKind.TOOL, b"arguments")),
    ("function_call", (TokenKind.TOOL, b"arguments")),
)
"""Members of a delta that make it a token; the first that is there says which kind."""


def token_in(delta: Mapping[str, object]) -> TokenText | None:
    """Return the kind of token that a delta brings, and the key of its text; None where it brings none."""
    if not delta:
        return None
    for name, text in _TOKEN_TEXTS:
        if delta.get(name):
            return text
    return None


class Head(NamedTuple):
    """What the head of an event says."""

    model: str | None


class Rest(NamedTuple):
    """What the rest of an event says; at most one token, and no error or tool call."""

    kind: TokenKind | None
    """Of the token; None where there is none."""
    skeleton: Skeleton | None
    """Of the rest, where others may follow that differ in the token's text."""
    finish_reason: Any
    common: Mapping[str, Any] | None
    """Model and usage, where it names them."""


@lru_cache(maxsize=512)
def head_of(data: bytes) -> Head | None:
    """Read what comes before the seam; None: the event has to be decoded as a whole."""
    members = data.rstrip(b" ")
    closed = members[:-1] + b"}" if members.endswith(b",") else members + b"}"
    found = _object(closed)
    if found is None or not (members.endswith(b",") or members == b"{"):
        return None
    if not _OF_THE_REST.isdisjoint(found):
        return None
    model = found.get("model")
    return Head(model if isinstance(model, str) and model else None)


@lru_cache(maxsize=4096)
def rest_of(data: bytes) -> Rest | None:
    """Read what comes from the seam on; None: the event has to be decoded as a whole."""
    found = _object(b"{" + data)
    if found is None or found.get("error") is not None or found.get("status") is not None:
        return None
    choices = found.get("choices") or []
    if not isinstance(choices, list) or len(listed(choices)) > 1:
        return None
    choice = next(iter(listed(choices)), {})
    delta = mapped(choice.get("delta"))
    if "tool_calls" in delta:
        return None
    token = token_in(delta)
    skeleton = None
    if token is not None:
        skeleton = Skeleton()
        skeleton.learn(data, token[1])
    common: dict[str, Any] = {name: found[name] for name in ("model", "usage") if name in found}
    return Rest(
        None if token is None else token[0],
        skeleton or None,
        choice.get("finish_reason"),
        common or None,
    )


def _object(data: bytes) -> dict[str, Any] | None:
    """Return a JSON object on one line; None for anything else."""
    if b"\n" in data or b"\r" in data:
        return None
    try:
        found = orjson.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
