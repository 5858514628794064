"""What to do next, as commands where there is one. Never more than a handful."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tfy_last9.judge.phrases import significant
from tfy_last9.judge.relative import ABSENT, MISSING
from tfy_last9.judge.retries import looks_left
from tfy_last9.judge.spending import was_cut_short
from tfy_last9.model.run import EvidenceRecord, Manifest
from tfy_last9.model.verdict import SEVERITY, Finding, State, Verdict, group_text

MOST = 5

_BY_CODE = {
    "incomplete": "run the gate again; this run folder keeps what was recorded",
    "harness": "read the load generator's log, mend the cause and run the gate again",
    "target_stopped": "mend the target that was taken out (key, model name, quota): tfy-last9 doctor",
    "no_objectives": "add an SLO to the SLO folder: tfy-last9 lint checks it",
    "nothing_judged": "add an objective on client-ledger, or configure Last9 and leave out --client-only",
    "nothing_critical": 'set the annotation tfy-last9/critical: "true" on at least one SLO',
    "no_requests": "check gateway address, key and model names: tfy-last9 doctor",
    "unreported": "look for a worker that was killed (memory, disk), then run the gate again",
    "invalid_run": "lower the rate, raise limits.users, or add --processes, then run the gate again",
    "unreadable": "keep the run folder for a bug report: Last9's answer has another shape than known",
    "accounting": "the run folder contradicts itself: keep it for a bug report, run the gate again",
    "uncovered": "add a critical trace-completeness objective, as in slo/traces.yaml",
    "budget_spent": "raise --budget-usd, or plan a cheaper run (fewer requests, lower max_tokens)",
    "no_expected_traces": "look at what was refused: tfy-last9 traces {run} --failed",
}
_FETCH_AGAIN = ("no_evidence", "evidence_unavailable", "truncated", "uncovered")


def advice(
    verdict: Verdict, manifest: Manifest, evidence: EvidenceRecord | None
) -> tuple[str, ...]:
    """Return the next steps for a verdict that is not PASS, most useful first."""
    run = verdict.run_id
    steps: list[str] = []
    if verdict.reason_code in _FETCH_AGAIN:
        steps.append(f"fetch the evidence again: tfy-last9 collect {run}")
    if manifest.ended == "unsettled":
        steps.append(f"fetch the evidence and decide: tfy-last9 collect {run}")
    elif verdict.reason_code in _BY_CODE:
        steps.append(_BY_CODE[verdict.reason_code].format(run=run))
    findings = sorted(
        (finding for finding in verdict.findings if SEVERITY[finding.state] > 0),
        key=lambda finding: (
            not finding.critical,
            -SEVERITY[finding.state],
            finding.book == "both",
        ),
    )
    causes = [step for finding in findings for step in _for_finding(finding, manifest)]
    unsettled = evidence is not None and not evidence.settled and verdict.accounting.lost > 0
    if unsettled and verdict.reason_code not in _FETCH_AGAIN:
        again = f"traces may still arrive; fetch the evidence again: tfy-last9 collect {run}"
        # What is broken whatever arrives comes first.
        causes.insert(1 if any(_stays(finding) for finding in findings) else 0, again)
    steps += causes
    if verdict.state is State.INCONCLUSIVE and looks_left(manifest):
        steps.append(
            f"or look again, as planned: repeat the gate's command with --retry-of {run}"
            f" ({looks_left(manifest)} left)"
        )
    if verdict.state is State.INCONCLUSIVE and was_cut_short(manifest):
        steps.append(_BY_CODE["budget_spent"])  # a longer schedule would end at the same request
    else:
        steps += _longer_run(verdict, manifest)
    return _distinct(steps)[:MOST]


def _stays(finding: Finding) -> bool:
    """Tell whether a finding is a failure that no trace to come can mend."""
    return finding.critical and finding.state is State.FAIL and finding.book != "both"


def _distinct(steps: list[str]) -> tuple[str, ...]:
    """Return the steps without those that lead where an earlier one leads."""
    found: dict[str, str] = {}
    for step in steps:
        _, _, command = step.partition(": tfy-last9 ")
        found.setdefault(command or step, step)
    return tuple(found.values())


def _for_finding(finding: Finding, manifest: Manifest) -> Iterator[str]:
    run = manifest.run_id
    if finding.objective == ABSENT:
        yield "gate what is in production, with this scenario, and keep that run: tfy-last9 keep --help"
        return
    match finding.state:
        case State.FAIL:
            what = f"see what broke {finding.objective}{_for_whom(finding)}"
            yield f"{what}: tfy-last9 traces {run}{_where(finding)}{_kind(finding)}"
        case State.NO_DATA if finding.book == "client-ledger":
            yield f"see what became of these requests: tfy-last9 traces {run}{_where(finding)} --failed"
        case State.NO_DATA:
            yield f"see what is missing: tfy-last9 traces {run}{_where(finding)} --missing"
            yield "follow one request from the gateway to Last9: tfy-last9 doctor"


def _for_whom(finding: Finding) -> str:
    return f", {group_text(finding.group)}" if finding.group else ""


def _where(finding: Finding) -> str:
    return "".join(f" --where {label}={value}" for label, value in finding.group)


def _kind(finding: Finding) -> str:
    if finding.book == "both":
        return " --missing"
    if finding.objective.startswith("canary-"):
        kind = "--failed" if finding.objective == "canary-errors" else "--slowest 5"
        return f" --where arm=canary {kind}"
    if finding.objective in MISSING:
        return " --failed" if finding.objective == "baseline-errors" else " --slowest 5"
    return " --slowest 5" if finding.quantile is not None else " --failed"


def _longer_run(verdict: Verdict, manifest: Manifest) -> Iterator[str]:
    """Say how long to judge so that the slowest undecided finding could pass."""
    judged_s = sum(phase.duration_s for phase in manifest.scenario.phases if phase.judged)
    open_findings = [
        (finding.requests_needed / finding.total, finding)
        for finding in verdict.findings
        if finding.critical and finding.state is State.INCONCLUSIVE and finding.requests_needed
    ]
    if not open_findings:
        return
    share, slowest = max(open_findings, key=lambda item: item[0])
    where = f", {group_text(slowest.group)}" if slowest.group else ""
    longer_s = significant(math.ceil(judged_s * (1.0 + share)))
    option = "" if manifest.scenario.is_shaped else f" (--duration {longer_s}s)"
    yield (
        f"send {slowest.requests_needed:,} more requests to decide {slowest.objective}{where}: judge"
        f" about {longer_s} s instead of {significant(judged_s)} s{option}, at the same rate"
    )
