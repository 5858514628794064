"""Two arms, baseline and canary, as a scenario describes them.

    locust -f locustfiles/canary.py                                     # in the browser
    locust -f locustfiles/canary.py --headless                          # in a terminal
    TFY_SCENARIO=scenarios/canary.yaml locust -f locustfiles/canary.py --headless --processes 2

The ledger's column `arm` says where a request went; the verdict holds one comparison per provider.
"""

from locust import task

from tfy_last9.swarm import ScenarioUser, install

install(scenario="scenarios/canary.yaml")


class CanaryUser(ScenarioUser):
    """One concurrent request slot; the schedule chooses the arm."""

    @task
    def chat(self) -> None:
        """Send the next due request."""
        self.send_next()
