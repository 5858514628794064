"""Which arm served each request of one stream of traffic that the gateway splits: told by what came back.

By `resolved_model`: the header of the answer, else the trace's Model spans where all of them name one model. By
anything else: that attribute of the trace's root, its resource first. What neither tells has no arm: a
request is never counted for an arm by guessing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal
from tfy_last9.adapters.runfolder.labels import json_pointer

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.model.scenario import Arms

RESOLVED_MODEL = "resolved_model"

BY_MODEL = """
SELECT l.seq, coalesce(l.resolved_model, m.model) AS served
FROM ledger l LEFT JOIN joins j ON j.seq = l.seq AND j.is_joined
LEFT JOIN (
    SELECT trace_id, CASE WHEN count(DISTINCT model) = 1 THEN max(model) END AS model
    FROM spans WHERE role = 'model' GROUP BY trace_id
) m ON m.trace_id = j.trace_id
"""

BY_ATTRIBUTE = """
SELECT j.seq, max(coalesce(json_extract_string(s.resource, {pointer}),
                           json_extract_string(s.attributes, {pointer}))) AS served
FROM joins j JOIN spans s ON s.trace_id = j.trace_id AND s.role = 'root'
WHERE j.is_joined GROUP BY j.seq
"""


def tell_arms(database: duckdb.DuckDBPyConnection, arms: Arms) -> str:
    """Return SQL for a table of `seq` and `arm`, null where it is not told; needs the opened books."""
    assert arms.by is not None
    served = BY_ATTRIBUTE.format(pointer=literal(json_pointer(arms.by)))
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE served AS {BY_MODEL if arms.by == RESOLVED_MODEL else served}"
    )
    sides = " ".join(
        f"WHEN served = {literal(arm.served or '')} THEN {literal(arm.name)}"
        for arm in (arms.baseline, arms.canary)
    )
    return f"(SELECT seq, CASE {sides} END AS arm FROM served)"  # noqa: S608 - quoted literals
