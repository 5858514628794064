"""What one ledger row says about a field, a label and an objective, while the run goes on.

The verdict counts in SQL (`adapters/runfolder/events.py`); this is the same written for one row at a
time. `tests/unit/progress/test_readings.py` holds that both agree.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tfy_last9.model.fields import VALUE_FIELDS, Needs
from tfy_last9.model.objective import Book, Condition, Limit, Operator, Quality, Ratio, Threshold
from tfy_last9.model.provider import canonical
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import CONVERSATIONAL, Api

Row = Mapping[str, Any]
"""A ledger row as it travels: column names to values, nulls left out."""
NONE, VIRTUAL = "(none)", "(virtual)"
WAITED = frozenset({Outcome.OK, Outcome.TIMEOUT, Outcome.STREAM_BROKEN, Outcome.ABORTED})
"""Outcomes after which a missing latency is bad: somebody waited and got nothing."""
COMPARE: Mapping[Operator, Callable[[float, float], bool]] = {
    Operator.LTE: operator.le,
    Operator.LT: operator.lt,
    Operator.GTE: operator.ge,
    Operator.GT: operator.gt,
}


class Event(StrEnum):
    """What one row is to one objective."""

    GOOD = "good"
    BAD = "bad"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Reading:
    """One field of one row."""

    value: float | None
    owed: bool = False
    """True where an absent value counts as bad."""
    applies: bool = True
    """False where the row carries no claim whatever its value."""


def since_due_ns(row: Row, column: str) -> int | None:
    """Return nanoseconds from the due instant to `column`."""
    at_ns: int | None = row.get(column)
    due_ns: int = row["due_ns"]
    return None if at_ns is None else at_ns - due_ns


def reading(row: Row, field: str) -> Reading:
    """Return what a row says about a value field. Raises `KeyError` for an unknown one."""
    found = _READINGS[field](row)
    is_possible = _KINDS[VALUE_FIELDS[Book.LEDGER, field].needs]
    return found if is_possible(row) else replace(found, applies=False)


def is_known(field: str) -> bool:
    """Tell whether a value field of the ledger can be read here."""
    return field in _READINGS


def label(row: Row, name: str) -> str | None:
    """Return a label of a row; None when it carries none."""
    value = row.get("model" if name == "route" else name)
    if name == "provider" and value is None:
        return VIRTUAL
    return None if value is None else str(value)


def group_of(row: Row, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the group values of a row."""
    return tuple(label(row, name) or NONE for name in names)


def meets(row: Row, conditions: tuple[Condition, ...]) -> bool:
    """Tell whether every condition holds; an absent label meets none."""
    return all(label(row, one.field) in _values(one) for one in conditions)


def event_of(row: Row, indicator: Threshold | Ratio) -> Event:
    """Return what a row is to an indicator, its population's conditions aside."""
    if isinstance(indicator, Threshold):
        return _threshold_event(row, indicator)
    if indicator.good is None:
        is_bad = meets(row, indicator.bad)
    else:
        is_bad = not _is_good(row, indicator.good)
    return Event.BAD if is_bad else Event.GOOD


def _threshold_event(row: Row, threshold: Threshold) -> Event:
    found = reading(row, threshold.field)
    if not found.applies:
        return Event.EXCLUDED
    if found.value is not None:
        is_good = COMPARE[threshold.op](found.value, threshold.limit)
        return Event.GOOD if is_good else Event.BAD
    return Event.BAD if found.owed else Event.EXCLUDED


def _is_good(row: Row, quality: Quality) -> bool:
    return (
        meets(row, quality.where)
        and all(_is_within(row, limit) for limit in quality.limits)
        and all(_has(row, name) for name in quality.has)
    )


def _is_within(row: Row, limit: Limit) -> bool:
    found = reading(row, limit.field)
    if not found.applies:
        return True
    return found.value is not None and COMPARE[limit.op](found.value, limit.value)


def _has(row: Row, name: str) -> bool:
    known = reading(row, name).value if is_known(name) else label(row, name)
    return known is not None


def _values(condition: Condition) -> tuple[str, ...]:
    if condition.field == "provider":
        return tuple(str(canonical(value)) for value in condition.values)
    return condition.values


def _is_ok(row: Row) -> bool:
    return bool(row["outcome"] == Outcome.OK)


def _waited(row: Row) -> bool:
    return row["outcome"] in WAITED


def _is_text(row: Row) -> bool:
    return row["api"] in CONVERSATIONAL


def _reads_tokens(row: Row) -> bool:
    return _is_text(row) or row["api"] == Api.EMBEDDINGS


_KINDS: Mapping[Needs, Callable[[Row], bool]] = {
    Needs.NOTHING: lambda _: True,
    Needs.TEXT: _is_text,
    Needs.STREAM: lambda row: bool(row.get("stream")) and _is_text(row),
    Needs.INPUT_TOKENS: _reads_tokens,
    Needs.PRICE: lambda row: row["api"] != Api.MCP,
    Needs.TOOL: lambda row: row.get("operation") == "tools/call",
    Needs.ITEMS: lambda row: not _is_text(row),
    Needs.WHOLE: lambda row: not row.get("stream"),
}
"""Which rows can have a value at all."""


def _milliseconds(column: str) -> Callable[[Row], Reading]:
    def read(row: Row) -> Reading:
        spent_ns = since_due_ns(row, column)
        return Reading(None if spent_ns is None else spent_ns / 1e6, _waited(row))

    return read


def _first_answer(row: Row) -> Reading:
    """Read the first answer: one made of tool calls alone is nothing to read."""
    found = _FIRST_ANSWER(row)
    calls_alone = _is_ok(row) and found.value is None and (row.get("tool_calls") or 0) > 0
    return replace(found, applies=not calls_alone)


_FIRST_ANSWER = _milliseconds("first_answer_ns")


def _total(row: Row) -> Reading:
    """Read the total time: only a served request has one, a time-out must not meet its limit."""
    spent_ns = since_due_ns(row, "finished_ns") if _is_ok(row) else None
    return Reading(None if spent_ns is None else spent_ns / 1e6, _waited(row))


def _max_gap(row: Row) -> Reading:
    gap_ns = row.get("max_gap_ns")
    alone = _is_ok(row) and gap_ns is None and row.get("chunks", 0) == 1
    return Reading(None if gap_ns is None else gap_ns / 1e6, _waited(row), not alone)


def _inter_token(row: Row) -> Reading:
    chunks = row.get("chunks") or 0
    first_ns, last_ns = row.get("first_token_ns"), row.get("last_token_ns")
    value = None
    if chunks > 1 and first_ns is not None and last_ns is not None:
        value = (last_ns - first_ns) / 1e6 / (chunks - 1)
    return Reading(value, _waited(row), not (_is_ok(row) and chunks == 1))


def _per_s(column: str) -> Callable[[Row], Reading]:
    def read(row: Row) -> Reading:
        spent_ns, tokens = since_due_ns(row, "finished_ns"), row.get(column)
        value = None
        if _is_ok(row) and spent_ns is not None and spent_ns > 0 and tokens is not None:
            value = tokens * 1e9 / spent_ns
        return Reading(value, _waited(row))

    return read


def _total_tokens(row: Row) -> Reading:
    answered = 0 if row["api"] == Api.EMBEDDINGS else row.get("output_tokens")
    parts = row.get("input_tokens"), answered
    value = None if None in parts else float(sum(part for part in parts if part is not None))
    return Reading(value, _is_ok(row))


def _tool_calls(row: Row) -> Reading:
    return Reading((row.get("tool_calls") or 0) if _is_ok(row) else None, _is_ok(row))


def _reported(
    column: str, owed: Callable[[Row], bool] = lambda _: True
) -> Callable[[Row], Reading]:
    return lambda row: Reading(row.get(column), _is_ok(row) and owed(row))


def _never(_: Row) -> bool:
    return False


def _connect(row: Row) -> Reading:
    spent_ns = row.get("connect_ns")
    return Reading(None if spent_ns is None else spent_ns / 1e6)


_READINGS: Mapping[str, Callable[[Row], Reading]] = {
    "ttft_ms": _milliseconds("first_token_ns"),
    "first_answer_ms": _first_answer,
    "start_lag_ms": _milliseconds("started_ns"),
    "total_ms": _total,
    "tool_ms": _total,
    "max_gap_ms": _max_gap,
    "inter_token_ms": _inter_token,
    "tokens_per_s": _per_s("output_tokens"),
    "input_tokens_per_s": _per_s("input_tokens"),
    "connect_ms": _connect,
    "total_tokens": _total_tokens,
    "input_tokens": _reported("input_tokens", _reads_tokens),
    "output_tokens": _reported("output_tokens"),
    "cost_usd": _reported("cost_usd", _reads_tokens),
    "reasoning_tokens": _reported("reasoning_tokens", _never),
    "cached_tokens": _reported("cached_tokens", _never),
    "tool_calls": _tool_calls,
    "items": _reported("items", lambda row: row["api"] == Api.EMBEDDINGS),
    "gateway_ms": _reported("gateway_ms", _never),
}
