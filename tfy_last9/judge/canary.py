"""Is the canary as good as the baseline? Findings per provider, named `canary-*`.

Typical latency: Hodges-Lehmann on the log ratio against a margin. Tail and errors: Fisher's test can
prove harm, and Newcombe's interval of the difference proves that there is less than the margin. In
between nothing is proven. Where caches served the arms unequally, latencies compare the caches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tfy_last9.judge.canary_needs import counts_needed, latency_needed
from tfy_last9.judge.multiplicity import Claim, adjusted_p_values
from tfy_last9.judge.phrases import percent, significant
from tfy_last9.model.canary import ArmCounts, ArmTally, Latencies
from tfy_last9.model.scenario import Arms
from tfy_last9.model.verdict import Finding, Group, State
from tfy_last9.stats.compare import fisher_greater, newcombe
from tfy_last9.stats.shift import paired, unpaired

CACHE_GAP = 0.05
"""Shares of cached input tokens may differ by this much before latencies say nothing."""
WARN_SHARE = 0.5
"""A PASS whose estimate uses more than this share of the margin is a WARN."""
FEWEST_PAIRED = 0.9
"""Pairs are used when they hold at least this share of the smaller arm."""
NAMES = {"ttft_ms": "canary-ttft", "total_ms": "canary-total"}
ALL_NAMES = (*NAMES.values(), "canary-tail", "canary-errors")
TITLES = {"ttft_ms": "time to first token", "total_ms": "total time"}
SMALLEST_P = 1e-9
"""Smaller ones are not told apart: the normal tail is no longer exact there."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One claim about one provider, before many claims are weighed together."""

    objective: str
    group: Group
    claim: str
    margin: float
    alpha: float
    total: int
    bad: int
    estimate: float
    low: float | None
    high: float | None
    p_fail: float | None
    """None where there is nothing to compare."""
    measured: str
    detail: str
    needed: int | None
    doubt: str | None
    """Why even a clear difference proves nothing."""


def comparisons(tallies: Sequence[ArmTally], arms: Arms) -> tuple[Comparison, ...]:
    """Return every comparison of the arms, claim by claim."""
    found = [one for tally in tallies for one in _of_provider(tally, arms)]
    return tuple(sorted(found, key=lambda one: (ALL_NAMES.index(one.objective), one.group)))


def compare_alone(tallies: Sequence[ArmTally], arms: Arms) -> tuple[Finding, ...]:
    """Return the findings of two arms that are judged without any SLO."""
    found = comparisons(tallies, arms)
    return findings(found, adjusted_p_values(claims_of(found)))


def claims_of(found: Iterable[Comparison]) -> Iterator[tuple[Claim, float]]:
    """Yield the p-values that take part in the adjustment for many claims."""
    for one in found:
        if one.p_fail is not None and one.doubt is None:
            yield (one.objective, one.group), one.p_fail


def sure_bets(bets: Mapping[Claim, float], found: Iterable[Comparison]) -> dict[Claim, float]:
    """Return the bets without those on arms that prove nothing, however certain the difference.

    That is where caches make the arms differ, and where a difference of counts is surely small.
    """
    sure = {
        (one.objective, one.group)
        for one in found
        if one.p_fail is not None
        and one.doubt is None
        and (one.objective in NAMES.values() or _is_harm(one))
    }
    return {
        claim: log_e for claim, log_e in bets.items() if claim[0] not in ALL_NAMES or claim in sure
    }


def findings(found: Iterable[Comparison], adjusted: Mapping[Claim, float]) -> tuple[Finding, ...]:
    """Return the comparisons as findings; they stand in no SLO file, so their path is empty."""
    return tuple(_finding(one, adjusted.get((one.objective, one.group))) for one in found)


def _of_provider(tally: ArmTally, arms: Arms) -> Iterator[Comparison]:
    untold = _untold_doubt(tally, arms)
    doubt = untold or _cache_doubt(tally)
    for latencies in tally.latencies:
        if latencies.baseline or latencies.canary:
            yield _with_untold(_latency(tally, latencies, arms, doubt), tally)
    yield _with_untold(_tail(tally, arms, doubt), tally)
    yield _with_untold(_errors(tally, arms, untold), tally)


def _untold_doubt(tally: ArmTally, arms: Arms) -> str | None:
    """Say why arms cannot be compared: those of neither may be the bad ones of one."""
    everything = tally.untold + tally.baseline.sent + tally.canary.sent
    if tally.untold <= arms.margins.errors * everything:
        return None
    return (
        f"{tally.untold:,} of {everything:,} requests do not tell their arm"
        f" (more than {percent(arms.margins.errors)}), and they may be the bad ones of one"
    )


def _with_untold(found: Comparison, tally: ArmTally) -> Comparison:
    if not tally.untold:
        return found
    return replace(found, detail=f"{found.detail}; {tally.untold:,} more do not tell their arm")


def _latency(tally: ArmTally, found: Latencies, arms: Arms, doubt: str | None) -> Comparison:
    margin, alpha = arms.margins.latency, 1.0 - arms.confidence
    claim = f"canary {TITLES[found.name]} at most {percent(margin)} above the baseline"
    sizes = [sum(count for _, count in steps) for steps in (found.baseline, found.canary)]
    pairs = sum(count for _, count in found.differences)
    shift, how = None, "unpaired"
    if pairs >= FEWEST_PAIRED * min(sizes) > 0:
        shift, how = paired(found.differences, margin=margin, alpha=alpha), f"{pairs:,} pairs"
    elif min(sizes) > 0:
        shift = unpaired(found.baseline, found.canary, margin=margin, alpha=alpha)
    low, high = (None, None) if shift is None else (_ratio(shift.low), _ratio(shift.high))
    return Comparison(
        objective=NAMES[found.name],
        group=_group(tally),
        claim=claim,
        margin=margin,
        alpha=alpha,
        total=sizes[1],
        bad=0,
        estimate=0.0 if shift is None else math.expm1(shift.estimate),
        low=low,
        high=high,
        p_fail=None if shift is None else shift.p_slower,
        measured="" if shift is None else _change(math.expm1(shift.estimate), low, high, "%"),
        detail=f"{sizes[1]:,} canary and {sizes[0]:,} baseline requests, {how}",
        needed=None if shift is None else latency_needed(shift, margin, min(sizes)),
        doubt=doubt,
    )


def _tail(tally: ArmTally, arms: Arms, doubt: str | None) -> Comparison:
    baseline, canary = tally.baseline, tally.canary
    return _counts(
        tally,
        arms,
        name="canary-tail",
        what=f"share of requests {tally.slow_means}",
        margin=arms.margins.tail,
        counts=(canary.slow, canary.timed, baseline.slow, baseline.timed),
        doubt=doubt,
    )


def _errors(tally: ArmTally, arms: Arms, doubt: str | None) -> Comparison:
    baseline, canary = tally.baseline, tally.canary
    return _counts(
        tally,
        arms,
        name="canary-errors",
        what="error rate",
        margin=arms.margins.errors,
        counts=(canary.errors, canary.sent, baseline.errors, baseline.sent),
        doubt=doubt,
    )


def _counts(
    tally: ArmTally,
    arms: Arms,
    *,
    name: str,
    what: str,
    margin: float,
    counts: tuple[int, int, int, int],
    doubt: str | None,
) -> Comparison:
    bad, total, other_bad, other_total = counts
    alpha = 1.0 - arms.confidence
    low = high = p_fail = needed = None
    measured, estimate = "", 0.0
    if total and other_total:
        low, high = newcombe(bad, total, other_bad, other_total, alpha)
        p_fail = fisher_greater(bad, total, other_bad, other_total)
        estimate = bad / total - other_bad / other_total
        measured = _change(estimate, low, high, "points")
        needed = counts_needed(counts, margin, alpha)
    return Comparison(
        objective=name,
        group=_group(tally),
        claim=f"canary {what} at most {_points(margin)} points above the baseline",
        margin=margin,
        alpha=alpha,
        total=total,
        bad=bad,
        estimate=estimate,
        low=low,
        high=high,
        p_fail=p_fail,
        measured=measured,
        detail=f"{bad:,} of {total:,} in the canary, {other_bad:,} of {other_total:,} in the baseline",
        needed=needed,
        doubt=doubt,
    )


def _finding(one: Comparison, adjusted_p: float | None) -> Finding:
    state, notes = _state(one, one.p_fail if adjusted_p is None else adjusted_p)
    text = f"{one.measured}; {one.detail}" if one.measured else f"nothing to compare: {one.detail}"
    inconclusive = state is State.INCONCLUSIVE and one.doubt is None
    if inconclusive and one.needed is not None:
        notes.append(f"about {one.needed:,} more requests per arm would decide it")
    return Finding(
        objective=one.objective,
        group=one.group,
        state=state,
        critical=True,
        book="client-ledger",
        claim=one.claim,
        message=f"{one.group[0][1]}: " + "; ".join([text, *notes]),
        total=one.total,
        bad=one.bad,
        excluded=0,
        budget=one.margin,
        confidence=1.0 - one.alpha,
        bad_low=one.low,
        bad_high=one.high,
        quantile=None,
        requests_needed=one.needed if inconclusive else None,
        exemplars=(),
        path="",
        line=0,
        measured=one.measured or None,
        p_fail=one.p_fail,
        p_fail_adjusted=adjusted_p,
    )


def _state(one: Comparison, p_fail: float | None) -> tuple[State, list[str]]:
    if p_fail is None:
        return State.NO_DATA, []
    if one.doubt is not None:
        return State.INCONCLUSIVE, [one.doubt]
    is_worse = p_fail <= one.alpha
    if is_worse and _is_harm(one):
        return State.FAIL, [_p_text(p_fail)]
    if one.high is None or one.high > one.margin:
        return State.INCONCLUSIVE, []
    doubts = []
    if is_worse:
        doubts.append("worse for certain, though by less than the margin")
    elif one.estimate > WARN_SHARE * one.margin:
        doubts.append("looks worse by more than half the margin")
    return State.WARN if doubts else State.PASS, doubts


def _is_harm(one: Comparison) -> bool:
    """Latency fails beyond the margin; of counts any proven difference is harm unless it is surely small."""
    if one.objective in NAMES.values():
        return one.low is not None and one.low > one.margin
    return one.high is None or one.high > one.margin


def _cache_doubt(tally: ArmTally) -> str | None:
    shares = [_cached_share(counts) for counts in (tally.baseline, tally.canary)]
    if abs(shares[0] - shares[1]) <= CACHE_GAP:
        return None
    return (
        f"caches served {percent(shares[0])} of the baseline's input tokens and"
        f" {percent(shares[1])} of the canary's: set `cache: cold`"
    )


def _cached_share(counts: ArmCounts) -> float:
    return counts.cached_tokens / counts.input_tokens if counts.input_tokens else 0.0


def _ratio(log: float | None) -> float | None:
    return None if log is None else math.expm1(log)


def _change(value: float, low: float | None, high: float | None, unit: str) -> str:
    bounds = ", ".join("?" if bound is None else f"{100.0 * bound:+.3g}" for bound in (low, high))
    return f"{100.0 * value:+.3g} {unit} [{bounds}]"


def _p_text(p: float) -> str:
    return f"p = {significant(p)}" if p >= SMALLEST_P else f"p < {SMALLEST_P:g}"


def _points(margin: float) -> str:
    return significant(100.0 * margin)


def _group(tally: ArmTally) -> Group:
    return (("provider", tally.provider),)
