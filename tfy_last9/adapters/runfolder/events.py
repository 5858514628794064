"""The events of one objective, in SQL: one narrow row per counted request, span or expected trace.

Columns: `grp` (group values), `verdict` (good, bad or excluded), `can_apply` (false where an event of this
kind has no such value), `value` (null for an event without one), `request_id`, `trace_id`, `detail`, `at_ns` (UTC), and `seq`, `place` to order ties.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from tfy_last9.adapters.runfolder.books import ensure_trace_facts
from tfy_last9.adapters.runfolder.join import complete
from tfy_last9.adapters.runfolder.labels import (
    Parameters,
    group,
    ledger_label,
    matches,
    span_label,
)
from tfy_last9.adapters.runfolder.values import Value, value_of
from tfy_last9.model.fields import VALUE_FIELDS
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Condition,
    Operator,
    Population,
    Quality,
    Ratio,
    Simple,
    Threshold,
)
from tfy_last9.model.request import CHECK_FAILED, Outcome

if TYPE_CHECKING:
    import duckdb

COMPARISONS: dict[Operator, str] = {
    Operator.LTE: "<=",
    Operator.LT: "<",
    Operator.GTE: ">=",
    Operator.GT: ">",
}

CREATE = "CREATE OR REPLACE TEMP TABLE events AS "

LEDGER_EVENTS = """
SELECT {group} AS grp, {verdict} AS verdict, {value} AS value, l.request_id, l.trace_id,
       {can_apply} AS can_apply,
       CASE WHEN l.outcome = 'ok' THEN coalesce('check failed: ' || l.check_failed, l.outcome)
            ELSE l.outcome END AS detail, l.seq, 0::BIGINT AS place, l.epoch_ns + l.due_ns AS at_ns
FROM ledger l WHERE l.is_judged AND l.is_counted AND {where}
"""

SPAN_EVENTS = """
SELECT {group} AS grp, {verdict} AS verdict, {value} AS value, l.request_id, s.trace_id,
       {can_apply} AS can_apply,
       CASE WHEN s.status = 'error' THEN coalesce(s.status_message, 'error') ELSE s.status END
           AS detail,
       l.seq, s.start_ns AS place, s.start_ns AS at_ns
FROM spans s JOIN judged_traces j ON j.trace_id = s.trace_id JOIN ledger l ON l.seq = j.seq {facts}
WHERE s.role = {role} AND {where}
"""

TRACE_EVENTS = """
SELECT {group} AS grp,
       CASE WHEN NOT l.is_expected THEN 'excluded'
            WHEN j.is_joined AND {complete} THEN 'good' ELSE 'bad' END AS verdict,
       NULL::DOUBLE AS value, l.request_id, l.trace_id, true AS can_apply,
       CASE WHEN j.is_conflict THEN 'join conflict'
            WHEN NOT j.is_joined THEN 'missing'
            ELSE 'shows only ' || array_to_string(j.found_roles, ', ') END AS detail,
       l.seq, 0::BIGINT AS place, l.epoch_ns + l.due_ns AS at_ns
FROM ledger l JOIN joins j ON j.seq = l.seq
WHERE l.is_counted AND {where}
"""
"""Warm-up included. Requests that leave no trace are kept as excluded, so that a provider that only
refused connections is still a group: one without evidence."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """SQL of what an indicator says about one event."""

    verdict: str
    value: str = "NULL::DOUBLE"
    can_apply: str = "true"


def load_events(
    database: duckdb.DuckDBPyConnection, indicator: Simple, group_by: tuple[str, ...]
) -> None:
    """Replace the table `events` by those of one indicator."""
    match indicator:
        case Threshold():
            _load_threshold(database, group_by, indicator)
        case Ratio():
            _load_ratio(database, group_by, indicator)
        case Completeness():
            _load_completeness(database, group_by, indicator)
        case _:
            assert_never(indicator)


def _load_threshold(
    database: duckdb.DuckDBPyConnection, group_by: tuple[str, ...], threshold: Threshold
) -> None:
    value = value_of(threshold.population.book, threshold.field)
    parameters = Parameters()
    verdict = _threshold_verdict(value, threshold, parameters)
    number = f"CASE WHEN {value.asked} THEN {_finite(value)} END"
    shape = _Shape(verdict, number, f"coalesce({value.kind}, false)")
    _load(database, threshold.population, group_by, shape, parameters)


def _threshold_verdict(value: Value, threshold: Threshold, parameters: Parameters) -> str:
    finite, compare = _finite(value), COMPARISONS[threshold.op]
    limit = parameters.bind(threshold.limit)
    return (
        f"CASE WHEN NOT coalesce({value.asked}, false) THEN 'excluded' "
        f"WHEN {finite} {compare} {limit} THEN 'good' "
        f"WHEN {finite} IS NOT NULL OR {value.owed} THEN 'bad' ELSE 'excluded' END"
    )


def _finite(value: Value) -> str:
    """Return SQL of the number, null where it is not finite."""
    return f"CASE WHEN isfinite(({value.sql})::DOUBLE) THEN ({value.sql})::DOUBLE END"


def _load_ratio(
    database: duckdb.DuckDBPyConnection, group_by: tuple[str, ...], ratio: Ratio
) -> None:
    parameters = Parameters()
    label = ledger_label if ratio.population.book is Book.LEDGER else span_label
    if ratio.good is None:
        bad = matches(map(_with_checks, ratio.bad), label, parameters)
        verdict = f"CASE WHEN {bad} THEN 'bad' ELSE 'good' END"
    else:
        good = _good(ratio.good, ratio.population.book, parameters)
        verdict = f"CASE WHEN {good} THEN 'good' ELSE 'bad' END"
    _load(database, ratio.population, group_by, _Shape(verdict), parameters)


def _with_checks(condition: Condition) -> Condition:
    """Where answers with an error are bad, answers that fail a check are bad too."""
    if condition.field != "outcome" or Outcome.HTTP_ERROR not in condition.values:
        return condition
    return replace(condition, values=(*condition.values, CHECK_FAILED))


def _good(quality: Quality, book: Book, parameters: Parameters) -> str:
    """Return SQL that is true for a good event; a limit that does not apply to it is met."""
    label = ledger_label if book is Book.LEDGER else span_label
    tests = [matches(quality.where, label, parameters)]
    for limit in quality.limits:
        value = value_of(book, limit.field)
        bound = parameters.bind(limit.value)
        met = f"coalesce({_finite(value)} {COMPARISONS[limit.op]} {bound}, false)"
        tests.append(f"(NOT coalesce({value.asked}, true) OR {met})")
    for name in quality.has:
        carried = _finite(value_of(book, name)) if (book, name) in VALUE_FIELDS else None
        tests.append(f"({carried or label(name, parameters)}) IS NOT NULL")
    return "(" + " AND ".join(tests) + ")"


def _load(
    database: duckdb.DuckDBPyConnection,
    population: Population,
    group_by: tuple[str, ...],
    shape: _Shape,
    parameters: Parameters,
) -> None:
    is_ledger = population.book is Book.LEDGER
    label = ledger_label if is_ledger else span_label
    parts = {
        "group": group(group_by, label, parameters),
        "where": matches(population.where, label, parameters),
        "verdict": shape.verdict,
        "value": shape.value,
        "can_apply": shape.can_apply,
    }
    if is_ledger:
        sql = LEDGER_EVENTS.format(**parts)
    else:
        role = parameters.bind(population.span.value if population.span else None)
        facts = ""
        if any(" t." in f" {part}".replace("(", " ") for part in parts.values()):
            ensure_trace_facts(database)
            facts = "JOIN trace_facts t ON t.trace_id = s.trace_id"
        sql = SPAN_EVENTS.format(role=role, facts=facts, **parts)
    database.execute(CREATE + sql, parameters.values)


def _load_completeness(
    database: duckdb.DuckDBPyConnection, group_by: tuple[str, ...], indicator: Completeness
) -> None:
    parameters = Parameters()
    sql = TRACE_EVENTS.format(
        group=group(group_by, ledger_label, parameters),
        complete=complete(indicator.require, outcome="l.outcome"),
        where=matches(indicator.where, ledger_label, parameters),
    )
    database.execute(CREATE + sql, parameters.values)
