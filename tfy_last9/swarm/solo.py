"""One user under a debugger (`run_single_user`): requests are sent and printed, no run is recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gevent.event import Event
from locust.env import Environment

from tfy_last9.arrivals.closed import ClosedLoop
from tfy_last9.arrivals.schedule import Arrival, schedule
from tfy_last9.model.scenario import Scenario
from tfy_last9.swarm.call import Answer, Driver, Sent, Wish
from tfy_last9.swarm.conversing import Conversation
from tfy_last9.swarm.firing import tell_locust
from tfy_last9.swarm.pool import Ticket
from tfy_last9.swarm.record import Epoch, Recorder


class Solo:
    """Stands where a `Worker` does; nothing is due, and nothing is over, before the debugger says so."""

    def __init__(self, environment: Environment, scenario: Scenario, driver: Driver) -> None:
        self._environment = environment
        self._scenario = scenario
        self._driver = driver
        self._recorder = Recorder(scenario, "debug", 0, Epoch.now())
        self._recorder.zero_ns = time.monotonic_ns()
        self._loop = ClosedLoop(scenario, 0, 1)
        self._arrivals = self._forever()

    def next_arrival(self, _: Ticket | None = None) -> Arrival:
        """Return the next request of the scenario, at once."""
        return next(self._arrivals)

    def serve(self, arrival: Arrival, wish: Wish | None = None) -> Sent | None:
        """Send an arrival's requests; Locust prints them."""
        arrival = arrival._replace(due_ns=time.monotonic_ns() - self._recorder.zero_ns)
        conversation = Conversation(self._recorder, arrival, Event(), wish)
        sent = None
        for call in conversation:
            answer = Answer(started_ns=time.monotonic_ns(), facts=call.outgoing.facts())
            self._driver.send(call, answer)
            conversation.take(answer)
            row = self._recorder.row(call, answer)
            tell_locust(self._environment, row)
            sent = Sent(row, answer.facts.said().text if call.outgoing.is_kept else "")
        return sent

    def ask(self, target: str, wish: Wish) -> Sent | None:
        """Send what the user wants, now. Raises `KeyError` for an unknown target."""
        names = [one.name for one in self._scenario.targets]
        if target not in names:
            raise KeyError(f"the scenario has no target {target!r}; it has {', '.join(names)}")
        arrival = self._loop.take(0, names.index(target), wish.turns)
        assert arrival is not None
        return self.serve(arrival, wish)

    def pause_s(self) -> float:
        """Return how long the scenario lets a user pause, seconds."""
        return self._loop.pause_s()

    def _forever(self) -> Iterator[Arrival]:
        while True:
            yield from (one for one in schedule(self._scenario) if one.turn == 0)
            if self._scenario.is_closed and (arrival := self._loop.take(0)) is not None:
                yield arrival
