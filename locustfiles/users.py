"""Users that decide for themselves: plain Locust tasks on the fast client, with ledger and verdict.

    locust -f locustfiles/users.py                                      # in the browser
    locust -f locustfiles/users.py --headless --tags short              # some tasks only
    tfy-last9 gate scenarios/closed.yaml --sandbox --locustfile locustfiles/users.py
    python locustfiles/users.py                                         # one user, to debug

The scenario names the targets, the number of users and what is judged; these are closed-loop users: each
waits for its answer before it asks again, and every report says so.
"""

from locust import between, run_single_user, tag, task

from tfy_last9 import GatewayUser, install

install(scenario="scenarios/closed.yaml")


class ChatUser(GatewayUser):
    """Asks short questions most of the time, and follows up on one that was answered."""

    wait_time = between(0.1, 0.5)

    @tag("short")
    @task(3)
    def ask(self) -> None:
        """Ask one thing."""
        self.chat("openai", "Why is the sky blue?", max_tokens=40)

    @task
    def compare(self) -> None:
        """Ask two models the same, the second only if the first answered."""
        question = [{"role": "user", "content": "Name three rivers."}]
        if self.chat("anthropic", question, max_tokens=40).ok:
            self.chat("gemini", question, max_tokens=40, temperature=0.2)


if __name__ == "__main__":
    run_single_user(ChatUser)
