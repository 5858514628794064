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
    *("tfy.span_type", "tfy.model.fqn", "tfy.model.name", "tfy.model.request_url"),
    *("tfy.model.streaming", "tfy.request.model_name"),
    *(METADATA, f"{METADATA}.run_id", f"{METADATA}.request_id"),
    *(f"tfy.model.metric.{name}" for name in ("latency_in_ms", "time_to_first_token_in_ms")),
    *(f"tfy.model.metric.{name}" for name in ("inter_token_latency_in_ms", "cost_in_usd")),
    *(f"tfy.model.metric.{name}" for name in ("input_tokens", "output_tokens")),
    *(f"gen_ai.{name}" for name in ("provider.name", "system", "operation.name")),
    *(f"gen_ai.{name}" for name in ("request.model", "response.model")),
    *(f"gen_ai.usage.{name}" for name in ("input_tokens", "output_tokens", "prompt_tokens")),
    *(f"gen_ai.usage.{name}" for name in ("completion_tokens", "cost_usd")),
    *("http.request.method", "http.method", "http.response.status_code", "http.status_code"),
    *("url.full", "http.url", "server.address"),
)
"""Span attributes that identity, values and reports are read from."""
RESOURCES = (
    *("service.name", "deployment.environment", "deployment.environment.name", "env"),
    *("region", "cloud.region", "team", "tenant_id"),
)
_OPTIONAL_COLUMNS = frozenset({"TraceState", "StatusMessage", "SpanName"})
"""Columns whose absence changes no number."""


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
        self._keys = {item.key for item in wanted if item.scope == "SpanAttributes"}
        self._names = {name for item in wanted for name in (item.alias, item.field.text)}

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
        return any(key not in self._keys and key not in self._names for key in attributes)

    def _restored(self, row: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
        span: dict[str, object] = {}
        attributes: dict[str, object] = {}
        resources: dict[str, object] = {}
        missing = []
        places = _places(row)
        for item in self._wanted:
            found, value = _find(item, places)
            if item.scope == "":
                span[item.key] = value
                if not found and item.key not in _OPTIONAL_COLUMNS:
                    missing.append(item.key)
            elif found and value not in (None, ""):
                kept = attributes if item.scope == "SpanAttributes" else resources
                kept[item.key] = value
        span["SpanAttributes"], span["ResourceAttributes"] = attributes, resources
        return span, missing


def _places(row: Mapping[str, object]) -> dict[str, tuple[Mapping[str, object], ...]]:
    """Return where a value may be, by scope: its own map, the row itself, `metric` inside it."""
    anywhere = tuple(
        place for place in (row, row.get("metric"), row.get("labels")) if isinstance(place, Mapping)
    )
    found = {"": anywhere}
    for scope in ("SpanAttributes", "ResourceAttributes"):
        own = row.get(scope)
        found[scope] = (own, *anywhere) if isinstance(own, Mapping) else anywhere
    return found


def _find(
    item: _Wanted, places: Mapping[str, tuple[Mapping[str, object], ...]]
) -> tuple[bool, object]:
    for place in places[item.scope]:
        names: tuple[str, ...] = (item.alias, item.field.text, item.key)
        if item.scope == "ResourceAttributes" and place is places[""][0]:
            names = names[:2]  # a flat key without its scope is a span attribute
        for name in names:
            if name in place:
                return True, place[name]
    return False, None


def _alias(scope: str, key: str, taken: Sequence[_Wanted]) -> str:
    name = f"{scope}_{re.sub('[^A-Za-z0-9]', '_', key)}"[:60]
    used = {item.alias for item in taken}
    number = 2
    unique = name
    while unique in used:
        unique = f"{name}_{number}"
        number += 1
    return unique
