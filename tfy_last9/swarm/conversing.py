"""The requests of one arrival, in order: one for most, several for a conversation or an MCP session.

A later turn is due when the answer before it is over and the user has thought. After an answer that is no
good one, or when the run is over, the rest is not sent; every turn that was planned leaves a row all the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.swarm.call import Answer, Call, Wish
from tfy_last9.swarm.record import Recorder
from tfy_last9.wire.scripts import Unsendable

SESSION_ENDED = "session_ended"
"""`error_type` of turns that were not sent because one before them did not end well."""
RUN_OVER = "run_over"
_NS_PER_S = 1_000_000_000


class Conversation:
    """Iterate to get the calls that are due; `take` each one's answer before the next."""

    def __init__(
        self, recorder: Recorder, arrival: Arrival, over: Any, wish: Wish | None = None
    ) -> None:
        """`over` is an event that is set when nothing new may be sent; a `wish` takes no pauses."""
        self._recorder = recorder
        self._arrival = arrival
        self._over = over
        self._wish = wish
        self._script = recorder.script(arrival, wish)
        self._turn = 0
        self._ended_ns = 0
        self._goes_on = True
        self._why = SESSION_ENDED
        self._unsent: list[LedgerRow] = []

    def __iter__(self) -> Iterator[Call]:
        """Yield one call after the other, each at the instant it is due."""
        while self._goes_on and self._turn < self._arrival.turns:
            arrival = self._arrival.at_turn(self._turn)
            due_ns = None
            if self._turn:
                pause_ns = self._recorder.pause_ns(arrival) if self._wish is None else 0
                due_ns = self._ended_ns + pause_ns
                if self._over.wait((due_ns - time.monotonic_ns()) / _NS_PER_S):
                    self._why = RUN_OVER
                    return
            self._turn += 1
            try:
                call = self._recorder.call(arrival, self._script, due_ns)
            except Unsendable as reason:
                row = self._recorder.unsent(arrival, Outcome.ABORTED, str(reason), self._wish)
                self._unsent.append(row)
                self._ended_ns = due_ns or self._ended_ns  # the next pause begins here
            else:
                yield call if self._wish is None else self._wish.read(call)

    def take(self, answer: Answer) -> None:
        """Take the answer to the last call: it says whether there is a next turn, and what it says."""
        assert answer.finished_ns is not None
        self._ended_ns = answer.finished_ns
        self._goes_on = answer.outcome is Outcome.OK
        if self._goes_on and self._turn < self._arrival.turns:
            self._script.take(answer.headers, answer.facts)

    def rest(self) -> list[LedgerRow]:
        """Return the rows of all turns that were not sent."""
        left = range(self._turn, self._arrival.turns)
        rows = [
            self._recorder.unsent(self._arrival.at_turn(n), Outcome.ABORTED, self._why, self._wish)
            for n in left
        ]
        return [*self._unsent, *rows]
