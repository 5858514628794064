"""Which groups an objective must show: from the ledger, never from the answer of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import text_list
from tfy_last9.adapters.runfolder.labels import NONE, SENT_LABELS, Parameters, may_match
from tfy_last9.adapters.runfolder.values import value_of
from tfy_last9.model.applicability import MODEL_APIS
from tfy_last9.model.objective import Book, Completeness, Objective, Population, Simple, Threshold
from tfy_last9.model.provider import canonical
from tfy_last9.model.trace import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

Values = tuple[str, ...]
Foretold = tuple[str | None, ...]
"""Group values as far as the ledger can know them; None where only a span could say."""


def expected_groups(
    database: duckdb.DuckDBPyConnection,
    group_by: tuple[str, ...],
    indicator: Simple,
    observed: Iterable[Values],
) -> dict[Values, bool]:
    """Return every group to report, sorted, and whether the ledger sent traffic to it.

    An objective without groups, or whose conditions nothing meets, still yields one expected group:
    silence must be seen.
    """
    seen = sorted(observed)
    if not group_by:
        return {(): True}
    silent = (NONE,) * len(group_by)
    if isinstance(indicator, Completeness) or indicator.population.book is Book.LEDGER:
        return dict.fromkeys(seen, True) or {silent: True}
    foretold = _foretold(database, group_by, indicator.population)
    groups = {values: any(_fits(values, known) for known in foretold) for values in seen}
    for known, is_standby in foretold.items():
        if not is_standby and not any(_fits(values, known) for values in seen):
            groups[tuple(NONE if value is None else value for value in known)] = True
    return dict(sorted(groups.items())) or {silent: True}


def standbys(
    database: duckdb.DuckDBPyConnection,
    group_by: tuple[str, ...],
    indicator: Simple,
    observed: Iterable[Values],
) -> frozenset[Values]:
    """Return the groups that only a fallback reaches: silence of theirs is no news, and few events neither."""
    if isinstance(indicator, Completeness) or indicator.population.book is Book.LEDGER:
        return frozenset()
    foretold = _foretold(database, group_by, indicator.population) if group_by else {}
    return frozenset(
        values
        for values in observed
        if (fits := [stands_by for known, stands_by in foretold.items() if _fits(values, known)])
        and all(fits)
    )


def with_promised(groups: dict[Values, bool], objective: Objective) -> dict[Values, bool]:
    """Add the groups that the annotation `expect` promises and nobody saw: silence is NO_DATA."""
    if not objective.group_by or not objective.expect:
        return groups
    is_provider = objective.group_by[0] == "provider"
    expect = [str(canonical(name)) if is_provider else name for name in objective.expect]
    seen = {values[0] for values in groups}
    rest = (NONE,) * (len(objective.group_by) - 1)
    silent = {(name, *rest): True for name in expect if name not in seen}
    nobody = (NONE,) * len(objective.group_by)
    kept = {values: is_expected for values, is_expected in groups.items() if values != nobody}
    return dict(sorted((kept | silent).items()))


def _foretold(
    database: duckdb.DuckDBPyConnection, group_by: tuple[str, ...], population: Population
) -> dict[Foretold, bool]:
    """Return the groups that may show, and whether each of them may also stay silent."""
    parameters = Parameters()
    names = ", ".join(SENT_LABELS.get(name, "NULL") for name in group_by)
    where = may_match(population.where, parameters)
    rows = database.execute(
        f"SELECT [{names}]::VARCHAR[] AS known, bool_and(coalesce(r.is_standby, false)) FROM ledger l "  # noqa: S608 - names come from a fixed table
        f"LEFT JOIN reach r ON r.target = l.target "
        f"WHERE l.is_judged AND l.is_counted AND {shows(population.span)} AND {where} "
        "GROUP BY known ORDER BY known",
        parameters.values,
    ).fetchall()
    return {tuple(known): is_standby for known, is_standby in rows}


def shows(role: Role | None) -> str:
    """Return SQL over a ledger row that is true where its trace can show a span of this role."""
    if role is Role.MODEL:
        return f"list_contains({text_list(tuple(sorted(MODEL_APIS)))}, l.api)"
    return "l.api = 'mcp'" if role is Role.MCP else "true"


def barren(database: duckdb.DuckDBPyConnection, indicator: Simple) -> int:
    """Return how many judged requests there are if none can show the span or have the value asked for."""
    role = None if isinstance(indicator, Completeness) else indicator.population.span
    kind = "true"
    if isinstance(indicator, Threshold):
        kind = value_of(indicator.population.book, indicator.field).kind
    row = database.execute(
        f"SELECT count(*), count(*) FILTER ({shows(role)} AND {kind}) FROM ledger l "  # noqa: S608 - constants
        "WHERE l.is_judged AND l.is_counted"
    ).fetchone()
    requests, able = row or (0, 0)
    return 0 if able else requests


def _fits(values: Values, known: Foretold) -> bool:
    return all(
        expected is None or value == expected for value, expected in zip(values, known, strict=True)
    )
