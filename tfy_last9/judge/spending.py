"""A run that its budget ended short of its schedule: what it sent is judged, what it did not send is not proven."""

from __future__ import annotations

from dataclasses import replace

from tfy_last9.model.run import Manifest
from tfy_last9.model.scenario import OnInconclusive
from tfy_last9.model.verdict import EXIT_CODES, SEVERITY, State, Verdict


def was_cut_short(manifest: Manifest) -> bool:
    """Tell whether the budget ended the run before its schedule."""
    spending = manifest.spending
    return spending is not None and spending.is_spent and manifest.early_stop is not None


def within_budget(verdict: Verdict, manifest: Manifest) -> Verdict:
    """Return `verdict`, or INCONCLUSIVE (WARN by policy) where a run would pass that its budget cut short.

    The phases that were never sent may be those that would have failed.
    """
    stop = manifest.early_stop
    if stop is None or not was_cut_short(manifest):
        return verdict
    lenient = manifest.scenario.policy.on_inconclusive is OnInconclusive.WARN
    state = State.WARN if lenient else State.INCONCLUSIVE
    if verdict.state is State.INCONCLUSIVE:
        return replace(verdict, reason=f"{verdict.reason}; the budget ended the run early")
    if SEVERITY[verdict.state] >= SEVERITY[state]:
        return verdict
    return replace(
        verdict,
        state=state,
        exit_code=EXIT_CODES[state],
        reason=f"nothing that was sent is amiss, but {stop.message}",
        reason_code="budget_spent",
    )
