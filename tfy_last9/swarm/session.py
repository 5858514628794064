"""One worker's part of one run: feeds users, makes rows, ships them, and ends without losing any."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event

from tfy_last9.arrivals.brake import brake_of, reserve_arrival
from tfy_last9.arrivals.closed import ClosedLoop
from tfy_last9.arrivals.costs import Costs
from tfy_last9.arrivals.schedule import Arrival, share
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Scenario
from tfy_last9.stats.histogram import Histogram
from tfy_last9.swarm.alarm import Alarm
from tfy_last9.swarm.breaker import Breaker
from tfy_last9.swarm.call import Answer, Call, Driver, Sent, Wish
from tfy_last9.swarm.clocks import ClockSync
from tfy_last9.swarm.closed import ClosedFeed
from tfy_last9.swarm.conversing import Conversation
from tfy_last9.swarm.health import Counts, HealthMeter
from tfy_last9.swarm.lines import ledger_line
from tfy_last9.swarm.peers import LOST_AFTER_S
from tfy_last9.swarm.pool import UserPool
from tfy_last9.swarm.record import Epoch, Recorder, clock_facts
from tfy_last9.swarm.relay import Outbox
from tfy_last9.swarm.spending import cost_of
from tfy_last9.wire.gateway import template

SHIP_EVERY_S = 1.0
"""A worker that is killed loses at most this much of its ledger."""
STOPPED_PAUSE_S = 1.0
"""Of a closed-loop user whose target was stopped."""
ABORT_S = 2.0
"""Long enough for aborted requests to write their rows."""
_NS_PER_S = 1_000_000_000
GapKey = tuple[str, str, str | None]
"""Phase, target and arm."""
Fire = Callable[[LedgerRow], None]
"""Tells Locust's own statistics about a finished request."""


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


class Session:
    """Life of a session: `start`, then `serve` once per arrival, then `finish` (once, whoever asks)."""

    def __init__(
        self,
        scenario: Scenario,
        part: Share,
        epoch: Epoch,
        driver: Driver,
        pool: UserPool,
        outbox: Outbox,
        fire: Fire,
        clock: ClockSync | None = None,
    ) -> None:
        self._part = part
        self._epoch = epoch
        self._driver = driver
        self._pool = pool
        self._outbox = outbox
        self._fire = fire
        self._clock = clock
        self._recorder = Recorder(scenario, part.run_id, part.worker, self._epoch)
        self._arrivals: Iterator[Arrival] = share(scenario, part.worker, part.workers)
        self.closed: ClosedFeed | None = None
        """Where users of a closed loop ask; None in an open run, which its schedule feeds."""
        if scenario.is_closed:
            loop = ClosedLoop(scenario, part.worker, part.workers)
            self.closed = ClosedFeed(scenario, loop, pool, self._count_asked)
        self._targets = [target.name for target in scenario.targets]
        self._breaker = Breaker(scenario.limits.stop_after_failures)
        self._brake = brake_of(scenario, part.workers)
        self._costs = Costs(scenario)
        self._over: Any = Event()
        self._meter = HealthMeter(part.worker)
        self._progress: dict[str, TargetProgress] = defaultdict(TargetProgress)
        self._rows: list[bytes] = []
        self._gaps: dict[GapKey, Histogram] = defaultdict(Histogram)
        self._shipped = 0
        self._exhausted = False
        self._is_spent = False
        self._finished = False
        self._parted: Any = Event()
        """Set once the master has the farewell, or was silent for too long."""
        self._left = False
        self._greenlets: list[Any] = []
        self._alarm = Alarm()
        self.counts = Counts()

    def start(self) -> None:
        """Begin feeding users; schedule zero is `start_ns`, normally a moment ahead."""
        self._recorder.zero_ns = self._epoch.monotonic_of(self._part.start_ns)
        self._meter.start()
        self._pool.when_dropped(self._drop)
        closed = self.closed
        feed = gevent.spawn(self._feed_closed, closed) if closed else gevent.spawn(self._feed)
        self._greenlets = [feed, gevent.spawn(self._tick)]

    def serve(self, arrival: Arrival, wish: Wish | None = None) -> Sent | None:
        """Send an arrival's requests, one after the other, and write a row for each, whatever happens.

        Returns the last that was sent; None when the target was stopped, and so nothing was.
        """
        if self._breaker.is_stopped(self._targets[arrival.target]):
            self._withhold(self._unsent(arrival, Outcome.ABORTED, "target_stopped", wish))
            if self.closed is not None:  # nothing else would slow its users down
                gevent.sleep(STOPPED_PAUSE_S)
            return None
        if arrival.turns == 1 and wish is None:
            self._send_one(self._recorder.call(arrival))
            return None  # nobody who has no wish asks
        sent = None
        conversation = Conversation(self._recorder, arrival, self._over, wish)
        try:
            for call in conversation:
                answer, row = self._send_one(call)
                conversation.take(answer)
                sent = Sent(row, answer.facts.said().text if call.outgoing.is_kept else "")
        finally:
            self._withhold(conversation.rest())
        return sent

    def _send_one(self, call: Call) -> tuple[Answer, LedgerRow]:
        facts = call.outgoing.facts()
        answer = Answer(started_ns=time.monotonic_ns(), facts=facts)
        facts.gaps = self._gaps[call.arrival.phase, call.target.name, call.arm]
        due_ns = call.due_ns or self._recorder.zero_ns + call.arrival.due_ns
        self._meter.started_late_by(answer.started_ns - due_ns)
        self.counts.started += 1
        self.counts.in_flight += 1
        try:
            self._driver.send(call, answer)
            self._breaker.take(call.target.name, answer)
        finally:  # a killed greenlet still leaves a row: outcome `aborted`
            if answer.finished_ns is None:
                answer.finished_ns = time.monotonic_ns()
            self.counts.in_flight -= 1
            self.counts.finished += 1
            row = self._recorder.row(call, answer)
            if self._brake is not None:
                self._brake.settle(row.seq, *cost_of(call.target, answer))
            self._rows.append(ledger_line(row))
            self._note(row)
        self._fire(row)
        return answer, row

    @property
    def is_over(self) -> bool:
        """Tell whether the session has said goodbye."""
        return self._finished

    def _unsent(
        self, arrival: Arrival, outcome: Outcome, why: str | None, wish: Wish | None = None
    ) -> list[LedgerRow]:
        """Return the rows of an arrival of which nothing was sent."""
        turns = (arrival.at_turn(turn) for turn in range(arrival.turns))
        return [self._recorder.unsent(turn, outcome, why, wish) for turn in turns]

    def _withhold(self, rows: list[LedgerRow]) -> None:
        self._write_unsent(rows)
        self.counts.finished += len(rows)

    def _write_unsent(self, rows: list[LedgerRow]) -> None:
        self._rows += map(ledger_line, rows)
        if self._brake is not None:
            for row in rows:
                self._brake.release(row.seq)

    def _drop(self, arrival: Arrival) -> None:
        self._withhold(self._unsent(arrival, Outcome.ABORTED, "user_stopped"))

    def drain(self, timeout_s: float, *, left: bool = False) -> None:
        """Send nothing new, wait for what is in flight, give up on the rest, then `finish`.

        Returns when the master has everything, or was silent for too long. `left`: nobody asked for the
        end of the run, this worker alone goes.
        """
        self._left = self._left or (left and not self._finished)
        if self._finished:
            self._parted.wait(LOST_AFTER_S)
            return
        self._pool.close()
        self._over.set()
        self._stop_feeding()
        self._wait_until_idle(timeout_s)
        self._driver.abort()
        self._wait_until_idle(ABORT_S)
        self.finish()

    def _wait_until_idle(self, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while not self._is_idle() and time.monotonic() < until:
            gevent.sleep(0.02)

    def finish(self) -> None:
        """Ship what is left and say goodbye. Every way a run can end comes through here.

        Several may at once (a Ctrl-C reaches master and worker): whoever is second waits for the first, since
        the process may be gone when it returns.
        """
        if self._finished:
            self._parted.wait(LOST_AFTER_S)
            return
        self._finished = True
        self._stop_feeding()
        self._pool.close()
        self._ship()
        self._outbox.put({"farewell": self._farewell()})
        self._meter.stop()
        self._alarm.close()
        self._driver.close()
        self._outbox.settle(LOST_AFTER_S)
        self._parted.set()

    def _farewell(self) -> dict[str, Any]:
        return {
            "run_id": self._part.run_id,
            "worker": self._part.worker,
            "epoch_ns": self._epoch.utc_ns,
            "rows": self._shipped,
            "offered": self.counts.offered,
            "exhausted": self._exhausted,
            "left": self._left,
            "resent": self._outbox.resent,
            **clock_facts(self._epoch, self._clock),
            "spending": None if self._brake is None else self._brake.report(),
            "stopped": [
                {
                    "target": target,
                    "status": trip.status,
                    "message": template(trip.message),
                    "skipped": trip.skipped,
                }
                for target, trip in self._breaker.trips.items()
            ],
        }

    def _stop_feeding(self) -> None:
        if self.closed is not None:
            self.closed.end()
        for greenlet in self._greenlets:
            if greenlet is not gevent.getcurrent():
                greenlet.kill(block=False)

    def _feed(self) -> None:
        """Hand each arrival to a waiting user at its due instant; count those nobody can take."""
        for arrival in self._arrivals:
            if arrival.turn:  # its conversation was handed over as a whole
                continue
            due_ns = self._recorder.zero_ns + arrival.due_ns
            self._alarm.wait_until(due_ns)
            if self._brake and not reserve_arrival(self._brake, self._costs, arrival):
                self._is_spent = True
                return
            self.counts.offered += arrival.turns
            if not self._pool.hand_over(arrival):
                self.counts.missed += arrival.turns
                self._write_unsent(self._unsent(arrival, Outcome.MISSED, None))
        self._exhausted = True

    def _feed_closed(self, closed: ClosedFeed) -> None:
        """Let users ask until the time is over."""
        closed.run(self._recorder.zero_ns)
        self._exhausted = True
        self._pool.close()

    def _count_asked(self, arrival: Arrival) -> None:
        self.counts.offered += arrival.turns

    def _tick(self) -> None:
        """Ship rows and health once a second, and end the session when its schedule is done."""
        next_ns = time.monotonic_ns()
        while True:
            gevent.sleep(0.05)
            if (self._exhausted or self._is_spent) and self._is_idle():
                self.finish()
                return
            if time.monotonic_ns() >= next_ns:
                next_ns = time.monotonic_ns() + int(SHIP_EVERY_S * _NS_PER_S)
                self._ship()

    def _is_idle(self) -> bool:
        return self.counts.offered == self.counts.missed + self.counts.finished

    def _ship(self) -> None:
        rows, self._rows = self._rows, []
        self._shipped += len(rows)
        now_ns = self._epoch.utc_of(time.monotonic_ns())
        news = {
            "sample": self._meter.sample(self.counts, now_ns) | {"gaps": self._take_gaps()},
            "targets": {name: _summary(target) for name, target in self._progress.items()},
            "offered": self.counts.offered,
            "errors": self.counts.errors,
            "spending": None if self._brake is None else self._brake.report(),
        }
        self._progress.clear()
        self._outbox.put({"news": news}, b"".join(rows))

    def _take_gaps(self) -> list[dict[str, object]]:
        """Return the times between tokens that were counted since the last sample."""
        taken: list[dict[str, object]] = [
            {"phase": phase, "target": target, "arm": arm, "buckets": gaps.take()}
            for (phase, target, arm), gaps in self._gaps.items()
        ]
        return [one for one in taken if one["buckets"]]

    def _note(self, row: LedgerRow) -> None:
        progress = self._progress[row.target]
        progress.finished += 1
        if row.outcome != Outcome.OK or row.check_failed is not None:
            progress.errors += 1
            self.counts.errors += 1
        if row.first_token_ns is not None:
            progress.ttft_ns.append(row.first_token_ns - row.due_ns)


def failed_farewell(part: Share, error: Exception) -> dict[str, Any]:
    """Return what a worker says when it could not even begin."""
    text = template(f"{type(error).__name__}: {error}")
    return {
        "run_id": part.run_id,
        "worker": part.worker,
        "epoch_ns": 0,
        "rows": 0,
        "offered": 0,
        "exhausted": False,
        "spending": None,
        "stopped": [],
        "problem": f"worker {part.worker} could not start: {text}",
    }


def _summary(target: TargetProgress) -> dict[str, object]:
    ordered = sorted(target.ttft_ns)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] if ordered else None
    return {"finished": target.finished, "errors": target.errors, "ttft_p95_ns": p95}
