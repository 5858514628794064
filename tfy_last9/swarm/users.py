"""Locust users: one kind works off a scenario, the other decides for itself what to send and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from locust import User

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Message, Prompt
from tfy_last9.swarm.call import Wish

_NS_PER_S = 1e9
Said = str | Iterable[Mapping[str, str]]
"""A user message, or messages with `role` and `content`."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a request ended: the facts of its ledger row that a user may want to act on."""

    outcome: str
    """`ok`, or one of the other outcomes of the ledger."""
    status: int | None
    ttft_s: float | None
    """To the first token; None where there was none."""
    total_s: float
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    error: str | None
    request_id: str
    trace_id: str | None

    @property
    def ok(self) -> bool:
        """Tell whether the answer was complete and good."""
        return self.outcome == Outcome.OK

    @classmethod
    def of(cls, row: LedgerRow) -> Reply:
        """Read a row; times count from the moment the user asked."""
        first, finished = row.first_token_ns, row.finished_ns
        return cls(
            outcome=row.outcome,
            status=row.status,
            ttft_s=None if first is None else (first - row.due_ns) / _NS_PER_S,
            total_s=0.0 if finished is None else (finished - row.due_ns) / _NS_PER_S,
            finish_reason=row.finish_reason,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            error=None if row.error_type is None else f"{row.error_type}: {row.error_message}",
            request_id=row.request_id,
            trace_id=row.trace_id,
        )


class _Attached(User):
    """A user of a process in which `install()` was called."""

    abstract = True

    def wait_time(self) -> float:
        """Return the pause between tasks: the scenario's `think`, unless a class says otherwise."""
        pause_s: float = self._worker.pause_s()
        return pause_s

    @property
    def _worker(self) -> Any:
        return self.environment.tfy_worker


class ScenarioUser(_Attached):
    """One concurrent request slot: waits for the next due arrival, sends it, waits again.

    Subclass it in a locustfile and give it a task::

        class ChatUser(ScenarioUser):
            @task
            def chat(self):
                self.send(self.next_arrival())

    In a closed loop the next arrival is due at once, after the scenario's `think`.
    """

    abstract = True

    def next_arrival(self) -> Arrival:
        """Wait until a request is due; ends this user when the schedule is over."""
        arrival: Arrival = self._worker.next_arrival()
        return arrival

    def send(self, arrival: Arrival) -> None:
        """Send the request an arrival stands for, and write its ledger row."""
        self._worker.serve(arrival)


class GatewayUser(_Attached):
    """A user that decides what it asks, written as any Locust user: tasks, weights, tags, `wait_time`.

    The scenario (`arrivals: {kind: closed, users: ...}`) says which targets there are, for how long the run
    goes on and what is judged; each call leaves a ledger row like any other::

        class ChatUser(GatewayUser):
            @task
            def ask(self):
                self.chat("openai", "Why is the sky blue?", max_tokens=60)
    """

    abstract = True

    def chat(
        self, target: str, said: Said, *, max_tokens: int | None = None, **body: object
    ) -> Reply:
        """Ask a target of the scenario and wait for the end of its answer; a failure is no exception.

        `body` is merged into the request. Raises `KeyError` for a target that the scenario does not have;
        ends this user when the run is over.
        """
        return Reply.of(self._worker.ask(target, Wish(_prompt(said), max_tokens, body)))


def _prompt(said: Said) -> Prompt:
    if isinstance(said, str):
        return Prompt((Message("user", said),))
    return Prompt(tuple(Message(one["role"], one["content"]) for one in said))
