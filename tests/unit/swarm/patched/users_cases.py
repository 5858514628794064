"""Users in Python: what they ask reaches the client, and what they get back is their ledger row."""

from pathlib import Path

import pytest
from locust import task
from locust.env import Environment
from session_cases import DriverDouble

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.errors import ConfigurationError
from tfy_last9.swarm import GatewayUser, ScenarioUser
from tfy_last9.swarm.plugin import _check_users
from tfy_last9.swarm.solo import Solo

ROOT = Path(__file__).parents[4]
CLOSED = load_scenario(ROOT / "scenarios" / "closed.yaml")
OPEN = load_scenario(ROOT / "tests" / "data" / "short.yaml")


class Seeing(DriverDouble):
    """Remembers the calls, and answers at once."""

    def __init__(self, **more):
        super().__init__(**more)
        self.calls = []

    def send(self, call, answer):
        self.calls.append(call)
        super().send(call, answer)


class Asking(GatewayUser):
    @task
    def ask(self):
        pass


class Serving(ScenarioUser):
    @task
    def serve(self):
        self.send(self.next_arrival())


def alone(kind, driver, scenario=CLOSED):
    """Return one user as `run_single_user` makes it, and what Locust was told."""
    environment, told = Environment(user_classes=[kind]), []
    environment.events.request.add_listener(lambda **request: told.append(request))
    environment.tfy_worker = Solo(environment, scenario, driver)
    return kind(environment), told


def test_what_a_user_says_goes_to_the_target_it_names():
    driver = Seeing()
    user, told = alone(Asking, driver)
    reply = user.chat("gemini", "Hm?", max_tokens=9, temperature=0.1)
    (call,) = driver.calls
    body = call.outgoing.body
    assert (call.target.name, body["max_tokens"], body["temperature"]) == ("gemini", 9, 0.1)
    assert body["messages"] == [{"role": "user", "content": "Hm?"}]
    assert reply.ok
    assert (reply.status, reply.error, reply.ttft_s) == (200, None, None)
    assert reply.total_s >= 0
    assert [request["name"] for request in told] == ["gemini"]


def test_messages_are_sent_as_they_are_said():
    driver = Seeing()
    user, _ = alone(Asking, driver)
    user.chat(
        "openai", [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Hm?"}]
    )
    said = driver.calls[0].outgoing.body["messages"]
    assert [one["role"] for one in said] == ["system", "user"]


def test_a_failure_is_a_reply_and_no_exception():
    user, told = alone(Asking, Seeing(status=401))
    reply = user.chat("openai", "Hm?")
    assert not reply.ok
    assert (reply.outcome, reply.status) == ("rejected_auth", 401)
    assert reply.error.startswith("auth: ")
    assert "rejected_auth" in str(told[0]["exception"])


def test_an_unknown_target_is_an_error_that_names_the_known_ones():
    user, _ = alone(Asking, Seeing())
    with pytest.raises(KeyError, match="it has openai, anthropic, gemini"):
        user.chat("nobody", "Hm?")


def test_the_scenario_says_how_long_a_user_thinks_unless_its_class_does():
    user, _ = alone(Asking, Seeing())
    assert user.wait_time() > 0
    other, _ = alone(Serving, Seeing(), OPEN)
    assert other.wait_time() == 0


@pytest.mark.parametrize("scenario", [OPEN, CLOSED])
def test_a_scenario_user_under_the_debugger_sends_what_comes_next_at_once(scenario):
    driver = Seeing()
    user, told = alone(Serving, driver, scenario)
    for _ in range(5):
        user.serve()
    assert len(driver.calls) == len(told) == 5
    assert len({call.request_id for call in driver.calls}) == 5


def test_users_that_decide_themselves_need_a_closed_loop():
    _check_users([Asking, Serving], CLOSED)
    _check_users([Serving], OPEN)
    with pytest.raises(ConfigurationError, match="Asking decides itself when to send"):
        _check_users([Serving, Asking], OPEN)


def test_a_user_lends_itself_unless_its_class_has_pauses_of_its_own():
    class Pausing(ScenarioUser):
        def wait_time(self):
            return 1.0

    for kind, is_lent in ((Serving, True), (Pausing, False)):
        user, _ = alone(kind, Seeing(), OPEN)
        tickets, next_arrival = [], user.environment.tfy_worker.next_arrival
        user.environment.tfy_worker.next_arrival = (
            lambda ticket, tickets=tickets, then=next_arrival: (
                tickets.append(ticket),
                then(ticket),
            )[1]
        )
        user.send_next()
        assert [ticket.is_lent for ticket in tickets] == [is_lent]
