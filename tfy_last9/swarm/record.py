"""From calls and answers to ledger rows: the one place that knows the row's columns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from tfy_last9.arrivals.arms import destinations
from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.conversation import LONGEST_PAUSE
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Cache, Scenario
from tfy_last9.model.turns import pauses_s
from tfy_last9.swarm.call import Answer, Call, Shape, Wish
from tfy_last9.swarm.clocks import ClockSync, Reading
from tfy_last9.wire.chat import opened_by_nonce
from tfy_last9.wire.gateway import METADATA_HEADER, metadata_header, template
from tfy_last9.wire.gateway_note import read_note
from tfy_last9.wire.outgoing import Outgoing
from tfy_last9.wire.scripts import Script, not_sent, script_of
from tfy_last9.wire.traceparent import trace_ids, traceparent

_NS_PER_S = 1_000_000_000
_EXAMPLE = "example-of-this-shape"
"""In the place of a sequence number: longer than any."""
ERROR_TYPE_LIMIT = 64
"""Characters kept of an error type: providers name them, so they can be anything."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A worker's zero: the same moment on its monotonic clock and in the master's UTC."""

    monotonic_ns: int
    utc_ns: int
    reading: Reading | None = None
    """How the master's clock was read; None where its clock is ours, or where it never answered."""

    @classmethod
    def now(cls) -> Epoch:
        """Read both clocks of this machine."""
        return cls(time.monotonic_ns(), time.time_ns())

    @classmethod
    def by(cls, clock: ClockSync | None, wait_s: float) -> Epoch:
        """Read the monotonic clock here, and UTC from the master if there is one that answers."""
        reading = None if clock is None else clock.best(wait_s)
        if reading is None:
            return cls.now()
        now_ns = time.monotonic_ns()
        return cls(now_ns, now_ns + reading.ahead_ns, reading)

    def since(self, monotonic_ns: int | None) -> int | None:
        """Return a ledger instant; None stays None."""
        return None if monotonic_ns is None else monotonic_ns - self.monotonic_ns

    def utc_of(self, monotonic_ns: int) -> int:
        """Return the master's UTC at a monotonic instant of ours."""
        return self.utc_ns + monotonic_ns - self.monotonic_ns

    def monotonic_of(self, utc_ns: int) -> int:
        """Return our monotonic instant at the master's UTC."""
        return self.monotonic_ns + utc_ns - self.utc_ns


def clock_facts(epoch: Epoch, clock: ClockSync | None) -> dict[str, int | None]:
    """Return what `run.json` says about a worker's clock; all null where it is the master's own."""
    reading = epoch.reading
    if reading is None or clock is None:
        return dict.fromkeys(("clock_offset_ns", "clock_uncertainty_ns", "clock_drift_ns"))
    return {
        "clock_offset_ns": reading.wall_offset_ns,
        "clock_uncertainty_ns": reading.uncertainty_ns,
        "clock_drift_ns": clock.drift_since(reading),
    }


class Recorder:
    """Makes the calls and the rows of one worker in one run."""

    def __init__(self, scenario: Scenario, run_id: str, worker: int, epoch: Epoch) -> None:
        self._scenario = scenario
        self._run_id = run_id
        self._worker = worker
        self._epoch = epoch
        self._targets = destinations(scenario)
        self._shapes: dict[tuple[object, ...], Shape | None] = {}
        self.zero_ns = 0
        """Monotonic instant of schedule zero; set when the run starts."""

    def script(self, arrival: Arrival, wish: Wish | None = None) -> Script:
        """Return what an arrival does, request by request, as the user wishes it if it has one."""
        target, _ = self._targets[arrival.target, arrival.arm]
        prompt = self._scenario.prompts[arrival.prompt]
        if wish is not None:
            target, prompt = wish.applied_to(target), wish.prompt
        if self._scenario.cache is Cache.COLD:
            prompt = opened_by_nonce(prompt, self._request_id(arrival))
        return script_of(target, prompt)

    def pause_ns(self, arrival: Arrival) -> int:
        """Return how long the user of a conversation waits before this turn."""
        target, _ = self._targets[arrival.target, arrival.arm]
        prompt = self._scenario.prompts[arrival.prompt]
        mean_s = pauses_s(self._scenario, target, prompt)[arrival.turn - 1]
        if mean_s > 0 and self._scenario.sessions.is_exponential:
            random = Random(f"{self._scenario.seed}/pause/{arrival.seq}")
            mean_s = min(random.expovariate(1 / mean_s), LONGEST_PAUSE * mean_s)
        return round(mean_s * _NS_PER_S)

    def call(
        self, arrival: Arrival, script: Script | None = None, due_ns: int | None = None
    ) -> Call:
        """Return the next request of a script; `due_ns` where it is not due with its arrival.

        Raises `Unsendable` when the script has nothing to say.
        """
        if script is None and (shape := self._shape(arrival)) is not None:
            return self._alike(arrival, shape)
        outgoing = (script or self.script(arrival)).outgoing()
        return self._call(arrival, outgoing, due_ns)

    def _alike(self, arrival: Arrival, shape: Shape) -> Call:
        """Return what `_call` would, from a call that differs in its ids alone."""
        example = shape.example
        request_id = f"{self._run_id}.{arrival.seq}"
        trace_id, span_id = trace_ids(request_id)
        return Call(
            *(arrival, request_id, example.target, example.outgoing, None, trace_id),
            *(example.arm, None, None, shape, (request_id, trace_id, span_id)),
        )

    def _shape(self, arrival: Arrival) -> Shape | None:
        """Return what an arrival shares with others; None where each says something of its own."""
        if arrival.turns > 1 or self._scenario.cache is Cache.COLD:
            return None
        key = arrival[2:6]
        if key not in self._shapes:
            call = self._call(arrival, self.script(arrival).outgoing(), None, _EXAMPLE)
            marks = (call.request_id, *trace_ids(call.request_id))
            # Labels are cut at some length: an id that was cut cannot be replaced.
            whole = marks[0] in call.headers[METADATA_HEADER]
            self._shapes[key] = Shape(call, marks) if whole else None
        return self._shapes[key]

    def _request_id(self, arrival: Arrival) -> str:
        return f"{self._run_id}.{arrival.seq}"

    def _call(
        self, arrival: Arrival, outgoing: Outgoing, due_ns: int | None, name: str | None = None
    ) -> Call:
        target, arm = self._targets[arrival.target, arrival.arm]
        request_id = self._request_id(arrival) if name is None else f"{self._run_id}.{name}"
        trace_id, span_id = trace_ids(request_id)
        labels = dict(self._scenario.metadata) | {
            "run_id": self._run_id,
            "request_id": request_id,
            "scenario": self._scenario.name,
            "phase": arrival.phase,
            "target": target.name,
        }
        if arm is not None:
            labels["arm"] = arm
        session_id, sticky = self._session(arrival, labels)
        headers = {
            **target.headers,
            **sticky,
            METADATA_HEADER: metadata_header(labels),
            "traceparent": traceparent(trace_id, span_id),
        }
        return Call(
            arrival, request_id, target, outgoing, headers, trace_id, arm, due_ns, session_id
        )

    def _session(
        self, arrival: Arrival, labels: dict[str, str]
    ) -> tuple[str | None, dict[str, str]]:
        """Name the conversation in the labels and return its id and header: for sticky routing."""
        if arrival.turns == 1:
            return None, {}
        session_id = f"{self._run_id}.s{arrival.seq - arrival.turn}"
        sessions = self._scenario.sessions
        labels[sessions.metadata_key] = session_id
        return session_id, {} if sessions.header is None else {sessions.header: session_id}

    def row(self, call: Call, answer: Answer) -> LedgerRow:
        """Return the row of a call that was made."""
        facts, note = answer.facts, read_note(answer.headers)
        target, arrival = call.target, call.arrival
        zero_ns = self._epoch.monotonic_ns
        due_ns = self.zero_ns + arrival.due_ns if call.due_ns is None else call.due_ns
        first_byte_ns, first_token_ns = answer.first_byte_ns, facts.first_token_ns
        first_answer_ns, last_token_ns = facts.first_answer_ns, facts.last_token_ns
        finished_ns, session_id = answer.finished_ns, call.session_id
        values = (
            # Values in the order of the columns: names would cost as much as the rest of the row.
            *(self._run_id, call.request_id, self._worker, arrival.seq, call.arm, arrival.phase),
            *(target.name, target.provider, target.model, target.api, target.stream, 1),
            due_ns - zero_ns,
            answer.started_ns - zero_ns,
            answer.written,
            None if first_byte_ns is None else first_byte_ns - zero_ns,
            None if first_token_ns is None else first_token_ns - zero_ns,
            None if first_answer_ns is None else first_answer_ns - zero_ns,
            None if last_token_ns is None else last_token_ns - zero_ns,
            None if finished_ns is None else finished_ns - zero_ns,
            *(self._epoch.utc_ns, answer.clock, answer.status, answer.outcome),
            *(facts.finish_reason, _failed_check(call, answer)),
            answer.error_type[:ERROR_TYPE_LIMIT] if answer.error_type else None,
            template(answer.error_message) if answer.error_message else None,
            *(facts.input_tokens, facts.output_tokens, facts.reasoning_tokens),
            *(facts.cached_tokens, facts.cost_usd),
            facts.chunks if call.outgoing.stream else None,
            *(facts.max_gap_ns, answer.bytes_in or None, call.client_trace_id),
            note.ids.trace_id if note.ids else None,
            note.ids.root_span_id if note.ids else None,
            None,
            note.resolved_model or facts.resolved_model,
            *(note.cache_status, answer.connect_ns, arrival.number, session_id),
            None if session_id is None else arrival.turn + 1,
            *(call.outgoing.operation, call.outgoing.tool, facts.tool_calls, facts.items),
            *(note.applied_rules, note.gateway_ms),
            *(facts.reasoning_chunks or None, facts.tool_chunks or None),
        )
        return LedgerRow._make(values)

    def unsent(
        self,
        arrival: Arrival,
        outcome: Outcome,
        error_type: str | None,
        wish: Wish | None = None,
    ) -> LedgerRow:
        """Return the row of a request that was never sent: missed, or its target was stopped."""
        target, _ = self._targets[arrival.target, arrival.arm]
        target = target if wish is None else wish.applied_to(target)
        nothing = not_sent(target, arrival.turn)
        row = self._blank(arrival, self._call(arrival, nothing, None), outcome)
        return row._replace(error_type=error_type)

    def _blank(self, arrival: Arrival, call: Call, outcome: Outcome) -> LedgerRow:
        target = call.target
        absent = dict.fromkeys(LedgerRow._fields)
        due_ns = self.zero_ns + arrival.due_ns if call.due_ns is None else call.due_ns
        known = {
            "run_id": self._run_id,
            "request_id": call.request_id,
            "worker": self._worker,
            "seq": arrival.seq,
            "arm": call.arm,
            "phase": arrival.phase,
            "target": target.name,
            "provider": target.provider,
            "model": target.model,
            "api": target.api.value,
            "stream": target.stream,
            "attempt": 1,
            "due_ns": due_ns - self._epoch.monotonic_ns,
            "written": False,
            "epoch_ns": self._epoch.utc_ns,
            "outcome": outcome.value,
            "client_trace_id": call.client_trace_id,
            "arrival": arrival.number,
            "session_id": call.session_id,
            "turn": arrival.turn + 1 if call.session_id is not None else None,
            "operation": call.outgoing.operation,
            "tool": call.outgoing.tool,
        }
        return LedgerRow(**(absent | known))  # type: ignore[arg-type]


def _failed_check(call: Call, answer: Answer) -> str | None:
    """Return the check that a good answer fails; what is no good answer is not checked."""
    if not call.target.checks or answer.outcome is not Outcome.OK:
        return None
    from tfy_last9.wire.checks import first_failed  # noqa: PLC0415 - JSON Schema is slow to import

    return first_failed(call.target.checks, answer.facts)
