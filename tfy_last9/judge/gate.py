"""Findings to one verdict: obstacles first, then the worst of what is critical.

PASS means proven good enough. Silence, an empty objective set, or a run that measured itself never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from types import MappingProxyType

from tfy_last9.errors import ExitCode
from tfy_last9.judge import canary, relative
from tfy_last9.judge.advice import advice
from tfy_last9.judge.budgets import decide_any
from tfy_last9.judge.coverage import covered
from tfy_last9.judge.decide import needs_last9, not_configured, not_counted, without_ledger
from tfy_last9.judge.early import Bets, Stakes, with_kept, with_proofs
from tfy_last9.judge.live import needs_ledger
from tfy_last9.judge.looks import at_each_look
from tfy_last9.judge.losses import explained, steady_loss
from tfy_last9.judge.multiplicity import Claim, adjusted_p_values, claims_of
from tfy_last9.judge.quota import quota_bound
from tfy_last9.judge.retries import pooled
from tfy_last9.judge.retries import told as looks_before
from tfy_last9.judge.soundness import Obstacle, obstacles
from tfy_last9.judge.spending import within_budget
from tfy_last9.judge.validity import examine
from tfy_last9.model.canary import ArmTally
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import EvidenceRecord, Manifest
from tfy_last9.model.scenario import OnInconclusive
from tfy_last9.model.verdict import (
    EXIT_CODES,
    SEVERITY,
    Accounting,
    Finding,
    State,
    Tally,
    Validity,
    Verdict,
    group_text,
)

REASON_CODES = {
    State.PASS: "passed",
    State.WARN: "passed_with_warnings",
    State.INCONCLUSIVE: "inconclusive",
    State.NO_DATA: "no_data",
    State.ERROR: "objective_error",
    State.FAIL: "objective_failed",
}

_UNJUDGED = frozenset({State.INFO, State.NOT_CONFIGURED})


def judge(
    manifest: Manifest,
    objectives: Sequence[Objective],
    tallies: Mapping[str, tuple[Tally, ...]],
    accounting: Accounting,
    validity: Validity,
    evidence: EvidenceRecord | None,
    arms: Sequence[ArmTally] = (),
    bets: Bets = MappingProxyType({}),
) -> Verdict:
    """Return the verdict of a run: a pure function of what its folder holds."""
    objectives = at_each_look(objectives, manifest.scenario.policy)
    validity = examine(manifest, objectives, accounting, validity)
    told = evidence.warnings if evidence is not None else ()
    told = (*looks_before(manifest), *told)
    if manifest.early_stop is not None:
        told = (manifest.early_stop.message, *told)
    steady = steady_loss(accounting)
    validity = replace(
        validity, warnings=(*validity.warnings, *told, *((steady,) if steady else ()))
    )
    tallies = explained(objectives, tallies, manifest.scenario.sampling)
    tallies = pooled(objectives, tallies, manifest.retry)
    compared = relative.comparisons(arms, manifest)
    claims = (
        claim
        for objective in objectives
        if _is_asked(objective, manifest, evidence)
        for claim in claims_of(objective, tallies.get(objective.name, ()))
    )
    adjusted = adjusted_p_values(chain(claims, canary.claims_of(compared)))
    findings = tuple(
        finding
        for objective in objectives
        for finding in _findings(objective, tallies, manifest, evidence, adjusted)
    )
    findings += relative.findings(compared, adjusted, manifest)
    stakes = Stakes(tuple(objectives), manifest.scenario, with_traces=not manifest.client_only)
    bets = canary.sure_bets(with_kept(bets, manifest.early_stop), compared)
    findings = with_proofs(findings, stakes, bets)
    found = obstacles(manifest, objectives, accounting, validity, evidence)
    verdict = Verdict(
        run_id=manifest.run_id,
        scenario=manifest.scenario.title,
        state=State.ERROR,
        exit_code=ExitCode.ERROR,
        reason="",
        reason_code="",
        findings=findings,
        accounting=accounting,
        validity=validity,
        next_steps=(),
        earlier_looks=() if manifest.retry is None else manifest.retry.runs,
    )
    if found:
        verdict = _obstructed(verdict, found)
    else:
        verdict = covered(_folded(verdict, manifest), objectives, accounting)
        verdict = within_budget(verdict, manifest)
    return replace(verdict, next_steps=advice(verdict, manifest, evidence))


def fold(findings: Iterable[Finding], *, on_inconclusive: OnInconclusive) -> State:
    """Return the worst state over critical findings; what is not critical lowers to WARN at most."""
    worst = State.PASS
    for finding in findings:
        state = finding.state
        lenient = state is State.INCONCLUSIVE and on_inconclusive is OnInconclusive.WARN
        if SEVERITY[state] > SEVERITY[State.WARN] and (lenient or not finding.critical):
            state = State.WARN
        if SEVERITY[state] > SEVERITY[worst]:
            worst = state
    return worst


def _findings(
    objective: Objective,
    tallies: Mapping[str, tuple[Tally, ...]],
    manifest: Manifest,
    evidence: EvidenceRecord | None,
    adjusted: Mapping[Claim, float],
) -> list[Finding]:
    if manifest.live and needs_ledger(objective):
        return [without_ledger(objective)]
    if not _is_asked(objective, manifest, evidence):
        return [not_configured(objective) if manifest.client_only else not_counted(objective)]
    groups = tallies.get(objective.name, ())
    found = [
        quota_bound(
            decide_any(objective, tally, adjusted.get((objective.name, tally.group))),
            objective,
            tally,
        )
        for tally in groups
    ]
    return found or [not_counted(objective)]


def _is_asked(objective: Objective, manifest: Manifest, evidence: EvidenceRecord | None) -> bool:
    """Tell whether its book was opened at all; where nobody looked, counts would mislead."""
    if manifest.live and needs_ledger(objective):
        return False
    if not needs_last9(objective):
        return True
    return not manifest.client_only and evidence is not None and evidence.strategy != "none"


def _obstructed(verdict: Verdict, found: Sequence[Obstacle]) -> Verdict:
    """Show the objectives without judging them, and every reason why."""
    shown = tuple(
        finding if finding.state is State.NOT_CONFIGURED else replace(finding, state=State.INFO)
        for finding in verdict.findings
    )
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return replace(
        verdict,
        exit_code=first.exit_code,
        reason=f"nothing can be said about the objectives: {first.message}{more}",
        reason_code=first.code,
        findings=shown,
        validity=replace(
            verdict.validity, problems=tuple(dict.fromkeys(item.message for item in found))
        ),
    )


def _folded(verdict: Verdict, manifest: Manifest) -> Verdict:
    policy = manifest.scenario.policy.on_inconclusive
    state = fold(verdict.findings, on_inconclusive=policy)
    untraced = not manifest.client_only and verdict.accounting.expected_traces == 0
    if untraced and SEVERITY[state] < SEVERITY[State.NO_DATA]:
        return replace(
            verdict,
            state=State.NO_DATA,
            exit_code=EXIT_CODES[State.NO_DATA],
            reason="no request ended in a way that must leave a trace, so Last9 proves nothing",
            reason_code="no_expected_traces",
        )
    if not any(item.critical and item.state not in _UNJUDGED for item in verdict.findings):
        return replace(
            verdict,
            state=State.NO_DATA,
            exit_code=EXIT_CODES[State.NO_DATA],
            reason="no critical objective applies to what was sent, so nothing is proven",
            reason_code="nothing_applies",
        )
    reason = _passed(verdict) if state is State.PASS else _worst(verdict.findings, state)
    return replace(
        verdict,
        state=state,
        exit_code=EXIT_CODES[state],
        reason=reason,
        reason_code=REASON_CODES[state],
    )


def _passed(verdict: Verdict) -> str:
    judged = [item for item in verdict.findings if item.state is State.PASS]
    tightest = max(judged, key=_use)
    left_out = sum(item.state is State.NOT_CONFIGURED for item in verdict.findings)
    skipped = f", {left_out} not configured" if left_out else ""
    return (
        f"{len(judged)} of {len(judged)} proven good enough{skipped};"
        f" tightest: {tightest.objective}, {tightest.message}"
    )


def _worst(findings: Sequence[Finding], state: State) -> str:
    """Return the finding that explains the run's state best, and how many others are not well."""
    unwell = [item for item in findings if SEVERITY[item.state] > 0]
    causes = [
        item for item in unwell if item.state is state and (item.critical or state is State.WARN)
    ]
    first = max(
        causes or unwell, key=lambda item: (item.critical, SEVERITY[item.state], _use(item))
    )
    where = f", {group_text(first.group)}" if first.group else ""
    also = len(unwell) - 1
    more = f" (and {also} more not passed)" if also else ""
    message = first.message.removeprefix(f"{group_text(first.group)}: ")
    return f"{first.objective}{where}: {message}{more}"


def _use(finding: Finding) -> float:
    """Return how many times over the budget the bad share is, as far as it is proven."""
    if finding.total == 0 or finding.budget == 0:
        return 0.0
    share = finding.bad / finding.total if finding.bad_high is None else finding.bad_high
    return share / finding.budget
