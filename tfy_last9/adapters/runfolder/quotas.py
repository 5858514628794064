"""Which groups hold traffic of targets that ran into their quota: what was not served had no latency."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, text_list
from tfy_last9.model.request import Outcome
from tfy_last9.model.verdict import Limited, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from tfy_last9.model.scenario import Scenario

IS_LIMITED = (
    f"(outcome = {literal(Outcome.REJECTED_RATE_LIMIT)} OR error_type = 'provider_429'"
    f" OR status = 429)"
)

LIMITED = """
WITH limited AS (
    SELECT target, count(*) AS total, count(*) FILTER ({is_limited}) AS turned_away
    FROM ledger WHERE is_judged AND is_counted AND list_contains({targets}, target)
    GROUP BY target HAVING turned_away > 0
)
SELECT DISTINCT e.grp, b.target, b.turned_away, b.total
FROM events e JOIN ledger l ON l.seq = e.seq JOIN limited b ON b.target = l.target
ORDER BY ALL
"""


def with_limited(
    database: duckdb.DuckDBPyConnection, scenario: Scenario, tallies: Iterable[Tally]
) -> tuple[Tally, ...]:
    """Return the tallies of `events` with the targets that have a quota and were rate-limited."""
    targets = tuple(target.name for target in scenario.targets if target.quota is not None)
    if not targets:
        return tuple(tallies)
    sql = LIMITED.format(is_limited=IS_LIMITED, targets=text_list(targets))
    found: dict[tuple[str, ...], list[Limited]] = {}
    for values, target, turned_away, total in database.execute(sql).fetchall():
        found.setdefault(tuple(values), []).append(Limited(target, turned_away, total))
    return tuple(replace(tally, limited=_of(tally, found)) for tally in tallies)


def _of(tally: Tally, found: Mapping[tuple[str, ...], Sequence[Limited]]) -> tuple[Limited, ...]:
    return tuple(found.get(tuple(value for _, value in tally.group), ()))
