"""Single values of a Last9 span: ids, instants, durations, statuses, numbers that came as text.

A value whose reading could be wrong in the gateway's favour is refused (`UnreadableValue`) instead of
being replaced: an unknown status is not "fine", a fraction of a nanosecond is another unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from tfy_last9.model.trace import SpanStatus

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d+))?"
    r"\s*(?:([Zz]|UTC)|([+-])(\d\d):?(\d\d)(?: [A-Z]{3,5})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_INT64 = 2**63
_STATUSES = {
    "": SpanStatus.UNSET,
    "UNSET": SpanStatus.UNSET,
    "0": SpanStatus.UNSET,
    "OK": SpanStatus.OK,
    "1": SpanStatus.OK,
    "ERROR": SpanStatus.ERROR,
    "2": SpanStatus.ERROR,
}
_EXACT_STATUSES = {f"STATUS_CODE_{status.name}": status for status in SpanStatus}
NUMERIC_PREFIXES = (
    "tfy.model.metric.",
    "tfy.mcp_server.metric.",
    "tfy.guardrail.metric.",
    "gen_ai.usage.",
)
NUMERIC_KEYS = frozenset(
    {"http.response.status_code", "http.status_code", "tfy.mcp_server.error_code", "server.port"}
)
BOOLEAN_KEYS = frozenset({"tfy.model.streaming", "tfy.mcp_server.is_tool_call_execution_error"})


class UnreadableValue(ValueError):
    """A value that cannot be read without guessing."""


def trace_id(value: object) -> str:
    """Return a trace id as 32 lower-case hex digits."""
    return _identifier(value, _TRACE_ID, "TraceId")


def span_id(value: object) -> str:
    """Return a span id as 16 lower-case hex digits."""
    return _identifier(value, _SPAN_ID, "SpanId")


def parent_span_id(value: object) -> str | None:
    """Return the parent's id; None for a span without a parent, written as "", null or zeros."""
    if value is None or (isinstance(value, str) and not value.strip().strip("0")):
        return None
    return _identifier(value, _SPAN_ID, "ParentSpanId")


def _identifier(value: object, form: re.Pattern[str], name: str) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    if not form.fullmatch(text) or text.count("0") == len(text):
        raise UnreadableValue(f"{name} is {_shown(value)}")
    return text


def instant_ns(value: object) -> int:
    """Return UTC nanoseconds of a `Timestamp`; a text without a zone is UTC.

    Forms: RFC 3339 with or without fraction and zone, `T` or a space between date and time: those that
    Last9's own client is prepared for (last9/last9-mcp-server, `traceTimestampLayouts`).
    """
    match = _TIMESTAMP.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise UnreadableValue(f"Timestamp is {_shown(value)}")
    try:
        whole_s = _whole_s(match[1], match[2])
    except ValueError as error:
        raise UnreadableValue(f"Timestamp is {_shown(value)}") from error
    return (whole_s - _offset_s(match)) * 10**9 + int((match[3] or "").ljust(9, "0")[:9])


@lru_cache(maxsize=4096)
def _whole_s(date: str, clock: str) -> int:
    """Return the Unix seconds of a date and a time of day in UTC; spans of a run share their seconds."""
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    since = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _EPOCH
    return since.days * 86_400 + since.seconds


def _offset_s(match: re.Match[str]) -> int:
    if match[5] is None:
        return 0
    offset_s = int(match[6]) * 3600 + int(match[7]) * 60
    return -offset_s if match[5] == "-" else offset_s


def duration_ns(value: object) -> int:
    """Return a `Duration` in nanoseconds. Negative values are kept, so that the judge sees them."""
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise UnreadableValue(f"Duration is {_shown(value)}, and not a whole number of nanoseconds")
    return value


def status(value: object) -> SpanStatus:
    """Return the status of `STATUS_CODE_ERROR`, `Error`, `ERROR`, 2 and their like; "" is unset."""
    if isinstance(value, str) and (exact := _EXACT_STATUSES.get(value)):
        return exact
    text = "" if value is None else str(value).strip().upper()
    found = _STATUSES.get(text.removeprefix("STATUS_CODE_"))
    if found is None:
        raise UnreadableValue(f"StatusCode is {_shown(value)}")
    return found


def kind(value: object) -> str:
    """Return the span kind, lower case and without its prefix; `unspecified` when there is none."""
    return _kind(value) if isinstance(value, str) else "unspecified"


@lru_cache(maxsize=64)
def _kind(value: str) -> str:
    return value.strip().lower().removeprefix("span_kind_") or "unspecified"


def mapping(value: object, name: str) -> Mapping[str, object]:
    """Return a map of attributes; an absent one is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UnreadableValue(f"{name} should be an object and is {type(value).__name__}")
    return value


def typed(key: str, value: object) -> object:
    """Return the value of a numeric or boolean attribute as such, even if it came as text.

    Last9 keeps attributes in string maps, and whether numbers come back as numbers is not documented.
    """
    if not isinstance(value, str) or not has_type(key):
        return value
    if key in BOOLEAN_KEYS:
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    return _number(value)


def has_type(key: str) -> bool:
    """Tell whether texts under that name stand for numbers or booleans."""
    return key in BOOLEAN_KEYS or key in NUMERIC_KEYS or key.startswith(NUMERIC_PREFIXES)


def _number(text: str) -> object:
    if _INTEGER.fullmatch(text.strip()):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."  # noqa: PLR2004 - enough to recognise it
