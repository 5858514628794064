"""Sends batches through OpenTelemetry's own SDK and OTLP/HTTP exporter (protobuf, gzip): the default.

What reaches Last9 is then what a real exporter writes, its retries included. The exporter of the YAML file (JSON,
bounded retries, counted losses: `otlp.py`) is used where that file sets anything of the export.
"""

from __future__ import annotations

from collections.abc import Mapping

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tfy_last9.standins.gateway import record
from tfy_last9.standins.gateway.otlp import BROKEN_FROM, SERVICE_NAME, Sent
from tfy_last9.standins.gateway.record import SpanRecord

_KINDS = {
    record.INTERNAL: SpanKind.INTERNAL,
    record.SERVER: SpanKind.SERVER,
    record.CLIENT: SpanKind.CLIENT,
}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope(SERVICE_NAME)


class _OneResource(Resource):
    """A resource that knows its hash: the SDK's encodes all of it as JSON, anew for every span."""

    def __init__(self, attributes: Mapping[str, str]) -> None:
        super().__init__(attributes)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other


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
        self._resource = _OneResource({"service.name": SERVICE_NAME, **resource})
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

    def send(self, spans: list[SpanRecord]) -> Sent:
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


def readable(span: SpanRecord, resource: Resource) -> ReadableSpan:
    """Give a span as the SDK holds it when it has ended."""
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent_id is not None else None,
        resource=resource,
        attributes=span.attributes,
        kind=_KINDS[span.kind],
        status=Status(StatusCode(span.code), span.message or None),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)
