"""One stored span, as the decoder makes it and the store keeps it.

Last9 keeps attributes in a map and reads one of them by name; reading JSON a million times is too slow
for a group-by, so the attributes that LLM gateways are grouped by have a column of their own as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

PROMOTED: dict[tuple[str, str], str] = {
    ("SpanAttributes", "tfy.span_type"): "span_type",
    ("SpanAttributes", "tfy.model.name"): "model_name",
    ("SpanAttributes", "tfy.model.fqn"): "model_fqn",
    ("SpanAttributes", "tfy.request.model_name"): "request_model",
    ("SpanAttributes", "tfy.request.metadata"): "metadata",
    ("SpanAttributes", "tfy.request.metadata.run_id"): "run_id",
    ("SpanAttributes", "http.response.status_code"): "http_status",
    ("SpanAttributes", "gen_ai.provider.name"): "provider",
    ("SpanAttributes", "gen_ai.system"): "provider_system",
    ("SpanAttributes", "tfy.model.metric.latency_in_ms"): "latency_ms",
    ("SpanAttributes", "tfy.model.metric.time_to_first_token_in_ms"): "first_token_ms",
    ("ResourceAttributes", "env"): "env",
    ("ResourceAttributes", "deployment.environment"): "environment",
    ("ResourceAttributes", "region"): "region",
}
"""Member of the span object and key -> column."""
SPAN_KEYS = tuple(key for member, key in PROMOTED if member == "SpanAttributes")
RESOURCE_KEYS = tuple(key for member, key in PROMOTED if member == "ResourceAttributes")


class SpanRow(NamedTuple):
    """One stored span: columns to filter by, and the JSON it is answered as."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    service: str
    status_code: str
    start_ns: int
    duration_ns: int
    visible_ns: int
    """Wall time from which queries see it; 0 for at once."""
    doc: str
    """The span object of a query answer."""
    details: str
    """Events and links, which only the answer for one trace shows."""
    span_type: str | None
    model_name: str | None
    model_fqn: str | None
    request_model: str | None
    metadata: str | None
    run_id: str | None
    http_status: str | None
    provider: str | None
    provider_system: str | None
    latency_ms: str | None
    first_token_ms: str | None
    env: str | None
    environment: str | None
    region: str | None


INTEGERS = frozenset({"start_ns", "duration_ns", "visible_ns"})
COLUMNS = ", ".join(
    f"{name} {'BIGINT' if name in INTEGERS else 'VARCHAR'}" for name in SpanRow._fields
)
"""The columns of the span table, in the order of the row."""


def picked(attributes: Mapping[str, object], keys: tuple[str, ...]) -> tuple[str | None, ...]:
    """Read attributes as the text they are compared as; None where one is missing."""
    return tuple([_text(attributes.get(key)) for key in keys])


def picked_texts(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str | None, ...]:
    """Read attributes of which it is known that they are texts."""
    return tuple(map(attributes.get, keys))


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
