"""Settings of the gateway stand-in for tests, and its spans as plain values."""

import os
from dataclasses import dataclass
from unittest.mock import patch

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tfy_last9.standins.gateway import settings
from tfy_last9.standins.gateway.metrics import Metrics
from tfy_last9.standins.gateway.policies import Policies
from tfy_last9.standins.gateway.policy.reading import parse

SECRETS = {"SANDBOX_OTLP_AUTH": "Basic x", "SANDBOX_API_KEY": "k"}
NEEDED = ("--journal=j", "--providers-port=1", "--otlp-endpoint=http://x")


def settings_with(*flags):
    """Read flags as the process would."""
    with patch.dict(os.environ, SECRETS):
        return settings.read([*NEEDED, *flags])


def policies_with(text="", *flags):
    """Build what decides about requests, from the text of a configuration file."""
    return Policies(parse(text, "gateway.yaml"), settings_with(*flags), Metrics("sandbox"))


@dataclass
class Seen:
    """One exported span."""

    name: str
    kind: str
    status: str
    trace_id: str
    span_id: str
    parent: str
    start_ns: int
    end_ns: int
    attributes: dict


def seen(record) -> Seen:
    """Read a span as a backend would that was sent its OTLP message."""
    span = record.to_message()
    return Seen(
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        {pair.key: value_of(pair.value) for pair in span.attributes},
    )


def value_of(value):
    """Read an OTLP value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: value_of(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)
