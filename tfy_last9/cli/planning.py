"""What a run would send, and what can be decided with it: `plan`, and the first check of `gate`."""

from __future__ import annotations

from collections import Counter

from tfy_last9.arrivals.quota import quota_warnings
from tfy_last9.arrivals.schedule import planned
from tfy_last9.cli.load import expected_duration_s
from tfy_last9.errors import ExitCode, Undecidable
from tfy_last9.judge.decide import needs_last9
from tfy_last9.judge.looks import at_each_look, with_stretches
from tfy_last9.judge.planning import Decidability, decidability, undecidable
from tfy_last9.model.applicability import applies
from tfy_last9.model.objective import Objective
from tfy_last9.model.scenario import CONVERSATIONAL, Scenario, Target


def check_decidable(
    scenario: Scenario, objectives: tuple[Objective, ...], *, client_only: bool
) -> None:
    """Raise `Undecidable` if a critical objective cannot PASS even when not one request is bad."""
    objectives = at_each_look(objectives, scenario.policy)
    judged = tuple(
        one
        for one in objectives
        if not (client_only and needs_last9(one)) and _reachable(scenario, one)
    )
    if not any(objective.critical for objective in judged):
        raise Undecidable(
            "no objective that this run could judge is critical, so it could not fail; no load was sent",
            hint='set the annotation tfy-last9/critical: "true" on at least one SLO'
            + (" that reads client-ledger" if client_only else ""),
        )
    hopeless = undecidable(_entries(scenario, judged))
    if hopeless:
        raise Undecidable(
            "the plan cannot decide every critical objective, so no load was sent\n"
            + "\n".join(str(entry) for entry in hopeless),
            hint='raise `--duration` or the rate, or mark the objective `tfy-last9/critical: "false"`',
        )


def describe(scenario: Scenario, objectives: tuple[Objective, ...]) -> tuple[str, ExitCode]:
    """Return the plan as text, and 24 when a critical objective is out of reach."""
    scenario = with_stretches(scenario)
    counts = planned(scenario)
    entries = _entries(scenario, at_each_look(objectives, scenario.policy))
    lines = [
        f"{scenario.name}: {counts.total()} requests, about {expected_duration_s(scenario):.0f} s"
    ]
    for target in scenario.targets:
        sent = sum(n for (_, name), n in counts.items() if name == target.name)
        lines.append(f"  {target.name}: {sent} requests to {target.model}{_bound(target, sent)}")
    lines += [f"  warning: {warning}" for warning in quota_warnings(scenario)]
    lines.append("objectives, by requests judged and needed to pass without one bad:")
    for entry in entries:
        mark = "ok  " if entry.is_decidable else "short" if entry.critical else "note"
        lines.append(f"  {mark:<5} {entry}")
    hopeless = undecidable(entries)
    return "\n".join(lines), ExitCode.CONFIGURATION if hopeless else ExitCode.PASS


def _bound(target: Target, sent: int) -> str:
    """Say how many output tokens the requests may cost; only text has any."""
    if target.api not in CONVERSATIONAL:
        return f", {target.api}"
    tokens = sent * (target.max_tokens or 0)
    return f", at most {tokens} output tokens" if tokens else ", output tokens not capped"


def _entries(scenario: Scenario, objectives: tuple[Objective, ...]) -> tuple[Decidability, ...]:
    counts = planned(scenario)
    seconds = sum(phase.duration_s for phase in scenario.phases if phase.judged)
    found: list[Decidability] = []
    for objective in objectives:
        if _reachable(scenario, objective):
            judged = _judged_per_provider(scenario, objective, counts)
            rates = {provider: n / seconds for provider, n in judged.items()}
            found += decidability((objective,), judged, rates)
    return tuple(found)


def _reachable(scenario: Scenario, objective: Objective) -> list[Target]:
    """Return the targets that an objective can say something about."""
    return [target for target in scenario.targets if applies(objective, target)]


def _judged_per_provider(
    scenario: Scenario, objective: Objective, planned_counts: Counter[tuple[str, str]]
) -> Counter[str]:
    """Count judged requests per provider that an objective can say something about.

    A virtual target counts for each provider it may reach.
    """
    reach = {target.name: target.may_reach for target in _reachable(scenario, objective)}
    counts: Counter[str] = Counter()
    for (phase, target), n in planned_counts.items():
        if phase in scenario.judged_phases and target in reach:
            for provider in reach[target]:
                counts[provider] += n
    for providers in reach.values():
        for provider in providers:
            counts.setdefault(provider, 0)
    return counts
