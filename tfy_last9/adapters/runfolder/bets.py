"""Slice betting over the events of one objective: slices of 50, in the order of the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.judge.phrases import budget
from tfy_last9.stats.sequential import SliceBetting

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.judge.multiplicity import Claim
    from tfy_last9.model.objective import Objective

SLICE = 50
"""Longer than the bursts that are to be expected."""

SHARES = f"""
WITH placed AS (
    SELECT grp, verdict = 'bad' AS is_bad,
           row_number() OVER (PARTITION BY grp ORDER BY seq, place, verdict) - 1 AS position
    FROM events WHERE verdict <> 'excluded'
)
SELECT grp, position // {SLICE} AS slice, count(*) FILTER (is_bad) / {SLICE}
FROM placed GROUP BY grp, slice HAVING count(*) = {SLICE} ORDER BY grp, slice
"""  # noqa: S608 - a constant


def read_bets(database: duckdb.DuckDBPyConnection, objective: Objective) -> dict[Claim, float]:
    """Return the greatest log E per group, from the table `events`."""
    games: dict[tuple[str, ...], SliceBetting] = {}
    for values, _, share in database.execute(SHARES).fetchall():
        game = games.setdefault(tuple(values), SliceBetting(budget(objective)))
        game.take(share)
    return {
        (objective.name, tuple(zip(objective.group_by, values, strict=True))): game.greatest_log_e
        for values, game in games.items()
    }
