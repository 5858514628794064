"""Asking for some fields of a span only, and reading whatever shape comes back.

Prompts and completions are attributes of gateway spans. A `select` stage names what is wanted, so that
they are never sent. What an answer to `select` looks like is not documented: the wanted fields may come
flat under their alias or name, inside `metric`, inside the usual maps, or not reduced at all. Every one of
these is read; an answer that lacks what judging needs is refused as a whole, never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tfy_last9.wire.last9 import METADATA
from tfy_last9.wire.last9_fields import COLUMNS, AnyField, attribute, resource

ATTRIBUTES = (
    *("tfy.span_type", "tfy.error_type", "tfy.error_message", "tfy.triggered_guardrail_fqns"),
    *(METADATA, f"{METADATA}.run_id", f"{METADATA}.request_id"),
    *(f"tfy.request.{name}" for name in ("model_name", "tenant_name", "conversation_id")),
    *(f"tfy.request.{name}" for name in ("created_by_subject", "created_by_subject_teams")),
    *(f"tfy.model.{name}" for name in ("id", "name", "fqn", "request_url")),
    *(f"tfy.model.{name}" for name in ("request_type", "streaming")),
    *(f"tfy.model.metric.{name}" for name in ("latency_in_ms", "time_to_first_token_in_ms")),
    *(f"tfy.model.metric.{name}" for name in ("inter_token_latency_in_ms", "cost_in_usd")),
    *(f"tfy.model.metric.{name}" for name in ("input_tokens", "output_tokens")),
    *(f"tfy.model.metric.cache_{name}_input_tokens" for name in ("read", "creation")),
    *(f"applied_{name}_rule_ids" for name in ("loadbalance", "budget", "ratelimit")),
    *("tfy.loadbalance.first_target", "target_attempt_count"),
    *(f"tfy.mcp_server.{name}" for name in ("id", "name", "fqn", "server_name", "method")),
    *(f"tfy.mcp_server.{name}" for name in ("primitive_name", "error_code")),
    "tfy.mcp_server.is_tool_call_execution_error",
    *(f"tfy.mcp_server.metric.{name}" for name in ("latency_in_ms", "number_of_tools")),
    *(f"tfy.guardrail.{name}" for name in ("id", "name", "fqn", "result")),
    *(f"tfy.guardrail.applied_on_entity.{name}" for name in ("type", "name", "scope")),
    "tfy.guardrail.metric.latency_in_ms",
    *(f"gen_ai.{name}" for name in ("provider.name", "system", "operation.name")),
    *(f"gen_ai.{name}" for name in ("request.model", "response.model")),
    *(f"gen_ai.usage.{name}" for name in ("input_tokens", "output_tokens", "prompt_tokens")),
    *(f"gen_ai.usage.{name}" for name in ("completion_tokens", "cost_usd", "cost")),
    *("gen_ai.response.finish_reasons", "mcp.method.name", "error.type"),
    *("http.request.method", "http.method", "http.response.status_code", "http.status_code"),
    *("url.full", "http.url", "server.address"),
)
"""Span attributes that identity, values, the contract and reports are read from; none holds a prompt or an
answer, and identities are hashed before they are kept."""
RESOURCES = (
    *("service.name", "deployment.environment", "deployment.environment.name", "env"),
    *("region", "cloud.region", "team", "tenant_id"),
)
_SCOPES = ("SpanAttributes", "ResourceAttributes")
_REQUIRED_COLUMNS = tuple(
    column.text
    for column in COLUMNS
    if column.text not in {"TraceState", "StatusMessage", "SpanName"}  # they change no number
)


class Shape(Enum):
    """What an answer to `select` turned out to be."""

    SELECTED = "selected"
    EMPTY = "empty"
    """No rows: nothing is learnt."""
    IGNORED = "ignored"
    """Whole spans came back: readable, but with everything in them."""
    BROKEN = "broken"
    """Rows lack what judging needs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows in the form of whole spans, and how they came."""

    rows: list[object]
    shape: Shape
    reason: str = ""
    """Why the answer is broken."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    field: AnyField
    alias: str
    key: str
    """Name inside its map; of a column, its name."""
    scope: str
    """`SpanAttributes`, `ResourceAttributes`, or "" for a column."""


class Selection:
    """The wanted fields. `labels` are more names that SLO files group by or compare."""

    def __init__(self, labels: Iterable[str] = ()) -> None:
        more = sorted(set(labels))
        wanted = [_Wanted(column, column.text, column.text, "") for column in COLUMNS]
        for key in dict.fromkeys((*ATTRIBUTES, *more)):
            alias = _alias("a", key, wanted)
            wanted.append(_Wanted(attribute(key), alias, key, "SpanAttributes"))
        for key in dict.fromkeys((*RESOURCES, *more)):
            alias = _alias("r", key, wanted)
            wanted.append(_Wanted(resource(key), alias, key, "ResourceAttributes"))
        self._wanted = tuple(wanted)
        self._anywhere = _names(wanted)
        self._inside = {
            scope: _names([item for item in wanted if item.scope == scope]) for scope in _SCOPES
        }

    @property
    def fields(self) -> tuple[tuple[AnyField, str], ...]:
        """Fields and aliases, as the `select` stage takes them."""
        return tuple((item.field, item.alias) for item in self._wanted)

    def read(self, rows: Sequence[object]) -> Answer:
        """Return the rows of an answer as whole spans, as far as they can be."""
        if not rows:
            return Answer([], Shape.EMPTY)
        if any(self._is_whole(row) for row in rows):
            return Answer(list(rows), Shape.IGNORED)
        restored: list[object] = []
        carries_any = False
        for row in rows:
            if not isinstance(row, Mapping):
                return Answer([], Shape.BROKEN, "a row is not an object")
            span, missing = self._restored(row)
            if missing:
                return Answer([], Shape.BROKEN, f"rows came without {', '.join(missing)}")
            carries_any = carries_any or bool(span["SpanAttributes"])
            restored.append(span)
        if not carries_any:
            return Answer([], Shape.BROKEN, "rows came without any span attribute")
        return Answer(restored, Shape.SELECTED)

    def _is_whole(self, row: object) -> bool:
        """Tell whether a span came back with attributes that were not asked for."""
        attributes = row.get("SpanAttributes") if isinstance(row, Mapping) else None
        if not isinstance(attributes, Mapping):
            return False
        return not attributes.keys() <= self._inside["SpanAttributes"].keys()

    def _restored(self, row: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
        """Sort what is there into columns and maps; goes by the names that came, which are few."""
        maps: dict[str, dict[str, object]] = {
            "": {},
            "SpanAttributes": {},
            "ResourceAttributes": {},
        }
        for scope in _SCOPES:
            own = row.get(scope)
            if isinstance(own, Mapping):
                _take(own, self._inside[scope], maps)
        _take(row, self._anywhere, maps)
        for holder in ("metric", "labels"):
            inner = row.get(holder)
            if isinstance(inner, Mapping):
                _take(inner, self._anywhere, maps)
        span = maps[""]
        missing = [name for name in _REQUIRED_COLUMNS if name not in span]
        span["SpanAttributes"] = maps["SpanAttributes"]
        span["ResourceAttributes"] = maps["ResourceAttributes"]
        return span, missing


def _names(wanted: Sequence[_Wanted]) -> dict[str, tuple[str, str]]:
    """Return every name a wanted field may come under, to its map and key.

    A plain key is that of the first who wants it: outside its map, a name without scope is a span attribute.
    """
    names: dict[str, tuple[str, str]] = {}
    for item in wanted:
        for name in (item.alias, item.field.text, item.key):
            names.setdefault(name, (item.scope, item.key))
    return names


def _take(
    place: Mapping[str, object],
    names: Mapping[str, tuple[str, str]],
    maps: Mapping[str, dict[str, object]],
) -> None:
    for name, value in place.items():
        found = names.get(name)
        if found is not None:
            scope, key = found
            if scope == "" or value not in (None, ""):
                maps[scope].setdefault(key, value)


def _alias(scope: str, key: str, taken: Sequence[_Wanted]) -> str:
    name = f"{scope}_{re.sub('[^A-Za-z0-9]', '_', key)}"[:60]
    used = {item.alias for item in taken}
    number = 2
    unique = name
    while unique in used:
        unique = f"{name}_{number}"
        number += 1
    return unique
