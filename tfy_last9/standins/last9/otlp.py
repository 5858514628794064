"""OTLP trace exports -> span rows. Pure: bytes in, rows out.

Each span is stored as often as it arrives. A span without valid ids or times is left out and counted,
which the sender learns from `partialSuccess`.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf import json_format  # type: ignore[import-untyped] # ships no annotations
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # as above
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tfy_last9.standins.last9.attributes import MAPS, TABLES, string_map
from tfy_last9.standins.last9.otlp_messages import Export
from tfy_last9.standins.last9.settings import NumericAttributes
from tfy_last9.standins.last9.span import RESOURCE_KEYS, SPAN_KEYS, SpanRow, picked, picked_texts

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
NO_TRACE = bytes(TRACE_ID_BYTES)
NO_SPAN = bytes(SPAN_ID_BYTES)
LATEST_NS = 2**63 - 1
NS_PER_S = 1_000_000_000
KINDS = {number: name for name, number in Span.SpanKind.items()}
STATUSES = {number: name for name, number in Status.StatusCode.items()}
ID_KEYS = ("traceId", "spanId", "parentSpanId")

AttributeMap = Callable[[Any], dict[str, Any]]


class Undecodable(ValueError):
    """The body is not an OTLP trace export."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an export holds."""

    rows: tuple[SpanRow, ...]
    rejected: int
    """Spans left out because their ids or times are not valid."""


def decode_protobuf(body: bytes, numeric: NumericAttributes) -> Decoded:
    """Decode `application/x-protobuf`; raises Undecodable."""
    try:
        return _decode(Export.FromString(body), numeric)
    except DecodeError as error:
        raise Undecodable(f"not an ExportTraceServiceRequest: {error}") from error


def decode_json(body: bytes, numeric: NumericAttributes) -> Decoded:
    """Decode `application/json`, whose ids are hex and not the base64 of protobuf's own JSON."""
    export = ExportTraceServiceRequest()
    try:
        document = orjson.loads(body)
        for carrier in _id_carriers(document):
            _hex_to_base64(carrier)
        json_format.ParseDict(document, export, ignore_unknown_fields=True)
    except (ValueError, TypeError, AttributeError, json_format.ParseError) as error:
        raise Undecodable(f"not an OTLP/JSON trace export: {error}") from error
    return decode_protobuf(export.SerializeToString(), numeric)


def _id_carriers(document: Any) -> Iterator[dict[str, Any]]:
    for resource in document.get("resourceSpans") or ():
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                yield span
                yield from span.get("links") or ()


def _hex_to_base64(carrier: dict[str, Any]) -> None:
    for key in ID_KEYS:
        if key in carrier:
            try:
                carrier[key] = base64.b64encode(bytes.fromhex(carrier[key])).decode()
            except binascii.Error as error:
                raise ValueError(f"{key} is not hex") from error


def _decode(export: Any, numeric: NumericAttributes) -> Decoded:
    rows: list[SpanRow] = []
    seen = 0
    for resource_spans in export.resource_spans:
        resource = string_map(resource_spans.resource.attributes)
        row = _row_maker(resource, numeric)
        spans = [span for scope in resource_spans.scope_spans for span in scope.spans]
        seen += len(spans)
        rows += [made for span in spans if (made := row(span)) is not None]
    return Decoded(tuple(rows), seen - len(rows))


def _is_valid(trace_id: bytes, span_id: bytes, start_ns: int, end_ns: int) -> bool:
    return (
        len(trace_id) == TRACE_ID_BYTES
        and len(span_id) == SPAN_ID_BYTES
        and trace_id != NO_TRACE
        and span_id != NO_SPAN
        and 0 < start_ns <= LATEST_NS
        and end_ns <= LATEST_NS
    )


def _row_maker(
    resource: dict[str, str], numeric: NumericAttributes
) -> Callable[[Any], SpanRow | None]:
    """Return what turns spans of one resource into rows; the resource is rendered only once.

    None stands for a span without valid ids or times. Each field of a span is read once: an access takes
    as long as a good part of everything else.
    """
    attribute_map, attributes_of = MAPS[numeric], TABLES[numeric].attributes
    pick = picked_texts if numeric is NumericAttributes.STRING else picked
    service = resource.get("service.name", "")
    resource_json = orjson.Fragment(orjson.dumps(resource))
    of_resource = picked(resource, RESOURCE_KEYS)

    def row(span: Any) -> SpanRow | None:
        ids, start_ns, end_ns = (
            (span.trace_id, span.span_id),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
        )
        if not _is_valid(*ids, start_ns, end_ns):
            return None
        trace_id, span_id, parent = ids[0].hex(), ids[1].hex(), _parent(span.parent_span_id)
        ended, name = span.status, span.name
        kind, status = KINDS.get(span.kind, KINDS[0]), STATUSES.get(ended.code, STATUSES[0])
        duration_ns = max(0, end_ns - start_ns)
        attributes = attributes_of(span.attributes)
        document = {
            "Timestamp": rfc3339(start_ns),
            "TraceId": trace_id,
            "SpanId": span_id,
            "ParentSpanId": parent,
            "TraceState": span.trace_state,
            "SpanName": name,
            "SpanKind": kind,
            "ServiceName": service,
            "ResourceAttributes": resource_json,
            "SpanAttributes": attributes,
            "Duration": duration_ns,
            "StatusCode": status,
            "StatusMessage": ended.message,
        }
        return SpanRow(
            trace_id,
            span_id,
            parent,
            name,
            kind,
            service,
            status,
            start_ns,
            duration_ns,
            0,
            orjson.dumps(document).decode(),
            _details(span, attribute_map),
            *pick(attributes, SPAN_KEYS),
            *of_resource,
        )

    return row


def _parent(span_id: bytes) -> str:
    return "" if span_id in (b"", NO_SPAN) else span_id.hex()


NO_DETAILS = '{"Events":[],"Links":[]}'


def _details(span: Any, attribute_map: AttributeMap) -> str:
    """Render events and links; their inner keys are those of the collector's ClickHouse schema."""
    if not span.events and not span.links:
        return NO_DETAILS
    events = [
        {
            "Timestamp": rfc3339(event.time_unix_nano),
            "Name": event.name,
            "Attributes": attribute_map(event.attributes),
        }
        for event in span.events
    ]
    links = [
        {
            "TraceId": link.trace_id.hex(),
            "SpanId": link.span_id.hex(),
            "TraceState": link.trace_state,
            "Attributes": attribute_map(link.attributes),
        }
        for link in span.links
    ]
    return orjson.dumps({"Events": events, "Links": links}).decode()


def rfc3339(unix_ns: int) -> str:
    """Write an instant as RFC 3339 in UTC with nine digits of fraction."""
    seconds, fraction = divmod(unix_ns, NS_PER_S)
    return f"{_whole_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=1024)
def _whole_second(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))
