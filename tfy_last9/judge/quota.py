"""Latency of a target that ran into its quota proves nothing good: who was served is no fair sample."""

from __future__ import annotations

from dataclasses import replace

from tfy_last9.judge.phrases import percent
from tfy_last9.model.objective import Objective, Threshold, parts
from tfy_last9.model.verdict import Finding, State, Tally

MOST_LIMITED = 0.01
"""Share of rate-limited requests of a target with a quota up to which its latency is taken as it is."""
_GOOD = frozenset({State.PASS, State.WARN})


def quota_bound(finding: Finding, objective: Objective, tally: Tally) -> Finding:
    """Return the finding, INCONCLUSIVE where it is good news about latencies that a quota selected.

    A FAIL stays: those who were served were too slow already.
    """
    over = [one for one in tally.limited if one.turned_away > MOST_LIMITED * one.total]
    if not over or finding.state not in _GOOD or not _is_about_values(objective):
        return finding
    worst = max(over, key=lambda one: one.turned_away / one.total)
    message = (
        f"{finding.message}; quota-bound: {percent(worst.turned_away / worst.total)} of the requests to"
        f" {worst.target} were rate-limited (at most {percent(MOST_LIMITED)}), so that those served are"
        " no fair sample: lower the rate or raise the quota"
    )
    return replace(finding, state=State.INCONCLUSIVE, message=message)


def _is_about_values(objective: Objective) -> bool:
    return any(isinstance(part, Threshold) for part in parts(objective.indicator))
