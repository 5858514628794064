"""Burn rates of live traces: how fast the monthly budget goes, over the windows that fit what was fetched.

The pairs of windows and their shares of the budget are those of the SRE workbook (chapter 5): an alert
would need both the long and the short window above factor x budget. Point estimates: shown, not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.model.objective import Composite, Scalar
from tfy_last9.model.verdict import BurnRate

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.model.objective import Objective
    from tfy_last9.model.run import Window
    from tfy_last9.model.verdict import Group

PAIRS = ((3600, 300, 0.02), (21_600, 1800, 0.05), (86_400, 7200, 0.10), (259_200, 21_600, 0.10))
"""Long window and short window in seconds, and the share of the budget that the long one may burn."""
_NS_PER_S = 1_000_000_000

SHARES = """
SELECT avg((verdict = 'bad')::INTEGER) FILTER (at_ns >= $long),
       avg((verdict = 'bad')::INTEGER) FILTER (at_ns >= $short)
FROM events WHERE verdict <> 'excluded' AND grp = $grp::VARCHAR[]
"""


def read_burns(
    database: duckdb.DuckDBPyConnection, objective: Objective, group: Group, window: Window
) -> tuple[BurnRate, ...]:
    """Return one burn rate per pair of windows that lies within what was fetched."""
    indicator = objective.indicator
    pairs = [p for p in PAIRS if window.end_ns - window.start_ns >= p[0] * _NS_PER_S]
    if isinstance(indicator, Scalar | Composite) or objective.slicing is not None or not pairs:
        return ()
    load_events(database, indicator, objective.group_by)
    budget, found = round(objective.budget, 12), []
    for long_s, short_s, share in pairs:
        bounds = {
            "long": window.end_ns - long_s * _NS_PER_S,
            "short": window.end_ns - short_s * _NS_PER_S,
            "grp": [value for _, value in group],
        }
        ((long_share, short_share),) = database.execute(SHARES, bounds).fetchall()
        if long_share is None or short_share is None:
            continue
        factor = share * objective.window_s / long_s
        rates = long_share / budget, short_share / budget
        found.append(BurnRate(long_s, short_s, factor, *rates, is_exceeded=min(rates) > factor))
    return tuple(found)
