"""Checks before a run spends anything: credentials, one request per target, one trace that arrives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from secrets import token_hex

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.adapters.probe import ProbeResult, probe
from tfy_last9.arrivals.quota import quota_warnings
from tfy_last9.cli.console import Console
from tfy_last9.errors import (
    BackendUnavailable,
    ConfigurationError,
    CredentialRefused,
    NothingArrived,
)
from tfy_last9.judge.diagnosis import NO_ENDPOINT_FIX
from tfy_last9.model.run import Window
from tfy_last9.model.scenario import Scenario, Target
from tfy_last9.ports import TraceSource

ARRIVAL_DEADLINE_S = 60.0
"""Documented export batching adds a few seconds; a minute without any trace means a broken set-up."""
_POLL_S = 0.5
_NS_PER_S = 1_000_000_000
_WIRING = (
    "in TrueFoundry, AI Gateway > Controls > OTEL Config: exporter enabled, HTTP, endpoint exactly "
    "Last9's .../v1/traces, encoding Proto, header Authorization with the whole value (`Basic ` "
    "included), saved; and request logging not switched off"
)


def check_last9(settings: Last9Settings, console: Console) -> None:
    """Exchange the token and find the region. Raises `CredentialRefused` or `BackendUnavailable`."""
    with Last9Client(settings, SystemClock()) as client:
        place = client.place()
        console.say(f"preflight: Last9 token accepted, region {place.region}")


def check_gateway(
    scenario: Scenario,
    gateway: GatewaySettings,
    arms: Mapping[str, GatewaySettings],
    console: Console,
) -> tuple[ProbeResult, ...]:
    """Send one request per target and arm. Raises for a refused key, a refused request, or no answer at all."""
    for warning in quota_warnings(scenario):
        console.say(f"preflight: {warning}")
    run_id = f"preflight-{token_hex(6)}"
    sides = [(arms[arm.name], arm.applied_to) for arm in scenario.sides]
    results = []
    for place, applied_to in sides or [(gateway, _unchanged)]:
        for target in scenario.targets:
            sent = applied_to(target)
            result = probe(place, sent, scenario.prompts[0], scenario.limits, run_id)
            _judge(result, place)
            results.append(result)
    answered = sum(1 for result in results if result.problem is None)
    console.say(f"preflight: {answered} of {len(results)} targets answered in full")
    for result in results:
        if result.problem is not None:  # not a refusal: the run will measure how often this happens
            console.say(f"preflight: target {result.target!r} did not: {result.problem}")
    return tuple(results)


def _unchanged(target: Target) -> Target:
    return target


def _judge(result: ProbeResult, gateway: GatewaySettings) -> None:
    """Refusals are configuration; a provider that fails is what the run is there to measure."""
    if result.status == 401:  # noqa: PLR2004 - Unauthorized
        raise CredentialRefused(
            f"the gateway {gateway.url} turned TFY_API_KEY down ({result.problem})",
            hint="use a valid personal access token or virtual account token",
        )
    if result.is_no_endpoint:
        raise ConfigurationError(
            f"target {result.target!r}: nothing answers at the gateway {gateway.url}: {result.problem}",
            hint=NO_ENDPOINT_FIX,
        )
    if result.is_refused:
        raise ConfigurationError(
            f"target {result.target!r} was refused before any load: {result.problem}",
            hint="check the target's model, headers and body in the scenario, and the key's access to it",
        )
    if result.status is None:
        raise BackendUnavailable(
            f"no answer from the gateway {gateway.url} for target {result.target!r}: {result.problem}",
            hint="check TFY_GATEWAY_URL and that the gateway runs",
        )


def follow_one_trace(
    probes: tuple[ProbeResult, ...], settings: Last9Settings, console: Console
) -> None:
    """Wait until one of the probes' traces is visible in Last9. Raises `NothingArrived`."""
    named = [result.trace_id for result in probes if result.trace_id is not None]
    if not named:
        console.say("preflight: no response named its trace; traces will be joined by request id")
        return
    clock = SystemClock()
    started = time.monotonic()
    with Last9Client(settings, clock) as client:
        source = Last9Source(client, settings, clock)
        while time.monotonic() - started < ARRIVAL_DEADLINE_S:
            found = next((trace for trace in named if _is_visible(source, trace, clock)), None)
            waited_s = time.monotonic() - started
            if found is not None:
                console.say(f"preflight: trace {found} is in Last9 after {waited_s:.1f} s")
                return
            console.tick(f"preflight: waiting for a trace in Last9, {waited_s:.0f} s")
            clock.sleep(_POLL_S)
    raise NothingArrived(
        f"the gateway answered {len(named)} probes and named their traces, but none of them is in Last9 "
        f"after {ARRIVAL_DEADLINE_S:g} s (first: {named[0]})",
        hint=_WIRING,
    )


def _is_visible(source: TraceSource, trace_id: str, clock: SystemClock) -> bool:
    now_ns = clock.now_ns()
    window = Window(now_ns - 600 * _NS_PER_S, now_ns + 60 * _NS_PER_S)
    return bool(source.trace(trace_id, window))
