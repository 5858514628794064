"""What bad events have in common: label values whose bad share is beyond chance above that of the rest.

For each value the exact lower bound of its bad share is held against the exact upper bound of the rest;
the error is divided by the number of values looked at, so that all that is told holds together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.model.verdict import Lift
from tfy_last9.stats.binomial import lower_bound, upper_bound

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

LABELS = (
    *("provider", "model", "route", "target", "phase", "arm", "size_band", "worker"),
    *("finish_reason", "region", "env"),
)
MOST = 3
WEAKEST = 1.2
"""A smaller factor may be beyond chance and still say nothing."""

COUNTS = """
SELECT label, value, count(*) AS n, count(*) FILTER (is_bad) AS bad
FROM (SELECT is_bad, unnest([{names}]) AS label, unnest([{columns}]) AS value
      FROM explained WHERE {own})
WHERE value IS NOT NULL GROUP BY label, value ORDER BY label, value
"""


def read_lifts(
    database: duckdb.DuckDBPyConnection, known: Collection[str], alpha: float, own: str
) -> tuple[Lift, ...]:
    """Return the strongest lifts within the group that the SQL `own` selects, `known` labels aside."""
    labels = [label for label in LABELS if label not in known]
    names, columns = ", ".join(f"'{label}'" for label in labels), ", ".join(labels)
    rows = database.execute(COUNTS.format(names=names, columns=columns, own=own)).fetchall()
    totals = database.execute(
        f"SELECT count(*), count(*) FILTER (is_bad) FROM explained WHERE {own}"  # noqa: S608 - quoted literals
    ).fetchall()
    everything, bad_ones = totals[0]
    candidates = [row for row in rows if row[2] < everything and row[3] > 0]
    candidates.sort(key=lambda row: LABELS.index(row[0]))
    lifts: list[Lift] = []
    for label, value, n, bad in candidates:
        each = alpha / len(candidates) / 2.0
        low = lower_bound(bad, n, each)
        rest = upper_bound(bad_ones - bad, everything - n, each)
        # One provider has one model and one route: the same requests under another name are no news.
        known_already = any((one.bad, one.total) == (bad, n) for one in lifts)
        if low > WEAKEST * rest and not known_already:
            lifts.append(Lift(label, value, bad, n, low / rest))
    return tuple(sorted(lifts, key=lambda lift: (-lift.factor, lift.label, lift.value))[:MOST])
