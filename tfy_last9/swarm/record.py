"""From calls and answers to ledger rows: the one place that knows the row's columns."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tfy_last9.arrivals.arms import destinations
from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Cache, Scenario
from tfy_last9.swarm.call import Answer, Call, Wish
from tfy_last9.swarm.clocks import ClockSync, Reading
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
        self.zero_ns = 0
        """Monotonic instant of schedule zero; set when the run starts."""

    def call(self, arrival: Arrival, wish: Wish | None = None) -> Call:
        """Return the request an arrival stands for, as the user wishes it if it has one."""
        target, arm = self._targets[arrival.target, arrival.arm]
        target = target if wish is None else wish.applied_to(target)
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
        prompt = self._scenario.prompts[arrival.prompt] if wish is None else wish.prompt
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
