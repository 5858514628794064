"""From the span objects of Last9's answers to `Span`, once, at the edge.

A row that cannot be read is neither skipped nor guessed at: it becomes a problem that makes the evidence
untrustworthy, because a slow or failed span that disappears would make a verdict better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.wire import span_values
from tfy_last9.wire.last9 import METADATA
from tfy_last9.wire.privacy import bare_url, error_template, presentable
from tfy_last9.wire.span_identity import (
    account_of,
    metadata_of,
    model_of,
    provider_of,
    role_of,
    route_of,
)

_ENV_KEYS = ("deployment.environment", "deployment.environment.name", "env")
_REGION_KEYS = ("region", "cloud.region")


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of one answer."""

    spans: tuple[Span, ...]
    rows: int
    """Rows of the answer, readable or not: what decides whether the answer was cut."""
    problems: tuple[str, ...]
    """One line per row that could not be read."""


def read_spans(rows: Iterable[object]) -> Reading:
    """Read every row; rows that cannot be read become problems."""
    spans: list[Span] = []
    problems: list[str] = []
    for row in rows:
        try:
            spans.append(read_span(row))
        except span_values.UnreadableValue as error:
            problems.append(f"{_place(row)}: {error}")
    return Reading(tuple(spans), len(spans) + len(problems), tuple(problems))


def _place(row: object) -> str:
    if not isinstance(row, Mapping):
        return "a row that is not an object"
    return f"span {row.get('SpanId') or '?'} of trace {row.get('TraceId') or '?'}"


def read_span(row: object) -> Span:
    """Return one span object of Last9 as a `Span`."""
    if not isinstance(row, Mapping):
        raise span_values.UnreadableValue(f"expected an object, saw {type(row).__name__}")
    attributes = span_values.mapping(row.get("SpanAttributes"), "SpanAttributes")
    resource = span_values.mapping(row.get("ResourceAttributes"), "ResourceAttributes")
    parent = span_values.parent_span_id(row.get("ParentSpanId"))
    kind = span_values.kind(row.get("SpanKind"))
    name = _text(row.get("SpanName")) or ""
    role = role_of(parent, kind, name, attributes)
    message = _text(row.get("StatusMessage"))
    metadata = metadata_of(attributes)
    return Span(
        trace_id=span_values.trace_id(row.get("TraceId")),
        span_id=span_values.span_id(row.get("SpanId")),
        parent_span_id=parent,
        name=bare_url(name) if "://" in name else name,
        kind=kind,
        service=_text(row.get("ServiceName")) or _text(resource.get("service.name")) or "",
        status=span_values.status(row.get("StatusCode")),
        status_message=error_template(message) if message else None,
        start_ns=span_values.instant_ns(row.get("Timestamp")),
        duration_ns=span_values.duration_ns(row.get("Duration")),
        role=role,
        provider=provider_of(role, name, attributes),
        account=account_of(attributes),
        model=model_of(attributes),
        route=route_of(attributes),
        region=_first(resource, _REGION_KEYS),
        env=_first(resource, _ENV_KEYS),
        run_id=_label(metadata.get("run_id")),
        request_id=_label(metadata.get("request_id")),
        attributes=_kept(attributes, metadata),
        resource=_kept_resource(resource),
    )


def _kept_resource(resource: Mapping[str, object]) -> dict[str, str]:
    """Return the resource attributes that may be kept; all spans of a gateway have the same few sets."""
    if all(type(value) is str for value in resource.values()):
        return dict(_resource_of(tuple(resource.items())))
    return {key: _label(value) or "" for key, value in presentable(resource).items()}


@lru_cache(maxsize=1024)
def _resource_of(items: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    kept = presentable(dict(items))
    return tuple((key, _label(value) or "") for key, value in kept.items())


def _kept(attributes: Mapping[str, object], metadata: Mapping[str, object]) -> dict[str, object]:
    plain = {
        key: span_values.typed(key, value)
        for key, value in attributes.items()
        if not key.startswith(METADATA)
    }
    if metadata:
        plain[METADATA] = metadata
    return presentable(plain)


def assign_roots(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Correct roles by what the spans of a trace say about each other.

    The root is the gateway span whose parent is not a gateway span. So a root by type whose parent is
    here is demoted (an agent's inner chat completion), and where no span is a root by itself, one of
    unknown type that serves a request is promoted. Spans keep their order; traces may be mixed.
    """
    listed = tuple(spans)
    known: dict[str, set[str]] = defaultdict(set)
    for span in listed:
        known[span.trace_id].add(span.span_id)
    demoted = tuple(
        replace(span, role=Role.OTHER)
        if span.role is Role.ROOT and span.parent_span_id in known[span.trace_id]
        else span
        for span in listed
    )
    rooted = {span.trace_id for span in demoted if span.role is Role.ROOT}
    return tuple(
        replace(span, role=Role.ROOT)
        if span.trace_id not in rooted and _may_be_root(span, known[span.trace_id])
        else span
        for span in demoted
    )


def _may_be_root(span: Span, known: set[str]) -> bool:
    """Only what shows that it took a request: a child whose parent is still on its way is no root."""
    serves = span.kind == "server" or span.run_id is not None
    return span.role is Role.OTHER and serves and span.parent_span_id not in known


def distinct(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return each span once, by start, trace and span id, whatever order they came in.

    Copies that disagree count by the worse one: an error before none, the longer before the shorter.
    """
    best: dict[tuple[str, str], Span] = {}
    for span in spans:
        key = (span.trace_id, span.span_id)
        held = best.get(key)
        if held is None or _badness(span) > _badness(held):
            best[key] = span
    return tuple(
        sorted(best.values(), key=lambda span: (span.start_ns, span.trace_id, span.span_id))
    )


def _badness(span: Span) -> tuple[bool, int, int, str]:
    return (span.status is SpanStatus.ERROR, span.duration_ns, -span.start_ns, repr(span))


def _first(resource: Mapping[str, object], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := _label(resource.get(key)))), None)


def _label(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
