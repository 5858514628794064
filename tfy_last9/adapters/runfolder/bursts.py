"""Slices of consecutive events, per group: what shows that bad ones come in bursts.

Only groups with some bad and some good events are cut: elsewhere bursts cannot show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.model.verdict import Slices
from tfy_last9.stats.effect import slice_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from tfy_last9.adapters.runfolder.groups import Values

FEWEST_BAD = 2

CUT = """
WITH placed AS (
    SELECT e.grp, e.verdict = 'bad' AS is_bad, c.size,
           row_number() OVER (PARTITION BY e.grp ORDER BY e.seq, e.place, e.verdict) - 1 AS position
    FROM events e JOIN cuts c ON c.grp = e.grp
    WHERE e.verdict <> 'excluded'
), slices AS (
    SELECT grp, size, count(*) FILTER (is_bad) AS bad
    FROM placed GROUP BY grp, size, position // size
    HAVING count(*) = size
)
SELECT grp, size, count(*), sum(bad)::BIGINT, sum(bad * bad)::BIGINT
FROM slices GROUP BY grp, size ORDER BY grp
"""
"""In the order of the requests; the last events that make no whole slice are left out."""


def read_slices(
    database: duckdb.DuckDBPyConnection, counts: Mapping[Values, tuple[int, ...]]
) -> dict[Values, Slices]:
    """Return the slices of the groups in `events` whose bad events could come in bursts.

    `counts` holds total, bad and other events per group.
    """
    cuts = {
        values: slice_size(total)
        for values, (total, bad, *_) in counts.items()
        if FEWEST_BAD <= bad < total
    }
    if not cuts:
        return {}
    database.execute("CREATE OR REPLACE TEMP TABLE cuts (grp VARCHAR[], size BIGINT)")
    for values, size in cuts.items():
        database.execute("INSERT INTO cuts VALUES (?, ?)", [list(values), size])
    return {
        tuple(values): Slices(size, count, bad, squares)
        for values, size, count, bad, squares in database.execute(CUT).fetchall()
    }
