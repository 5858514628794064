"""Which groups an objective must show: from the ledger, never from the answer of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.labels import NONE, SENT_LABELS, Parameters, may_match
from tfy_last9.model.objective import Book, Completeness, Objective

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

Values = tuple[str, ...]
Foretold = tuple[str | None, ...]
"""Group values as far as the ledger can know them; None where only a span could say."""


def expected_groups(
    database: duckdb.DuckDBPyConnection, objective: Objective, observed: Iterable[Values]
) -> dict[Values, bool]:
    """Return every group to report, sorted, and whether the ledger sent traffic to it.

    An objective without groups, or whose conditions nothing meets, still yields one expected group:
    silence must be seen.
    """
    seen = sorted(observed)
    if not objective.group_by:
        return {(): True}
    if _is_ledger(objective):
        return dict.fromkeys(seen, True) or {_silent(objective): True}
    foretold = _foretold(database, objective)
    groups = {values: any(_fits(values, known) for known in foretold) for values in seen}
    for known in foretold:
        if not any(_fits(values, known) for values in seen):
            groups[tuple(NONE if value is None else value for value in known)] = True
    return dict(sorted(groups.items())) or {_silent(objective): True}


def _is_ledger(objective: Objective) -> bool:
    indicator = objective.indicator
    return isinstance(indicator, Completeness) or indicator.population.book is Book.LEDGER


def _silent(objective: Objective) -> Values:
    return (NONE,) * len(objective.group_by)


def _foretold(database: duckdb.DuckDBPyConnection, objective: Objective) -> list[Foretold]:
    indicator = objective.indicator
    assert not isinstance(indicator, Completeness)
    parameters = Parameters()
    names = ", ".join(SENT_LABELS.get(name, "NULL") for name in objective.group_by)
    where = may_match(indicator.population.where, parameters)
    rows = database.execute(
        f"SELECT DISTINCT [{names}]::VARCHAR[] AS known FROM ledger l "  # noqa: S608 - names come from a fixed table
        f"LEFT JOIN reach r ON r.target = l.target "
        f"WHERE l.is_judged AND l.is_counted AND {where} ORDER BY known",
        parameters.values,
    ).fetchall()
    return [tuple(known) for (known,) in rows]


def _fits(values: Values, known: Foretold) -> bool:
    return all(
        expected is None or value == expected for value, expected in zip(values, known, strict=True)
    )
