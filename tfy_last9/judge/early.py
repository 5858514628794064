"""What may be concluded while the load still runs: from the ledger, from arms, and from traces as they settle.

FAIL: slice betting, which bursts do not fool, at the error of an objective shared among all claims.
PASS: every claim proven by the grid e-process, and enough requests for the claims that nobody can bet on.
The numbers are re-computed from the run folder when the run is judged; a proof that ended the load is kept
in the manifest, since traces that turn up afterwards would cut the slices at other places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tfy_last9.judge.canary import ALL_NAMES
from tfy_last9.judge.looks import arms_at_each_look
from tfy_last9.judge.multiplicity import Claim
from tfy_last9.judge.phrases import budget, significant
from tfy_last9.judge.strength import alpha_of, measure
from tfy_last9.model.objective import Book, Objective, Ratio, Threshold
from tfy_last9.model.run import EarlyStop, Proven
from tfy_last9.model.scenario import Scenario
from tfy_last9.model.verdict import Finding, State, Tally, group_text
from tfy_last9.stats.binomial import required_n
from tfy_last9.stats.sequential import log_e_better, proves

GROUPED = ((), ("provider",))
"""Groupings whose number of groups is known before the run, so that the error can be shared among them."""
UNSETTLED = frozenset({"ingestion_lag_ms"})
"""Fields that only a look after the run knows well."""
Bets = Mapping[Claim, float]
"""Greatest log E of slice betting per claim."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is bet on in a run, fixed before the first request: the error is shared among all of it."""

    objectives: tuple[Objective, ...]
    """With the confidence of a single look."""
    scenario: Scenario
    with_traces: bool
    """Spans are fetched too; without, only the ledger is bet on."""

    @property
    def claims(self) -> int:
        """How many claims are bet on: objectives times providers, and four comparisons of arms for each."""
        providers = len(_providers(self.scenario))
        count = sum(providers if one.group_by else 1 for one in self.objectives if self.has(one))
        if self.scenario.arms is not None:
            names = {target.provider or target.name for target in self.scenario.targets}
            count += len(ALL_NAMES) * len(names)
        return count

    def has(self, objective: Objective) -> bool:
        """Tell whether an objective is bet on."""
        return can_be_bet_on(objective) or (self.with_traces and can_be_bet_on_traces(objective))

    def alphas(self) -> dict[str, float]:
        """Return the error that each claim may make, by the name of its objective or comparison."""
        claims = self.claims
        found = {one.name: alpha_of(one) / claims for one in self.objectives if self.has(one)}
        if self.scenario.arms is not None:
            arms = arms_at_each_look(self.scenario.arms, self.scenario.policy)
            found |= dict.fromkeys(ALL_NAMES, round(1.0 - arms.confidence, 12) / claims)
        return found


@dataclass(frozen=True, slots=True)
class Proof:
    """Why the load may end now."""

    state: State
    message: str
    proven: tuple[Proven, ...] = ()


def can_be_bet_on(objective: Objective) -> bool:
    """Tell whether an objective can be decided from the ledger while it grows."""
    return _book(objective) is Book.LEDGER


def can_be_bet_on_traces(objective: Objective) -> bool:
    """Tell whether an objective can be decided from spans while traces settle."""
    indicator = objective.indicator
    unsettled = isinstance(indicator, Threshold) and indicator.field in UNSETTLED
    return _book(objective) is Book.LAST9 and not unsettled


def proven_failure(stakes: Stakes, bets: Bets) -> Proof | None:
    """Return the claims that are proven to fail, the clearest first, if there are any."""
    alphas = stakes.alphas()
    proven = sorted(
        (
            Proven(name, group, log_e)
            for (name, group), log_e in bets.items()
            if name in alphas and proves(log_e, alphas[name])
        ),
        key=lambda one: (-one.log_e, one.objective, one.group),
    )
    if not proven:
        return None
    first = proven[0]
    where = f", {group_text(first.group)}" if first.group else ""
    text = f"{first.objective}{where} is proven to fail (log e-value {significant(first.log_e)})"
    return Proof(State.FAIL, text, tuple(proven))


def proven_pass(stakes: Stakes, tallies: Mapping[str, tuple[Tally, ...]]) -> Proof | None:
    """Return a proof that nothing critical can gain from more requests, if there is one."""
    if stakes.scenario.arms is not None:
        return None
    critical = [one for one in stakes.objectives if one.critical]
    if not all(_is_settled(one, tallies, stakes) for one in critical):
        return None
    return Proof(State.PASS, f"all {len(critical)} critical objectives are proven or have enough")


def with_kept(bets: Bets, stop: EarlyStop | None) -> Bets:
    """Return the bets with the proofs that ended the load."""
    kept = {} if stop is None else {(one.objective, one.group): one.log_e for one in stop.proven}
    return {claim: max(bets.get(claim, 0.0), kept.get(claim, 0.0)) for claim in {**kept, **bets}}


def with_proofs(findings: Iterable[Finding], stakes: Stakes, bets: Bets) -> tuple[Finding, ...]:
    """Return the findings; one that slice betting proved to fail is a FAIL, whatever the bounds say."""
    if not bets:
        return tuple(findings)
    alphas = stakes.alphas()
    return tuple(_with_proof(finding, bets, alphas) for finding in findings)


def _book(objective: Objective) -> Book | None:
    """Return the book of an objective that slices of events can decide; None for others."""
    indicator = objective.indicator
    if (
        objective.critical
        and isinstance(indicator, Threshold | Ratio)
        and objective.slicing is None
        and 0.0 < budget(objective) < 1.0
        and objective.group_by in GROUPED
    ):
        return indicator.population.book
    return None


def _providers(scenario: Scenario) -> set[str | None]:
    """Return the groups that a run can show, standbys too."""
    standby = {name for one in scenario.targets for name in one.standby}
    return _owed(scenario, Book.LAST9) | standby


def _owed(scenario: Scenario, book: Book | None) -> set[str | None]:
    """Return the groups that a run must show; on the ledger all virtual targets are one."""
    if book is Book.LAST9:
        return {name for one in scenario.targets for name in one.may_reach or (one.provider,)}
    return {one.provider for one in scenario.targets}


def _with_proof(finding: Finding, bets: Bets, alphas: Mapping[str, float]) -> Finding:
    log_e = bets.get((finding.objective, finding.group))
    alpha = alphas.get(finding.objective)
    if log_e is None or alpha is None or not proves(log_e, alpha):
        return finding
    note = f"proven while the load ran (log e-value {significant(log_e)})"
    return replace(finding, state=State.FAIL, message=f"{finding.message}; {note}")


def _is_settled(
    objective: Objective, tallies: Mapping[str, tuple[Tally, ...]], stakes: Stakes
) -> bool:
    if objective.is_census:
        return True
    allowed, alpha = budget(objective), alpha_of(objective)
    if stakes.has(objective):
        groups = tallies.get(objective.name, ())
        wanted = len(_owed(stakes.scenario, _book(objective)))
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
