"""Locust users that work off a scenario."""

from __future__ import annotations

from typing import Any

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
        arrival: Arrival = self._worker.pool.wait()
        return arrival

    def send(self, arrival: Arrival) -> None:
        """Send the request an arrival stands for, and write its ledger row."""
        self._worker.serve(arrival)

    @property
    def _worker(self) -> Any:
        return self.environment.tfy_worker
