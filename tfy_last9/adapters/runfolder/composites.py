"""Composite objectives: the counts of each member, or the slices in which the members meet.

OpenSLO adds up what the members burn (Occurrences), calls a slice bad when one member's is (Timeslices),
and adds up the members' shortfalls per slice (RatioTimeslices).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.adapters.runfolder.tally import read_tallies
from tfy_last9.adapters.runfolder.timeslices import ROUNDING, cut, recounted
from tfy_last9.model.verdict import Burn, Tally

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.model.objective import Composite, Objective
    from tfy_last9.model.verdict import Group

MEMBER_SLICES = """
CREATE OR REPLACE TEMP TABLE member_slices
    (grp VARCHAR[], slice BIGINT, is_bad BOOLEAN, shortfall DOUBLE)
"""
ADD_MEMBER = """
INSERT INTO member_slices
SELECT grp, slice, bad > (1.0 - {target}) * total + {rounding}, {weight} * bad / total FROM timeslices
"""
COUNTS = """
SELECT grp, count(*), count(*) FILTER (is_bad), favg(least(1.0, shortfall)) FROM (
    SELECT grp, slice, bool_or(is_bad) AS is_bad, fsum(shortfall) AS shortfall
    FROM member_slices GROUP BY grp, slice
) GROUP BY grp ORDER BY grp
"""


def read_composite(
    database: duckdb.DuckDBPyConnection, objective: Objective, composite: Composite
) -> tuple[Tally, ...]:
    """Return one tally per group that any member knows; exemplars are those of the member that burns most."""
    database.execute(MEMBER_SLICES)
    found: dict[Group, list[tuple[Burn, Tally]]] = {}
    for member in composite.members:
        alone = replace(objective, indicator=member.indicator, target=member.target, slicing=None)
        load_events(database, member.indicator, objective.group_by)
        for tally in read_tallies(database, alone):
            burn = Burn(member.name, member.weight, member.budget, tally.total, tally.bad)
            found.setdefault(tally.group, []).append((burn, tally))
        if objective.slicing is not None:
            target = 1.0 if member.slice_target is None else member.slice_target
            cut(database, objective.slicing)
            database.execute(
                ADD_MEMBER.format(target=target, rounding=ROUNDING, weight=member.weight)
            )
    tallies = tuple(_merged(group, found[group]) for group in sorted(found))
    if objective.slicing is None:
        return tallies
    rows = database.execute(COUNTS).fetchall()
    return recounted(tallies, {tuple(row[0]): row[1:] for row in rows})


def _merged(group: Group, members: list[tuple[Burn, Tally]]) -> Tally:
    worst = max(members, key=lambda item: _rate(item[0]))[1]
    return Tally(
        group,
        expected=any(tally.expected for _, tally in members),
        total=sum(tally.total for _, tally in members),
        bad=sum(tally.bad for _, tally in members),
        excluded=sum(tally.excluded for _, tally in members),
        quantile=None,
        exemplars=worst.exemplars,
        burns=tuple(burn for burn, _ in members),
    )


def _rate(burn: Burn) -> float:
    return burn.weight * burn.bad / burn.total / burn.budget if burn.total else 0.0
