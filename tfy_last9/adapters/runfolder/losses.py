"""Where losses happened: traces that are late, lost or in conflict, and requests nobody reported.

Requests that a lost worker never reported were rebuilt from the seed when the run was sealed
(`unreported.parquet`). Each split adds up to the same sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.books import size_band
from tfy_last9.adapters.runfolder.database import literal, scalar_int
from tfy_last9.adapters.runfolder.labels import VIRTUAL
from tfy_last9.errors import BrokenRun
from tfy_last9.model.verdict import LossPart, LossSplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.run import Manifest, SecondOracle
    from tfy_last9.model.trace import Role
    from tfy_last9.model.verdict import Accounting

DIMENSIONS = ("provider", "phase", "minute", "worker", "status", "size_band")
HOP = "hop"
"""One more dimension, where TrueFoundry's own storage was asked which side lost a trace."""
UNREPORTED = "unreported"
NOT_LOST, NOT_ASKED = "not lost", "not asked"
BEFORE_EXPORT, AFTER_EXPORT = "before the export", "between export and Last9"

SEEN = """
CREATE OR REPLACE TEMP TABLE gaps AS
SELECT l.seq, coalesce(l.provider, {virtual}) AS provider, l.phase,
       greatest(0, (l.epoch_ns + l.due_ns - {start_ns}) // 60000000000)::VARCHAR AS minute,
       l.worker::VARCHAR AS worker,
       l.outcome || coalesce(' ' || l.status, '') AS status, l.size_band,
       j.is_joined AND j.is_late AS is_late, NOT j.is_joined AND NOT j.is_conflict AS is_lost,
       NOT j.is_joined AND j.is_conflict AS is_conflict, false AS is_unreported, {hop} AS hop
FROM ledger l JOIN joins j ON j.seq = l.seq
WHERE {asked} AND l.is_expected AND (NOT j.is_joined OR j.is_late)
"""

REBUILT = """
INSERT INTO gaps
SELECT seq, coalesce(provider, {virtual}), phase, (due_ns // 60000000000)::VARCHAR, worker::VARCHAR,
       {unreported}, {size_band}, false, false, false, true, {elsewhere}
FROM read_parquet({path})
"""

UNKNOWN = """
INSERT INTO gaps
SELECT NULL, 'unknown', 'unknown', 'unknown', 'unknown', {unreported}, 'unknown',
       false, false, false, true, {elsewhere}
FROM range(?)
"""

SPLIT = """
SELECT {dimension}, count(*) FILTER (is_late), count(*) FILTER (is_lost),
       count(*) FILTER (is_conflict), count(*) FILTER (is_unreported)
FROM gaps GROUP BY 1 ORDER BY {order}
"""

ROLES = """
SELECT count(*) FILTER (NOT list_contains(coalesce(j.found_roles, []), {role}))
FROM ledger l JOIN joins j ON j.seq = l.seq
WHERE l.is_expected AND j.is_joined AND NOT ({role} = 'model' AND l.api IN ('mcp', 'http'))
"""


def with_losses(
    database: duckdb.DuckDBPyConnection,
    found: Accounting,
    folder: RunFolder,
    manifest: Manifest,
    required: Iterable[Role],
    *,
    asked: bool,
    oracle: SecondOracle | None = None,
) -> Accounting:
    """Return the accounting with its losses split; `asked` is false where nobody looked for traces."""
    sums = (found.late, found.lost, found.conflicts, found.unreported)
    losses = (
        _losses(database, folder, manifest, sums, asked=asked, oracle=oracle) if any(sums) else ()
    )
    absent = _absent_roles(database, required) if asked else ()
    return replace(found, losses=losses, absent_roles=absent)


def _losses(
    database: duckdb.DuckDBPyConnection,
    folder: RunFolder,
    manifest: Manifest,
    sums: tuple[int, ...],
    *,
    asked: bool,
    oracle: SecondOracle | None,
) -> tuple[LossSplit, ...]:
    """Return one split per dimension; a split that misses the sums means a folder that contradicts itself."""
    start_ns = manifest.start_ns or 0
    database.execute(
        SEEN.format(
            virtual=literal(VIRTUAL),
            start_ns=start_ns,
            asked=str(asked).lower(),
            hop=_hop(database, oracle),
        )
    )
    if sums[3]:
        _rebuild(database, folder, manifest, sums[3])
    splits = []
    for dimension in (*DIMENSIONS, HOP) if oracle is not None else DIMENSIONS:
        order = f"TRY_CAST({dimension} AS BIGINT), {dimension}"
        rows = database.execute(SPLIT.format(dimension=dimension, order=order)).fetchall()
        added = tuple(sum(row[i] for row in rows) for i in range(1, 5))
        if added != sums:
            raise BrokenRun(
                f"losses by {dimension} are {added} (late, lost, conflict, unreported),"
                f" the accounting says {sums}",
                hint="requests.parquet and run.json are not of the same run",
            )
        splits.append(LossSplit(dimension, tuple(LossPart(*row) for row in rows)))
    return tuple(splits)


def _hop(database: duckdb.DuckDBPyConnection, oracle: SecondOracle | None) -> str:
    """Return SQL of the side that lost a trace, from what the second oracle said."""
    asked, found = ((), ()) if oracle is None else (oracle.asked, oracle.found)
    known = set(found)
    database.execute("CREATE OR REPLACE TEMP TABLE oracle (request_id VARCHAR, is_there BOOLEAN)")
    database.execute(
        "INSERT INTO oracle SELECT unnest($asked::VARCHAR[]), unnest($there::BOOLEAN[])",
        {"asked": list(asked), "there": [one in known for one in asked]},
    )
    there = "(SELECT any_value(o.is_there) FROM oracle o WHERE o.request_id = l.request_id)"
    return (
        f"CASE WHEN j.is_joined OR j.is_conflict THEN {literal(NOT_LOST)} "
        f"WHEN {there} IS NULL THEN {literal(NOT_ASKED)} "
        f"WHEN {there} THEN {literal(AFTER_EXPORT)} ELSE {literal(BEFORE_EXPORT)} END"
    )


def _absent_roles(
    database: duckdb.DuckDBPyConnection, required: Iterable[Role]
) -> tuple[tuple[str, int], ...]:
    """Return how many joined traces lack a span of each required role."""
    absent = []
    for role in sorted(required):
        row = database.execute(ROLES.format(role=literal(role))).fetchone()
        absent.append((role.value, row[0] if row else 0))
    return tuple((role, count) for role, count in absent if count)


def _rebuild(
    database: duckdb.DuckDBPyConnection, folder: RunFolder, manifest: Manifest, missing: int
) -> None:
    """Add the planned requests that left no row; of some nothing is known but that there were so many."""
    known = 0
    if folder.unreported_path.is_file():
        parts = {
            "path": literal(folder.unreported_path),
            "virtual": literal(VIRTUAL),
            "unreported": literal(UNREPORTED),
            "size_band": size_band(manifest.scenario),
            "elsewhere": literal(NOT_LOST),
        }
        database.execute(REBUILT.format(**parts))
        known = scalar_int(database, "SELECT count(*) FROM gaps WHERE is_unreported")
    unknown = UNKNOWN.format(unreported=literal(UNREPORTED), elsewhere=literal(NOT_LOST))
    database.execute(unknown, [max(0, missing - known)])
