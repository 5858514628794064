"""Locust users that work off a scenario."""

from __future__ import annotations

from typing import Any

import gevent
from locust import User

from tfy_last9.arrivals.schedule import Arrival


class ScenarioUser(User):
    """One concurrent request slot: waits for the next due arrival, sends it, waits again.

    Subclass it in a locustfile and give it a task::

        class ChatUser(ScenarioUser):
            @task
            def chat(self):
                self.send(self.next_arrival())
    """

    abstract = True

    def next_arrival(self) -> Arrival:
        """Wait until a request is due; ends this user when the schedule is over."""
        self._taskset_instance._sleep = self._pause  # noqa: SLF001 - see `_pause`
        arrival: Arrival = self._worker.pool.wait()
        return arrival

    @staticmethod
    def _pause(seconds: float) -> None:
        """Sleep between tasks only if the user wants to: waiting for an arrival is pause enough.

        Locust sleeps for 0 s where no `wait_time` is set, which costs a turn of the hub per request.
        """
        if seconds > 0:
            gevent.sleep(seconds)

    def send(self, arrival: Arrival) -> None:
        """Send the request an arrival stands for, and write its ledger row."""
        self._worker.serve(arrival)

    @property
    def _worker(self) -> Any:
        return self.environment.tfy_worker
