"""Field names of the query language -> SQL over the span table.

Two dialects are in use. Last9's own clients name top-level columns and write `attributes['k']`,
`resources['k']`, `events['k']`; its documentation writes plain names (`service.name`). A key that no
span has is not an error: it reads as the empty string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tfy_last9.standins.last9.settings import DottedFields, PlainFields
from tfy_last9.standins.last9.span import PROMOTED
from tfy_last9.standins.last9.sql import Sql, fill


class BadPipeline(ValueError):
    """The query cannot be understood; answered with 400 and this text."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field read as text (never NULL) and as a number (NULL where it is none)."""

    text: Sql
    number: Sql


Resolve = Callable[[str], Field]

BRACKETED = re.compile(r"(attributes|resources|events)\['(.+)'\]", re.DOTALL)
DOTTED = re.compile(r"(resource\.attributes|attributes|resources|resource|events)\.(.+)", re.DOTALL)
DOCUMENTED_SPAN = "span."
TEXT_COLUMNS = {
    "TraceId": "trace_id",
    "SpanId": "span_id",
    "ParentSpanId": "parent_span_id",
    "SpanName": "name",
    "SpanKind": "kind",
    "ServiceName": "service",
    "StatusCode": "status_code",
}
INTEGER_COLUMNS = {"Duration": "duration_ns", "Timestamp": "start_ns"}
DOCUMENT_KEYS = ("TraceState", "StatusMessage")
PLAIN_NAMES = {
    "service.name": "ServiceName",
    "resource_service.name": "ServiceName",
    "grpc.status_code": "attributes['rpc.grpc.status_code']",
}


def span_field(
    name: str,
    dotted: DottedFields = DottedFields.REJECT,
    plain: PlainFields = PlainFields.ACCEPT,
) -> Field:
    """Resolve a field of a span; raises BadPipeline for a spelling that Last9 refuses."""
    name = PLAIN_NAMES.get(name, name)
    if name in TEXT_COLUMNS:
        return _text(Sql(TEXT_COLUMNS[name]))
    if name in INTEGER_COLUMNS:
        return _integer(INTEGER_COLUMNS[name], name)
    if name in DOCUMENT_KEYS:
        return _extracted(_member("doc", name))
    if bracketed := BRACKETED.fullmatch(name):
        return _scoped(bracketed[1], bracketed[2])
    if name.startswith(("attributes[", "resources[", "events[")):
        raise BadPipeline(f"cannot parse field {name}: write it as attributes['key']")
    if prefixed := DOTTED.fullmatch(name):
        if dotted is DottedFields.REJECT:
            raise BadPipeline(f"unknown field {name}: write it as attributes['key']")
        return _scoped(_scope_of(prefixed[1]), prefixed[2])
    if plain is PlainFields.REJECT:
        raise BadPipeline(f"unknown field {name}: write it as attributes['key']")
    return _plain(name)


def _scope_of(prefix: str) -> str:
    return "resources" if prefix.startswith("resource") else prefix


def _plain(name: str) -> Field:
    """Resolve a name of the documentation's dialect: a span attribute, else one of the resource."""
    if name.startswith("resource_"):
        return _scoped("resources", name.removeprefix("resource_"))
    if name.startswith("event_"):
        return _scoped("events", name.removeprefix("event_"))
    key = name.removeprefix(DOCUMENTED_SPAN)
    either = (_attribute("SpanAttributes", key), _attribute("ResourceAttributes", key))
    return _extracted(fill("coalesce({}, {})", *either))


def _scoped(scope: str, key: str) -> Field:
    if scope == "attributes":
        return _extracted(_attribute("SpanAttributes", key))
    if scope == "resources":
        return _extracted(_attribute("ResourceAttributes", key))
    # The first event that has the key; a span may have many events.
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    path = f'$.Events[*].Attributes."{quoted}"'
    return _extracted(Sql("json_extract_string(details, ?)[1]", (path,)))


def _attribute(member: str, key: str) -> Sql:
    column = PROMOTED.get((member, key))
    return Sql(column) if column else _member("doc", member, key)


def _member(column: str, *path: str) -> Sql:
    """Read a member by JSON pointer (RFC 6901), which no key can break out of."""
    steps = (step.replace("~", "~0").replace("/", "~1") for step in path)
    return Sql(f"json_extract_string({column}, ?)", ("/" + "/".join(steps),))


def _extracted(value: Sql) -> Field:
    return Field(fill("coalesce({}, '')", value), fill("try_cast({} AS DOUBLE)", value))


def _text(column: Sql) -> Field:
    return Field(column, fill("try_cast({} AS DOUBLE)", column))


def _integer(column: str, name: str) -> Field:
    text = Sql(f"CAST({column} AS VARCHAR)") if name == "Duration" else _member("doc", name)
    return Field(text, Sql(column))
