"""Sends batches through OpenTelemetry's own SDK and OTLP/HTTP exporter (protobuf, gzip): the default.

What reaches Last9 is then what a real exporter writes, its retries included. The exporter of the YAML file (JSON,
bounded retries, counted losses: `otlp.py`) is used where that file sets anything of the export.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tfy_last9.standins.gateway.attributes import Value
from tfy_last9.standins.gateway.otlp import BROKEN_FROM, SERVICE_NAME, Sent

_KINDS = {
    Span.SPAN_KIND_INTERNAL: SpanKind.INTERNAL,
    Span.SPAN_KIND_SERVER: SpanKind.SERVER,
    Span.SPAN_KIND_CLIENT: SpanKind.CLIENT,
}
_SCOPE = InstrumentationScope(SERVICE_NAME)


class SdkSender:
    """One exporter of the SDK; used from one thread."""

    def __init__(
        self,
        endpoint: str,
        authorization: str,
        *,
        resource: Mapping[str, str],
        authority: str | None = None,
    ) -> None:
        self._resource = Resource({"service.name": SERVICE_NAME, **resource})
        self._status: int | None = None
        session = requests.Session()
        session.trust_env = False
        session.hooks["response"].append(self._note_status)
        self._exporter = OTLPSpanExporter(
            endpoint=endpoint,
            headers={"Authorization": authorization},
            certificate_file=authority,
            compression=Compression.Gzip,
            session=session,
        )

    def _note_status(self, response: requests.Response, **_: object) -> None:
        self._status = response.status_code

    def send(self, spans: list[Span]) -> Sent:
        """Send a batch; the SDK repeats by itself what may be repeated."""
        self._status = None
        result = self._exporter.export([readable(span, self._resource) for span in spans])
        if result is SpanExportResult.SUCCESS:
            return Sent(self._status)
        return Sent(self._status, self._reason(), is_final=True)

    def _reason(self) -> str:
        if self._status is None:
            return "connection_refused"
        return "http_5xx" if self._status >= BROKEN_FROM else "http_4xx"

    def close(self) -> None:
        """Close the HTTP session."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK left it bare


def readable(span: Span, resource: Resource) -> ReadableSpan:
    """Give a span as the SDK holds it when it has ended."""
    trace_id = int.from_bytes(span.trace_id)
    return ReadableSpan(
        span.name,
        context=_context(trace_id, span.span_id),
        parent=_context(trace_id, span.parent_span_id) if span.parent_span_id else None,
        resource=resource,
        attributes=_attributes(span.attributes),
        kind=_KINDS[span.kind],
        status=Status(StatusCode(span.status.code), span.status.message or None),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: int, span_id: bytes) -> SpanContext:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id, int.from_bytes(span_id), is_remote=False, trace_flags=sampled)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return {pair.key: pair.value.string_value for pair in value.kvlist_value.values}
    if kind == "array_value":
        texts: Sequence[str] = [one.string_value for one in value.array_value.values]
        return texts
    plain: str | bool | int | float = getattr(value, kind or "string_value")
    return plain
