"""Numbers of the whole run: sums over requests, provider calls or expected traces, per group.

A census, warm-up included: money spent while warming up was spent. A value that is owed and absent makes
the sum a lower bound, so it is counted and never taken for 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.books import ensure_trace_facts
from tfy_last9.adapters.runfolder.groups import Values, expected_groups
from tfy_last9.adapters.runfolder.join import DEFAULT_REQUIRED, complete
from tfy_last9.adapters.runfolder.labels import (
    FAILS_CHECK,
    Parameters,
    group,
    ledger_label,
    matches,
    span_label,
)
from tfy_last9.adapters.runfolder.values import value_of
from tfy_last9.model.fields import VALUE_FIELDS
from tfy_last9.model.objective import Book, Objective, Population, Ratio, Scalar
from tfy_last9.model.trace import Role
from tfy_last9.model.verdict import Exemplar, Tally

if TYPE_CHECKING:
    import duckdb

EXEMPLARS = 5

REQUESTS = "FROM ledger l WHERE l.is_counted AND {where}"
CALLS = """FROM spans s
JOIN (SELECT trace_id, min(seq) AS seq FROM joins WHERE is_joined GROUP BY trace_id) j
  ON j.trace_id = s.trace_id
JOIN ledger l ON l.seq = j.seq JOIN trace_facts t ON t.trace_id = s.trace_id
WHERE s.role = 'model' AND {where}"""
TRACES = "FROM ledger l JOIN joins j ON j.seq = l.seq WHERE l.is_expected AND {where}"

TRACE_SCALARS = {
    "missing_traces": "NOT j.is_joined AND NOT j.is_conflict",
    "incomplete_traces": "NOT (j.is_joined AND {complete})",
    "late_traces": "j.is_late",
    "join_conflicts": "j.is_conflict",
}

LOAD = """
CREATE OR REPLACE TEMP TABLE addends AS
SELECT {group} AS grp, ({value})::DOUBLE AS value, ({owed}) AS owed, l.request_id,
       {trace_id} AS trace_id, l.outcome AS detail, l.seq, {place} AS place {source}
"""

SUMS = """
SELECT grp, count(*), fsum(value), count(*) FILTER (value IS NULL AND owed)
FROM addends GROUP BY grp ORDER BY grp
"""

LARGEST = """
SELECT grp, request_id, trace_id, value, detail FROM addends WHERE value > 0
QUALIFY row_number() OVER (PARTITION BY grp ORDER BY value DESC, seq, place, trace_id) <= {limit}
ORDER BY grp, value DESC, seq, place, trace_id
"""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the addends of a scalar come from."""

    value: str
    owed: str
    source: str
    is_span: bool = False


def read_scalars(
    database: duckdb.DuckDBPyConnection, objective: Objective, scalar: Scalar
) -> tuple[Tally, ...]:
    """Return one tally per group: `total` events added up to `scalar`, `unknown` of them without a value."""
    _load(database, objective.group_by, scalar)
    sums = {tuple(row[0]): row[1:] for row in database.execute(SUMS).fetchall()}
    largest: dict[Values, list[Exemplar]] = {}
    for values, *rest in database.execute(LARGEST.format(limit=EXEMPLARS)).fetchall():
        largest.setdefault(tuple(values), []).append(Exemplar(*rest))
    # Any ratio will do: only book, role and conditions decide which groups must be there.
    is_span = scalar.book is Book.LAST9 and scalar.name not in TRACE_SCALARS
    population = Population(
        Book.LAST9 if is_span else Book.LEDGER, Role.MODEL if is_span else None, scalar.where
    )
    groups = expected_groups(database, objective.group_by, Ratio(population, ()), sums)
    return tuple(
        Tally(
            tuple(zip(objective.group_by, values, strict=True)),
            expected,
            total=sums.get(values, (0,))[0],
            bad=0,
            excluded=0,
            quantile=None,
            exemplars=tuple(largest.get(values, ())),
            scalar=sums[values][1] if values in sums else None,
            unknown=sums[values][2] if values in sums else 0,
        )
        for values, expected in groups.items()
    )


def _load(database: duckdb.DuckDBPyConnection, group_by: tuple[str, ...], scalar: Scalar) -> None:
    found, parameters = _source(scalar), Parameters()
    if found.is_span:
        ensure_trace_facts(database)
    label = span_label if found.is_span else ledger_label
    sql = LOAD.format(
        group=group(group_by, label, parameters),
        value=found.value,
        owed=found.owed,
        trace_id="s.trace_id" if found.is_span else "l.trace_id",
        place="s.start_ns" if found.is_span else "0::BIGINT",
        source=found.source.format(where=matches(scalar.where, label, parameters)),
    )
    database.execute(sql, parameters.values)


def _source(scalar: Scalar) -> _Source:
    if scalar.name in TRACE_SCALARS:
        test = TRACE_SCALARS[scalar.name].format(
            complete=complete(DEFAULT_REQUIRED, outcome="l.outcome")
        )
        return _Source(f"({test})::INTEGER", "true", TRACES)
    if (scalar.book, scalar.name) not in VALUE_FIELDS:  # failed_requests: the only one left
        return _Source(f"(l.outcome <> 'ok' OR {FAILS_CHECK})::INTEGER", "true", REQUESTS)
    value = value_of(scalar.book, scalar.name)
    sql = f"CASE WHEN isfinite(({value.sql})::DOUBLE) THEN ({value.sql})::DOUBLE END"
    is_span = scalar.book is Book.LAST9
    owed = f"({value.owed}) AND coalesce({value.asked}, false)"
    return _Source(sql, owed, CALLS if is_span else REQUESTS, is_span)
