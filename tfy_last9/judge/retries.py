"""A retry of an undecided run is another planned look at the same system: its events are added to the earlier ones.

How many looks there may be stands in the scenario before the first request (`policy: {retries: N}`), and every
look, the first too, uses its share of the error. What an earlier look decided is never looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tfy_last9.judge.strength import measure
from tfy_last9.model.objective import Objective, Ratio, Threshold
from tfy_last9.model.run import EarlierCounts, Manifest, Retry
from tfy_last9.model.scenario import Policy
from tfy_last9.model.verdict import EarlierLook, State, Tally, Verdict

Tallies = Mapping[str, tuple[Tally, ...]]


def looks_left(manifest: Manifest) -> int:
    """Return how many retries of this run are still planned."""
    before = 0 if manifest.retry is None else len(manifest.retry.runs)
    return max(0, manifest.scenario.policy.retries - before)


def can_be_pooled(objective: Objective) -> bool:
    """Tell whether events of several runs add up: shares of events do, censuses and means do not."""
    is_share = isinstance(objective.indicator, Threshold | Ratio)
    return is_share and objective.slicing is None and not objective.is_census


def retry_of(
    manifest: Manifest, verdict: Verdict, objectives: Iterable[Objective], tallies: Tallies
) -> Retry:
    """Return what the next look must remember of a run: its answer and its counts.

    `tallies` are those of the run's own folder; what it remembers of earlier ones is added.
    """
    before = () if manifest.retry is None else manifest.retry.runs
    whole = pooled(objectives, tallies, manifest.retry)
    counts = tuple(
        EarlierCounts(
            objective=one.name,
            group=tally.group,
            total=tally.total,
            bad=tally.bad,
            excluded=tally.excluded,
            turned_away=tally.turned_away,
            design_effect=max(tally.least_effect, measure(tally, 0.5, 0.5).deff),
        )
        for one in objectives
        if can_be_pooled(one)
        for tally in whole.get(one.name, ())
        if tally.total > 0
    )
    run = EarlierLook(manifest.run_id, verdict.state.value, verdict.reason)
    return Retry((*before, run), counts)


def pooled(objectives: Iterable[Objective], tallies: Tallies, retry: Retry | None) -> Tallies:
    """Return the tallies with the events of earlier looks; a group that is silent now stays silent."""
    if retry is None:
        return tallies
    earlier = {(one.objective, one.group): one for one in retry.counts}
    found = dict(tallies)
    for objective in objectives:
        if can_be_pooled(objective):
            found[objective.name] = tuple(
                _with(tally, earlier.get((objective.name, tally.group)))
                for tally in tallies.get(objective.name, ())
            )
    return found


def told(manifest: Manifest) -> tuple[str, ...]:
    """Return one line per earlier look, for whoever reads the last one."""
    if manifest.retry is None:
        return ()
    runs, planned = manifest.retry.runs, 1 + manifest.scenario.policy.retries
    lines = [
        f"look {n} of {planned} was run {run.run_id}: {run.state}, {run.reason}"
        for n, run in enumerate(runs, 1)
    ]
    return (
        *lines,
        (
            f"this is look {len(runs) + 1} of {planned}: counts hold the events of all of them, and each"
            f" look may err in one of {planned} shares of what a single run may"
        ),
    )


def refusal(state: State, policy: Policy, runs: int) -> tuple[str, str] | None:
    """Return why a run in this state may not be retried, and what to do; `runs` looks were taken so far."""
    if state is not State.INCONCLUSIVE:
        return (
            f"it ended {state}, and only an undecided run may be looked at again",
            (
                "what is decided stays decided, what is ERROR or NO_DATA was no look: mend the cause and"
                " start a new run without --retry-of"
            ),
        )
    if policy.retries == 0:
        return (
            "its scenario plans no retries, so its only look has used all of the error",
            (
                "write `policy: {retries: 1}` into the scenario before the first run; every look then uses"
                " half of the error"
            ),
        )
    if runs > policy.retries:
        return (
            f"all {1 + policy.retries} planned looks are used",
            "send more requests per run: tfy-last9 plan says how many",
        )
    return None


def _with(tally: Tally, before: EarlierCounts | None) -> Tally:
    if before is None or tally.total == 0:
        return tally
    return replace(
        tally,
        total=tally.total + before.total,
        bad=tally.bad + before.bad,
        excluded=tally.excluded + before.excluded,
        turned_away=tally.turned_away + before.turned_away,
        earlier=before.total,
        least_effect=before.design_effect,
    )
