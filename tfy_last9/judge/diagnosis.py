"""What one probe request and its trace say about a set-up: one line per check, with what to do.

The settings of the exporter cannot be read from outside. They are inferred from whether and how the trace of the
probe arrived, and the lines say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.errors import ExitCode
from tfy_last9.judge.contract import gaps
from tfy_last9.model.trace import Role, Span

WANTED_RESOURCES = ("env", "region", "team", "tenant_id")
"""Additional resource attributes that Last9's integration page suggests: what incidents are narrowed down by."""
_RESOURCE_NAMES = {
    "env": ("env", "deployment.environment", "deployment.environment.name"),
    "region": ("region", "cloud.region"),
}
_OK = range(200, 300)
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _BAD_REQUEST, _TOO_MANY = 401, 403, 404, 400, 429
NO_ENDPOINT_FIX = (
    "set TFY_GATEWAY_URL to https://gateway.truefoundry.ai, or to https://<control plane>/api/llm; the endpoint is"
    " added to it. If the target has a `path`, check that"
)
_OTEL_CONFIG = "AI Gateway > Controls > OTEL Config"


class Light(StrEnum):
    """How a check went."""

    GREEN = "ok"
    YELLOW = "look"
    RED = "FAIL"


@dataclass(frozen=True, slots=True)
class Line:
    """One check."""

    light: Light
    name: str
    said: str
    fix: str | None = None
    """What to do, and whom to ask where it takes somebody else."""
    code: ExitCode = ExitCode.CONFIGURATION
    """Exit code of the command where the light is red."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One request and what came back at once."""

    model: str
    status: int | None
    """None when there was no answer."""
    problem: str | None
    """None when the answer was complete."""
    is_edge_block: bool
    """An edge in front of the gateway turned the client away (Cloudflare's 1010)."""
    named_trace: str | None
    """From `x-tfy-feedback-target-id`."""
    sent_trace: str
    """From the `traceparent` that was sent."""
    request_id: str
    is_no_endpoint: bool = False
    """A 404 that no provider gave: an unknown model is a 403 of the gateway's."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What Last9 showed of the probe."""

    spans: tuple[Span, ...]
    waited_s: float
    """Until the trace was whole, or until the wait was given up."""
    kept_elsewhere: bool | None
    """Whether TrueFoundry's own storage has the trace; None where it was not asked."""
    other_services: tuple[str, ...] = ()
    """Under which the trace is in Last9, where not under `LAST9_SERVICE`."""


def answer_lines(probe: Probe) -> Iterator[Line]:
    """Yield what the answer itself shows: key, access to the model, edge, trace header."""
    if probe.is_edge_block:
        fix = (
            "set `headers: {user-agent: ...}` on the target, or ask for the edge rule to be relaxed"
        )
        yield Line(
            Light.RED, "User-Agent", f"an edge before the gateway refused us: {probe.problem}", fix
        )
        return
    if probe.status is None:
        fix = "check TFY_GATEWAY_URL, the network and the proxy"
        said = f"no answer: {probe.problem}"
        yield Line(Light.RED, "gateway", said, fix, ExitCode.ERROR)
        return
    if probe.is_no_endpoint:
        said = f"nothing answers there: {probe.problem}"
        yield Line(Light.RED, "gateway", said, NO_ENDPOINT_FIX)
        return
    yield Line(Light.GREEN, "User-Agent", "no edge turned this client away")
    if probe.status == _UNAUTHORIZED:
        fix = "set TFY_API_KEY to a valid personal or virtual account token"
        yield Line(Light.RED, "key", f"refused: {probe.problem}", fix)
        return
    yield Line(Light.GREEN, "key", "TFY_API_KEY was accepted")
    yield _model_line(probe)
    if probe.named_trace is None and probe.status in _OK:
        fix = "nothing to do: requests are joined by the id in x-tfy-metadata, if that reaches the spans"
        yield Line(Light.YELLOW, "trace header", "the answer names no trace", fix)
    elif probe.named_trace is not None:
        yield Line(Light.GREEN, "trace header", f"the answer names trace {probe.named_trace}")


def _model_line(probe: Probe) -> Line:
    name = "model"
    if probe.status in {_FORBIDDEN, _NOT_FOUND}:
        fix = (
            'check the name (`account/model`); or send to a tenant admin: "Please grant this token access'
            f' to {probe.model} (AI Gateway > Models > Access)."'
        )
        return Line(Light.RED, name, f"{probe.model}: {probe.problem}", fix)
    if probe.status == _BAD_REQUEST:
        fix = (
            "the provider refuses what the target sends: check its `body`, `headers` and max_tokens"
        )
        return Line(Light.RED, name, f"{probe.model}: {probe.problem}", fix)
    if probe.status == _TOO_MANY:
        fix = "a rate limit or a budget is used up: wait, or ask an admin which rule it was"
        return Line(Light.YELLOW, name, f"{probe.model}: {probe.problem}", fix)
    if probe.problem is not None:
        fix = "the provider failed this once; a run will measure how often it does"
        return Line(Light.YELLOW, name, f"{probe.model}: {probe.problem}", fix)
    return Line(Light.GREEN, name, f"{probe.model} answered in full")


def trace_lines(probe: Probe, found: Arrival) -> Iterator[Line]:
    """Yield what arrived in Last9, or why nothing may have."""
    if not found.spans:
        yield _absence(found)
        return
    said = f"whole trace visible {found.waited_s:.1f} s after the answer"
    yield Line(
        Light.GREEN,
        "exporter",
        f"{said}: enabled, right endpoint and header, encoding Proto (inferred)",
    )
    yield from _shape(found.spans)
    yield _correlation(probe, found.spans)
    yield from _contents(found.spans)


def _absence(found: Arrival) -> Line:
    name = "exporter"
    if found.other_services:
        services = ", ".join(found.other_services)
        said = f"the trace is in Last9 under service {services}, and LAST9_SERVICE names another"
        return Line(Light.RED, "service", said, f"set LAST9_SERVICE to {found.other_services[0]}")
    if found.kept_elsewhere:
        said = "TrueFoundry has the trace and Last9 does not"
        fix = (
            f"{_OTEL_CONFIG}: exporter enabled, HTTP, endpoint exactly Last9's .../v1/traces, encoding Proto,"
            " header Authorization with the whole value (`Basic ` included), saved; then wait 5 minutes (settings"
            " are cached) and try again"
        )
    elif found.kept_elsewhere is False:
        said = "neither TrueFoundry nor Last9 has the trace: the request was not logged"
        fix = 'send to a tenant admin: "Please switch request logging on for this token (AI Gateway > Controls)."'
    else:
        said = f"no trace of the probe in Last9 after {found.waited_s:.0f} s"
        fix = (
            f"{_OTEL_CONFIG}: exporter enabled, HTTP, endpoint exactly Last9's .../v1/traces, encoding Proto,"
            " header Authorization whole (`Basic ` included), saved; request logging not off. TFY_CONTROL_PLANE_URL"
            " tells these apart"
        )
    return Line(Light.RED, name, said, fix, ExitCode.NO_DATA)


def _shape(spans: Sequence[Span]) -> Iterator[Line]:
    roles = {span.role for span in spans}
    absent = [role.value for role in (Role.ROOT, Role.MODEL) if role not in roles]
    counted = ", ".join(
        f"{sum(one.role is role for one in spans)} {role}" for role in sorted(roles)
    )
    if absent:
        fix = f"a `when` filter of {_OTEL_CONFIG} looks at single spans and can cut traces apart: remove it"
        yield Line(Light.RED, "span tree", f"no {' and no '.join(absent)} span ({counted})", fix)
    else:
        yield Line(Light.GREEN, "span tree", counted)


def _correlation(probe: Probe, spans: Sequence[Span]) -> Line:
    ids = {span.trace_id for span in spans}
    paths = [
        name
        for name, works in (
            ("response header", probe.named_trace in ids),
            ("request metadata", any(span.request_id == probe.request_id for span in spans)),
            ("traceparent", probe.sent_trace in ids),
        )
        if works
    ]
    if "response header" in paths or "request metadata" in paths:
        return Line(Light.GREEN, "correlation", f"requests can be joined by {', '.join(paths)}")
    fix = (
        "let x-tfy-metadata through to the spans: without it no run can be told from other traffic"
    )
    return Line(Light.RED, "correlation", "neither header nor metadata leads to the trace", fix)


def _contents(spans: Sequence[Span]) -> Iterator[Line]:
    lacking = gaps(spans)
    if lacking:
        named = ", ".join(dict.fromkeys(f"{gap.attribute} ({gap.span_type})" for gap in lacking))
        fix = "objectives on these have no value to judge; an older gateway, or a provider that reports no usage"
        yield Line(Light.YELLOW, "contract", f"missing: {named}", fix)
    else:
        yield Line(Light.GREEN, "contract", "every attribute that the spans owe is there")
    dual = any(name.startswith("gen_ai.") for span in spans for name in span.attributes)
    said = "gen_ai.* is written too" if dual else "gen_ai.* is not written; tfy.* is enough here"
    yield Line(Light.GREEN, "GenAI attributes", said)
    resource = {name for span in spans for name in span.resource}
    absent = [
        name for name in WANTED_RESOURCES if not resource & set(_RESOURCE_NAMES.get(name, (name,)))
    ]
    if absent:
        fix = f"{_OTEL_CONFIG}: Additional Resource Attributes, to filter and group by them"
        yield Line(Light.YELLOW, "resource", f"without {', '.join(absent)}", fix)
    else:
        yield Line(Light.GREEN, "resource", ", ".join(WANTED_RESOURCES))
