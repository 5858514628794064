"""Decisions that are not "bad of total": numbers of the run, composites, and means over time slices.

A number of the run is a census: it is compared and needs no interval. A composite adds up what its
members burn, each bounded at alpha / members so that all hold together. A mean over slices is bounded by
Hoeffding's inequality, which asks nothing of the slices but independence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tfy_last9.judge import phrases
from tfy_last9.judge.decide import decide, finding_of
from tfy_last9.judge.strength import alpha_of
from tfy_last9.model.objective import Budgeting, Composite, Objective, Operator, Scalar
from tfy_last9.model.verdict import Burn, Finding, State, Tally
from tfy_last9.stats.binomial import lower_bound, upper_bound
from tfy_last9.stats.bounded import mean_bounds

_HOLDS: dict[Operator, Callable[[float, float], bool]] = {
    Operator.LTE: lambda value, limit: value <= limit,
    Operator.LT: lambda value, limit: value < limit,
    Operator.GTE: lambda value, limit: value >= limit,
    Operator.GT: lambda value, limit: value > limit,
}


def decide_any(objective: Objective, tally: Tally, adjusted_p: float | None = None) -> Finding:
    """Return the finding of one group, whatever the kind of its objective."""
    if isinstance(objective.indicator, Scalar):
        return _scalar(objective, objective.indicator, tally)
    slicing = objective.slicing
    if slicing is not None and slicing.method is Budgeting.RATIO_TIMESLICES:
        return _mean(objective, tally)
    if slicing is None and isinstance(objective.indicator, Composite):
        return _composite(objective, tally)
    found = decide(objective, tally, adjusted_p)
    # What is needed are slices, and nobody sends slices.
    return found if slicing is None else replace(found, requests_needed=None)


def _scalar(objective: Objective, scalar: Scalar, tally: Tally) -> Finding:
    what = phrases.noun(objective)
    if tally.total == 0:
        return finding_of(objective, tally, State.NO_DATA, f"no {what} to add up")
    if tally.scalar is None:
        message = f"not one of {tally.total:,} {what} carries this number"
        return finding_of(objective, tally, State.NO_DATA, message)
    holds = _HOLDS[scalar.op](tally.scalar, scalar.limit)
    measured = phrases.quantity(tally.scalar, phrases.unit(scalar))
    message = f"{measured} (limit {phrases.limit(objective)}) over {tally.total:,} {what}"
    state = State.PASS if holds else State.FAIL
    if tally.unknown:
        message = f"at least {message}; {tally.unknown:,} of them do not say"
        # More can only be added: an upper limit that is broken stays broken, a lower one that is met, met.
        upper = scalar.op in (Operator.LTE, Operator.LT)
        state = State.INCONCLUSIVE if upper == holds else state
    return replace(finding_of(objective, tally, state, message), measured=measured)


def _mean(objective: Objective, tally: Tally) -> Finding:
    what = phrases.noun(objective)
    if tally.total == 0 or tally.mean_bad is None:
        return finding_of(objective, tally, State.NO_DATA, f"no {what} with anything to count")
    budget = phrases.budget(objective)
    bounds = mean_bounds(tally.mean_bad, tally.total, alpha_of(objective))
    seen = f"mean bad share {phrases.percent(tally.mean_bad)} over {tally.total:,} {what}"
    message = f"{seen} (budget {phrases.percent(budget)}, {_between(bounds, objective)})"
    state = _state(bounds, budget)
    found = finding_of(objective, tally, state, message, bounds=bounds)
    return replace(found, measured=f"mean bad {phrases.percent(tally.mean_bad)}")


def _composite(objective: Objective, tally: Tally) -> Finding:
    silent = [burn.name for burn in tally.burns if burn.total == 0]
    if silent or not tally.burns:
        message = f"nothing to judge in {', '.join(silent) or 'any member'}"
        return finding_of(objective, tally, State.NO_DATA, message)
    alpha = alpha_of(objective) / len(tally.burns)
    low = sum(_rate(burn, lower_bound(burn.bad, burn.total, alpha)) for burn in tally.burns)
    high = sum(_rate(burn, upper_bound(burn.bad, burn.total, alpha)) for burn in tally.burns)
    seen = {burn.name: _rate(burn, burn.bad / burn.total) for burn in tally.burns}
    share = ", ".join(f"{name} {phrases.percent(rate)}" for name, rate in seen.items())
    burnt = phrases.percent(sum(seen.values()))
    message = f"{burnt} of the shared budget burnt ({share}; {_between((low, high), objective)})"
    found = finding_of(objective, tally, _state((low, high), 1.0), message, bounds=(low, high))
    return replace(found, budget=1.0, measured=f"burns {burnt}")


def _rate(burn: Burn, share: float) -> float:
    """Return what a bad share burns of the shared budget: 1 is all of it."""
    return burn.weight * share / burn.budget


def _state(bounds: tuple[float, float], budget: float) -> State:
    low, high = bounds
    if low > budget:
        return State.FAIL
    return State.PASS if high <= budget else State.INCONCLUSIVE


def _between(bounds: tuple[float, float], objective: Objective) -> str:
    low, high = (phrases.percent(bound) for bound in bounds)
    return f"between {low} and {high}, each with {phrases.percent(objective.confidence)} confidence"
