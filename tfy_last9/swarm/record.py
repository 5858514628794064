"""From calls and answers to ledger rows: the one place that knows the row's columns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.conversation import LONGEST_PAUSE
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Cache, Scenario, Target
from tfy_last9.model.turns import pauses_s
from tfy_last9.swarm.call import Answer, Call
from tfy_last9.wire.chat import opened_by_nonce
from tfy_last9.wire.gateway import METADATA_HEADER, metadata_header, template
from tfy_last9.wire.gateway_note import read_note
from tfy_last9.wire.outgoing import Outgoing
from tfy_last9.wire.scripts import Script, not_sent, script_of
from tfy_last9.wire.traceparent import trace_ids, traceparent

_NS_PER_S = 1_000_000_000
ERROR_TYPE_LIMIT = 64
"""Characters kept of an error type: providers name them, so they can be anything."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A worker's zero: the same moment on the monotonic and on the wall clock."""

    monotonic_ns: int
    utc_ns: int

    @classmethod
    def now(cls) -> Epoch:
        """Read both clocks."""
        return cls(time.monotonic_ns(), time.time_ns())

    def since(self, monotonic_ns: int | None) -> int | None:
        """Return a ledger instant; None stays None."""
        return None if monotonic_ns is None else monotonic_ns - self.monotonic_ns


def _targets(scenario: Scenario) -> dict[tuple[int, int | None], tuple[Target, str | None]]:
    """Return target and arm name for every (target, arm) of the schedule."""
    found: dict[tuple[int, int | None], tuple[Target, str | None]] = {}
    for number, target in enumerate(scenario.targets):
        found[number, None] = target, None
        for side, arm in enumerate(scenario.sides):
            found[number, side] = arm.applied_to(target), arm.name
    return found


class Recorder:
    """Makes the calls and the rows of one worker in one run."""

    def __init__(self, scenario: Scenario, run_id: str, worker: int, epoch: Epoch) -> None:
        self._scenario = scenario
        self._run_id = run_id
        self._worker = worker
        self._epoch = epoch
        self._targets = _targets(scenario)
        self.zero_ns = 0
        """Monotonic instant of schedule zero; set when the run starts."""

    def script(self, arrival: Arrival) -> Script:
        """Return what an arrival does, request by request."""
        target, _ = self._targets[arrival.target, arrival.arm]
        prompt = self._scenario.prompts[arrival.prompt]
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
        outgoing = (script or self.script(arrival)).outgoing()
        return self._call(arrival, outgoing, due_ns)

    def _request_id(self, arrival: Arrival) -> str:
        return f"{self._run_id}.{arrival.seq}"

    def _call(self, arrival: Arrival, outgoing: Outgoing, due_ns: int | None) -> Call:
        target, arm = self._targets[arrival.target, arrival.arm]
        request_id = self._request_id(arrival)
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
        facts, since = answer.facts, self._epoch.since
        note = read_note(answer.headers)
        blank = self._blank(call.arrival, call, answer.outcome)
        return blank._replace(
            started_ns=since(answer.started_ns),
            written=answer.written,
            first_byte_ns=since(answer.first_byte_ns),
            first_token_ns=since(facts.first_token_ns),
            first_answer_ns=since(facts.first_answer_ns),
            last_token_ns=since(facts.last_token_ns),
            finished_ns=since(answer.finished_ns),
            clock=answer.clock.value,
            status=answer.status,
            finish_reason=facts.finish_reason,
            check_failed=_failed_check(call, answer),
            error_type=answer.error_type[:ERROR_TYPE_LIMIT] if answer.error_type else None,
            error_message=template(answer.error_message) if answer.error_message else None,
            input_tokens=facts.input_tokens,
            output_tokens=facts.output_tokens,
            reasoning_tokens=facts.reasoning_tokens,
            cached_tokens=facts.cached_tokens,
            cost_usd=facts.cost_usd,
            chunks=facts.chunks if call.outgoing.stream else None,
            max_gap_ns=facts.max_gap_ns,
            bytes_in=answer.bytes_in or None,
            trace_id=note.ids.trace_id if note.ids else None,
            root_span_id=note.ids.root_span_id if note.ids else None,
            resolved_model=note.resolved_model or facts.resolved_model,
            cache_status=note.cache_status,
            connect_ns=answer.connect_ns,
            tool_calls=facts.tool_calls,
            items=facts.items,
            applied_rules=note.applied_rules,
            gateway_ms=note.gateway_ms,
        )

    def unsent(self, arrival: Arrival, outcome: Outcome, error_type: str | None) -> LedgerRow:
        """Return the row of a request that was never sent: missed, or its target was stopped."""
        target, _ = self._targets[arrival.target, arrival.arm]
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
