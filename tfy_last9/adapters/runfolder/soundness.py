"""Facts about the generator, and faults in the data itself that no objective may be judged on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, reading, scalar_int
from tfy_last9.model.verdict import Validity
from tfy_last9.stats.quantile import nearest_rank

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.run import Counters

SHOWN = 5
"""Faults named one by one; the rest are counted."""

START_LAG = """
SELECT (started_ns - due_ns) / 1e6 AS v FROM ledger WHERE is_judged AND is_counted
"""

WITHHELD = """
SELECT count(*) FROM ledger WHERE turn > 1 AND started_ns IS NULL AND outcome = 'aborted'
"""
"""Turns whose conversation ended before them were planned and never came due: nobody was late with them."""

NEGATIVE_SPANS = """
SELECT 'span ' || span_id || ' of trace ' || trace_id || ' has a negative duration ('
       || duration_ns || ' ns)'
FROM spans SEMI JOIN judged_traces USING (trace_id) WHERE duration_ns < 0
ORDER BY trace_id, start_ns, span_id
"""

BROKEN_METRICS = """
WITH metrics AS (
    SELECT trace_id, span_id, start_ns, metric,
           json_extract_string(attributes, '/' || metric) AS written
    FROM spans SEMI JOIN judged_traces USING (trace_id),
         unnest(['tfy.model.metric.latency_in_ms', 'tfy.model.metric.time_to_first_token_in_ms',
                 'tfy.model.metric.inter_token_latency_in_ms']) AS listed(metric)
    WHERE role = 'model'
)
SELECT 'span ' || span_id || ' of trace ' || trace_id || ' has ' || metric || ' = ' || written
FROM metrics
WHERE TRY_CAST(written AS DOUBLE) < 0 OR isinf(TRY_CAST(written AS DOUBLE))
ORDER BY trace_id, start_ns, span_id, metric
"""

BACKWARD_ROWS = """
SELECT 'request ' || request_id || ' (trace ' || coalesce(trace_id, 'none') || ') has '
       || CASE WHEN finished_ns < started_ns THEN 'finished' ELSE 'its first token' END
       || ' before it started'
FROM ledger
WHERE finished_ns < started_ns OR first_token_ns < started_ns
ORDER BY seq
"""


def read_validity(
    database: duckdb.DuckDBPyConnection, folder: RunFolder, counters: Counters
) -> Validity:
    """Return counters, generator lag and data faults; judging the lag is not done here."""
    return Validity(
        offered=counters.offered - scalar_int(database, WITHHELD),
        started=counters.started,
        missed=counters.missed,
        finished=counters.finished,
        unreported=counters.unreported,
        start_lag_p99_ms=_p99(database, START_LAG),
        hub_lag_p99_ms=_hub_lag(database, folder),
        problems=(
            *_health_missing(folder),
            *_faults(database, BACKWARD_ROWS),
            *_faults(database, NEGATIVE_SPANS),
            *_faults(database, BROKEN_METRICS),
        ),
        warnings=(),
    )


def _health_missing(folder: RunFolder) -> tuple[str, ...]:
    """Sealing always writes the file: without it nobody knows whether the generator kept up."""
    if folder.health_path.is_file():
        return ()
    name = folder.health_path.name
    return (
        (
            f"{name} is missing from the run folder, so whether the generator kept up is unknown:"
            " restore the file, or run the gate again"
        ),
    )


def _hub_lag(database: duckdb.DuckDBPyConnection, folder: RunFolder) -> float | None:
    """Return p99 over seconds and workers of the longest stall within the second."""
    if not folder.health_path.is_file():
        return None
    health = literal(folder.health_path)
    with reading(folder.health_path):
        return _p99(
            database,
            f"SELECT hub_lag_max_ns / 1e6 AS v FROM read_parquet({health}) "  # noqa: S608 - quoted literal
            "WHERE hub_lag_max_ns IS NOT NULL",
        )


def _p99(database: duckdb.DuckDBPyConnection, values: str) -> float | None:
    row = database.execute(f"SELECT count(*) FROM ({values})").fetchone()  # noqa: S608 - constants
    if not row or not row[0]:
        return None
    rank = nearest_rank(row[0], 0.99)
    found = database.execute(
        f"SELECT v FROM ({values}) ORDER BY v LIMIT 1 OFFSET ?",  # noqa: S608 - constants
        [rank - 1],
    ).fetchone()
    return float(found[0]) if found else None


def _faults(database: duckdb.DuckDBPyConnection, query: str) -> tuple[str, ...]:
    found = [text for (text,) in database.execute(query).fetchall()]
    shown = found[:SHOWN]
    if len(found) > SHOWN:
        shown[-1] += f" (and {len(found) - SHOWN} more like it)"
    return tuple(shown)
