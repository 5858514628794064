"""`gaps.parquet`: how long the streams of a run were silent between tokens, as counts per bucket.

The load process counts every gap as it happens and ships the counts with its health samples, so a worker that
is killed loses a second of them at most. Counts of all workers and seconds simply add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, open_database, write_parquet
from tfy_last9.stats.histogram import Histogram

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder

Key = tuple[str, str, str | None]
"""Phase, target and arm."""
_COLUMNS = (
    "{'worker': 'INTEGER', 't_ns': 'BIGINT', "
    "'gaps': 'STRUCT(phase VARCHAR, target VARCHAR, arm VARCHAR, buckets BIGINT[][])[]'}"
)
_LOW = (
    "CASE WHEN bucket < 64 THEN bucket ELSE (bucket % 32 + 32) << (bucket // 32 - 1)::INTEGER END"
)
_WIDTH = "CASE WHEN bucket < 64 THEN 1 ELSE 1::BIGINT << (bucket // 32 - 1)::INTEGER END"
"""`stats/histogram.py` in SQL; a test holds the two together."""


def write_gaps(database: duckdb.DuckDBPyConnection, folder: RunFolder) -> None:
    """Write the counts that the workers left in `.work/`; a sample that came twice counts once."""
    files = sorted(folder.work_path.glob("health-*.ndjson"))
    if not files:
        return
    names = ", ".join(literal(file) for file in files)
    write_parquet(
        database,
        f"""
        WITH samples AS (
            SELECT DISTINCT worker, t_ns, gaps FROM read_json([{names}],
                format='newline_delimited', ignore_errors=true, columns={_COLUMNS})
            WHERE worker IS NOT NULL AND t_ns IS NOT NULL
        ), streams AS (SELECT unnest(gaps, recursive := true) FROM samples),
        pairs AS (SELECT phase, target, arm, unnest(buckets) AS pair FROM streams),
        counted AS (
            SELECT phase, target, arm, pair[1] AS bucket, sum(pair[2])::BIGINT AS count
            FROM pairs WHERE phase IS NOT NULL AND target IS NOT NULL GROUP BY ALL
        )
        SELECT phase, target, arm, bucket::INTEGER AS bucket, {_LOW} AS low_ns,
               {_LOW} + {_WIDTH} AS below_ns, count
        FROM counted WHERE bucket >= 0 AND count > 0 ORDER BY phase, target, arm NULLS FIRST, bucket
        """,  # noqa: S608 - quoted paths and constants
        folder.gaps_path,
    )


def read_gaps(folder: RunFolder) -> dict[Key, Histogram]:
    """Return the gaps of a sealed run per phase, target and arm; empty for a run that counted none."""
    found: dict[Key, Histogram] = {}
    if not folder.gaps_path.is_file():
        return found
    with open_database() as database:
        rows = database.execute(
            f"SELECT phase, target, arm, bucket, count FROM read_parquet({literal(folder.gaps_path)})"  # noqa: S608 - quoted path
        ).fetchall()
    for phase, target, arm, bucket, count in rows:
        found.setdefault((phase, target, arm), Histogram()).merge(Histogram([(bucket, count)]))
    return found
