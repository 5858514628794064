"""From the table `events` to counts, percentiles and exemplars per group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.bursts import read_slices
from tfy_last9.adapters.runfolder.groups import (
    Values,
    barren,
    expected_groups,
    standbys,
    with_promised,
)
from tfy_last9.adapters.runfolder.labels import NONE
from tfy_last9.model.fields import VALUE_FIELDS
from tfy_last9.model.objective import Composite, Objective, Operator, Scalar, Threshold
from tfy_last9.model.verdict import Exemplar, Quantile, Tally
from tfy_last9.stats.quantile import interval_ranks, nearest_rank

if TYPE_CHECKING:
    import duckdb

EXEMPLARS = 5
NOTHING = (0, 0, 0, 0, 0)

COUNTS = """
SELECT grp, count(*) FILTER (verdict <> 'excluded'), count(*) FILTER (verdict = 'bad'),
       count(*) FILTER (verdict = 'excluded'),
       count(*) FILTER (verdict = 'excluded' AND coalesce(detail, '') NOT IN ('ok', 'unset')),
       count(*) FILTER (NOT can_apply)
FROM events GROUP BY grp ORDER BY grp
"""

RANKED = """
SELECT e.grp, e.position, e.value
FROM (SELECT grp, value, row_number() OVER (PARTITION BY grp ORDER BY value {order}) AS position
      FROM events WHERE verdict <> 'excluded') e
SEMI JOIN wanted w ON w.grp = e.grp AND w.position = e.position
"""
"""An event that owes a value and has none is the worst there is, not one less to count."""

WORST = """
SELECT grp, request_id, trace_id, value, detail
FROM events WHERE verdict <> 'excluded' AND ({kept})
QUALIFY row_number() OVER (
    PARTITION BY grp
    ORDER BY verdict = 'bad' DESC, value {order}, seq, place, trace_id, detail) <= {limit}
ORDER BY grp, verdict = 'bad' DESC, value {order}, seq, place, trace_id, detail
"""


@dataclass(frozen=True, slots=True)
class _Ranks:
    """1-based ranks of a percentile and its interval among the sorted values of a group."""

    value: int
    low: int | None
    high: int | None


def read_tallies(database: duckdb.DuckDBPyConnection, objective: Objective) -> tuple[Tally, ...]:
    """Return one tally per group, sorted by group values."""
    counts = {
        tuple(values): tuple(numbers) for values, *numbers in database.execute(COUNTS).fetchall()
    }
    quantiles = _quantiles(database, objective, {key: row[0] for key, row in counts.items()})
    exemplars = _exemplars(database, objective)
    slices = {} if objective.is_census else read_slices(database, counts)
    assert not isinstance(objective.indicator, Scalar | Composite)  # they are read elsewhere
    groups = with_promised(
        expected_groups(database, objective.group_by, objective.indicator, counts), objective
    )
    if not counts and (nothing := barren(database, objective.indicator)):
        alone = tuple((label, NONE) for label in objective.group_by)
        return (Tally(alone, True, 0, 0, nothing, None, (), inapplicable=nothing),)
    silent = standbys(database, objective.group_by, objective.indicator, counts)
    return tuple(
        Tally(
            tuple(zip(objective.group_by, values, strict=True)),
            expected,
            total=counts.get(values, NOTHING)[0],
            bad=counts.get(values, NOTHING)[1],
            excluded=counts.get(values, NOTHING)[2],
            turned_away=counts.get(values, NOTHING)[3],
            inapplicable=counts.get(values, NOTHING)[4],
            quantile=quantiles.get(values),
            exemplars=tuple(exemplars.get(values, ())),
            slices=slices.get(values),
            may_be_silent=values in silent,
        )
        for values, expected in groups.items()
    )


def _is_upper(indicator: Threshold) -> bool:
    """Return True where large values are bad."""
    return indicator.op in {Operator.LTE, Operator.LT}


def _quantiles(
    database: duckdb.DuckDBPyConnection, objective: Objective, totals: dict[Values, int]
) -> dict[Values, Quantile]:
    """Return the percentile that the claim is about, per group, where it has a finite value."""
    indicator = objective.indicator
    if not isinstance(indicator, Threshold):
        return {}
    upper = _is_upper(indicator)
    p = objective.target if upper else 1.0 - objective.target
    if not 0.0 < p < 1.0:
        return {}
    alpha = 2.0 * (1.0 - objective.confidence)
    ranks = {
        values: _Ranks(nearest_rank(total, p), *interval_ranks(total, p, alpha))
        for values, total in totals.items()
        if total
    }
    at = _values_at(database, ranks, "ASC NULLS LAST" if upper else "ASC NULLS FIRST")
    unit = VALUE_FIELDS[indicator.population.book, indicator.field].unit
    found: dict[Values, Quantile] = {}
    for values, rank in ranks.items():
        value = at[values, rank.value]
        if value is not None:
            low, high = (at[values, bound] if bound else None for bound in (rank.low, rank.high))
            found[values] = Quantile(p, value, low, high, unit)
    return found


def _values_at(
    database: duckdb.DuckDBPyConnection, ranks: dict[Values, _Ranks], order: str
) -> dict[tuple[Values, int], float | None]:
    database.execute("CREATE OR REPLACE TEMP TABLE wanted (grp VARCHAR[], position BIGINT)")
    for values, rank in ranks.items():
        for position in filter(None, (rank.value, rank.low, rank.high)):
            database.execute("INSERT INTO wanted VALUES (?, ?)", [list(values), position])
    rows = database.execute(RANKED.format(order=order)).fetchall()
    return {(tuple(values), position): value for values, position, value in rows}


def _exemplars(
    database: duckdb.DuckDBPyConnection, objective: Objective
) -> dict[Values, list[Exemplar]]:
    """Return the worst events per group: of a threshold the slowest even if good, else only bad ones."""
    indicator = objective.indicator
    is_threshold = isinstance(indicator, Threshold)
    descends = isinstance(indicator, Threshold) and _is_upper(indicator)
    rows = database.execute(
        WORST.format(
            order="DESC NULLS FIRST" if descends else "ASC NULLS FIRST",
            kept="true" if is_threshold else "verdict = 'bad'",
            limit=EXEMPLARS,
        )
    ).fetchall()
    worst: dict[Values, list[Exemplar]] = {}
    for values, request_id, trace_id, value, detail in rows:
        exemplar = Exemplar(request_id, trace_id, value, detail)
        worst.setdefault(tuple(values), []).append(exemplar)
    return worst
