"""Many objectives at once: a FAIL must hold among all critical ones, not only alone.

PASS needs no correction: requiring all of them to pass is conservative already.
"""

from __future__ import annotations

from collections.abc import Iterable

from tfy_last9.judge import phrases
from tfy_last9.judge.strength import alpha_of, measure
from tfy_last9.model.objective import Composite, Objective
from tfy_last9.model.verdict import Group, Tally
from tfy_last9.stats.holm import adjusted

Claim = tuple[str, Group]
"""Objective name and group."""


def adjusted_p_values(p_values: Iterable[tuple[Claim, float]]) -> dict[Claim, float]:
    """Return Holm's adjusted p-value per critical claim."""
    claims = dict(p_values)
    return dict(zip(claims, adjusted(tuple(claims.values())), strict=True))


def claims_of(objective: Objective, tallies: Iterable[Tally]) -> Iterable[tuple[Claim, float]]:
    """Yield the p-value of each group that counts towards the run and rests on a sample."""
    whole = isinstance(objective.indicator, Composite) and objective.slicing is None
    mean = objective.slicing is not None and objective.slicing.target is None
    if not objective.critical or objective.is_census or whole or mean:  # `budgets` bounds these
        return
    budget, alpha = phrases.budget(objective), alpha_of(objective)
    for tally in tallies:
        if tally.expected and 0 <= tally.bad <= tally.total and tally.total > 0:
            yield (objective.name, tally.group), measure(tally, budget, alpha).p_fail
