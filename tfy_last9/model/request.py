"""One row of the ledger: what the client knows of one intended request.

Instants are nanoseconds since the worker's `epoch_ns` (UTC); `None` means that the instant was never
reached, which is not the same as 0. Column names are a contract: other people's tools read them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """How a request ended; a closed set."""

    OK = "ok"
    HTTP_ERROR = "http_error"
    REJECTED_AUTH = "rejected_auth"
    REJECTED_RATE_LIMIT = "rejected_rate_limit"
    REJECTED_BUDGET = "rejected_budget"
    REJECTED_GUARDRAIL = "rejected_guardrail"
    PROVIDER_ERROR = "provider_error"
    TIMEOUT = "timeout"
    CONNECT_ERROR = "connect_error"
    STREAM_BROKEN = "stream_broken"
    ABORTED = "aborted"
    MISSED = "missed"


CHECK_FAILED = "check_failed"
"""What SLO files may name beside outcomes: an answer that came, and fails one of its target's checks."""

EXPECTS_TRACE = frozenset(
    {
        Outcome.OK,
        Outcome.HTTP_ERROR,
        Outcome.PROVIDER_ERROR,
        Outcome.TIMEOUT,
        Outcome.STREAM_BROKEN,
        Outcome.ABORTED,
    }
)
"""Outcomes after which a trace must exist, provided the request was fully written (`written`).
`rejected_*` may leave a trace (joined if found, never missing); `missed` and `connect_error` leave none."""


class Clock(StrEnum):
    """Where receive instants were read."""

    KERNEL = "kernel"
    USER = "user"


class JoinPath(StrEnum):
    """How a ledger row found its trace."""

    HEADER = "header"
    """Response header `x-tfy-feedback-target-id` named the trace."""
    METADATA = "metadata"
    """The request id in `x-tfy-metadata` came back on a root span."""
    TRACEPARENT = "traceparent"
    """The gateway honoured the `traceparent` that was sent."""


class LedgerRow(NamedTuple):
    """One intended request, whether or not it was ever sent. Column order is the order on disk."""

    run_id: str
    request_id: str
    worker: int
    seq: int
    arm: str | None
    phase: str
    target: str
    provider: str | None
    model: str
    api: str
    stream: bool
    attempt: int
    due_ns: int
    started_ns: int | None
    written: bool
    """True once the whole request was handed to the kernel: only then can a trace be expected."""
    first_byte_ns: int | None
    first_token_ns: int | None
    first_answer_ns: int | None
    last_token_ns: int | None
    finished_ns: int | None
    epoch_ns: int
    clock: str | None
    status: int | None
    outcome: str
    finish_reason: str | None
    check_failed: str | None
    error_type: str | None
    error_message: str | None
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cached_tokens: int | None
    cost_usd: float | None
    chunks: int | None
    """SSE events that carried content, reasoning or tool deltas."""
    max_gap_ns: int | None
    bytes_in: int | None
    client_trace_id: str
    trace_id: str | None
    root_span_id: str | None
    join_path: str | None
    """Null in the client's own rows unless the header named the trace; completed when joined."""
    resolved_model: str | None
    cache_status: str | None
    connect_ns: int | None
    """Time spent on a new connection (TCP and TLS), null when one was reused."""
    arrival: int | None = None
    """Number of the arrival in the schedule: the same for all turns of a conversation and for mirrored arms."""
    session_id: str | None = None
    """Conversation of several requests; null for a request on its own."""
    turn: int | None = None
    """1 opens the conversation; null for a request on its own."""
    operation: str | None = None
    """What was asked of a target that offers several things: method of MCP, path of `http`."""
    tool: str | None = None
    """Tool of an MCP call."""
    tool_calls: int | None = None
    """Tool calls that the answer asks for; null where it asks for none."""
    items: int | None = None
    """Embeddings, results, tools listed, or parts of a tool's result."""
    applied_rules: str | None = None
    """Rules and configurations that the gateway says it applied, as `path=value`."""
    gateway_ms: float | None = None
    """Time the gateway says it spent on its own stages (`server-timing`, not on streams)."""
    reasoning_chunks: int | None = None
    """Of `chunks`, those that carried reasoning only; null for none."""
    tool_chunks: int | None = None
    """Of `chunks`, those that carried a tool call only; null for none."""


LEDGER_TYPES: dict[str, str] = {
    **dict.fromkeys(
        (
            *("seq", "due_ns", "started_ns", "first_byte_ns", "first_token_ns", "first_answer_ns"),
            *("last_token_ns", "finished_ns", "epoch_ns", "max_gap_ns", "bytes_in", "connect_ns"),
            "arrival",
        ),
        "BIGINT",
    ),
    **dict.fromkeys(
        (
            *("worker", "attempt", "status", "input_tokens", "output_tokens"),
            *("reasoning_tokens", "cached_tokens", "chunks", "turn", "tool_calls", "items"),
            *("reasoning_chunks", "tool_chunks"),
        ),
        "INTEGER",
    ),
    **dict.fromkeys(("stream", "written"), "BOOLEAN"),
    **dict.fromkeys(("cost_usd", "gateway_ms"), "DOUBLE"),
}
"""SQL type per column; a column that is not listed is VARCHAR."""


def ledger_columns() -> dict[str, str]:
    """Return column name to SQL type, in the order on disk."""
    return {name: LEDGER_TYPES.get(name, "VARCHAR") for name in LedgerRow._fields}
