"""What may be concluded while the load still runs, from the client's own evidence.

FAIL: slice betting, which bursts do not fool, at the error of an objective shared among all claims.
PASS: every claim of the ledger proven by the grid e-process, and enough requests for the claims that
only Last9 can answer. The numbers are re-computed from the run folder when the run is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tfy_last9.judge.multiplicity import Claim
from tfy_last9.judge.phrases import budget, significant
from tfy_last9.judge.strength import alpha_of, measure
from tfy_last9.model.objective import Book, Objective, Ratio, Threshold
from tfy_last9.model.scenario import Scenario
from tfy_last9.model.verdict import Finding, State, Tally, group_text
from tfy_last9.stats.binomial import required_n
from tfy_last9.stats.sequential import log_e_better, proves

GROUPED = ((), ("provider",))
"""Groupings whose number of groups is known before the run, so that the error can be shared among them."""
Bets = Mapping[Claim, float]
"""Greatest log E of slice betting per claim."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Why the load may end now."""

    state: State
    message: str


def can_be_bet_on(objective: Objective) -> bool:
    """Tell whether an objective can be decided from the ledger while it grows."""
    indicator = objective.indicator
    return (
        objective.critical
        and isinstance(indicator, Threshold | Ratio)
        and indicator.population.book is Book.LEDGER
        and objective.slicing is None
        and 0.0 < budget(objective) < 1.0
        and objective.group_by in GROUPED
    )


def claims_planned(objectives: Iterable[Objective], scenario: Scenario) -> int:
    """Return how many claims are bet on, fixed before the first request."""
    providers = len({target.provider for target in scenario.targets})
    return sum(providers if one.group_by else 1 for one in objectives if can_be_bet_on(one))


def proven_failure(objectives: Sequence[Objective], bets: Bets, scenario: Scenario) -> Proof | None:
    """Return the clearest claim that is proven to fail, if there is one."""
    claims = claims_planned(objectives, scenario)
    proven = [
        (bets[name, group], one, group)
        for one in objectives
        for name, group in bets
        if name == one.name and proves(bets[name, group], alpha_of(one) / claims)
    ]
    if not proven:
        return None
    log_e, one, group = max(proven, key=lambda item: (item[0], item[1].name))
    where = f", {group_text(group)}" if group else ""
    text = f"{one.name}{where} is proven to fail (log e-value {significant(log_e)})"
    return Proof(State.FAIL, text)


def proven_pass(
    objectives: Sequence[Objective], tallies: Mapping[str, tuple[Tally, ...]], scenario: Scenario
) -> Proof | None:
    """Return a proof that nothing critical can gain from more requests, if there is one."""
    if scenario.arms is not None:
        return None
    critical = [one for one in objectives if one.critical]
    if not all(_is_settled(one, tallies, scenario) for one in critical):
        return None
    return Proof(State.PASS, f"all {len(critical)} critical objectives are proven or have enough")


def with_proofs(
    findings: Iterable[Finding], objectives: Sequence[Objective], bets: Bets, scenario: Scenario
) -> tuple[Finding, ...]:
    """Return the findings; one that slice betting proved to fail is a FAIL, whatever the bounds say."""
    claims = claims_planned(objectives, scenario)
    alphas = {one.name: alpha_of(one) / claims for one in objectives if can_be_bet_on(one)}
    return tuple(_with_proof(finding, bets, alphas) for finding in findings)


def _with_proof(finding: Finding, bets: Bets, alphas: Mapping[str, float]) -> Finding:
    log_e = bets.get((finding.objective, finding.group))
    alpha = alphas.get(finding.objective)
    if log_e is None or alpha is None or not proves(log_e, alpha):
        return finding
    note = f"proven while the load ran (log e-value {significant(log_e)})"
    return replace(finding, state=State.FAIL, message=f"{finding.message}; {note}")


def _is_settled(
    objective: Objective, tallies: Mapping[str, tuple[Tally, ...]], scenario: Scenario
) -> bool:
    if objective.is_census:
        return True
    allowed, alpha = budget(objective), alpha_of(objective)
    if can_be_bet_on(objective):
        groups = tallies.get(objective.name, ())
        wanted = len({target.provider for target in scenario.targets})
        complete = len(groups) >= (wanted if objective.group_by else 1)
        return complete and all(_is_proven_good(tally, allowed, alpha) for tally in groups)
    if objective.slicing is not None or not isinstance(objective.indicator, Threshold | Ratio):
        return False
    sent = _requests_per_provider(tallies)
    return bool(sent) and min(sent.values()) >= required_n(allowed, 1, alpha)


def _is_proven_good(tally: Tally, allowed: float, alpha: float) -> bool:
    if tally.total == 0:
        return False
    found = measure(tally, allowed, alpha)
    return proves(log_e_better(found.bad, found.total, allowed), alpha) and found.high <= allowed


def _requests_per_provider(tallies: Mapping[str, tuple[Tally, ...]]) -> dict[str, int]:
    """Return the fewest requests that any objective counted per provider."""
    found: dict[str, int] = {}
    for groups in tallies.values():
        for tally in groups:
            for label, value in tally.group:
                if label == "provider":
                    found[value] = min(found.get(value, tally.total), tally.total)
    return found
