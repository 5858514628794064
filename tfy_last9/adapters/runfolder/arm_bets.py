"""Betting on two arms while their requests come in: slices in the order of the schedule, from `arm_rows`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tfy_last9.judge.canary import NAMES
from tfy_last9.stats.sequential import bet_on_arms
from tfy_last9.stats.shift import STEP

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.judge.multiplicity import Claim
    from tfy_last9.model.scenario import Arms

REQUESTS = 50
"""Of both arms, in a slice of bad events: longer than the bursts that are to be expected."""
PAIRS = 20
"""In a slice of the sign test."""

LABELS = f"""
WITH placed AS (
    SELECT provider, arm, {{bad}} AS is_bad,
           (row_number() OVER (PARTITION BY provider ORDER BY seq) - 1) // {REQUESTS} AS slice
    FROM arm_rows WHERE ({{bad}}) IS NOT NULL
)
SELECT provider, count(*) FILTER (is_bad AND arm = 'canary') / count(*) FILTER (is_bad)
FROM placed GROUP BY provider, slice
HAVING count(*) = {REQUESTS} AND count(*) FILTER (is_bad) > 0 ORDER BY provider, slice
"""  # noqa: S608 - constants

SIGNS = f"""
WITH timed AS (
    SELECT provider, arm, seq, {{field}} AS step, {{pair}} AS pair
    FROM arm_rows WHERE {{field}} IS NOT NULL
), signs AS (
    SELECT c.provider, c.step - b.step > {{margin}} AS is_slower,
           (row_number() OVER (PARTITION BY c.provider ORDER BY greatest(c.seq, b.seq)) - 1) // {PAIRS}
               AS slice
    FROM timed c JOIN timed b ON b.provider = c.provider AND b.pair = c.pair
    WHERE c.arm = 'canary' AND b.arm = 'baseline'
)
SELECT provider, avg(is_slower::INTEGER) FROM signs
GROUP BY provider, slice HAVING count(*) = {PAIRS} ORDER BY provider, slice
"""  # noqa: S608 - constants

IN_ORDER = "row_number() OVER (PARTITION BY provider, arm ORDER BY seq)"
"""Without mirrored requests the n-th of one arm meets the n-th of the other: chance dealt them out."""


def read_arm_bets(
    database: duckdb.DuckDBPyConnection, arms: Arms, *, has_limits: bool
) -> dict[Claim, float]:
    """Return the greatest log E per comparison; `has_limits`: slow means beyond a limit of an SLO.

    Without a limit slow is relative to the whole run, which nobody knows while it goes on.
    """
    margin = math.log1p(arms.margins.latency) / STEP
    pair = "pair" if arms.mirror else IN_ORDER
    asked = {
        name: SIGNS.format(field=field, pair=pair, margin=repr(margin))
        for field, name in NAMES.items()
    }
    asked["canary-errors"] = LABELS.format(bad="is_error")
    if has_limits:
        asked["canary-tail"] = LABELS.format(bad="slow = 1")
    found: dict[Claim, float] = {}
    for name, query in asked.items():
        shares: dict[str, list[float]] = {}
        for provider, share in database.execute(query).fetchall():
            shares.setdefault(provider, []).append(share)
        for provider, listed in shares.items():
            found[name, (("provider", provider),)] = bet_on_arms(listed)
    return found
