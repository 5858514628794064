"""Timeslices and RatioTimeslices: from the table `events` to counts of time slices per group.

Slices count from `origin` (the instant the first judged request was due), so that every group shares one
grid. A slice in which nothing was counted is no slice: silence is neither good nor bad.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from tfy_last9.adapters.runfolder.groups import Values
    from tfy_last9.model.objective import Slicing
    from tfy_last9.model.verdict import Tally

ROUNDING = 1e-9
"""A share that equals the slice target on paper must not miss it by the last bit."""

TIMESLICES = """
CREATE OR REPLACE TEMP TABLE timeslices AS
SELECT grp, floor((at_ns - (SELECT at_ns FROM origin)) / {window_ns})::BIGINT AS slice,
       count(*) AS total, count(*) FILTER (verdict = 'bad') AS bad
FROM events WHERE verdict <> 'excluded' GROUP BY ALL
"""

COUNTS = """
SELECT grp, count(*), count(*) FILTER (bad > (1.0 - {target}) * total + {rounding}),
       favg(bad / total)
FROM timeslices GROUP BY grp ORDER BY grp
"""

_NS_PER_S = 1_000_000_000


def cut(database: duckdb.DuckDBPyConnection, slicing: Slicing) -> None:
    """Replace the table `timeslices` by those of the table `events`."""
    database.execute(TIMESLICES.format(window_ns=slicing.window_s * _NS_PER_S))


def sliced(
    database: duckdb.DuckDBPyConnection, slicing: Slicing, tallies: Iterable[Tally]
) -> tuple[Tally, ...]:
    """Return the tallies with slices counted instead of events; percentiles are of no use then."""
    cut(database, slicing)
    target = 1.0 if slicing.target is None else slicing.target
    rows = database.execute(COUNTS.format(target=target, rounding=ROUNDING)).fetchall()
    return recounted(tallies, {tuple(row[0]): row[1:] for row in rows})


def recounted(
    tallies: Iterable[Tally], counts: dict[Values, tuple[int, int, float]]
) -> tuple[Tally, ...]:
    """Return each tally with the slices, bad slices and mean bad share of its group."""
    made = []
    for tally in tallies:
        total, bad, mean = counts.get(tuple(value for _, value in tally.group), (0, 0, 0.0))
        made.append(
            replace(
                tally,
                total=total,
                bad=bad,
                quantile=None,
                slices=None,
                mean_bad=mean if total else None,
                burns=(),
            )
        )
    return tuple(made)
