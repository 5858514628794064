"""The requests worth a waterfall: what breaks an objective first, then the slowest of each target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder import pictures_sql as sql
from tfy_last9.adapters.runfolder.drill import Question, answer
from tfy_last9.model.pictures import Waterfall
from tfy_last9.model.verdict import SEVERITY, group_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from tfy_last9.model.verdict import Verdict

MOST = 9
PER_FINDING = 2
PER_TARGET = 2


def read_worst(database: duckdb.DuckDBPyConnection, verdict: Verdict) -> tuple[Waterfall, ...]:
    """Return at most `MOST` requests with their spans, in the order in which they matter."""
    reasons: dict[str, str] = {}
    for request_id, why in (*_breaking(verdict), *_slow(database)):
        if len(reasons) < MOST:
            reasons.setdefault(request_id, why)
    if not reasons:
        return ()
    shown = answer(database, Question(request_ids=tuple(reasons), limit=MOST))
    rows = {one.row.request_id: (one.row, one) for one in shown if one.row}
    return tuple(
        Waterfall(rows[name][0], rows[name][1].spans, rows[name][1].note, why)
        for name, why in reasons.items()
        if name in rows
    )


def _breaking(verdict: Verdict) -> Iterator[tuple[str, str]]:
    unwell = sorted(
        (finding for finding in verdict.findings if SEVERITY[finding.state] > 0),
        key=lambda finding: (not finding.critical, -SEVERITY[finding.state]),
    )
    for place in range(PER_FINDING):
        for finding in unwell:
            for exemplar in finding.exemplars[place : place + 1]:
                if exemplar.request_id:
                    why = f"{finding.state} {finding.objective}, {group_text(finding.group)}"
                    yield exemplar.request_id, why


def _slow(database: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    for (request_id,) in database.execute(sql.SLOWEST, [PER_TARGET]).fetchall():
        yield request_id, "among the slowest of its target"
