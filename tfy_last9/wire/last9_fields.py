"""Fields and values of Last9's trace pipelines, in the one spelling that is known to work.

Field names use the bracket form (`attributes['k']`), which Last9's own clients use; dotted forms were
answered with 400 (CHANGELOG 0.15.0 of last9/last9-mcp-server). Values of enumerations are the full names:
`SERVER` for `SPAN_KIND_SERVER` matches nothing there, in silence. So a field knows what it may be compared
with, and neither can be written down as a plain text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

_FORBIDDEN = re.compile(r"['\\\x00-\x1f\x7f]")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class SpanKind(StrEnum):
    """Every span kind, spelt as Last9 stores it."""

    UNSPECIFIED = "SPAN_KIND_UNSPECIFIED"
    INTERNAL = "SPAN_KIND_INTERNAL"
    SERVER = "SPAN_KIND_SERVER"
    CLIENT = "SPAN_KIND_CLIENT"
    PRODUCER = "SPAN_KIND_PRODUCER"
    CONSUMER = "SPAN_KIND_CONSUMER"


class StatusCode(StrEnum):
    """Every span status, spelt as Last9 stores it."""

    UNSET = "STATUS_CODE_UNSET"
    OK = "STATUS_CODE_OK"
    ERROR = "STATUS_CODE_ERROR"


Value = str | float | SpanKind | StatusCode
ValueT = TypeVar("ValueT", bound=Value)


@dataclass(frozen=True, slots=True)
class Field(Generic[ValueT]):
    """Something of a span that can be filtered, grouped and selected. Made by the functions below."""

    text: str
    """As it stands in a query."""
    holds: type[ValueT]
    """What it may be compared with."""

    def literal(self, value: ValueT) -> str:
        """Return a value as it stands in a query: always a text, numbers included."""
        if self.holds in (SpanKind, StatusCode):
            if not isinstance(value, self.holds):
                raise TypeError(
                    f"{self.text} is compared with {self.holds.__name__} members, not {value!r}:"
                    " Last9 matches nothing for any other spelling"
                )
            return str(value)
        if self.holds is float:
            return number(value)
        if not isinstance(value, str):
            raise TypeError(f"{self.text} is compared with a text, not {value!r}")
        return str(value)


TRACE_ID = Field("TraceId", str)
SPAN_ID = Field("SpanId", str)
PARENT_SPAN_ID = Field("ParentSpanId", str)
TRACE_STATE = Field("TraceState", str)
SPAN_NAME = Field("SpanName", str)
SPAN_KIND = Field("SpanKind", SpanKind)
SERVICE_NAME = Field("ServiceName", str)
STATUS_CODE = Field("StatusCode", StatusCode)
STATUS_MESSAGE = Field("StatusMessage", str)
DURATION = Field("Duration", float)
"""Nanoseconds."""
TIMESTAMP = Field("Timestamp", str)
"""For `select` only: a time window belongs into `start` and `end`."""

COLUMNS = (
    *(TIMESTAMP, TRACE_ID, SPAN_ID, PARENT_SPAN_ID, TRACE_STATE, SPAN_NAME, SPAN_KIND),
    *(SERVICE_NAME, DURATION, STATUS_CODE, STATUS_MESSAGE),
)
"""Every top-level field."""

AnyField = Field[str] | Field[float] | Field[SpanKind] | Field[StatusCode]


def attribute(key: str) -> Field[str]:
    """Return a span attribute; an absent one reads as ""."""
    return Field(_bracketed("attributes", key), str)


def resource(key: str) -> Field[str]:
    """Return a resource attribute."""
    return Field(_bracketed("resources", key), str)


def event(key: str) -> Field[str]:
    """Return an attribute of a span event."""
    return Field(_bracketed("events", key), str)


def alias(name: str) -> Field[float]:
    """Return a number that an aggregate named, for a filter after it."""
    return Field(checked_alias(name), float)


def label(name: str) -> Field[str]:
    """Return a text that an earlier stage named (a group, a selected or parsed field)."""
    return Field(checked_alias(name), str)


def catalogued(name: str) -> AnyField:
    """Return the field of a name from the attribute catalogue (series, tags, label values).

    The catalogue marks resources and events by a prefix (last9/last9-mcp-server, field_mapping.go).
    """
    if name in {"service.name", "resource_service.name"}:
        return SERVICE_NAME
    if name == "grpc.status_code":
        return attribute("rpc.grpc.status_code")
    for column in COLUMNS:
        if name == column.text:
            return column
    if name.startswith("resource_"):
        return resource(name.removeprefix("resource_"))
    return event(name.removeprefix("event_")) if name.startswith("event_") else attribute(name)


def number(value: object) -> str:
    """Return a finite number as the numeric text that Last9 expects."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"expected a finite number, got {value!r}")
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def checked_alias(name: str) -> str:
    """Return a name for an aggregate or a selected field; letters, digits and underscores only."""
    if not _ALIAS.fullmatch(name):
        raise ValueError(f"an alias has letters, digits and underscores: {name!r}")
    return name


def _bracketed(scope: str, key: str) -> str:
    if not key or _FORBIDDEN.search(key):
        raise ValueError(f"a name with quotes or control characters cannot be asked for: {key!r}")
    return f"{scope}['{key}']"
