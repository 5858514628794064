"""What an experiment showed: which switch behaves alike, and a sample of the answer without its texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

_KEPT_KEYS = frozenset({"status", "resultType", "Timestamp", "SpanKind", "StatusCode", "__ts__"})
_PLAIN = re.compile(r"[\d.:eE+-]*")
_MOST_ROWS = 3


@dataclass(frozen=True, slots=True)
class Observation:
    """What one experiment showed."""

    switch: str
    """Option of the stand-in, without dashes."""
    value: str | None
    """Its setting that behaves alike; None when the service did not show it."""
    said: str
    """What was seen, in words."""
    sample: object
    """The answer, without texts."""


def rows_of(body: object) -> list[object]:
    """Return the rows of an answer; none for one without."""
    data = body.get("data") if isinstance(body, Mapping) else None
    rows = data.get("result") if isinstance(data, Mapping) else data
    return rows if isinstance(rows, list) else []


def redacted(value: object, key: str = "") -> object:
    """Return the shape of an answer: names, types and numbers stay, texts do not."""
    if isinstance(value, Mapping):
        return {str(name): redacted(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, key) for item in value[:_MOST_ROWS]]
    if isinstance(value, str) and key not in _KEPT_KEYS and not _is_plain(value):
        return f"<text of {len(value)}>" if value else ""
    return value


def _is_plain(text: str) -> bool:
    return len(text) <= 24 and _PLAIN.fullmatch(text) is not None  # noqa: PLR2004 - numbers and instants


def decoded(body: bytes) -> object:
    """Return an answer as data, or as text where it is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


def first(rows: list[object], name: str) -> object:
    """Return a member of the first row that is an object."""
    return next((row.get(name) for row in rows if isinstance(row, Mapping)), None)


def seen(switch: str, value: str | None, said: str, body: object) -> Observation:
    """Return an observation whose sample is redacted."""
    return Observation(switch, value, said, redacted(body))
