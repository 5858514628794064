"""From calls and answers to ledger rows: the one place that knows the row's columns."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Cache, Scenario, Target
from tfy_last9.swarm.call import Answer, Call
from tfy_last9.wire.chat import opened_by_nonce
from tfy_last9.wire.gateway import (
    CACHE_STATUS_HEADER,
    METADATA_HEADER,
    RESOLVED_MODEL_HEADER,
    TARGET_ID_HEADER,
    metadata_header,
    read_target_id,
    template,
)
from tfy_last9.wire.traceparent import trace_ids, traceparent

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

    def call(self, arrival: Arrival) -> Call:
        """Return the request an arrival stands for."""
        target, arm = self._targets[arrival.target, arrival.arm]
        request_id = f"{self._run_id}.{arrival.seq}"
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
        headers = {
            **target.headers,
            METADATA_HEADER: metadata_header(labels),
            "traceparent": traceparent(trace_id, span_id),
        }
        prompt = self._scenario.prompts[arrival.prompt]
        if self._scenario.cache is Cache.COLD:
            prompt = opened_by_nonce(prompt, request_id)
        return Call(arrival, request_id, target, prompt, headers, trace_id, arm)

    def row(self, call: Call, answer: Answer) -> LedgerRow:
        """Return the row of a call that was made."""
        facts, since = answer.facts, self._epoch.since
        named = read_target_id(answer.headers.get(TARGET_ID_HEADER))
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
            error_type=answer.error_type[:ERROR_TYPE_LIMIT] if answer.error_type else None,
            error_message=template(answer.error_message) if answer.error_message else None,
            input_tokens=facts.input_tokens,
            output_tokens=facts.output_tokens,
            reasoning_tokens=facts.reasoning_tokens,
            cached_tokens=facts.cached_tokens,
            cost_usd=facts.cost_usd,
            chunks=facts.chunks if call.target.stream else None,
            max_gap_ns=facts.max_gap_ns,
            bytes_in=answer.bytes_in or None,
            trace_id=named.trace_id if named else None,
            root_span_id=named.root_span_id if named else None,
            resolved_model=answer.headers.get(RESOLVED_MODEL_HEADER) or facts.resolved_model,
            cache_status=answer.headers.get(CACHE_STATUS_HEADER),
            connect_ns=answer.connect_ns,
        )

    def unsent(self, arrival: Arrival, outcome: Outcome, error_type: str | None) -> LedgerRow:
        """Return the row of an arrival that was never sent: missed, or its target was stopped."""
        return self._blank(arrival, self.call(arrival), outcome)._replace(error_type=error_type)

    def _blank(self, arrival: Arrival, call: Call, outcome: Outcome) -> LedgerRow:
        target = call.target
        absent = dict.fromkeys(LedgerRow._fields)
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
            "due_ns": self.zero_ns - self._epoch.monotonic_ns + arrival.due_ns,
            "written": False,
            "epoch_ns": self._epoch.utc_ns,
            "outcome": outcome.value,
            "client_trace_id": call.client_trace_id,
        }
        return LedgerRow(**(absent | known))  # type: ignore[arg-type]
