"""Drill down into a stored run: single requests with the spans that Last9 showed of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tfy_last9.adapters.runfolder.books import ensure_trace_facts, open_books
from tfy_last9.adapters.runfolder.join import DEFAULT_REQUIRED, complete
from tfy_last9.adapters.runfolder.labels import Parameters, ledger_label, matches, span_label
from tfy_last9.errors import BrokenRun
from tfy_last9.model.fields import LEDGER_LABELS, SPAN_LABELS
from tfy_last9.model.request import LedgerRow, ledger_columns
from tfy_last9.model.trace import EVIDENCE_COLUMNS, Role, Span, SpanStatus

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.objective import Condition

SPAN_FIELDS = tuple(name for name in EVIDENCE_COLUMNS if name not in {"unseen_ns", "first_seen_ns"})

ROWS = """
SELECT {columns}, j.is_joined, j.is_conflict, j.is_late, j.lag_ns, l.is_expected, {complete}
FROM ledger l JOIN joins j ON j.seq = l.seq
WHERE {where}
ORDER BY {order} LIMIT {limit}
"""

SPAN_BOOKS = """
spans s LEFT JOIN joins j ON j.trace_id = s.trace_id LEFT JOIN ledger l ON l.seq = j.seq
LEFT JOIN trace_facts t ON t.trace_id = s.trace_id
"""

VALUES = "SELECT DISTINCT coalesce(CAST({column} AS VARCHAR), '') FROM {books}"

SPANS = """
SELECT {columns} FROM spans WHERE trace_id = ? ORDER BY start_ns, span_id
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Which requests to show; several restrictions are joined by AND."""

    where: tuple[Condition, ...] = ()
    """Labels of the ledger row or of any span of its trace."""
    slowest: int | None = None
    """So many, by time from due to finish; None keeps the order of the ledger."""
    failed: bool = False
    """Only requests that were sent and not served."""
    missing: bool = False
    """Only requests whose trace is missing, incomplete or in conflict."""
    trace_id: str | None = None
    limit: int = 20
    request_ids: tuple[str, ...] = ()
    """Only these requests; empty for any."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One request and its spans. `row` is None for a trace of this run that no ledger row claims."""

    row: LedgerRow | None
    spans: tuple[Span, ...]
    note: str
    """How the two books agree about it, in words."""


def drill(folder: RunFolder, question: Question) -> tuple[Shown, ...]:
    """Return the requests that `question` asks for, with their spans."""
    manifest = folder.read_manifest()
    late_after_s = manifest.scenario.settle.late_after_s
    with open_books(folder, manifest.scenario, late_after_s) as database:
        ensure_trace_facts(database)
        shown = answer(database, question)
        if not shown and question.trace_id:
            spans = _spans_of(database, question.trace_id)
            if not spans:
                raise BrokenRun(
                    f"neither the ledger nor the evidence of {folder.path} knows trace "
                    f"{question.trace_id}",
                    hint="`--missing` lists the requests without a trace",
                )
            return (Shown(None, spans, "carries the run id, but no ledger row claims it"),)
        return shown


def values_of(folder: RunFolder, label: str) -> list[str]:
    """Return the values that a label has in a run, on ledger rows and on spans."""
    manifest = folder.read_manifest()
    parameters = Parameters()
    found: set[str] = set()
    with open_books(folder, manifest.scenario, 0.0) as database:
        ensure_trace_facts(database)
        for known, column, books in (
            (LEDGER_LABELS, ledger_label, "ledger l"),
            (SPAN_LABELS, span_label, SPAN_BOOKS),
        ):
            if label in known:
                sql = VALUES.format(column=column(label, parameters), books=books)
                found |= {value for (value,) in database.execute(sql).fetchall()}
    return sorted(found - {""})


def answer(database: duckdb.DuckDBPyConnection, question: Question) -> tuple[Shown, ...]:
    """Return what `question` asks for from open books."""
    parameters = Parameters()
    columns = tuple(ledger_columns())
    found = database.execute(
        ROWS.format(
            columns=", ".join(f"l.{name}" for name in columns),
            complete=complete(DEFAULT_REQUIRED, outcome="l.outcome"),
            where=_where(question, parameters),
            order="l.finished_ns - l.due_ns DESC NULLS LAST, l.seq"
            if question.slowest
            else "l.seq",
            limit=parameters.bind(question.slowest or question.limit),
        ),
        parameters.values,
    ).fetchall()
    shown = []
    for values in found:
        row = LedgerRow._make(values[: len(columns)])
        note = _note(*values[len(columns) :], join_path=row.join_path)
        is_joined = values[len(columns)]
        spans = _spans_of(database, row.trace_id) if is_joined and row.trace_id else ()
        shown.append(Shown(row, spans, note))
    return tuple(shown)


def _where(question: Question, parameters: Parameters) -> str:
    tests = [_either_book(condition, parameters) for condition in question.where]
    if question.failed:
        tests.append("l.outcome NOT IN ('ok', 'missed')")
    if question.missing:
        shows = complete(DEFAULT_REQUIRED, outcome="l.outcome")
        tests.append(f"l.is_expected AND NOT (j.is_joined AND {shows})")
    if question.request_ids:
        tests.append(f"list_contains({parameters.bind(list(question.request_ids))}, l.request_id)")
    if question.trace_id:
        trace_id = parameters.bind(question.trace_id.lower())
        tests.append(f"(l.trace_id = {trace_id} OR l.client_trace_id = {trace_id})")
    return " AND ".join(tests) or "true"


def _either_book(condition: Condition, parameters: Parameters) -> str:
    tests = []
    if condition.field in LEDGER_LABELS:
        tests.append(matches((condition,), ledger_label, parameters))
    if condition.field in SPAN_LABELS or condition.field not in LEDGER_LABELS:
        span = matches((condition,), span_label, parameters)
        tests.append(
            "EXISTS (FROM spans s JOIN trace_facts t ON t.trace_id = s.trace_id "
            f"WHERE j.is_joined AND s.trace_id = l.trace_id AND {span})"
        )
    return "(" + " OR ".join(tests) + ")"


def _note(
    is_joined: bool,  # noqa: FBT001 - columns of one query, in its order
    is_conflict: bool,  # noqa: FBT001
    is_late: bool,  # noqa: FBT001
    lag_ns: int | None,
    is_expected: bool,  # noqa: FBT001
    is_complete: bool,  # noqa: FBT001
    *,
    join_path: str | None,
) -> str:
    if is_conflict:
        return "join conflict: the trace its header named carries another request id"
    if not is_joined:
        return "no trace in Last9" if is_expected else "no trace expected"
    parts = [f"joined by {join_path}"]
    if lag_ns is not None:
        parts.append(f"seen {lag_ns / 1e9:.1f} s after the finish at the latest")
    if is_late:
        parts.append("late")
    if not is_complete:
        parts.append("incomplete")
    return ", ".join(parts)


def _spans_of(database: duckdb.DuckDBPyConnection, trace_id: str) -> tuple[Span, ...]:
    query = SPANS.format(columns=", ".join(SPAN_FIELDS))
    rows = database.execute(query, [trace_id.lower()]).fetchall()
    return tuple(_span(dict(zip(SPAN_FIELDS, values, strict=True))) for values in rows)


def _span(columns: dict[str, object]) -> Span:
    parsed = columns | {
        "status": SpanStatus(str(columns["status"])),
        "role": Role(str(columns["role"])),
        "attributes": orjson.loads(str(columns["attributes"] or "{}")),
        "resource": orjson.loads(str(columns["resource"] or "{}")),
    }
    return Span(**parsed)  # type: ignore[arg-type] # columns are the fields of Span, by name
