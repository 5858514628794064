"""One worker's part of one run: feeds users, makes rows, ships them, and ends without losing any."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event

from tfy_last9.arrivals.closed import ClosedLoop
from tfy_last9.arrivals.schedule import Arrival, share
from tfy_last9.model.request import LedgerRow
from tfy_last9.model.scenario import Scenario
from tfy_last9.swarm.account import Account, Share
from tfy_last9.swarm.alarm import Alarm
from tfy_last9.swarm.call import Answer, Call, Driver, Sent, Wish
from tfy_last9.swarm.clocks import ClockSync
from tfy_last9.swarm.closed import ClosedFeed
from tfy_last9.swarm.conversing import Conversation
from tfy_last9.swarm.firing import Tally
from tfy_last9.swarm.lane import Lane
from tfy_last9.swarm.peers import LOST_AFTER_S
from tfy_last9.swarm.pool import UserPool
from tfy_last9.swarm.record import Epoch, clock_facts
from tfy_last9.swarm.relay import Outbox
from tfy_last9.wire.gateway import template

SHIP_EVERY_S = 1.0
"""A worker that is killed loses at most this much of its ledger."""
STOPPED_PAUSE_S = 1.0
"""Of a closed-loop user whose target was stopped."""
ABORT_S = 2.0
"""Long enough for aborted requests to write their rows."""
MOST_AT_ONCE = 32
"""Requests that are begun before the hub looks for answers again, where the schedule is behind."""
DENSE = 16
"""So many arrivals say how close together they are."""
DENSE_NS = DENSE * 100_000
"""Within which they are dense: 10,000 arrivals a second, for one process."""
TOGETHER_NS = 500_000
"""Dense arrivals are begun together, and so late by at most this: setting a kernel timer and being woken by it takes
10 to 20 us of CPU in a virtual machine, as much as half a short request."""
_NS_PER_S = 1_000_000_000
Fire = Callable[[LedgerRow], None]
"""Tells Locust's own statistics about a finished request."""


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
        tally: Tally | None = None,
    ) -> None:
        """With a `tally`, requests may be served without waking users."""
        self._part = part
        self._epoch = epoch
        self._driver = driver
        self._pool = pool
        self._outbox = outbox
        self._fire = fire
        self._clock = clock
        self._tally = tally
        account = self._account = Account(scenario, part, epoch)
        self._lane = None if tally is None else Lane(account, driver, pool, tally)
        self._arrivals: Iterator[Arrival] = share(scenario, part.worker, part.workers)
        self.closed: ClosedFeed | None = None
        """Where users of a closed loop ask; None in an open run, which its schedule feeds."""
        if scenario.is_closed:
            loop = ClosedLoop(scenario, part.worker, part.workers)
            self.closed = ClosedFeed(scenario, loop, pool, self._count_asked)
        self._targets = [target.name for target in scenario.targets]
        self._over: Any = Event()
        self._exhausted = False
        self._is_spent = False
        self._finished = False
        self._parted: Any = Event()
        """Set once the master has the farewell, or was silent for too long."""
        self._left = False
        self._greenlets: list[Any] = []
        self._alarm = Alarm()
        self.counts = account.counts

    def start(self) -> None:
        """Begin feeding users; schedule zero is `start_ns`, normally a moment ahead."""
        self._account.recorder.zero_ns = self._epoch.monotonic_of(self._part.start_ns)
        self._account.meter.start()
        self._pool.when_dropped(self._drop)
        closed = self.closed
        feed = gevent.spawn(self._feed_closed, closed) if closed else gevent.spawn(self._feed)
        self._greenlets = [feed, gevent.spawn(self._tick)]

    def serve(self, arrival: Arrival, wish: Wish | None = None) -> Sent | None:
        """Send an arrival's requests, one after the other, and write a row for each, whatever happens.

        Returns the last that was sent; None when the target was stopped, and so nothing was.
        """
        account = self._account
        if account.breaker.is_stopped(self._targets[arrival.target]):
            account.skip(arrival, "target_stopped", wish)
            if self.closed is not None:  # nothing else would slow its users down
                gevent.sleep(STOPPED_PAUSE_S)
            return None
        if arrival.turns == 1 and wish is None:
            self._send_one(account.recorder.call(arrival))
            return None  # nobody who has no wish asks
        sent = None
        conversation = Conversation(account.recorder, arrival, self._over, wish)
        try:
            for call in conversation:
                answer, row = self._send_one(call)
                conversation.take(answer)
                sent = Sent(row, answer.facts.said().text if call.outgoing.is_kept else "")
        finally:
            account.withhold(conversation.rest())
        return sent

    def _send_one(self, call: Call) -> tuple[Answer, LedgerRow]:
        account = self._account
        answer = account.answer(call)
        account.begin(call, answer)
        try:
            self._driver.send(call, answer)
            account.breaker.take(call.target.name, answer)
        finally:  # a killed greenlet still leaves a row: outcome `aborted`
            row = account.end(call, answer)
        self._fire(row)
        return answer, row

    @property
    def is_over(self) -> bool:
        """Tell whether the session has said goodbye."""
        return self._finished

    def _drop(self, arrival: Arrival) -> None:
        self._account.skip(arrival, "user_stopped")

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
        while not self._account.is_idle and time.monotonic() < until:
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
        self._tell_tally()
        self._ship()
        self._outbox.put({"farewell": self._farewell()})
        self._account.meter.stop()
        self._alarm.close()
        self._driver.close()
        self._outbox.settle(LOST_AFTER_S)
        self._parted.set()

    def _farewell(self) -> dict[str, Any]:
        return {
            "run_id": self._part.run_id,
            "worker": self._part.worker,
            "epoch_ns": self._epoch.utc_ns,
            "exhausted": self._exhausted,
            "left": self._left,
            "resent": self._outbox.resent,
            **clock_facts(self._epoch, self._clock),
            **self._account.balance(),
        }

    def _stop_feeding(self) -> None:
        if self.closed is not None:
            self.closed.end()
        for greenlet in self._greenlets:
            if greenlet is not gevent.getcurrent():
                greenlet.kill(block=False)

    def _feed(self) -> None:
        """Have each arrival served at its due instant; count those nobody can take."""
        account, zero_ns = self._account, self._account.recorder.zero_ns
        recent = deque([-_NS_PER_S], DENSE)
        begun = woke_ns = 0
        for arrival in self._arrivals:
            if arrival.turn:  # its conversation was handed over as a whole
                continue
            due_ns = zero_ns + arrival.due_ns
            recent.append(due_ns)
            if due_ns > time.monotonic_ns():
                is_dense = due_ns - recent[0] < DENSE_NS
                self._alarm.wait_until(max(due_ns, woke_ns + TOGETHER_NS) if is_dense else due_ns)
                begun, woke_ns = 0, time.monotonic_ns()
            elif begun == MOST_AT_ONCE:
                begun = 0
                self._alarm.let_others_run()
            begun += 1
            if (
                self._over.is_set()
            ):  # the alarm rang before the kill came: nobody is left to take it
                return
            if not account.offer(arrival):
                self._is_spent = True
                return
            self._give(arrival)
        self._exhausted = True

    def _give(self, arrival: Arrival) -> None:
        ticket = self._pool.take()
        if ticket is None:
            self._account.miss(arrival)
        elif self._lane is None or not self._lane.serve(arrival, ticket):
            ticket.redeem(arrival)

    def _feed_closed(self, closed: ClosedFeed) -> None:
        """Let users ask until the time is over."""
        closed.run(self._account.recorder.zero_ns)
        self._exhausted = True
        self._pool.close()

    def _count_asked(self, arrival: Arrival) -> None:
        self.counts.offered += arrival.turns

    def _tick(self) -> None:
        """Ship rows and health once a second, and end the session when its schedule is done."""
        next_ns = time.monotonic_ns()
        while True:
            gevent.sleep(0.05)
            self._tell_tally()
            if (self._exhausted or self._is_spent) and self._account.is_idle:
                self.finish()
                return
            if time.monotonic_ns() >= next_ns:
                next_ns = time.monotonic_ns() + int(SHIP_EVERY_S * _NS_PER_S)
                self._ship()

    def _tell_tally(self) -> None:
        if self._tally is not None:
            self._tally.flush()

    def _ship(self) -> None:
        rows = self._account.take_rows()
        self._outbox.put({"news": self._account.take_news()}, rows)


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
