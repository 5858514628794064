"""A span as seen in Last9, independent of Last9's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """What a span is within a gateway trace."""

    ROOT = "root"
    """The gateway span whose parent is not a gateway span."""
    MODEL = "model"
    """One attempt at one target (`tfy.span_type=Model`, or a GenAI client span)."""
    HTTP = "http"
    """The HTTP call to a provider."""
    GUARDRAIL = "guardrail"
    MCP = "mcp"
    OTHER = "other"


class SpanStatus(StrEnum):
    """OpenTelemetry span status, folded to lower case."""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Span:
    """One span as evidence. Instants are UTC nanoseconds; `None` means that the span does not say."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    service: str
    status: SpanStatus
    status_message: str | None
    start_ns: int
    duration_ns: int
    role: Role
    provider: str | None
    account: str | None
    model: str | None
    route: str | None
    """The model name the client asked for (`tfy.request.model_name`)."""
    region: str | None
    env: str | None
    run_id: str | None
    """From the request metadata; normally only on root spans."""
    request_id: str | None
    attributes: Mapping[str, object]
    """Span attributes without content (`tfy.input`, `tfy.output`, short hands)."""
    resource: Mapping[str, str]


EVIDENCE_COLUMNS: dict[str, str] = {
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "parent_span_id": "VARCHAR",
    "name": "VARCHAR",
    "kind": "VARCHAR",
    "service": "VARCHAR",
    "status": "VARCHAR",
    "status_message": "VARCHAR",
    "start_ns": "BIGINT",
    "duration_ns": "BIGINT",
    "role": "VARCHAR",
    "provider": "VARCHAR",
    "account": "VARCHAR",
    "model": "VARCHAR",
    "route": "VARCHAR",
    "region": "VARCHAR",
    "env": "VARCHAR",
    "run_id": "VARCHAR",
    "request_id": "VARCHAR",
    "attributes": "JSON",
    "resource": "JSON",
    "unseen_ns": "BIGINT",
    "first_seen_ns": "BIGINT",
}
"""`spans.parquet`. `first_seen_ns`: UTC instant of the poll that first showed the span; `unseen_ns`: the
last poll before it that covered the span's time and did not show it (null: no earlier poll looked there).
So the moment of visibility lies in (unseen_ns, first_seen_ns], and only a known `unseen_ns` can prove lateness."""
