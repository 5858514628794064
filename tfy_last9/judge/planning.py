"""Which objectives can be decided at the planned request counts: asked before any money is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfy_last9.judge import phrases
from tfy_last9.model.objective import Completeness, Condition, Objective
from tfy_last9.model.verdict import Group, group_text
from tfy_last9.stats.binomial import required_n

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

    @property
    def is_decidable(self) -> bool:
        """Tell whether PASS is within reach."""
        return self.planned >= self.needed

    def __str__(self) -> str:
        where = f", {group_text(self.group)}" if self.group else ""
        text = f"{self.objective}{where}: {self.planned:,} requests planned, {self.needed:,} needed"
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
    return [(((PROVIDER, name),), [name]) for name in reached]


def _is_counted(objective: Objective, provider: str) -> bool:
    indicator = objective.indicator
    conditions: tuple[Condition, ...] = (
        indicator.where if isinstance(indicator, Completeness) else indicator.population.where
    )
    return all(
        provider in condition.values for condition in conditions if condition.field == PROVIDER
    )


def _entry(
    objective: Objective,
    group: Group,
    providers: Sequence[str],
    planned: Mapping[str, int],
    rates: Mapping[str, float],
) -> Decidability:
    needed, with_one_bad = _needed(objective)
    rate = sum(rates.get(name, 0.0) for name in providers)
    return Decidability(
        objective=objective.name,
        group=group,
        critical=objective.critical,
        planned=sum(planned[name] for name in providers),
        needed=needed,
        needed_for_one_bad=with_one_bad,
        seconds_needed=needed / rate if rate > 0 else None,
    )


def _needed(objective: Objective) -> tuple[int, int]:
    budget = phrases.budget(objective)
    if objective.is_census:
        return 1, max(1, -int(-1 // budget))
    alpha = round(1.0 - objective.confidence, 12)
    return required_n(budget, 0, alpha), required_n(budget, 1, alpha)
