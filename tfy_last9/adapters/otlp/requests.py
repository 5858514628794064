"""Which requests become spans: every one that breached an objective or failed, and a sample of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.adapters.runfolder.labels import Parameters
from tfy_last9.model.objective import Objective, Scalar, parts

if TYPE_CHECKING:
    import duckdb

SAMPLED = 500
"""Requests that breached nothing and become spans all the same: chosen by a hash of their id."""
BATCH = 1_000

BREACHES = "CREATE OR REPLACE TEMP TABLE breaches (request_id VARCHAR, objective VARCHAR)"
COLLECT = """
INSERT INTO breaches
SELECT DISTINCT request_id, {name} FROM events WHERE verdict = 'bad' AND request_id IS NOT NULL
"""

CHOSEN = """
WITH broken AS (
    SELECT request_id, list_sort(list(DISTINCT objective)) AS objectives FROM breaches GROUP BY request_id
), sent AS (
    SELECT l.*, coalesce(j.is_joined, false) AS is_joined, coalesce(b.objectives, []) AS objectives,
           b.request_id IS NOT NULL OR l.outcome <> 'ok' AS is_wanted
    FROM ledger l
    LEFT JOIN joins j ON j.seq = l.seq
    LEFT JOIN broken b ON b.request_id = l.request_id
    WHERE l.started_ns IS NOT NULL AND l.outcome <> 'missed'
)
SELECT {columns} FROM sent
WHERE is_wanted OR seq IN (
    SELECT seq FROM sent WHERE NOT is_wanted ORDER BY md5(request_id), seq LIMIT {sampled})
ORDER BY seq
"""


class Sent(NamedTuple):
    """One request that becomes a span; instants are nanoseconds since `epoch_ns` (UTC)."""

    request_id: str
    arm: str | None
    phase: str
    target: str
    provider: str | None
    model: str
    stream: bool
    due_ns: int
    started_ns: int
    first_token_ns: int | None
    last_token_ns: int | None
    finished_ns: int | None
    epoch_ns: int
    status: int | None
    outcome: str
    finish_reason: str | None
    error_type: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    trace_id: str | None
    root_span_id: str | None
    resolved_model: str | None
    is_joined: bool
    objectives: list[str]
    """Names of the objectives that count this request as bad."""
    is_wanted: bool
    """False for one of the sample."""


def mark_breaches(database: duckdb.DuckDBPyConnection, objectives: Iterable[Objective]) -> None:
    """Fill the table `breaches` from what every objective counts as bad."""
    database.execute(BREACHES)
    for objective in objectives:
        for indicator in parts(objective.indicator):
            if isinstance(indicator, Scalar):
                continue  # a sum over the run: no request of its own is bad
            load_events(database, indicator, objective.group_by)
            parameters = Parameters()
            name = parameters.bind(objective.name)
            database.execute(COLLECT.format(name=name), parameters.values)


def chosen(database: duckdb.DuckDBPyConnection, sampled: int = SAMPLED) -> Iterator[list[Sent]]:
    """Yield the requests in batches, in order of the schedule; `mark_breaches` comes first."""
    query = CHOSEN.format(columns=", ".join(Sent._fields), sampled=sampled)
    found = database.execute(query)
    while rows := found.fetchmany(BATCH):
        yield [Sent._make(row) for row in rows]
