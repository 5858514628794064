"""How much a count proves: bounds and p-value, after discounting correlated events."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tfy_last9.model.objective import Objective
from tfy_last9.model.verdict import Tally
from tfy_last9.stats.binomial import at_least, lower_bound, required_n, upper_bound
from tfy_last9.stats.effect import design_effect


@dataclass(frozen=True, slots=True)
class Strength:
    """What `bad` of `total` events say about the bad share."""

    deff: float
    """Design effect: so many events count as one."""
    bad: float
    total: float
    """Effective counts, after division by the design effect."""
    low: float
    high: float
    """One-sided exact bounds."""
    p_fail: float
    """Chance of at least so many bad events at exactly the budget."""


def alpha_of(objective: Objective) -> float:
    """Return the error allowed to each bound, without the rounding noise of `1 - confidence`."""
    return round(1.0 - objective.confidence, 12)


def measure(tally: Tally, budget: float, alpha: float) -> Strength:
    """Return the strength of a tally with at least one event; each bound is one-sided at `alpha`."""
    deff = tally.least_effect
    if tally.slices is not None:
        cut = tally.slices
        deff = max(deff, design_effect(cut.size, cut.count, cut.bad, cut.bad_squares))
    bad, total = _effective(tally.bad, deff), _effective(tally.total, deff)
    return Strength(
        deff=deff,
        bad=bad,
        total=total,
        low=lower_bound(bad, total, alpha),
        high=upper_bound(bad, total, alpha),
        p_fail=at_least(bad, total, budget),
    )


def requests_missing(found: Strength, total: int, budget: float, alpha: float) -> int:
    """Return how many more events, all good, would make a PASS; at least 1."""
    enough = required_n(budget, math.ceil(found.bad), alpha) * found.deff
    return max(1, math.ceil(enough) - total)


def _effective(count: int, deff: float) -> float:
    return count if deff == 1.0 else count / deff
