"""What one worker knows of its requests: who began and ended how, in rows, counts, gaps and money."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tfy_last9.arrivals.brake import brake_of, reserve_arrival
from tfy_last9.arrivals.costs import Costs
from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Scenario
from tfy_last9.stats.histogram import Histogram
from tfy_last9.swarm.breaker import Breaker
from tfy_last9.swarm.call import Answer, Call, Wish
from tfy_last9.swarm.health import Counts, HealthMeter
from tfy_last9.swarm.lines import ledger_line
from tfy_last9.swarm.record import Epoch, Recorder
from tfy_last9.swarm.spending import cost_of
from tfy_last9.wire.gateway import template

GapKey = tuple[str, str, str | None]
"""Phase, target and arm."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of which run this worker has."""

    run_id: str
    worker: int
    workers: int
    start_ns: int
    """UTC instant of schedule zero, the same for all workers."""


@dataclass(slots=True)
class TargetProgress:
    """What happened to one target since the last sample, for people who watch."""

    finished: int = 0
    errors: int = 0
    ttft_ns: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        """Return what is told of it."""
        ordered = sorted(self.ttft_ns)
        p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] if ordered else None
        return {"finished": self.finished, "errors": self.errors, "ttft_p95_ns": p95}


class Account:
    """Every request is begun and ended here, or written off as one that was never sent."""

    def __init__(self, scenario: Scenario, part: Share, epoch: Epoch) -> None:
        self.recorder = Recorder(scenario, part.run_id, part.worker, epoch)
        self.breaker = Breaker(scenario.limits.stop_after_failures)
        self.meter = HealthMeter(part.worker)
        self.counts = Counts()
        self.shipped = 0
        """Rows that were taken."""
        self._epoch = epoch
        self._brake = brake_of(scenario, part.workers)
        self._costs = Costs(scenario)
        self._progress: dict[str, TargetProgress] = defaultdict(TargetProgress)
        self._gaps: dict[GapKey, Histogram] = defaultdict(Histogram)
        self._rows: list[bytes] = []

    def due_ns(self, call: Call) -> int:
        """Return the monotonic instant at which a call is due."""
        due_ns = call.due_ns
        return self.recorder.zero_ns + call.arrival.due_ns if due_ns is None else due_ns

    def answer(self, call: Call) -> Answer:
        """Return the answer of a call that starts now, still empty."""
        facts = call.outgoing.facts()
        facts.gaps = self._gaps[call.arrival.phase, call.target.name, call.arm]
        return Answer(time.monotonic_ns(), facts=facts)

    def begin(self, call: Call, answer: Answer) -> None:
        """Take note that a call was started."""
        self.meter.started_late_by(answer.started_ns - self.due_ns(call))
        counts = self.counts
        counts.started += 1
        counts.in_flight += 1

    def end(self, call: Call, answer: Answer) -> LedgerRow:
        """Write the row of a call that is over, however it ended."""
        if answer.finished_ns is None:
            answer.finished_ns = time.monotonic_ns()
        row = self.recorder.row(call, answer)
        self._rows.append(ledger_line(row))
        self._ended(call, answer, is_good=answer.outcome is Outcome.OK and not row.check_failed)
        return row

    def _ended(self, call: Call, answer: Answer, *, is_good: bool) -> None:
        counts, progress = self.counts, self._progress[call.target.name]
        counts.in_flight -= 1
        counts.finished += 1
        progress.finished += 1
        if not is_good:
            progress.errors += 1
            counts.errors += 1
        first_token_ns = answer.facts.first_token_ns
        if first_token_ns is not None:
            progress.ttft_ns.append(first_token_ns - self.due_ns(call))
        if self._brake is not None:
            self._brake.settle(call.arrival.seq, *cost_of(call.target, answer))

    def offer(self, arrival: Arrival) -> bool:
        """Count an arrival that is due; False where there is no money for it."""
        if self._brake is not None and not reserve_arrival(self._brake, self._costs, arrival):
            return False
        self.counts.offered += arrival.turns
        return True

    def miss(self, arrival: Arrival) -> None:
        """Write off an arrival that found no free user."""
        self.counts.missed += arrival.turns
        self._write_unsent(self._unsent(arrival, Outcome.MISSED, None))

    def skip(self, arrival: Arrival, why: str, wish: Wish | None = None) -> None:
        """Write off an arrival of which nothing is sent."""
        self.withhold(self._unsent(arrival, Outcome.ABORTED, why, wish))

    def withhold(self, rows: list[LedgerRow]) -> None:
        """Take the rows of requests that are not sent."""
        self._write_unsent(rows)
        self.counts.finished += len(rows)

    def _unsent(
        self, arrival: Arrival, outcome: Outcome, why: str | None, wish: Wish | None = None
    ) -> list[LedgerRow]:
        turns = (arrival.at_turn(turn) for turn in range(arrival.turns))
        return [self.recorder.unsent(turn, outcome, why, wish) for turn in turns]

    def _write_unsent(self, rows: list[LedgerRow]) -> None:
        self._rows += map(ledger_line, rows)
        if self._brake is not None:
            for row in rows:
                self._brake.release(row.seq)

    @property
    def is_idle(self) -> bool:
        """Tell whether everything that was offered is over."""
        counts = self.counts
        return counts.offered == counts.missed + counts.finished

    def take_rows(self) -> bytes:
        """Return the rows that were not taken yet."""
        rows, self._rows = self._rows, []
        self.shipped += len(rows)
        return b"".join(rows)

    def take_news(self) -> dict[str, Any]:
        """Return what happened since the last time, for people who watch."""
        now_ns = self._epoch.utc_of(time.monotonic_ns())
        news = {
            "sample": self.meter.sample(self.counts, now_ns) | {"gaps": self._take_gaps()},
            "targets": {name: target.summary() for name, target in self._progress.items()},
            "offered": self.counts.offered,
            "errors": self.counts.errors,
            "spending": self._spending,
        }
        self._progress.clear()
        return news

    def _take_gaps(self) -> list[dict[str, object]]:
        """Return the times between tokens that were counted since the last sample."""
        taken: list[dict[str, object]] = [
            {"phase": phase, "target": target, "arm": arm, "buckets": gaps.take()}
            for (phase, target, arm), gaps in self._gaps.items()
        ]
        return [one for one in taken if one["buckets"]]

    @property
    def _spending(self) -> dict[str, Any] | None:
        return None if self._brake is None else self._brake.report()

    def balance(self) -> dict[str, Any]:
        """Return what the master has to know at the end."""
        return {
            "rows": self.shipped,
            "offered": self.counts.offered,
            "spending": self._spending,
            "stopped": [
                {
                    "target": target,
                    "status": trip.status,
                    "message": template(trip.message),
                    "skipped": trip.skipped,
                }
                for target, trip in self.breaker.trips.items()
            ],
        }
