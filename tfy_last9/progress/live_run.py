"""Everything that is shown about a run while it goes on, from its ledger rows as they come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfy_last9.judge.looks import at_each_look
from tfy_last9.model.objective import Objective, Operator, Threshold
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Scenario
from tfy_last9.progress.course import Course
from tfy_last9.progress.readings import Row, label, reading, since_due_ns
from tfy_last9.progress.standings import (
    Place,
    Watched,
    can_be_watched,
    later,
    providers_of,
)
from tfy_last9.stats.exact import ExactQuantiles
from tfy_last9.stats.quantile import nearest_rank

_NS_PER_S = 1e9
COLUMN_OF = {"ttft": "first_token_ns", "total": "finished_ns"}


@dataclass(slots=True)
class Times:
    """One kind of time of one provider; somebody who waited in vain waited longest."""

    known: ExactQuantiles = field(default_factory=ExactQuantiles)
    in_vain: int = 0

    def quantile_ns(self, p: float) -> int | None:
        """Return the p-quantile by nearest rank; None without requests, or when it never came."""
        total = len(self.known) + self.in_vain
        if total == 0:
            return None
        rank = nearest_rank(total, p)
        return self.known.at_rank(rank) if rank <= len(self.known) else None


@dataclass(slots=True)
class Provider:
    """What is known of one provider, or of one arm of it: judged requests that were started."""

    name: str
    n: int = 0
    errors: int = 0
    times: Mapping[str, Times] = field(default_factory=lambda: {"ttft": Times(), "total": Times()})


@dataclass(slots=True)
class Spent:
    """What the run used so far, warm-up included."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    """None until an answer carries a price."""

    def take(self, row: Row) -> None:
        """Add one row."""
        self.input_tokens += row.get("input_tokens") or 0
        self.output_tokens += row.get("output_tokens") or 0
        cost = row.get("cost_usd")
        if cost is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost


class LiveRun:
    """Feed it rows and samples, ask it anything at any time."""

    def __init__(self, scenario: Scenario, objectives: Iterable[Objective]) -> None:
        self.scenario = scenario
        self.start_ns: int | None = None
        """UTC instant of schedule zero."""
        self.course = Course()
        self.spent = Spent()
        self.outcomes: Counter[str] = Counter()
        self.totals: Mapping[str, int] = {}
        """The newest totals of all workers: offered, started, missed, finished, in_flight, errors."""
        self.spending: Mapping[str, Any] | None = None
        """What all workers spent and reserved; None without a budget."""
        self._judged = frozenset(scenario.judged_phases)
        names = () if scenario.arms else providers_of(scenario)
        self._providers = {name: Provider(name) for name in names}
        chosen = at_each_look(objectives, scenario.policy)
        self._watched = [
            Watched(one, providers_of(scenario)) for one in chosen if can_be_watched(one)
        ]
        self.limits = _limits(one for one in chosen if can_be_watched(one))
        """Per time that is drawn: promised share and limit in milliseconds of its objectives."""
        self._later = [later(one) for one in chosen if not can_be_watched(one)]

    def take(self, rows: Iterable[Row]) -> None:
        """Take ledger rows."""
        for row in rows:
            self._take(row)

    def sample(self, document: Mapping[str, Any]) -> None:
        """Take the totals that the master writes each second."""
        self.start_ns = document.get("start_ns", self.start_ns)
        names = ("offered", "started", "missed", "finished", "in_flight", "errors")
        self.totals = {name: document[name] for name in names}
        self.spending = document.get("spending")
        at_s = self.seconds(document["t_ns"])
        if at_s is not None:
            self.course.sampled(at_s, document["offered"], document["in_flight"])

    def seconds(self, utc_ns: int) -> float | None:
        """Return how long after schedule zero an instant is; None while nobody knows."""
        return None if self.start_ns is None else (utc_ns - self.start_ns) / _NS_PER_S

    def phase(self, at_s: float) -> str | None:
        """Return the phase of the schedule at an instant; None when it is over."""
        until_s = 0.0
        for one in self.scenario.phases:
            until_s += one.duration_s
            if at_s < until_s:
                return one.name
        return None

    def providers(self) -> Sequence[Provider]:
        """Return one entry per provider (and arm), by name."""
        return [self._providers[name] for name in sorted(self._providers)]

    def places(self) -> Sequence[Place]:
        """Return how every objective stands."""
        return [*(place for one in self._watched for place in one.places()), *self._later]

    def _take(self, row: Row) -> None:
        outcome = row["outcome"]
        self.outcomes[outcome] += 1
        self.spent.take(row)
        name = _name(row)
        self._draw(row, name, outcome)
        if outcome == Outcome.MISSED or row.get("started_ns") is None:
            return
        if row["phase"] not in self._judged:
            return
        provider = self._providers.setdefault(name, Provider(name))
        provider.n += 1
        provider.errors += outcome != Outcome.OK
        for measure in COLUMN_OF:
            _time(provider.times[measure], row, measure)
        for one in self._watched:
            one.take(row)

    def _draw(self, row: Row, name: str, outcome: str) -> None:
        at_ns = row.get("finished_ns")
        at_s = self.seconds(row["epoch_ns"] + (row["due_ns"] if at_ns is None else at_ns))
        if at_s is None:
            return
        if at_ns is not None:
            self.course.finished(at_s)
        if outcome != Outcome.OK:
            self.course.failed(at_s, outcome)
        for measure, column in COLUMN_OF.items():
            spent_ns = since_due_ns(row, column)
            if outcome == Outcome.OK and spent_ns is not None:
                self.course.timed(at_s, measure, name, spent_ns)


def _time(times: Times, row: Row, measure: str) -> None:
    found = reading(row, f"{measure}_ms")
    spent_ns = since_due_ns(row, COLUMN_OF[measure])
    if not found.applies:
        return
    if found.value is not None and spent_ns is not None:
        times.known.add(spent_ns)
    elif found.owed:
        times.in_vain += 1


def _limits(objectives: Iterable[Objective]) -> Mapping[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for one in objectives:
        indicator = one.indicator
        if isinstance(indicator, Threshold) and indicator.op in (Operator.LTE, Operator.LT):
            measure = indicator.field.removesuffix("_ms")
            if measure in COLUMN_OF:
                found.setdefault(measure, []).append((one.target, indicator.limit))
    return found


def _name(row: Row) -> str:
    provider = label(row, "provider") or ""
    arm = row.get("arm")
    return provider if arm is None else f"{provider} / {arm}"
