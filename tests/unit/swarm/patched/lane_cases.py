"""Requests served for users that wait: each leaves its row and its place in Locust's statistics, and wakes nobody."""

import time

import gevent
import pytest
from locust.env import Environment
from session_cases import SCENARIO, TOTAL, DriverDouble, Worker

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import Outcome
from tfy_last9.swarm.account import Account, Share
from tfy_last9.swarm.firing import Tally, tell_locust
from tfy_last9.swarm.lane import Lane
from tfy_last9.swarm.pool import Ticket, UserPool
from tfy_last9.swarm.record import Epoch

ARRIVAL = Arrival(0, 0, "steady", 0, 0)


class Quick(DriverDouble):
    """Answers from the hub; `is_ready` False: it would have to wait."""

    def __init__(self, **more):
        super().__init__(**more)
        self.is_ready = True
        self.begun = 0

    def begin(self, _, answer, then):
        if not self.is_ready:
            return None
        self.begun += 1
        answer.written = True

        def end(outcome):
            if answer.finished_ns is None:
                answer.finished_ns = answer.facts.first_token_ns = time.monotonic_ns()
                answer.outcome, answer.status = outcome, 200
                then()

        gevent.spawn_later(self._delay_s, end, Outcome.OK)
        return lambda: end(Outcome.ABORTED)


class Lending(Worker):
    """A session whose users lend themselves."""

    def __init__(self, driver, **more):
        self.woken = 0
        self.environment = Environment()
        self.environment.create_local_runner()
        super().__init__(driver, tally=Tally(self.environment), **more)

    def ticket(self):
        return Ticket(is_lent=True)

    def serve(self, arrival):
        self.woken += 1
        super().serve(arrival)

    @property
    def told(self):
        return {key: entry.num_requests for key, entry in self.environment.stats.entries.items()}


def test_waiting_users_are_not_woken_and_every_arrival_leaves_a_row():
    driver = Quick()
    worker = Lending(driver)
    worker.until_done()
    assert (driver.begun, driver.sent, worker.woken) == (TOTAL, 0, 0)
    assert sorted(row["seq"] for row in worker.rows) == list(range(TOTAL))
    assert worker.outcomes == {"ok": TOTAL}
    sample = worker.of("news")[-1]["sample"]
    assert (sample["started"], sample["finished"], sample["in_flight"]) == (TOTAL, TOTAL, 0)


def test_locust_counts_every_request_once():
    worker = Lending(Quick())
    worker.until_done()
    told = worker.told
    assert worker.environment.stats.total.num_requests == TOTAL
    assert sum(count for (_, kind), count in told.items() if kind == "CHAT") == TOTAL
    assert sum(count for (_, kind), count in told.items() if kind == "TTFT") == TOTAL


def test_whoever_listens_to_requests_gets_an_event_for_each():
    worker = Lending(Quick())
    worker.environment.events.request.add_listener(lambda **_: None)
    worker.until_done()
    assert worker.woken == len(worker.fired) == TOTAL
    assert worker.outcomes == {"ok": TOTAL}


def test_what_would_have_to_wait_is_left_to_the_user():
    driver = Quick()
    driver.is_ready = False
    worker = Lending(driver)
    worker.until_done()
    assert driver.sent == worker.woken == TOTAL
    assert worker.outcomes == {"ok": TOTAL}


def test_one_user_serves_one_request_at_a_time():
    worker = Lending(Quick(delay_s=0.2), users=1)
    worker.until_done()
    assert worker.outcomes["missed"] > TOTAL / 2
    assert worker.outcomes.total() == TOTAL


def test_a_waiting_user_that_is_killed_ends_the_request_served_for_it():
    worker = Lending(Quick(delay_s=0.3), users=TOTAL)
    while worker.session.counts.in_flight < 5:
        gevent.sleep(0.005)
    for user in worker.users[:5]:
        user.kill()
    worker.until_done()
    assert worker.outcomes == {"ok": TOTAL - 5, "aborted": 5}
    assert worker.environment.stats.total.num_failures == 5


def test_a_user_that_is_to_leave_does_so_when_its_request_is_over():
    pool, ticket = UserPool(), Ticket(is_lent=True)
    user = gevent.spawn(pool.wait, ticket)
    gevent.sleep(0)
    assert pool.take() is ticket
    ticket.give_up = lambda: None
    ticket.leave()
    gevent.sleep(0)
    assert not user.ready()
    pool.take_back(ticket)
    user.join(timeout=1)
    assert user.ready()
    assert pool.take() is None


def test_an_idle_user_that_is_to_leave_does_so_at_once():
    pool, ticket = UserPool(), Ticket(is_lent=True)
    user = gevent.spawn(pool.wait, ticket)
    gevent.sleep(0)
    ticket.leave()
    user.join(timeout=1)
    assert user.ready()
    assert not pool.hand_over(ARRIVAL)


def test_an_arrival_handed_over_before_its_user_was_told_to_leave_is_not_lost():
    pool, ticket = UserPool(), Ticket(is_lent=True)
    user = gevent.spawn(pool.wait, ticket)
    gevent.sleep(0)
    assert pool.hand_over(ARRIVAL)
    ticket.leave()
    assert user.get(timeout=1) == ARRIVAL


@pytest.mark.parametrize("bad", [Ticket(), Ticket(is_lent=True)], ids=["not lent", "two turns"])
def test_only_single_requests_of_users_that_lend_themselves_are_served(bad):
    environment = Environment()
    account = Account(SCENARIO, Share("run-1", 0, 1, 0), Epoch.now())
    lane = Lane(account, Quick(), UserPool(), Tally(environment))
    arrival = ARRIVAL._replace(turns=2) if bad.is_lent else ARRIVAL
    assert not lane.serve(arrival, bad)
    assert account.counts.started == 0


def test_told_together_or_one_by_one_locusts_statistics_are_the_same():
    worker = Lending(Quick(delay_s=0.01))
    rows = []
    take = Tally.take
    worker.session._tally.take = lambda row: (rows.append(row), take(worker.session._tally, row))
    worker.until_done()
    other = Environment()
    other.create_local_runner()
    for row in rows:
        tell_locust(other, row)
    for key, entry in [*other.stats.entries.items(), (None, other.stats.total)]:
        mine = worker.environment.stats.total if key is None else worker.environment.stats.get(*key)
        for name in ("num_requests", "num_failures", "total_content_length", "response_times"):
            assert getattr(mine, name) == getattr(entry, name), (key, name)
        assert mine.total_response_time == pytest.approx(entry.total_response_time)
        assert mine.min_response_time == entry.min_response_time
        assert mine.max_response_time == entry.max_response_time
