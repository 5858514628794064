"""From the span objects of Last9's answers to `Span`, once, at the edge.

A row that cannot be read is neither skipped nor guessed at: it becomes a problem that makes the evidence
untrustworthy, because a slow or failed span that disappears would make a verdict better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.wire import privacy, span_values
from tfy_last9.wire.last9 import METADATA
from tfy_last9.wire.span_identity import identity_of, metadata_of

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
    origin = _origin(span_values.mapping(row.get("ResourceAttributes"), "ResourceAttributes"))
    parent = span_values.parent_span_id(row.get("ParentSpanId"))
    kind = span_values.kind(row.get("SpanKind"))
    name = _text(row.get("SpanName")) or ""
    identity = identity_of(parent, kind, name, attributes)
    message = _text(row.get("StatusMessage"))
    metadata = metadata_of(attributes)
    return Span(
        trace_id=span_values.trace_id(row.get("TraceId")),
        span_id=span_values.span_id(row.get("SpanId")),
        parent_span_id=parent,
        name=privacy.bare_url(name) if "://" in name else name,
        kind=kind,
        service=_text(row.get("ServiceName")) or origin.service or "",
        status=span_values.status(row.get("StatusCode")),
        status_message=privacy.error_template(message) if message else None,
        start_ns=span_values.instant_ns(row.get("Timestamp")),
        duration_ns=span_values.duration_ns(row.get("Duration")),
        role=identity.role,
        provider=identity.provider,
        account=identity.account,
        model=identity.model,
        route=identity.route,
        region=origin.region,
        env=origin.env,
        run_id=_label(metadata.get("run_id")),
        request_id=_label(metadata.get("request_id")),
        attributes=_kept(attributes, metadata),
        resource=origin.kept,
    )


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the resource of a span says."""

    service: str | None
    region: str | None
    env: str | None
    kept: Mapping[str, str]


def _origin(resource: Mapping[str, object]) -> _Origin:
    """Read a resource; all spans of a gateway have the same few."""
    items = tuple(resource.items())
    if all(type(value) is str for _, value in items):
        return _known_origin(*items)
    return _read_origin(resource)


@lru_cache(maxsize=1024)
def _known_origin(*items: tuple[str, object]) -> _Origin:
    return _read_origin(dict(items))


def _read_origin(resource: Mapping[str, object]) -> _Origin:
    kept = privacy.presentable(resource)
    return _Origin(
        service=_text(resource.get("service.name")),
        region=_first(resource, _REGION_KEYS),
        env=_first(resource, _ENV_KEYS),
        kept=MappingProxyType({key: _label(value) or "" for key, value in kept.items()}),
    )


def _kept(attributes: Mapping[str, object], metadata: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for key, is_plain in _recipe(tuple(attributes)):
        value = attributes[key]
        if not (is_plain and type(value) is str):
            value = privacy.presented(key, span_values.typed(key, value))
        kept[key] = value
    if metadata:
        kept[METADATA] = privacy.presentable(metadata)
    return kept


@lru_cache(maxsize=4096)
def _recipe(keys: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Return which of these attributes are kept, and whether a text among them stays as it is.

    The spans of a gateway have a few dozen sets of names: names are judged once and not per span.
    """
    return tuple(
        (key, privacy.is_plain(key) and not span_values.has_type(key))
        for key in sorted(keys)
        if not key.startswith(METADATA) and privacy.is_kept(key)
    )


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
