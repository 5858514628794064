"""The highest rate that meets every objective: which rate to try next, and what the steps so far say.

Rates double (or halve) until one step meets all objectives and a higher one does not; then the bracket is
halved on a logarithmic scale. A step that the generator could not send says nothing about the gateway, so
the answer then is a lower bound, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.judge.validity import HUB_LAG_WARNING_MS, MIN_STARTED
from tfy_last9.model.verdict import State, Validity, Verdict, group_text

RESOLUTION = 1.15
"""The search ends when the bracket's ends are no further apart than this factor."""
MOST_STEPS = 12
LOWEST = 1 / 32
"""Of the first rate: below, nothing is tried."""


class Outcome(StrEnum):
    """What a step showed."""

    MET = "met"
    """Every critical objective was proven good enough."""
    BROKE = "broke"
    """An objective was proven to fail."""
    UNDECIDED = "undecided"
    """Neither: more requests at this rate would decide."""
    GENERATOR = "generator"
    """The generator was late or had no time: nothing is known of the gateway at this rate."""
    USERS = "users"
    """All concurrent requests that the scenario allows were waiting: raise `limits.users`."""
    UNSOUND = "unsound"
    """The run says nothing for another reason; the search ends."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was tried."""

    rate_per_s: float
    run_id: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """The answer; rates per second."""

    met_per_s: float | None
    """The highest rate that met every objective; None when none did."""
    unmet_per_s: float | None
    """The lowest rate above it that did not: the capacity lies between the two. None: none was found."""
    limited_by: str
    """What `unmet_per_s` ran into: an outcome, or `range` when the greatest rate allowed was met."""
    reason: str


def classify(verdict: Verdict) -> Outcome:
    """Return what a step's verdict says about the rate."""
    match verdict.state:
        case State.PASS | State.WARN:
            return Outcome.MET
        case State.FAIL:
            return Outcome.BROKE
        case State.INCONCLUSIVE:
            return Outcome.UNDECIDED
    if verdict.reason_code != "invalid_run":
        return Outcome.UNSOUND
    return _shortage(verdict.validity) or Outcome.UNSOUND


def _shortage(found: Validity) -> Outcome | None:
    """Tell whether the generator had no time, or no user left; None when neither is the trouble."""
    late = any(problem.startswith("generator late") for problem in found.problems)
    if late or (found.hub_lag_p99_ms or 0.0) > HUB_LAG_WARNING_MS:
        return Outcome.GENERATOR
    if found.offered and found.started < MIN_STARTED * found.offered:
        return Outcome.USERS if found.missed else Outcome.GENERATOR
    return None


def reason_of(verdict: Verdict) -> str:
    """Return one line: what failed at this rate, or what the run as a whole says."""
    broken = [
        f"{one.objective}{f', {group_text(one.group)}' if one.group else ''}"
        for one in verdict.findings
        if one.state is State.FAIL and one.critical
    ]
    if not broken:
        return next(iter(verdict.validity.problems), verdict.reason)
    more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
    return f"{broken[0]}{more} failed"


def next_rate(steps: Sequence[Step], first: float, most: float) -> float | None:
    """Return the rate to try next; None when the answer is known as well as it will be."""
    if not steps:
        return first
    if len(steps) >= MOST_STEPS or steps[-1].outcome is Outcome.UNSOUND:
        return None
    met, unmet = bracket(steps)
    if unmet is None:
        assert met is not None
        return None if met >= most else min(most, _rounded(2 * met))
    if met is None:
        lower = _rounded(unmet / 2)
        return lower if lower >= first * LOWEST else None
    middle = _rounded(math.sqrt(met * unmet))
    return middle if unmet / met > RESOLUTION and met < middle < unmet else None


def bracket(steps: Sequence[Step]) -> tuple[float | None, float | None]:
    """Return the highest rate that was met below the lowest that was not, and that one."""
    unmet = min((one.rate_per_s for one in steps if one.outcome is not Outcome.MET), default=None)
    met = [one.rate_per_s for one in steps if one.outcome is Outcome.MET]
    below = [rate for rate in met if unmet is None or rate < unmet]
    return max(below, default=None), unmet


def answer(steps: Sequence[Step]) -> Capacity:
    """Return what the steps say."""
    met, unmet = bracket(steps)
    if unmet is None:
        return Capacity(met, None, "range", "the greatest rate that was allowed is met")
    worst = next(one for one in steps if one.rate_per_s == unmet and one.outcome is not Outcome.MET)
    return Capacity(met, unmet, worst.outcome.value, worst.reason)


def _rounded(rate: float) -> float:
    """Return a rate of three significant digits: people read it."""
    return float(f"{rate:.3g}")
