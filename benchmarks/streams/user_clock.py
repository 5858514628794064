"""The gate's locustfile on a kernel that stamps nothing: what the same client reads by the user clock."""

from __future__ import annotations

from locust import task

from tfy_last9.swarm import ScenarioUser, install, transport

transport.ask_for_stamps = lambda _: None  # type: ignore[assignment]
install()


class UnstampedUser(ScenarioUser):
    """One concurrent request slot."""

    @task  # type: ignore[untyped-decorator]
    def work(self) -> None:
        """Send the next due request."""
        self.send_next()
