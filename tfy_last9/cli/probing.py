"""The doctor's probe: one request of the scenario's first target, and its trace followed into Last9."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.adapters.probe import probe
from tfy_last9.adapters.truefoundry.control_plane import ControlPlane, ControlPlaneSettings
from tfy_last9.cli.console import Console
from tfy_last9.errors import TfyError
from tfy_last9.judge.diagnosis import Arrival, Probe
from tfy_last9.model.run import LostTrace, Window
from tfy_last9.model.scenario import Scenario
from tfy_last9.model.trace import Role, Span
from tfy_last9.ports import TraceSource

ARRIVAL_DEADLINE_S = 60.0
"""Documented export batching adds a few seconds; a minute without the trace means a broken set-up."""
WHOLE_S = 10.0
"""Spans of one trace may be exported apart: after the first, so long for the others."""
_POLL_S = 0.5
_NS_PER_S = 10**9
_WHOLE = {Role.ROOT, Role.MODEL}


def send_probe(scenario: Scenario, gateway: GatewaySettings) -> Probe:
    """Send one request with the first target's own parameters, and a trace id that may or may not be taken."""
    target, run_id, trace_id = scenario.targets[0], f"doctor-{token_hex(6)}", token_hex(16)
    sent = {**target.headers, "traceparent": f"00-{trace_id}-{token_hex(8)}-01"}
    marked = replace(target, headers=sent)
    answer = probe(gateway, marked, scenario.prompts[0], scenario.limits, run_id)
    return Probe(
        model=target.model,
        status=answer.status,
        problem=answer.problem,
        is_edge_block=answer.is_edge_block,
        named_trace=answer.trace_id,
        sent_trace=trace_id,
        request_id=f"{run_id}.{target.name}",
        is_no_endpoint=answer.is_no_endpoint,
    )


def await_trace(
    sent: Probe,
    settings: Last9Settings,
    control_plane: ControlPlaneSettings | None,
    console: Console,
) -> Arrival:
    """Look for the probe's trace until it is whole; ask TrueFoundry as well where that is possible."""
    clock = SystemClock()
    started = time.monotonic()
    spans: tuple[Span, ...] = ()
    elsewhere: tuple[str, ...] = ()
    deadline_s = ARRIVAL_DEADLINE_S
    with Last9Client(settings, clock) as client:
        source = Last9Source(client, settings, clock)
        while (waited_s := time.monotonic() - started) < deadline_s:
            found = _look(source, sent, clock)
            if found and not spans:
                deadline_s = min(deadline_s, waited_s + WHOLE_S)
            spans = found or spans
            waited_s = time.monotonic() - started
            if {span.role for span in spans} >= _WHOLE:
                break
            if not spans and sent.named_trace is not None:
                elsewhere = source.services(sent.named_trace, _around(clock))
                if elsewhere:
                    break
            console.tick(f"doctor: waiting for the probe's trace in Last9, {waited_s:.0f} s")
            clock.sleep(_POLL_S)
    kept = None
    if control_plane is not None:
        kept = _is_kept(sent, control_plane, clock)
    return Arrival(spans, waited_s, kept, elsewhere)


def _look(source: TraceSource, sent: Probe, clock: SystemClock) -> tuple[Span, ...]:
    """Return the spans of the probe's trace, whichever of the three ways leads to it."""
    window = _around(clock)
    run_id = sent.request_id.partition(".")[0]
    roots = source.roots(run_id, window).spans
    ids = [sent.named_trace, *(root.trace_id for root in roots), sent.sent_trace]
    for trace_id in dict.fromkeys(one for one in ids if one is not None):
        spans = source.trace(trace_id, window)
        if spans:
            return tuple(spans)
    return ()


def _is_kept(sent: Probe, settings: ControlPlaneSettings, clock: SystemClock) -> bool | None:
    with suppress(TfyError), ControlPlane(settings, clock) as plane:
        answer = plane.look_for([LostTrace(sent.request_id, sent.named_trace)], _around(clock))
        return None if answer.error is not None else bool(answer.found)
    return None


def _around(clock: SystemClock) -> Window:
    now_ns = clock.now_ns()
    return Window(now_ns - 600 * _NS_PER_S, now_ns + 60 * _NS_PER_S)
