"""Against what ran before: the run as the canary of a stored one, as findings of its own verdict.

The same comparison as between two arms, under names of its own. Where a baseline was asked for and none
was found, there is a finding all the same, and it is NO_DATA: an absent baseline satisfies nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tfy_last9.judge import canary
from tfy_last9.judge.looks import arms_at_each_look
from tfy_last9.judge.multiplicity import Claim
from tfy_last9.model.canary import ArmTally
from tfy_last9.model.run import Manifest
from tfy_last9.model.scenario import Arm, Arms, BaselinePolicy
from tfy_last9.model.verdict import Finding, State

NAMES = {
    "canary-ttft": "baseline-ttft",
    "canary-total": "baseline-total",
    "canary-tail": "baseline-tail",
    "canary-errors": "baseline-errors",
}
ABSENT = "baseline"
"""The one finding of a run whose baseline was not found."""
MISSING = frozenset({ABSENT, *NAMES.values()})
"""Objectives that are NO_DATA for want of a baseline."""


def comparisons(tallies: Sequence[ArmTally], manifest: Manifest) -> tuple[canary.Comparison, ...]:
    """Return what is compared: the arms of the scenario, or the run with its baseline."""
    arms, policy = manifest.scenario.arms, manifest.scenario.policy
    if arms is None:
        if manifest.baseline is None:
            return ()
        arms = as_arms(policy.baseline)
    return canary.comparisons(tallies, arms_at_each_look(arms, policy))


def findings(
    compared: Sequence[canary.Comparison], adjusted: Mapping[Claim, float], manifest: Manifest
) -> tuple[Finding, ...]:
    """Return the findings of what was compared."""
    found = canary.findings(compared, adjusted)
    if manifest.scenario.arms is not None or manifest.baseline is None:
        return found
    is_required = manifest.scenario.policy.baseline.required
    if manifest.baseline.run_id is None:
        return (_absent(manifest.baseline.why, critical=is_required),)
    return tuple(_renamed(one, manifest.baseline.run_id, critical=is_required) for one in found)


def as_arms(policy: BaselinePolicy) -> Arms:
    """Return two stored runs as two arms."""
    return Arms(
        Arm("baseline"), Arm("canary"), margins=policy.margins, confidence=policy.confidence
    )


def _renamed(finding: Finding, run_id: str, *, critical: bool) -> Finding:
    return replace(
        finding,
        objective=NAMES[finding.objective],
        claim=finding.claim.removeprefix("canary ").replace("the baseline", f"run {run_id}"),
        message=finding.message.replace(" canary ", " of this run ", 1).replace(
            " in the canary", " in this run", 1
        ),
        critical=critical,
    )


def _absent(why: str, *, critical: bool) -> Finding:
    return Finding(
        objective=ABSENT,
        group=(),
        state=State.NO_DATA,
        critical=critical,
        book="client-ledger",
        claim="no worse than the newest passing run",
        message=why,
        total=0,
        bad=0,
        excluded=0,
        budget=0.0,
        confidence=None,
        bad_low=None,
        bad_high=None,
        quantile=None,
        requests_needed=None,
        exemplars=(),
        path="",
        line=0,
    )
