"""Chat traffic as a scenario describes it.

    locust -f locustfiles/chat.py                                       # in the browser
    locust -f locustfiles/chat.py --headless                            # in a terminal
    TFY_SCENARIO=scenarios/smoke.yaml locust -f locustfiles/chat.py --headless --processes 2

The scenario says what is sent and when; the number of users is the most requests at a time.
"""

from locust import task

from tfy_last9.swarm import ScenarioUser, install

install()


class ChatUser(ScenarioUser):
    """One concurrent request slot."""

    @task
    def chat(self) -> None:
        """Send the next due request."""
        self.send_next()
