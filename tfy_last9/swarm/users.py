"""Locust users: one kind works off a scenario, the other decides for itself what to send and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import gevent
from locust import User

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.conversation import McpCall, McpScript
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Message, Prompt
from tfy_last9.swarm.call import Sent, Wish
from tfy_last9.swarm.pool import Ticket

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

    text: str
    """What was said, where the call asked to keep it (`keep=True`); MCP: the tool's result."""

    @property
    def ok(self) -> bool:
        """Tell whether the answer was complete and good."""
        return self.outcome == Outcome.OK

    @classmethod
    def of(cls, sent: Sent | None) -> Reply:
        """Read what was sent; None is a target that was stopped. Times count from the moment the user asked."""
        if sent is None:
            stopped = "target_stopped: the target refused too often"
            return cls("aborted", None, None, 0.0, None, None, None, stopped, "", None, "")
        row, text = sent
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
            text=text,
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
                self.send_next()

    In a closed loop the next arrival is due at once, after the scenario's `think`.
    """

    abstract = True
    _ticket: Ticket | None = None

    def send_next(self) -> None:
        """Send the next due request; ends this user when the schedule is over.

        The same as `send(next_arrival())`, and quicker: while this user waits, the process may send any number
        of requests in its place, one at a time, before one needs the user itself.
        """
        has_pauses = type(self).wait_time is not _Attached.wait_time
        self._ticket = Ticket(is_lent=not has_pauses)
        try:
            arrival = self._next(self._ticket)
        finally:
            self._ticket = None
        self.send(arrival)

    def stop(self, force: bool = False) -> bool:  # noqa: FBT001, FBT002 - Locust's signature
        """End this user as Locust does; one that is waiting need not wait for another arrival."""
        if self._ticket is not None and not force:
            self._ticket.leave()
        return bool(super().stop(force))

    def next_arrival(self) -> Arrival:
        """Wait until a request is due; ends this user when the schedule is over."""
        return self._next(None)

    def _next(self, ticket: Ticket | None) -> Arrival:
        if self._taskset_instance is not None:  # None where a task is called by hand
            self._taskset_instance._sleep = self._pause  # noqa: SLF001 - see `_pause`
        arrival: Arrival = self._worker.next_arrival(ticket)
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
        self,
        target: str,
        said: Said,
        *,
        max_tokens: int | None = None,
        keep: bool = False,
        **body: object,
    ) -> Reply:
        """Ask a target of the scenario and wait for the end of its answer; a failure is no exception.

        `body` is merged into the request; with `keep` the reply holds the text. Raises `KeyError` for a target
        that the scenario does not have; ends this user when the run is over.
        """
        wish = Wish(_prompt(said), max_tokens, body, keep)
        return Reply.of(self._worker.ask(target, wish))

    def mcp_call(
        self,
        target: str,
        tool: str,
        arguments: Mapping[str, object] | None = None,
        *,
        keep: bool = False,
    ) -> Reply:
        """Call a tool of an MCP target in a session of its own: handshake and call, a ledger row each.

        The reply is that of the call, or of the request before it that failed.
        """
        script = McpScript((McpCall(tool, arguments or {}),), list_tools=False)
        return Reply.of(self._worker.ask(target, Wish(Prompt(()), is_kept=keep, mcp=script)))


def _prompt(said: Said) -> Prompt:
    if isinstance(said, str):
        return Prompt((Message("user", said),))
    return Prompt(tuple(Message(one["role"], one["content"]) for one in said))
