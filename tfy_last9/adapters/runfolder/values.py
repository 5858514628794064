"""Value fields in SQL: every name of `model.fields.VALUE_FIELDS`, where it is read and when it applies.

A value that is absent or not finite is null, never 0. Whether a null is bad or carries no claim is the
field's business: see `Value`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tfy_last9.adapters.runfolder.database import literal
from tfy_last9.adapters.runfolder.labels import json_pointer
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.fields import VALUE_FIELDS, Needs
from tfy_last9.model.objective import Book
from tfy_last9.model.scenario import CONVERSATIONAL

WAITED = "('ok', 'timeout', 'stream_broken', 'aborted')"
"""Outcomes after which a missing latency is bad: somebody waited and got nothing."""
SERVED = "('ok')"


@dataclass(frozen=True, slots=True)
class Value:
    """SQL of one field over a ledger row `l` or a span `s`."""

    sql: str
    """The number, in the field's unit, or null."""
    owed: str
    """True where a null counts as bad; elsewhere a null is excluded."""
    applies: str = "true"
    """False where the event carries no claim whatever its value (a mean gap of one token)."""
    kind: str = "true"
    """False where no event of this kind can have the value: an embedding has no first token. A group of such
    events is not applicable, which is something else than having no data."""

    @property
    def asked(self) -> str:
        """SQL that is true where the event carries a claim."""
        return f"({self.kind} AND {self.applies})"


def _waited(sql: str, applies: str = "true") -> Value:
    return Value(sql, owed=f"l.outcome IN {WAITED}", applies=applies)


def _reported(sql: str, owed: str = "true") -> Value:
    """Read a number the provider reports: a served request owes it, a broken one got not that far."""
    return Value(sql, owed=f"(l.outcome IN {SERVED} AND {owed})")


TEXT = f"l.api IN ({', '.join(sorted(literal(api) for api in CONVERSATIONAL))})"
"""Answers that are text, whole or in tokens."""
STREAMS = f"(coalesce(l.stream, false) AND {TEXT})"
READS = f"({TEXT} OR l.api = 'embeddings')"
"""Requests whose input is counted in tokens."""
KINDS: dict[Needs, str] = {
    Needs.NOTHING: "true",
    Needs.TEXT: TEXT,
    Needs.STREAM: STREAMS,
    Needs.INPUT_TOKENS: READS,
    Needs.PRICE: "l.api <> 'mcp'",
    Needs.TOOL: "coalesce(l.operation = 'tools/call', false)",
    Needs.ITEMS: f"NOT {TEXT}",
    Needs.WHOLE: "NOT coalesce(l.stream, false)",
}
"""What `model.applicability` says of targets, in SQL over a ledger row."""
TOTAL_MS = "CASE WHEN l.outcome = 'ok' THEN (l.finished_ns - l.due_ns) / 1e6 END"


LEDGER_VALUES: dict[str, Value] = {
    "ttft_ms": _waited("(l.first_token_ns - l.due_ns) / 1e6"),
    # An answer made of tool calls alone is nothing to read.
    "first_answer_ms": _waited(
        "(l.first_answer_ns - l.due_ns) / 1e6",
        applies="NOT (l.outcome = 'ok' AND l.first_answer_ns IS NULL AND coalesce(l.tool_calls, 0) > 0)",
    ),
    # Only a served request has a total time: a time-out after 5 s must not meet a limit of 6 s.
    "total_ms": _waited(TOTAL_MS),
    "start_lag_ms": _waited("(l.started_ns - l.due_ns) / 1e6"),
    # One token has no gap after it.
    "max_gap_ms": _waited(
        "l.max_gap_ns / 1e6",
        applies="NOT (l.outcome = 'ok' AND l.max_gap_ns IS NULL AND coalesce(l.chunks, 0) = 1)",
    ),
    # As the user felt it: over the whole wait, from the due instant.
    "tokens_per_s": _waited(
        "CASE WHEN l.outcome = 'ok' AND l.finished_ns > l.due_ns "
        "THEN l.output_tokens * 1e9 / (l.finished_ns - l.due_ns) END",
    ),
    # Mean of the gaps; one token has none.
    "inter_token_ms": _waited(
        "CASE WHEN l.chunks > 1 THEN (l.last_token_ns - l.first_token_ns) / 1e6 / (l.chunks - 1) END",
        applies="NOT (l.outcome = 'ok' AND coalesce(l.chunks, 0) = 1)",
    ),
    # Null when a connection was reused: nothing was spent on it.
    "connect_ms": Value("l.connect_ns / 1e6", owed="false"),
    "output_tokens": _reported("l.output_tokens"),
    "input_tokens": _reported("l.input_tokens", owed=READS),
    "total_tokens": _reported(
        "l.input_tokens + CASE WHEN l.api = 'embeddings' THEN 0 ELSE l.output_tokens END"
    ),
    # Providers leave these out when there are none.
    "reasoning_tokens": Value("l.reasoning_tokens", owed="false"),
    "cached_tokens": Value("l.cached_tokens", owed="false"),
    "cost_usd": _reported("l.cost_usd", owed=READS),
    "tool_ms": _waited(TOTAL_MS),
    "tool_calls": _reported("CASE WHEN l.outcome = 'ok' THEN coalesce(l.tool_calls, 0) END"),
    "items": _reported("l.items", owed="l.api = 'embeddings'"),
    "input_tokens_per_s": _waited(
        "CASE WHEN l.outcome = 'ok' AND l.finished_ns > l.due_ns "
        "THEN l.input_tokens * 1e9 / (l.finished_ns - l.due_ns) END",
    ),
    # Some gateways do not say, and none says it on a stream.
    "gateway_ms": Value("l.gateway_ms", owed="false"),
}


def _attribute(*names: str) -> str:
    """Return SQL for the first of several span attributes that holds a finite number or its text."""
    numbers = (
        f"TRY_CAST(json_extract_string(s.attributes, '{json_pointer(name)}') AS DOUBLE)"
        for name in names
    )
    return "coalesce(" + ", ".join(f"CASE WHEN isfinite({n}) THEN {n} END" for n in numbers) + ")"


def _reported_by_gateway(*names: str, applies: str = "true") -> Value:
    return Value(_attribute(*names), owed="true", applies=f"s.status <> 'error' AND {applies}")


METRIC = "tfy.model.metric."
STREAMED = (
    f"coalesce(json_extract_string(s.attributes, '{json_pointer('tfy.model.streaming')}'), 'true') "
    "<> 'false'"
)
"""TrueFoundry writes first-token and inter-token times for streams only."""

INPUT_TOKENS = (
    f"{METRIC}input_tokens",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
)
OUTPUT_TOKENS = (
    f"{METRIC}output_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
)
TTFT = f"{METRIC}time_to_first_token_in_ms"
GOOD = "s.status <> 'error'"
IS_ROOT = "s.role = 'root'"
CLIENT_MS = "(l.finished_ns - l.started_ns) / 1e6"


def _of_trace(sql: str, applies: str = "true") -> Value:
    """Read a fact of the whole trace, asked of its root; `t` is its row in `trace_facts`."""
    return Value(sql, owed="true", applies=f"{IS_ROOT} AND {applies}")


SPAN_VALUES: dict[str, Value] = {
    "duration_ms": Value("s.duration_ns / 1e6", owed="true", applies=GOOD),
    "ttft_ms": _reported_by_gateway(TTFT, applies=STREAMED),
    "inter_token_ms": _reported_by_gateway(f"{METRIC}inter_token_latency_in_ms", applies=STREAMED),
    "tokens_per_s": Value(
        f"CASE WHEN s.duration_ns > 0 THEN {_attribute(*OUTPUT_TOKENS)} * 1e9 / s.duration_ns END",
        owed="true",
        applies=GOOD,
    ),
    "input_tokens": _reported_by_gateway(*INPUT_TOKENS),
    "output_tokens": _reported_by_gateway(*OUTPUT_TOKENS),
    "total_tokens": Value(
        f"{_attribute(*INPUT_TOKENS)} + CASE WHEN {TEXT} THEN {_attribute(*OUTPUT_TOKENS)} ELSE 0 END",
        owed="true",
        applies=GOOD,
    ),
    "cost_usd": _reported_by_gateway(f"{METRIC}cost_in_usd", "gen_ai.usage.cost_usd"),
    "spans_per_trace": _of_trace("t.spans"),
    "model_calls": _of_trace("t.model_calls"),
    "gateway_overhead_ms": _of_trace("(s.duration_ns - t.model_ns) / 1e6", applies=GOOD),
    "client_overhead_ms": _of_trace(
        f"{CLIENT_MS} - s.duration_ns / 1e6", applies="l.outcome = 'ok'"
    ),
    "ttft_gap_ms": Value(
        f"(l.first_token_ns - l.started_ns) / 1e6 - {_attribute(TTFT)}",
        owed="true",
        applies=f"{GOOD} AND l.outcome = 'ok' AND {STREAMED}",
    ),
    "token_gap": Value(
        f"abs(l.output_tokens - {_attribute(*OUTPUT_TOKENS)})",
        owed="true",
        applies=f"{GOOD} AND l.outcome = 'ok'",
    ),
    # An unknown lag is no claim; a trace that never came is the completeness objective's business.
    "ingestion_lag_ms": Value("t.lag_ns / 1e6", owed="false", applies=IS_ROOT),
}


def value_of(book: Book, name: str) -> Value:
    """Return the SQL of a value field."""
    table = LEDGER_VALUES if book is Book.LEDGER else SPAN_VALUES
    if name not in table:
        known = ", ".join(field for of, field in VALUE_FIELDS if of is book)
        raise ConfigurationError(f"{book.value} has no field {name!r}; it has {known}")
    return replace(table[name], kind=KINDS[VALUE_FIELDS[book, name].needs])
