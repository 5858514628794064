"""Objectives while the load runs: how much of the budget is used, and whether more requests are needed.

Shown, never judged: the verdict also discounts bursts, corrects for many objectives and asks Last9.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.judge.phrases import budget, claim
from tfy_last9.judge.strength import alpha_of, measure, requests_missing
from tfy_last9.model.objective import (
    Book,
    Objective,
    Quality,
    Ratio,
    Threshold,
    reads_last9,
)
from tfy_last9.model.scenario import Scenario
from tfy_last9.model.verdict import Tally
from tfy_last9.progress.readings import VIRTUAL, Event, Row, event_of, group_of, is_known, meets
from tfy_last9.stats.binomial import required_n

NOTHING = "\N{EN DASH}"
_NOT_HERE = frozenset({"size_band"})
"""Labels that a row alone does not tell."""


class Standing(StrEnum):
    """How an objective stands."""

    GOOD = "good"
    """The bound of the bad share is inside the budget."""
    BAD = "bad"
    """It is outside."""
    OPEN = "open"
    """Neither: more requests are needed."""
    LATER = "later"
    """Nothing to say before the load has ended."""


@dataclass(frozen=True, slots=True)
class Place:
    """One objective in one group."""

    objective: str
    claim: str
    group: tuple[str, ...]
    """Group values; empty for an ungrouped objective."""
    critical: bool
    standing: Standing
    total: int = 0
    bad: int = 0
    budget: float = 0.0
    """Share that may be bad."""
    needed: int | None = None
    """More requests, all good, that would decide it; None unless open."""
    from_last9: bool = False
    """It waits for traces."""

    @property
    def used(self) -> float | None:
        """Share of the error budget that the bad events so far have used; above 1 it is overspent."""
        if self.standing is Standing.LATER or not self.total or not self.budget:
            return None
        return self.bad / self.total / self.budget

    @property
    def words(self) -> str:
        """Return how it stands, for a table cell."""
        match self.standing:
            case Standing.GOOD:
                return "decided: good"
            case Standing.BAD:
                return "decided: bad"
            case Standing.OPEN:
                return f"needs {self.needed:,} more"
            case Standing.LATER:
                return "after the run, from Last9" if self.from_last9 else "after the run"


class Watched:
    """Counts one objective that single rows can answer."""

    def __init__(self, objective: Objective, providers: Iterable[str]) -> None:
        assert isinstance(objective.indicator, Threshold | Ratio)
        self._objective = objective
        self._indicator = objective.indicator
        self._claim = claim(objective)
        groups: list[tuple[str, ...]] = [] if objective.group_by else [()]
        if objective.group_by == ("provider",):
            groups = [(name,) for name in providers]
        self._counts = {group: [0, 0] for group in groups}
        self._known: dict[tuple[int, int], tuple[Standing, int | None]] = {}

    def take(self, row: Row) -> None:
        """Count one judged row."""
        indicator = self._indicator
        if not meets(row, indicator.population.where):
            return
        event = event_of(row, indicator)
        if event is Event.EXCLUDED:
            return
        counts = self._counts.setdefault(group_of(row, self._objective.group_by), [0, 0])
        counts[0] += 1
        counts[1] += event is Event.BAD

    def places(self) -> Iterable[Place]:
        """Yield one place per group, in the order of their names."""
        one = self._objective
        for group, (total, bad) in sorted(self._counts.items()):
            standing, needed = self._standing(total, bad)
            yield Place(
                *(one.name, self._claim, group, one.critical, standing),
                *(total, bad, budget(one), needed),
            )

    def _standing(self, total: int, bad: int) -> tuple[Standing, int | None]:
        if (total, bad) not in self._known:
            if len(self._known) > 2 * len(self._counts):
                self._known.clear()
            self._known[total, bad] = _decided(self._objective, total, bad)
        return self._known[total, bad]


def _decided(objective: Objective, total: int, bad: int) -> tuple[Standing, int | None]:
    allowed, alpha = budget(objective), alpha_of(objective)
    if total == 0:
        return Standing.OPEN, required_n(allowed, 0, alpha)
    tally = Tally((), True, total, bad, 0, None, ())
    found = measure(tally, allowed, alpha)
    if found.low > allowed:
        return Standing.BAD, None
    if found.high <= allowed:
        return Standing.GOOD, None
    return Standing.OPEN, requests_missing(found, total, allowed, alpha)


def later(objective: Objective) -> Place:
    """Return the place of an objective that only the whole run can answer."""
    return Place(
        *(objective.name, claim(objective), (), objective.critical, Standing.LATER),
        from_last9=reads_last9(objective.indicator),
    )


def can_be_watched(objective: Objective) -> bool:
    """Tell whether single ledger rows answer an objective."""
    indicator = objective.indicator
    if not isinstance(indicator, Threshold | Ratio) or objective.slicing is not None:
        return False
    if indicator.population.book is not Book.LEDGER or not 0.0 < budget(objective) < 1.0:
        return False
    labels = {*objective.group_by, *(one.field for one in indicator.population.where)}
    fields: set[str] = set()
    if isinstance(indicator, Threshold):
        fields.add(indicator.field)
    else:
        quality = indicator.good or Quality()
        labels |= {one.field for one in (*indicator.bad, *quality.where)} | set(quality.has)
        fields |= {limit.field for limit in quality.limits}
    return not labels & _NOT_HERE and all(map(is_known, fields))


def providers_of(scenario: Scenario) -> tuple[str, ...]:
    """Return the providers that ledger rows of a scenario will name, in order."""
    return tuple(dict.fromkeys(target.provider or VIRTUAL for target in scenario.targets))


def about(name: str, places: Iterable[Place]) -> tuple[Place, ...]:
    """Return the places about a provider; `name` may name an arm of it, as `openai / canary`."""
    provider = name.partition(" / ")[0]
    return tuple(place for place in places if provider in place.group)


def together(places: Iterable[Place]) -> Standing:
    """Return how several places stand together: as the one that stands worst."""
    found = {place.standing for place in places}
    order = (Standing.BAD, Standing.OPEN, Standing.GOOD)
    return next((standing for standing in order if standing in found), Standing.LATER)


def summary(places: Iterable[Place]) -> str:
    """Say how several places stand: what is decided, and what the hungriest of the others needs."""
    known = [place for place in places if place.standing is not Standing.LATER]
    match together(known):
        case Standing.BAD:
            bad = [place.objective for place in known if place.standing is Standing.BAD]
            return f"decided: bad ({', '.join(bad)})"
        case Standing.OPEN:
            needing = [place for place in known if place.standing is Standing.OPEN]
            most = max(needing, key=lambda place: place.needed or 0)
            decided = len(known) - len(needing)
            return f"{decided} of {len(known)} decided; {most.objective} {most.words}"
        case Standing.GOOD:
            return "decided: good"
    return NOTHING


def most_used(places: Iterable[Place]) -> float | None:
    """Return the share of the error budget that the most wasteful of several places has used."""
    return max((place.used for place in places if place.used is not None), default=None)
