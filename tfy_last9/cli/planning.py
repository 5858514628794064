"""What a run would send, and what can be decided with it: `plan`, and the first check of `gate`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from tfy_last9.adapters.runfolder.spending import Spending
from tfy_last9.arrivals.costs import unpriced
from tfy_last9.arrivals.quota import quota_warnings
from tfy_last9.arrivals.schedule import planned
from tfy_last9.cli.budgeting import cost_lines
from tfy_last9.cli.load import expected_duration_s
from tfy_last9.errors import ExitCode, Undecidable
from tfy_last9.judge.decide import needs_last9
from tfy_last9.judge.looks import at_each_look, with_stretches
from tfy_last9.judge.phrases import significant
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
    hopeless = [] if scenario.is_closed else undecidable(_entries(scenario, judged))
    if hopeless:
        raise Undecidable(
            "the plan cannot decide every critical objective, so no load was sent\n"
            + "\n".join(str(entry) for entry in hopeless),
            hint=f"smallest change: {changes[0]}; others: tfy-last9 plan"
            if (changes := smallest_changes(scenario, judged))
            else 'send more requests, or mark the objective `tfy-last9/critical: "false"`',
        )


def describe(
    scenario: Scenario,
    objectives: tuple[Objective, ...],
    spending: Mapping[str, Spending] | None = None,
) -> tuple[str, ExitCode]:
    """Return the plan as text, and 24 when a critical objective is out of reach.

    `spending`: what a request of each target took in a run like it; without, prices are unknown.
    """
    scenario = with_stretches(scenario)
    if scenario.is_closed:
        return _closed(scenario), ExitCode.PASS
    counts = planned(scenario)
    objectives = at_each_look(objectives, scenario.policy)
    entries = _entries(scenario, objectives)
    lines = [
        f"{scenario.name}: {counts.total()} requests, about {expected_duration_s(scenario):.0f} s"
    ]
    for target in scenario.targets:
        sent = sum(n for (_, name), n in counts.items() if name == target.name)
        lines.append(f"  {target.name}: {sent} requests to {target.model}{_bound(target, sent)}")
    lines += [f"  {line}" for line in cost_lines(scenario)]
    lines += [f"  warning: {warning}" for warning in quota_warnings(scenario)]
    lines += _expected(scenario, counts, spending)
    if scenario.policy.retries:
        lines.append(
            f"  retries: up to {scenario.policy.retries} more runs like it, if undecided (--retry-of)"
        )
    lines.append("objectives, by requests judged and needed to pass without one bad:")
    for entry in entries:
        mark = "ok  " if entry.is_decidable else "short" if entry.critical else "note"
        lines.append(f"  {mark:<5} {entry}")
    hopeless = undecidable(entries)
    for n, change in enumerate(smallest_changes(scenario, objectives)):
        lines.append(f"{'to decide all that is critical' if n == 0 else 'or'}: {change}")
    return "\n".join(lines), ExitCode.CONFIGURATION if hopeless else ExitCode.PASS


def _bound(target: Target, sent: int) -> str:
    """Say how many output tokens the requests may cost; only text has any."""
    if target.api not in CONVERSATIONAL:
        return f", {target.api}"
    tokens = sent * (target.max_tokens or 0)
    return f", at most {tokens} output tokens" if tokens else ", output tokens not capped"


def smallest_changes(scenario: Scenario, objectives: tuple[Objective, ...]) -> list[str]:
    """Return what would make every critical objective decidable, each found by planning it; empty if all are."""
    hopeless = undecidable(_entries(scenario, objectives))
    if not hopeless:
        return []
    found = []
    if not scenario.is_shaped and all(entry.planned for entry in hopeless):
        now = planned(scenario).total()
        factor = _enough(lambda factor: _scaled(scenario, duration=factor), objectives)
        judged_s = factor * sum(phase.duration_s for phase in scenario.phases if phase.judged)
        more = planned(_scaled(scenario, duration=factor)).total() - now
        found.append(f"--duration {math.ceil(judged_s)}s ({more:,} more requests)")
        rate = max(phase.rate_per_s for phase in scenario.phases if phase.judged)
        factor = _enough(lambda factor: _scaled(scenario, rate=factor), objectives)
        found.append(f"--rate {math.ceil(rate * factor)}/s for as long as planned")
    targets = {
        entry.objective: min(
            other.target_in_reach or 0.0 for other in hopeless if other.objective == entry.objective
        )
        for entry in hopeless
    }
    reachable = {name: target for name, target in targets.items() if target > 0.0}
    if len(reachable) == len(targets):
        named = ", ".join(f"{name} {target:g}" for name, target in sorted(reachable.items()))
        found.append(f"ask less, with the same requests: target of {named}")
    return found


def _enough(scaled: Callable[[float], Scenario], objectives: tuple[Objective, ...]) -> float:
    """Return the smallest factor, in steps of 2 %, with which nothing critical is undecidable."""
    entries = undecidable(_entries(scaled(1.0), objectives))
    factor = max(entry.needed / entry.planned for entry in entries)
    while undecidable(_entries(scaled(factor), objectives)):
        factor *= 1.02
    return factor


def _scaled(scenario: Scenario, *, duration: float = 1.0, rate: float = 1.0) -> Scenario:
    """Return the scenario with longer judged phases, or with a higher rate in all of them."""
    phases = tuple(
        replace(
            phase,
            duration_s=phase.duration_s * (duration if phase.judged else 1.0),
            rate_per_s=phase.rate_per_s * rate,
        )
        for phase in scenario.phases
    )
    return replace(scenario, phases=phases)


def _expected(
    scenario: Scenario,
    counts: Counter[tuple[str, str]],
    spending: Mapping[str, Spending] | None,
) -> list[str]:
    """Return what a run like an earlier one would take: tokens and money."""
    if spending is None:
        what = "price: unknown" if any(unpriced(scenario)) else "usual cost: unknown"
        return [f"  {what}; --like RUN takes tokens and cost per request from a stored run"]
    if not any(_is_like(target, spending) for target in scenario.targets):
        return ["  price: unknown; that run served no request of these targets and models"]
    sums = {"input_tokens": 0.0, "output_tokens": 0.0, "cost_usd": 0.0}
    silent: dict[str, list[str]] = {name: [] for name in sums}
    for target in scenario.targets:
        sent = sum(n for (_, name), n in counts.items() if name == target.name)
        like = spending.get(target.name)
        for name in sums:
            known = getattr(like, name) if _is_like(target, spending) else None
            sums[name] += sent * (known or 0.0)
            if known is None:
                silent[name].append(target.name)
    words = {"input_tokens": "input tokens", "output_tokens": "output tokens", "cost_usd": "USD"}
    told = [
        f"{significant(sums[name])} {word}"
        + (f" (without {', '.join(silent[name])})" if silent[name] else "")
        for name, word in words.items()
    ]
    return [f"  about {', '.join(told)}, by the run it is likened to"]


def _is_like(target: Target, spending: Mapping[str, Spending]) -> bool:
    """Tell whether the stored run served this target with the same model."""
    return target.name in spending and spending[target.name].model == target.model


def _closed(scenario: Scenario) -> str:
    """Return what is known beforehand of a closed loop."""
    think = f", thinking {scenario.think_s:g} s on average" if scenario.think_s else ""
    lines = [
        f"{scenario.title}: about {expected_duration_s(scenario):.0f} s{think}",
        "  how many requests are sent depends on how fast they are answered; so does what can be decided",
    ]
    shares = sum(target.weight for target in scenario.targets)
    lines += [
        f"  {target.name}: {target.weight / shares:.0%} of requests to {target.model}"
        for target in scenario.targets
    ]
    return "\n".join(lines)


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
