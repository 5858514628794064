"""Was the run itself sound? Decided before any objective: a run that measured its generator is ERROR.

The thresholds are the usual ones of open-loop load tools: a schedule that is not kept, or requests that
leave late by a tenth of what is to be measured, say nothing about the system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfy_last9.judge.phrases import percent, quantity
from tfy_last9.model.objective import Book, Objective, Threshold
from tfy_last9.model.run import Manifest
from tfy_last9.model.verdict import Accounting, Validity

MIN_STARTED = 0.99
"""Share of due requests that must have been started."""
MAX_START_LAG = 0.1
"""Start-lag p99 as a share of the smallest latency limit on the ledger."""
CLOSED = (
    "closed loop: users waited for answers before they asked again, so a stall was met by few requests and"
    " latencies say less than those of open arrivals"
)
DRIFT_WARNING_NS = 50_000_000
"""Drift of a worker's clock, beyond its uncertainty, that is worth a note."""
HUB_LAG_WARNING_MS = 20.0
"""Event-loop lag (p99) from which timestamps taken in user space deserve doubt."""


def examine(
    manifest: Manifest, objectives: Sequence[Objective], accounting: Accounting, facts: Validity
) -> Validity:
    """Return the facts with every problem and warning that follows from them."""
    problems = (
        *facts.problems,
        *_saturation(facts),
        *_start_lag(objectives, facts),
        *_workers(manifest, accounting),
    )
    warnings = (*facts.warnings, *_closed(manifest), *_clocks(manifest), *_warnings(facts))
    return replace(facts, problems=problems, warnings=warnings)


def smallest_latency_limit_ms(objectives: Sequence[Objective]) -> float | None:
    """Return the tightest upper limit in milliseconds that is read from the ledger."""
    limits = [
        objective.indicator.limit
        for objective in objectives
        if isinstance(objective.indicator, Threshold)
        and objective.indicator.population.book is Book.LEDGER
        and objective.indicator.field.endswith("_ms")
        and objective.indicator.op in ("lte", "lt")
        and objective.indicator.limit > 0
    ]
    return min(limits, default=None)


def _saturation(facts: Validity) -> list[str]:
    if facts.offered == 0 or facts.started >= MIN_STARTED * facts.offered:
        return []
    share = percent(facts.started / facts.offered)
    seen = f"{facts.started:,} of {facts.offered:,} due requests were started ({share}"
    needed = f"at least {percent(MIN_STARTED)} needed); {facts.missed:,} found no free user"
    return [f"generator saturated: {seen}, {needed}"]


def _start_lag(objectives: Sequence[Objective], facts: Validity) -> list[str]:
    limit_ms, lag_ms = smallest_latency_limit_ms(objectives), facts.start_lag_p99_ms
    if limit_ms is None or lag_ms is None or lag_ms <= MAX_START_LAG * limit_ms:
        return []
    seen = f"1 % of requests started more than {quantity(lag_ms, 'ms')} after they were due"
    allowed = f"at most {quantity(MAX_START_LAG * limit_ms, 'ms')}, a tenth of the smallest limit"
    return [f"generator late: {seen} ({allowed})"]


def _workers(manifest: Manifest, accounting: Accounting) -> list[str]:
    """Compare what workers say they wrote with what is stored; lost ones say nothing (`soundness`)."""
    seen, expected = len(manifest.workers), manifest.expected_workers
    if seen != expected or not all(worker.drained for worker in manifest.workers):
        return []
    claimed = sum(worker.rows for worker in manifest.workers)
    rows = accounting.intended - accounting.unreported
    if claimed == rows:
        return []
    return [f"workers wrote {claimed:,} ledger rows, but {rows:,} are stored"]


def _closed(manifest: Manifest) -> list[str]:
    return [CLOSED] if manifest.scenario.is_closed else []


def _clocks(manifest: Manifest) -> list[str]:
    """Tell of clocks that could not be set right: instants of spans and rows are then compared as they are."""
    others = [worker for worker in manifest.workers if worker.host and worker.drained]
    unread = [worker.title for worker in others if worker.clock_offset_ns is None]
    warnings = []
    if unread and len(manifest.workers) > 1:
        warnings.append(
            f"the clock of worker {', '.join(unread)} was not compared with the master's"
        )
    for worker in others:
        moved_ns = abs(worker.clock_drift_ns or 0)
        if moved_ns > (worker.clock_uncertainty_ns or 0) + DRIFT_WARNING_NS:
            warnings.append(
                f"the clock of worker {worker.title} moved by {quantity(moved_ns / 1e6, 'ms')}"
                " against the master's during the run"
            )
    return warnings


def _warnings(facts: Validity) -> list[str]:
    warnings = []
    lag_ms = facts.hub_lag_p99_ms
    if lag_ms is not None and lag_ms > HUB_LAG_WARNING_MS:
        warnings.append(
            f"event-loop lag p99 {quantity(lag_ms, 'ms')} (above {HUB_LAG_WARNING_MS:g} ms):"
            " the generator was busy, add processes"
        )
    if facts.missed:
        warnings.append(f"{facts.missed:,} of {facts.offered:,} arrivals found no free user")
    return warnings
