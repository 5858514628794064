"""Which objectives can be decided at the planned request counts: asked before any money is spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfy_last9.judge import phrases
from tfy_last9.model.objective import (
    Budgeting,
    Completeness,
    Composite,
    Condition,
    Objective,
    Ratio,
    Scalar,
    Simple,
    Threshold,
    parts,
)
from tfy_last9.model.provider import canonical
from tfy_last9.model.verdict import Group, group_text
from tfy_last9.stats.binomial import required_n
from tfy_last9.stats.bounded import divergence

PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Decidability:
    """Whether one objective can PASS in one group, and what it would take."""

    objective: str
    group: Group
    critical: bool
    planned: int
    """Judged requests the schedule sends to the group."""
    needed: int
    """Requests that can PASS if not one of them is bad."""
    needed_for_one_bad: int
    """Requests that can PASS with one bad among them: the smallest sensible plan."""
    seconds_needed: float | None
    """Length of the judged phases that sends `needed` requests; None without a rate."""
    target_in_reach: float | None = None
    """Strictest target that the planned requests can prove; None where targets do not decide."""

    @property
    def is_decidable(self) -> bool:
        """Tell whether PASS is within reach."""
        return self.planned >= self.needed

    def __str__(self) -> str:
        where = f", {group_text(self.group)}" if self.group else ""
        text = f"{self.objective}{where}: {self.planned:,} requests planned, {self.needed:,} needed"
        if not self.planned:
            return f"{text}: nothing that is planned meets its conditions"
        if self.is_decidable or self.seconds_needed is None:
            return text
        return f"{text}: judge at least {phrases.significant(self.seconds_needed)} s"


def decidability(
    objectives: Sequence[Objective],
    planned: Mapping[str, int],
    rate_per_s: Mapping[str, float] | None = None,
) -> tuple[Decidability, ...]:
    """Return one entry per objective and group; `planned` and `rate_per_s` are keyed by provider.

    Only the provider is known before a run. Groups and conditions on anything else are taken as if they
    held for every request, so that "not decidable" is always true and "decidable" may be optimistic.
    """
    rates = rate_per_s or {}
    return tuple(
        _entry(objective, group, providers, planned, rates)
        for objective in objectives
        for group, providers in _groups(objective, sorted(planned))
    )


def undecidable(entries: Sequence[Decidability]) -> tuple[Decidability, ...]:
    """Return the critical ones that cannot PASS: reason enough not to start."""
    return tuple(entry for entry in entries if entry.critical and not entry.is_decidable)


def _groups(objective: Objective, providers: Sequence[str]) -> list[tuple[Group, list[str]]]:
    reached = [name for name in providers if _is_counted(objective, name)]
    if PROVIDER not in objective.group_by:
        return [((), reached)]
    # A condition that nothing planned can meet is no reason to leave the objective out.
    return [(((PROVIDER, name),), [name]) for name in reached] or [((), [])]


def _is_counted(objective: Objective, provider: str) -> bool:
    return any(
        all(
            provider in [canonical(value) for value in condition.values]
            for condition in where
            if condition.field == PROVIDER
        )
        for where in map(_conditions, parts(objective.indicator))
    )


def _conditions(part: Simple | Scalar) -> tuple[Condition, ...]:
    return part.where if isinstance(part, Completeness | Scalar) else part.population.where


def _entry(
    objective: Objective,
    group: Group,
    providers: Sequence[str],
    planned: Mapping[str, int],
    rates: Mapping[str, float],
) -> Decidability:
    rate = sum(rates.get(name, 0.0) for name in providers)
    needed, with_one_bad = _needed(objective, rate)
    return Decidability(
        objective=objective.name,
        group=group,
        critical=objective.critical,
        planned=sum(planned[name] for name in providers),
        needed=needed,
        needed_for_one_bad=with_one_bad,
        seconds_needed=needed / rate if rate > 0 else None,
        target_in_reach=_target_in_reach(objective, sum(planned[name] for name in providers)),
    )


def _target_in_reach(objective: Objective, planned: int) -> float | None:
    """Return the target whose bound is met by `planned` good requests alone, rounded down to 0.1 %."""
    is_share = isinstance(objective.indicator, Threshold | Ratio)
    if not is_share or objective.slicing is not None or not planned:
        return None
    alpha = round(1.0 - objective.confidence, 12)
    target = math.floor(1000.0 * alpha ** (1.0 / planned)) / 1000.0
    return target if target > 0.0 else None


def _needed(objective: Objective, rate_per_s: float) -> tuple[int, int]:
    if isinstance(objective.indicator, Scalar):
        return 1, 1
    if objective.slicing is not None:
        slices = _needed_slices(objective)
        each = max(1.0, rate_per_s * objective.slicing.window_s)
        return math.ceil(slices[0] * each), math.ceil(slices[1] * each)
    if isinstance(objective.indicator, Composite):  # error and budget are shared by the members
        members = objective.indicator.members
        alpha = round((1.0 - objective.confidence) / len(members), 12)
        shares = [member.budget / member.weight / len(members) for member in members]
        return required_n(min(shares), 0, alpha), required_n(min(shares), 1, alpha)
    return _needed_events(objective)


def _needed_slices(objective: Objective) -> tuple[int, int]:
    """Return the slices that can PASS; a slice needs one request to count."""
    assert objective.slicing is not None
    if objective.slicing.method is Budgeting.TIMESLICES:
        return _needed_events(objective)
    alpha = round(1.0 - objective.confidence, 12)
    enough = math.ceil(math.log(1.0 / alpha) / divergence(0.0, phrases.budget(objective)))
    return enough, enough


def _needed_events(objective: Objective) -> tuple[int, int]:
    budget = phrases.budget(objective)
    if objective.is_census:
        return 1, max(1, -int(-1 // budget))
    alpha = round(1.0 - objective.confidence, 12)
    return required_n(budget, 0, alpha), required_n(budget, 1, alpha)
