"""What one request of each target took in a stored run: tokens, and what the gateway said it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, open_database, reading
from tfy_last9.adapters.runfolder.values import value_of
from tfy_last9.model.objective import Book

if TYPE_CHECKING:
    from tfy_last9.adapters.runfolder.folder import RunFolder

SPENDING = """
WITH paid AS ({paid})
SELECT l.target, any_value(l.model), avg(l.input_tokens), avg(l.output_tokens),
       avg(coalesce(l.cost_usd, p.usd))
FROM read_parquet({ledger}) l LEFT JOIN paid p ON p.trace_id = l.trace_id
WHERE l.outcome = 'ok' GROUP BY l.target ORDER BY l.target
"""
PAID = "SELECT s.trace_id, sum({cost}) AS usd FROM read_parquet({spans}) s WHERE s.role = 'model' GROUP BY 1"
NOTHING_PAID = "SELECT NULL::VARCHAR AS trace_id, NULL::DOUBLE AS usd LIMIT 0"


@dataclass(frozen=True, slots=True)
class Spending:
    """Means over the served requests of one target; None where nobody said."""

    model: str
    input_tokens: float | None
    output_tokens: float | None
    cost_usd: float | None


def read_spending(folder: RunFolder) -> dict[str, Spending]:
    """Return what a request took, by target; a target that was never served is absent."""
    paid = NOTHING_PAID
    if folder.spans_path.is_file():
        cost = value_of(Book.LAST9, "cost_usd").sql
        paid = PAID.format(cost=cost, spans=literal(folder.spans_path))
    query = SPENDING.format(paid=paid, ledger=literal(folder.require_ledger()))
    with open_database() as database, reading(folder.ledger_path, folder.spans_path):
        rows = database.execute(query).fetchall()
    return {target: Spending(*means) for target, *means in rows}
