"""A finished span as plain values: what stories are told in, before anything is encoded.

Both ways out encode it once: the SDK from its own kind of span, the direct sender as an OTLP message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tfy_last9.standins.gateway.attributes import Value, fill

INTERNAL, SERVER, CLIENT = Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT
UNSET, OK, ERROR = Status.STATUS_CODE_UNSET, Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR
SAMPLED = 1
"""W3C trace flags."""


@dataclass(slots=True)
class SpanRecord:
    """One span; kinds and codes are OTLP's numbers, instants UTC nanoseconds."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    kind: Span.SpanKind.ValueType = INTERNAL
    start_ns: int = 0
    end_ns: int = 0
    code: Status.StatusCode.ValueType = UNSET
    message: str = ""
    attributes: dict[str, Value] = field(default_factory=dict)

    def describe(self, attributes: Mapping[str, Value | None]) -> None:
        """Write attributes; absent ones are left out."""
        self.attributes.update(
            {key: value for key, value in attributes.items() if value is not None}
        )

    def to_message(self) -> Span:
        """Give the span as OTLP's message."""
        span = Span(
            name=self.name,
            kind=self.kind,
            flags=SAMPLED,
            trace_id=self.trace_id.to_bytes(16),
            span_id=self.span_id.to_bytes(8),
            start_time_unix_nano=self.start_ns,
            end_time_unix_nano=self.end_ns,
            status=Status(code=self.code, message=self.message),
        )
        if self.parent_id is not None:
            span.parent_span_id = self.parent_id.to_bytes(8)
        fill(span.attributes, self.attributes)
        return span
