"""Reasons why a run says nothing about its objectives, worst first; each overrides every finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tfy_last9.errors import ExitCode
from tfy_last9.judge.decide import needs_last9
from tfy_last9.judge.live import needs_ledger
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import EvidenceRecord, Manifest
from tfy_last9.model.verdict import Accounting, Validity


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason, with the stable code that programs read."""

    code: str
    message: str
    exit_code: ExitCode = ExitCode.ERROR


def obstacles(
    manifest: Manifest,
    objectives: Sequence[Objective],
    accounting: Accounting,
    validity: Validity,
    evidence: EvidenceRecord | None,
) -> list[Obstacle]:
    """Return every reason why the run is ERROR; empty for a sound run."""
    broken_off = list(_ending(manifest))
    return [
        *broken_off,
        *_scope(manifest, objectives),
        *_requests(accounting, validity),
        *([] if manifest.client_only else _evidence(evidence, needless=bool(broken_off))),
        *(Obstacle("invalid_run", problem) for problem in validity.problems),
        *_sums(accounting),
    ]


def _ending(manifest: Manifest) -> Iterator[Obstacle]:
    if manifest.ended == "interrupted":
        yield Obstacle(
            "incomplete",
            "interrupted before the schedule ended; what was recorded is kept",
            ExitCode.INTERRUPTED,
        )
    elif manifest.ended == "unsettled":
        yield Obstacle(
            "incomplete",
            "interrupted while waiting for traces; every request was sent and is recorded",
            ExitCode.INTERRUPTED,
        )
    elif manifest.ended not in ("schedule", "stopped"):
        yield Obstacle("incomplete", "the load broke off before its schedule ended")
    for problem in manifest.problems:
        yield Obstacle("harness", problem)
    for stopped in manifest.stopped_targets:
        status = "no answer" if stopped.status is None else f"HTTP {stopped.status}"
        yield Obstacle(
            "target_stopped",
            f"target {stopped.target} was taken out of the run ({status}: {stopped.message});"
            f" {stopped.skipped:,} requests were not sent",
        )
    yield from _workers(manifest)


def _workers(manifest: Manifest) -> Iterator[Obstacle]:
    seen, expected = len(manifest.workers), manifest.expected_workers
    if seen < expected and manifest.ended is not None:
        yield Obstacle("incomplete", f"{seen} of {expected} workers took part")
    for worker in manifest.workers:
        if not worker.drained:
            missing = f", {worker.gaps:,} batches of them known to exist" if worker.gaps else ""
            yield Obstacle(
                "incomplete",
                f"worker {worker.title} was lost before all its rows had arrived{missing}",
            )


def _scope(manifest: Manifest, objectives: Sequence[Objective]) -> Iterator[Obstacle]:
    """Without anything that could fail, nothing can pass either."""
    if not objectives:
        yield Obstacle("no_objectives", "there is no objective, so nothing can pass")
        return
    judged = [
        item
        for item in objectives
        if not (manifest.client_only and needs_last9(item))
        and not (manifest.live and needs_ledger(item))
    ]
    if not judged:
        book, only = (
            ("Last9", "the client's ledger") if manifest.client_only else ("a ledger", "traces")
        )
        yield Obstacle(
            "nothing_judged",
            f"every objective needs {book}, and this run was judged from {only} only",
        )
    elif not any(objective.critical for objective in judged):
        yield Obstacle(
            "nothing_critical",
            "no objective that could be judged is critical, so this run could not have failed",
        )


def _requests(accounting: Accounting, validity: Validity) -> Iterator[Obstacle]:
    if validity.finished == 0:
        yield Obstacle("no_requests", f"not one of {validity.offered:,} due requests finished")
    lost = max(accounting.unreported, validity.unreported)
    if lost:
        yield Obstacle(
            "unreported", f"{lost:,} of {accounting.intended:,} planned requests left no ledger row"
        )


def _evidence(evidence: EvidenceRecord | None, *, needless: bool) -> Iterator[Obstacle]:
    """`needless`: the run broke off, so that nobody looked for evidence, and that is no news."""
    if evidence is None:
        if not needless:
            yield Obstacle("no_evidence", "Last9 was never asked: the run has no evidence record")
        return
    if evidence.error is not None:
        yield Obstacle("evidence_unavailable", f"the evidence is unusable: {evidence.error}")
    elif evidence.strategy == "none":
        yield Obstacle("no_evidence", "Last9 was not asked, although objectives may need it")
    if evidence.problems:
        count = len(evidence.problems)
        yield Obstacle(
            "unreadable", f"{count} span(s) could not be read, first: {evidence.problems[0]}"
        )
    if evidence.truncated:
        count = len(evidence.truncated)
        yield Obstacle(
            "truncated",
            f"the answer of Last9 was full even at the smallest slice in {count}"
            f" {'place' if count == 1 else 'places'}, so spans are missing from the evidence",
        )


def _sums(found: Accounting) -> Iterator[Obstacle]:
    parts = (found.missed, found.unsent, found.refused, found.unanswered, found.answered)
    if sum(parts) + found.unreported != found.intended:
        named = sum(parts) + found.unreported
        yield Obstacle(
            "accounting", f"of {found.intended:,} intended requests {named:,} are accounted for"
        )
    traces = found.joined + found.late + found.lost + found.conflicts
    if traces != found.expected_traces:
        yield Obstacle(
            "accounting",
            f"of {found.expected_traces:,} expected traces {traces:,} are accounted for",
        )
