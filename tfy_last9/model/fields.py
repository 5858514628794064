"""The vocabulary of `metricSource.spec`: which fields exist, in which book, with which unit.

One table, used by the SLO loader (to check names), the reducer (to know where a value comes from) and
the reports (to print units). Adding a field means adding a line here and its SQL in the reducer.
"""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.model.objective import Book


@dataclass(frozen=True, slots=True)
class ValueField:
    """A number that a threshold can be put on."""

    name: str
    book: Book
    unit: str
    title: str
    """As printed in reports, lower case."""


VALUE_FIELDS: dict[tuple[Book, str], ValueField] = {
    (field.book, field.name): field
    for field in (
        ValueField("ttft_ms", Book.LEDGER, "ms", "time to first token"),
        ValueField("first_answer_ms", Book.LEDGER, "ms", "time to first answer"),
        ValueField("total_ms", Book.LEDGER, "ms", "total time"),
        ValueField("start_lag_ms", Book.LEDGER, "ms", "start lag"),
        ValueField("max_gap_ms", Book.LEDGER, "ms", "longest gap between tokens"),
        ValueField("tokens_per_s", Book.LEDGER, "tokens/s", "output tokens per second"),
        ValueField("output_tokens", Book.LEDGER, "tokens", "output tokens"),
        ValueField("input_tokens", Book.LEDGER, "tokens", "input tokens"),
        ValueField("cost_usd", Book.LEDGER, "USD", "cost"),
        ValueField("duration_ms", Book.LAST9, "ms", "span duration"),
        ValueField("ttft_ms", Book.LAST9, "ms", "gateway's time to first token"),
        ValueField("inter_token_ms", Book.LAST9, "ms", "gateway's inter-token latency"),
        ValueField("input_tokens", Book.LAST9, "tokens", "input tokens"),
        ValueField("output_tokens", Book.LAST9, "tokens", "output tokens"),
        ValueField("cost_usd", Book.LAST9, "USD", "cost"),
    )
}

LEDGER_LABELS = frozenset(
    {"provider", "model", "target", "arm", "phase", "outcome", "api", "error_type", "finish_reason"}
)
"""Columns of the ledger that conditions and `groupBy` may name."""

SPAN_LABELS = frozenset(
    {"provider", "account", "model", "route", "region", "env", "status", "name", "service"}
)
"""Columns of the evidence that conditions and `groupBy` may name. Any other name is looked up among the
resource attributes (`team`, `tenant_id`) and then the span attributes."""

COMPLETENESS_LABELS = LEDGER_LABELS
