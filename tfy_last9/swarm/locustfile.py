"""The locustfile that `tfy-last9 gate` runs: one user class, everything else is in the scenario."""

from locust import task

from tfy_last9.swarm import ScenarioUser, install

install()


class GateUser(ScenarioUser):
    """One concurrent request slot."""

    @task
    def work(self) -> None:
        """Send the next due request."""
        self.send_next()
