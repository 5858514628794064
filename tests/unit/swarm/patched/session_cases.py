"""One worker's share of a run with a driver double: every arrival leaves exactly one row."""

import json
import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from gevent.event import Event
from locust.exception import StopUser

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.schedule import Arrival, planned
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Phase
from tfy_last9.swarm.account import Share
from tfy_last9.swarm.pool import UserPool
from tfy_last9.swarm.record import Epoch
from tfy_last9.swarm.relay import Outbox
from tfy_last9.swarm.session import Session

ROOT = Path(__file__).parents[4]
SHORT = load_scenario(ROOT / "tests" / "data" / "short.yaml")
SCENARIO = replace(SHORT, phases=(Phase("steady", 0.5, 100.0, True),))
ARRIVAL = Arrival(0, 0, "steady", 0, 0)
TOTAL = planned(SCENARIO).total()


class DriverDouble:
    """Answers after `delay_s`; a refusing one says 401; aborting wakes whoever waits."""

    def __init__(self, delay_s=0.0, status=200):
        self._delay_s = delay_s
        self._status = status
        self._over = gevent.event.Event()
        self.sent = 0
        self.closed = False

    def send(self, _, answer):
        self.sent += 1
        answer.written = True
        if self._over.wait(self._delay_s):
            answer.fail(Outcome.ABORTED, "run_over", "the run ended first")
        elif self._status == 200:
            answer.outcome = Outcome.OK
        else:
            answer.fail(Outcome.REJECTED_AUTH, "auth", "wrong key sk-1234567890abcdefgh")
        answer.status = self._status
        answer.finished_ns = time.monotonic_ns()

    def abort(self):
        self._over.set()

    def close(self):
        self.closed = True


class Worker:
    """A session with its users, and what it sent to the master."""

    def __init__(self, driver, users=2 * TOTAL, workers=1, tally=None):
        self.pool = UserPool()
        self.messages = []
        self.fired = []
        part = Share("run-1", 0, workers, time.time_ns() + 20_000_000)
        outbox = Outbox(part.run_id, part.worker, self.post)
        self.outbox = outbox
        self.session = Session(
            *(SCENARIO, part, Epoch.now(), driver, self.pool, outbox, self.fired.append),
            tally=tally,
        )
        self.users = [gevent.spawn(self.work) for _ in range(users)]
        gevent.sleep(0)
        self.session.start()

    def post(self, data):
        self.messages.append(data)
        self.outbox.acknowledge(data["number"])

    def work(self):
        with suppress(StopUser):
            while True:
                self.serve(self.pool.wait(self.ticket()))

    def ticket(self):
        return None

    def serve(self, arrival):
        self.session.serve(arrival)

    def until_done(self, timeout_s=5):
        until = time.monotonic() + timeout_s
        while not self.of("farewell"):
            assert time.monotonic() < until, "the session did not end"
            gevent.sleep(0.01)
        gevent.joinall(self.users, timeout=1)

    def of(self, part):
        return [data[part] for data in self.messages if part in data]

    @property
    def rows(self):
        lines = b"".join(zlib.decompress(rows) for rows in self.of("rows")).splitlines()
        return [json.loads(line) for line in lines]

    @property
    def outcomes(self):
        return Counter(row["outcome"] for row in self.rows)


def test_every_arrival_leaves_one_row_and_then_the_session_ends():
    driver = DriverDouble()
    worker = Worker(driver)
    worker.until_done()
    assert sorted(row["seq"] for row in worker.rows) == list(range(TOTAL))
    assert worker.outcomes == {"ok": TOTAL}
    (done,) = worker.of("farewell")
    assert (done["rows"], done["offered"], done["exhausted"]) == (TOTAL, TOTAL, True)
    assert driver.closed
    assert len(worker.fired) == TOTAL


def test_batches_are_numbered_without_gaps():
    worker = Worker(DriverDouble())
    worker.until_done()
    numbers = [data["number"] for data in worker.messages]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_arrival_that_finds_no_free_user_is_missed_and_never_delayed():
    worker = Worker(DriverDouble(delay_s=0.2), users=1)
    worker.until_done()
    outcomes = worker.outcomes
    assert outcomes["missed"] > TOTAL / 2
    assert outcomes.total() == TOTAL
    missed = [row for row in worker.rows if row["outcome"] == "missed"]
    assert all(row.get("started_ns") is None for row in missed)


def test_latency_counts_from_the_due_instant():
    worker = Worker(DriverDouble(delay_s=0.05))
    worker.until_done()
    assert all(row["due_ns"] <= row["started_ns"] <= row["finished_ns"] for row in worker.rows)
    zero_ns = min(row["due_ns"] for row in worker.rows)
    assert zero_ns > 0


def test_draining_waits_for_what_is_in_flight_and_sends_nothing_new():
    driver = DriverDouble(delay_s=0.1)
    worker = Worker(driver)
    gevent.sleep(0.2)
    sent = driver.sent
    worker.session.drain(timeout_s=5)
    (done,) = worker.of("farewell")
    assert done["offered"] == done["rows"] == len(worker.rows) < TOTAL
    assert done["exhausted"] is False
    assert worker.outcomes == {"ok": len(worker.rows)}
    assert sent <= driver.sent == len(worker.rows)


def test_an_arrival_that_falls_due_while_the_session_is_drained_is_not_missed():
    """The alarm may ring before the kill of the feeding greenlet comes through."""
    worker = Worker(DriverDouble(delay_s=0.1))
    gevent.sleep(0.1)
    worker.session._greenlets[0].kill = lambda **_: None  # the kill comes too late
    worker.session.drain(timeout_s=1)
    assert worker.session.counts.missed == 0
    assert worker.outcomes == {"ok": len(worker.rows)}


def test_draining_gives_up_on_what_does_not_end_and_keeps_its_rows():
    worker = Worker(DriverDouble(delay_s=60))
    gevent.sleep(0.2)
    worker.session.drain(timeout_s=0.05)
    (done,) = worker.of("farewell")
    assert done["offered"] == done["rows"] == len(worker.rows)
    assert worker.outcomes["aborted"] == worker.session.counts.started > 0


def test_draining_twice_says_goodbye_once():
    worker = Worker(DriverDouble())
    gevent.sleep(0.1)
    gevent.joinall([gevent.spawn(worker.session.drain, 1) for _ in range(3)], timeout=5)
    worker.session.finish()
    assert len(worker.of("farewell")) == 1


def test_whoever_drains_second_waits_until_the_goodbye_was_heard():
    """A process that goes when its own part is done takes the farewell with it: a Ctrl-C reaches both sides."""
    worker = Worker(DriverDouble())
    gevent.sleep(0.1)
    heard = Event()
    worker.outbox.settle = lambda _: heard.wait()
    first = gevent.spawn(worker.session.drain, 1)
    gevent.sleep(0.1)
    second = gevent.spawn(worker.session.finish)
    gevent.sleep(0.1)
    assert not first.ready()
    assert not second.ready()
    heard.set()
    gevent.joinall([first, second], timeout=5, raise_error=True)
    assert len(worker.of("farewell")) == 1


def test_a_user_killed_in_the_middle_leaves_an_aborted_row():
    worker = Worker(DriverDouble(delay_s=0.2))
    gevent.sleep(0.15)
    for user in worker.users[:5]:
        user.kill()
    worker.until_done()
    assert worker.outcomes.total() == TOTAL
    assert 1 <= worker.outcomes["aborted"] <= 5
    assert all("finished_ns" in row for row in worker.rows if row["outcome"] == "aborted")


def test_an_arrival_whose_user_is_killed_before_it_begins_goes_to_another_user():
    pool = UserPool()
    taken = []
    first = gevent.spawn(pool.wait)
    second = gevent.spawn(lambda: taken.append(pool.wait()))
    gevent.sleep(0)
    first.kill(block=False)
    assert pool.hand_over(ARRIVAL)
    second.join(timeout=1)
    assert taken == [ARRIVAL]


def test_an_arrival_that_no_user_is_left_for_is_accounted_for():
    pool = UserPool()
    dropped = []
    pool.when_dropped(dropped.append)
    only = gevent.spawn(pool.wait)
    gevent.sleep(0)
    only.kill(block=False)
    assert pool.hand_over(ARRIVAL)
    only.join(timeout=1)
    assert dropped == [ARRIVAL]


def test_a_killed_user_is_not_handed_anything():
    pool = UserPool()
    user = gevent.spawn(pool.wait)
    gevent.sleep(0)
    user.kill()
    assert not pool.hand_over(ARRIVAL)


def test_a_closed_pool_lets_all_users_go_and_can_be_reopened():
    pool = UserPool()
    user = gevent.spawn(pool.wait)
    gevent.sleep(0)
    pool.close()
    with pytest.raises(StopUser):
        user.get(timeout=1)
    with pytest.raises(StopUser):
        pool.wait()
    pool.reopen()
    user = gevent.spawn(pool.wait)
    gevent.sleep(0)
    assert pool.hand_over(ARRIVAL)


def test_a_target_that_keeps_refusing_is_stopped_and_its_arrivals_are_counted():
    driver = DriverDouble(status=401)
    worker = Worker(driver)
    worker.until_done()
    (done,) = worker.of("farewell")
    assert {stop["target"] for stop in done["stopped"]} == {"openai", "anthropic", "gemini"}
    assert {stop["status"] for stop in done["stopped"]} == {401}
    skipped = sum(stop["skipped"] for stop in done["stopped"])
    assert skipped == TOTAL - driver.sent > 0
    unsent = [row for row in worker.rows if row.get("error_type") == "target_stopped"]
    assert len(unsent) == skipped
    assert not any(row["written"] for row in unsent)


def test_no_key_is_in_what_a_stopped_target_says():
    worker = Worker(DriverDouble(status=401))
    worker.until_done()
    assert "sk-1234567890abcdefgh" not in repr(worker.messages)


def test_health_is_reported_with_counts_that_add_up():
    worker = Worker(DriverDouble())
    worker.until_done()
    last = worker.of("news")[-1]
    sample = last["sample"]
    assert last["offered"] == sample["started"] + sample["missed"] == TOTAL
    assert sample["finished"] == TOTAL
    assert sample["in_flight"] == 0
    assert sample["hub_lag_max_ns"] >= sample["hub_lag_p50_ns"] >= 0
