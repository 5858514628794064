"""Closed-loop users with a driver double: they ask until the time is over, and every request leaves a row."""

import json
import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from locust.exception import StopUser
from session_cases import DriverDouble

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.model.conversation import McpCall, McpScript
from tfy_last9.model.scenario import Api, Message, Phase, Prompt
from tfy_last9.swarm.account import Share
from tfy_last9.swarm.call import Wish
from tfy_last9.swarm.pool import UserPool
from tfy_last9.swarm.record import Epoch
from tfy_last9.swarm.relay import Outbox
from tfy_last9.swarm.session import Session

ROOT = Path(__file__).parents[4]
CLOSED = load_scenario(ROOT / "scenarios" / "closed.yaml")
SCENARIO = replace(CLOSED, think_s=0.0, phases=(Phase("steady", 0.4, 0.0, True),))


class Worker:
    """A session whose users loop over the scenario's mix."""

    def __init__(self, driver, scenario=SCENARIO, users=4):
        self.pool, self.messages = UserPool(), []
        part = Share("run-1", 1, 3, time.time_ns() + 20_000_000)
        self.outbox = Outbox(part.run_id, part.worker, self.post)
        self.session = Session(
            *(scenario, part, Epoch.now(), driver, self.pool, self.outbox, lambda _: None)
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
                self.session.serve(self.pool.wait())
                gevent.sleep(self.session.closed.pause_s())

    def farewell(self, timeout_s=5):
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if found := [data["farewell"] for data in self.messages if "farewell" in data]:
                gevent.joinall(self.users, timeout=1)
                return found[0]
            gevent.sleep(0.01)
        raise AssertionError("the session did not end")

    @property
    def rows(self):
        packed = [data["rows"] for data in self.messages if "rows" in data]
        return [json.loads(line) for rows in packed for line in zlib.decompress(rows).splitlines()]


def test_each_user_asks_again_when_it_was_answered_and_stops_when_the_time_is_over():
    worker = Worker(DriverDouble(delay_s=0.05))
    farewell = worker.farewell()
    rows = worker.rows
    assert farewell["exhausted"]
    assert farewell["offered"] == farewell["rows"] == len(rows)
    assert 4 < len(rows) <= 4 * 9
    assert sorted(row["seq"] for row in rows) == [3 * k + 1 for k in range(len(rows))]
    assert all(row["due_ns"] <= row["started_ns"] for row in rows)
    assert Counter(row["outcome"] for row in rows) == {"ok": len(rows)}
    assert all(user.dead for user in worker.users)


def test_no_more_requests_are_open_than_there_are_users():
    worker = Worker(DriverDouble(delay_s=60), users=3)
    gevent.sleep(0.2)
    assert worker.session.counts.offered == worker.session.counts.in_flight == 3
    worker.session.drain(0.05)
    assert Counter(row["outcome"] for row in worker.rows) == {"aborted": 3}


def test_users_of_a_stopped_target_do_not_spin():
    worker = Worker(DriverDouble(status=401), users=2)
    worker.farewell()
    skipped = [row for row in worker.rows if row.get("error_type") == "target_stopped"]
    assert len(skipped) <= 4


def test_a_draining_session_answers_nobody():
    worker = Worker(DriverDouble(delay_s=0.01))
    gevent.sleep(0.1)
    worker.session.drain(1)
    assert worker.session.closed.ask("openai") is None
    farewell = worker.farewell()
    assert not farewell["exhausted"]
    assert farewell["offered"] == farewell["rows"] == len(worker.rows)


def test_a_user_that_decides_itself_is_served_like_any_other():
    seen = []

    class Seeing(DriverDouble):
        def send(self, call, answer):
            seen.append(call)
            super().send(call, answer)

    worker = Worker(Seeing(), users=0)
    asked = gevent.spawn(worker.session.closed.ask, "gemini")
    arrival = asked.get(timeout=1)
    wish = Wish(Prompt((Message("user", "Hm?"),)), 7, {"temperature": 0.5})
    row, text = worker.session.serve(arrival, wish)
    assert (row.target, row.provider, row.outcome, text) == ("gemini", "gemini", "ok", "")
    (call,) = seen
    body = call.outgoing.body
    assert body["messages"] == [{"role": "user", "content": "Hm?"}]
    assert (body["max_tokens"], body["temperature"]) == (7, 0.5)
    assert not call.outgoing.is_kept
    with pytest.raises(KeyError, match="no target 'nobody'; it has openai, anthropic, gemini"):
        worker.session.closed.ask("nobody")
    worker.session.drain(1)
    assert [row["seq"] for row in worker.rows] == [arrival.seq]


MCP = replace(
    SCENARIO,
    targets=(
        *SCENARIO.targets,
        replace(
            SCENARIO.targets[0],
            name="tools",
            api=Api.MCP,
            stream=False,
            mcp=McpScript((McpCall("search", {}),)),
        ),
    ),
)


def test_an_mcp_call_is_a_session_of_three_requests_with_numbers_of_their_own():
    seen = []

    class Seeing(DriverDouble):
        def send(self, call, answer):
            seen.append(call)
            super().send(call, answer)

    worker = Worker(Seeing(), MCP, users=0)
    script = McpScript((McpCall("lookup", {"q": 1}),), list_tools=False)
    wish = Wish(Prompt(()), is_kept=True, mcp=script)
    arrivals = [gevent.spawn(worker.session.closed.ask, "tools", wish.turns) for _ in range(2)]
    for asked in arrivals:
        worker.session.serve(asked.get(timeout=1), wish)
    worker.session.drain(1)
    operations = [call.outgoing.operation for call in seen]
    assert operations == ["initialize", "notifications/initialized", "tools/call"] * 2
    assert seen[2].outgoing.body["params"] == {"name": "lookup", "arguments": {"q": 1}}
    rows = worker.rows
    assert len({row["seq"] for row in rows}) == len(rows) == 6
    assert rows[2]["tool"] == "lookup"
    assert worker.session.counts.offered == 6
