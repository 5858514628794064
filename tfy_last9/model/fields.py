"""The vocabulary of `metricSource.spec`: which fields exist, in which book, with which unit.

One table, used by the SLO loader (to check names), the reducer (to know where a value comes from) and
the reports (to print units). Adding a field means adding a line here and its SQL in the reducer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.model.objective import Book


class Needs(StrEnum):
    """What a request must be like for a value to be possible at all."""

    NOTHING = "nothing"
    TEXT = "text"
    """An answer in words."""
    STREAM = "stream"
    """An answer in words, token by token."""
    INPUT_TOKENS = "input tokens"
    PRICE = "price"
    TOOL = "tool"
    """A call of an MCP tool."""
    ITEMS = "items"
    """An answer that is no text: embeddings, results, tools."""
    WHOLE = "whole"
    """An answer that is not streamed."""


@dataclass(frozen=True, slots=True)
class ValueField:
    """A number that a threshold can be put on."""

    name: str
    book: Book
    unit: str
    title: str
    """As printed in reports, lower case."""
    needs: Needs = Needs.NOTHING


_LEDGER: tuple[tuple[str, str, str] | tuple[str, str, str, Needs], ...] = (
    ("ttft_ms", "ms", "time to first token", Needs.STREAM),
    ("first_answer_ms", "ms", "time to first answer", Needs.STREAM),
    ("total_ms", "ms", "total time"),
    ("start_lag_ms", "ms", "start lag"),
    ("connect_ms", "ms", "time to connect"),
    ("max_gap_ms", "ms", "longest gap between tokens", Needs.STREAM),
    ("inter_token_ms", "ms", "mean time between tokens", Needs.STREAM),
    ("tokens_per_s", "tokens/s", "output tokens per second", Needs.TEXT),
    ("output_tokens", "tokens", "output tokens", Needs.TEXT),
    ("input_tokens", "tokens", "input tokens", Needs.PRICE),
    ("total_tokens", "tokens", "tokens", Needs.INPUT_TOKENS),
    ("reasoning_tokens", "tokens", "reasoning tokens", Needs.TEXT),
    ("cached_tokens", "tokens", "cached input tokens", Needs.TEXT),
    ("cost_usd", "USD", "cost", Needs.PRICE),
    ("tool_ms", "ms", "time of a tool call", Needs.TOOL),
    ("tool_calls", "calls", "tool calls asked for", Needs.TEXT),
    ("items", "items", "items answered", Needs.ITEMS),
    ("input_tokens_per_s", "tokens/s", "input tokens per second", Needs.INPUT_TOKENS),
    ("gateway_ms", "ms", "time in the gateway's own stages", Needs.WHOLE),
)
_LAST9: tuple[tuple[str, str, str] | tuple[str, str, str, Needs], ...] = (
    ("duration_ms", "ms", "span duration"),
    ("ttft_ms", "ms", "gateway's time to first token", Needs.TEXT),
    ("inter_token_ms", "ms", "gateway's inter-token latency", Needs.TEXT),
    ("tokens_per_s", "tokens/s", "output tokens per second of the span", Needs.TEXT),
    ("input_tokens", "tokens", "input tokens"),
    ("output_tokens", "tokens", "output tokens", Needs.TEXT),
    ("total_tokens", "tokens", "tokens"),
    ("cost_usd", "USD", "cost"),
    ("spans_per_trace", "spans", "spans per trace"),
    ("model_calls", "calls", "provider calls per trace"),
    ("gateway_overhead_ms", "ms", "gateway minus provider time"),
    ("client_overhead_ms", "ms", "client minus gateway time"),
    ("ttft_gap_ms", "ms", "client minus gateway time to first token", Needs.STREAM),
    ("token_gap", "tokens", "difference of output tokens, client and gateway", Needs.TEXT),
    ("ingestion_lag_ms", "ms", "time from answer to first sight in Last9"),
)
_RUN = (
    (Book.LEDGER, "failed_requests", "requests", "failed requests"),
    (Book.LEDGER, "input_tokens", "tokens", "input tokens of the run"),
    (Book.LEDGER, "output_tokens", "tokens", "output tokens of the run"),
    (Book.LEDGER, "total_tokens", "tokens", "tokens of the run"),
    (Book.LEDGER, "cost_usd", "USD", "cost of the run"),
    (Book.LAST9, "missing_traces", "traces", "missing traces"),
    (Book.LAST9, "incomplete_traces", "traces", "missing or incomplete traces"),
    (Book.LAST9, "late_traces", "traces", "late traces"),
    (Book.LAST9, "join_conflicts", "traces", "traces with another request id"),
    (Book.LAST9, "input_tokens", "tokens", "input tokens of the run"),
    (Book.LAST9, "output_tokens", "tokens", "output tokens of the run"),
    (Book.LAST9, "total_tokens", "tokens", "tokens of the run"),
    (Book.LAST9, "cost_usd", "USD", "cost of the run"),
)

VALUE_FIELDS: dict[tuple[Book, str], ValueField] = {
    (book, name): ValueField(name, book, unit, title, *needs)
    for book, fields in ((Book.LEDGER, _LEDGER), (Book.LAST9, _LAST9))
    for name, unit, title, *needs in fields
}
"""One value per request (ledger) or span (Last9)."""

ROOT_FIELDS = frozenset(
    {
        *("spans_per_trace", "model_calls", "gateway_overhead_ms", "client_overhead_ms"),
        "ingestion_lag_ms",
    }
)
"""Fields of a whole trace: they are asked of its root span."""

RUN_FIELDS: dict[tuple[Book, str], ValueField] = {
    (book, name): ValueField(name, book, unit, title) for book, name, unit, title in _RUN
}
"""One value per run and group, warm-up included: what `scalar:` may name."""

LEDGER_LABELS = frozenset(
    {
        *("provider", "model", "target", "route", "arm", "phase", "outcome", "api", "error_type"),
        *("finish_reason", "size_band", "cache_status", "resolved_model", "worker", "check_failed"),
        *("stream", "operation", "tool", "turn", "applied_rules"),
    }
)
"""Labels of a ledger row that conditions and `groupBy` may name. `size_band` is the estimated length of
the prompt in tokens (characters by four), `route` the model that was asked for."""

SPAN_LABELS = frozenset(
    {
        *("provider", "account", "model", "route", "region", "env", "status", "name", "service"),
        *("fallback", "status_agrees"),
    }
)
"""Labels of a span that conditions and `groupBy` may name; `fallback` and `status_agrees` are yes or no.
Labels of its ledger row may be named too; any other name is looked up among the resource attributes
(`team`, `tenant_id`) and then the span attributes."""

COMPLETENESS_LABELS = LEDGER_LABELS
