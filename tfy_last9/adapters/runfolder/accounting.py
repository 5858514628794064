"""Where every intended request and every expected trace went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.errors import BrokenRun
from tfy_last9.model.request import JoinPath
from tfy_last9.model.verdict import Accounting, Quantile
from tfy_last9.stats.quantile import interval_ranks, nearest_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tfy_last9.model.run import Counters

LAG_P = 0.95
LAG_ALPHA = 0.10
"""Each bound of the shown interval holds with 95 %."""

REQUESTS = """
SELECT count(*) FILTER (outcome = 'missed'),
       count(*) FILTER (outcome = 'connect_error' OR
           (outcome IN ('timeout', 'stream_broken', 'aborted') AND NOT coalesce(written, false))),
       count(*) FILTER (outcome IN
           ('rejected_auth', 'rejected_rate_limit', 'rejected_budget', 'rejected_guardrail')),
       count(*) FILTER (outcome IN ('timeout', 'stream_broken', 'aborted')
           AND coalesce(written, false)),
       count(*) FILTER (outcome IN ('ok', 'http_error', 'provider_error')),
       count(*)
FROM ledger
"""

TRACES = """
SELECT count(*) FILTER (is_expected),
       count(*) FILTER (is_expected AND is_joined AND NOT is_late),
       count(*) FILTER (is_expected AND is_joined AND is_late),
       count(*) FILTER (is_expected AND NOT is_joined AND NOT is_conflict),
       count(*) FILTER (is_expected AND is_conflict),
       count(*) FILTER (is_expected AND is_joined AND {complete}),
       count(*) FILTER (is_joined AND NOT is_expected)
FROM joins
"""

LOSS_PROFILE = """
WITH tenths AS (
    SELECT j.*, ntile(10) OVER (ORDER BY l.finished_utc_ns, l.seq) AS tenth
    FROM joins j JOIN ledger l ON l.seq = j.seq WHERE j.is_expected
)
SELECT count(*), count(*) FILTER (NOT is_joined AND NOT is_conflict)
FROM tenths GROUP BY tenth ORDER BY tenth
"""

LAG_STEPS_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)

JOIN_PATHS = "SELECT join_path, count(*) FROM joins WHERE is_expected AND is_joined GROUP BY 1"
LAGS = "SELECT lag_ns / 1e9 FROM joins WHERE is_expected AND lag_ns IS NOT NULL ORDER BY 1"
LAG_AT = f"SELECT lag FROM ({LAGS.replace('/ 1e9', '/ 1e9 AS lag')}) LIMIT 1 OFFSET ?"  # noqa: S608 - constants


def read_accounting(
    database: duckdb.DuckDBPyConnection, counters: Counters, *, asked: bool, complete: str
) -> Accounting:
    """Return where requests and traces went; the sums are checked.

    Without evidence (`asked` is false) no trace was looked for, so none is expected, found or lost.
    """
    missed, unsent, refused, unanswered, answered, rows = _row(database, REQUESTS)
    named = missed + unsent + refused + unanswered + answered
    if named != rows:
        raise BrokenRun(
            f"{rows - named} of {rows} ledger rows have an outcome outside the closed set",
            hint="the ledger was written by another version; read it with that one",
        )
    intended = rows + counters.unreported
    if intended != counters.offered:
        raise BrokenRun(
            f"run.json counts {counters.offered} offered requests, the ledger shows {intended} "
            f"({rows} rows and {counters.unreported} unreported)",
            hint="requests.parquet and run.json are not of the same run",
        )
    traces = _row(database, TRACES.format(complete=complete)) if asked else (0,) * 7
    expected, joined, late, lost, conflicts, shown, optional = traces
    if joined + late + lost + conflicts != expected:
        raise BrokenRun(f"{expected} expected traces, but {traces[1:5]} do not add up to them")
    paths = dict(database.execute(JOIN_PATHS).fetchall())
    lag, lag_p50_s, lag_max_s = _lag(database)
    return Accounting(
        intended=intended,
        missed=missed,
        unsent=unsent,
        refused=refused,
        unanswered=unanswered,
        answered=answered,
        unreported=counters.unreported,
        expected_traces=expected,
        joined=joined,
        late=late,
        lost=lost,
        conflicts=conflicts,
        complete=shown,
        optional_found=optional,
        join_paths=tuple((path.value, paths[path]) for path in JoinPath if path in paths),
        lag=lag,
        lag_p50_s=lag_p50_s,
        lag_max_s=lag_max_s,
        lag_steps=_lag_steps(database) if asked else (),
        loss_profile=tuple(database.execute(LOSS_PROFILE).fetchall()) if lost else (),
    )


def _lag(
    database: duckdb.DuckDBPyConnection,
) -> tuple[Quantile | None, float | None, float | None]:
    (n,) = _row(database, f"SELECT count(*) FROM ({LAGS})")  # noqa: S608 - constants
    if not n:
        return None, None, None
    low, high = interval_ranks(n, LAG_P, LAG_ALPHA)

    def at(rank: int | None) -> float | None:
        row = database.execute(LAG_AT, [rank - 1]).fetchone() if rank else None
        return row[0] if row else None

    p95 = at(nearest_rank(n, LAG_P))
    assert p95 is not None
    return Quantile(LAG_P, p95, at(low), at(high), "s"), at(nearest_rank(n, 0.5)), at(n)


def _lag_steps(database: duckdb.DuckDBPyConnection) -> tuple[tuple[float, int], ...]:
    """Return how many traces were visible after so many seconds, up to the step that holds them all.

    What is not counted by the last step was lost, or came at an instant that no poll pinned down.
    """
    counts = ", ".join(f"count(*) FILTER (lag_ns <= {round(s * 1e9)})" for s in LAG_STEPS_S)
    found = _row(
        database,
        f"SELECT count(lag_ns), {counts} FROM joins WHERE is_expected",  # noqa: S608 - constants
    )
    known, visible = found[0], found[1:]
    steps = []
    for seconds, n in zip(LAG_STEPS_S, visible, strict=True):
        steps.append((seconds, n))
        if n == known:
            break
    return tuple(steps) if known else ()


def _row(database: duckdb.DuckDBPyConnection, query: str) -> Sequence[int]:
    row = database.execute(query).fetchone()
    assert row is not None  # an aggregate without groups always has one row
    return row
