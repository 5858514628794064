"""More than one look at a run: the error that each of them may make, and the stretches between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tfy_last9.model.objective import Objective
from tfy_last9.model.scenario import Arms, OnInconclusive, Phase, Policy, Scenario
from tfy_last9.stats.planned_looks import confidence_per_look


def shares_of_error(policy: Policy) -> int:
    """Return among how many looks the error is shared: planned ones, watching as one more, in each run."""
    looks = policy.looks if policy.on_inconclusive is OnInconclusive.EXTEND else 1
    return (looks + 1 if policy.early_stop else looks) * (1 + policy.retries)


def at_each_look(objectives: Iterable[Objective], policy: Policy) -> tuple[Objective, ...]:
    """Return the objectives with the confidence that each single look must have."""
    shares = shares_of_error(policy)
    return tuple(
        replace(one, confidence=confidence_per_look(one.confidence, shares)) for one in objectives
    )


def arms_at_each_look(arms: Arms, policy: Policy) -> Arms:
    """Return the arms with the confidence that each single look at them must have."""
    shares = shares_of_error(policy)
    return replace(arms, confidence=confidence_per_look(arms.confidence, shares))


def with_stretches(scenario: Scenario) -> Scenario:
    """Return the scenario with its judged phases repeated, once for each further look it may need."""
    if scenario.policy.on_inconclusive is not OnInconclusive.EXTEND:
        return scenario
    judged = [phase for phase in scenario.phases if phase.judged]
    more = tuple(
        _repeated(phase, look) for look in range(2, scenario.policy.looks + 1) for phase in judged
    )
    return replace(scenario, phases=(*scenario.phases, *more))


def looks_after(scenario: Scenario, looks: int) -> tuple[str, ...]:
    """Return the names of the phases that end a stretch, for a scenario `with_stretches`; the last is the end."""
    judged = [phase.name for phase in scenario.phases if phase.judged]
    per_look = len(judged) // looks
    return tuple(judged[per_look - 1 :: per_look])


def _repeated(phase: Phase, look: int) -> Phase:
    return replace(phase, name=f"{phase.name}-look{look}")
