"""The run, its phases and single requests as spans, in the SDK's own records.

Names and attributes follow OpenTelemetry's GenAI conventions; what they have no word for is `tfy_last9.*`.
Ids are derived from run and request id, so that exporting again says the same and not more. A request is
a trace of its own, the one its `traceparent` announced: Last9 shows 1,000 spans of a trace, and a run may
have breached 100,000 times. Links lead to the gateway's trace of it and to its phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from tfy_last9.adapters.otlp.requests import Sent
from tfy_last9.model.run import Manifest
from tfy_last9.model.verdict import State, Verdict
from tfy_last9.wire.traceparent import trace_ids

SERVICE = "tfy-last9"
GATEWAY = "truefoundry"
"""`gen_ai.provider.name` where only the gateway knows which provider served a virtual model."""
_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_SCOPE = InstrumentationScope("tfy_last9", version("tfy-last9"))
_HEALTHY = frozenset({State.PASS, State.WARN, State.INFO})


def resource_of(manifest: Manifest) -> Resource:
    """Return who speaks: one instance of the service per run, so that counters of two runs stay apart."""
    return Resource(
        {
            "service.name": SERVICE,
            "service.version": manifest.versions.get("tfy-last9", ""),
            "service.instance.id": manifest.run_id,
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.language": "python",
        }
    )


class Storyteller:
    """Makes the spans of one run."""

    def __init__(self, manifest: Manifest, verdict: Verdict) -> None:
        self._manifest = manifest
        self._verdict = verdict
        self._resource = resource_of(manifest)
        self._run = _context(*trace_ids(manifest.run_id))
        trace_id = trace_ids(manifest.run_id)[0]
        self._phases = {
            phase.name: _context(trace_id, trace_ids(f"{manifest.run_id}/{phase.name}")[1])
            for phase in manifest.scenario.phases
        }

    def run(self) -> Iterator[ReadableSpan]:
        """Yield the span of the run and those of the phases that began; nothing if none did."""
        start_ns, end_ns = self._manifest.start_ns, self._manifest.end_ns
        if start_ns is None:
            return
        end_ns = max(start_ns, end_ns or start_ns)
        yield self._span(
            f"load test {self._manifest.scenario.name}",
            self._run,
            (start_ns, end_ns),
            attributes=self._facts(),
            status=self._outcome(),
        )
        at_ns = start_ns
        for phase in self._manifest.scenario.phases:
            until_ns = at_ns + round(phase.duration_s * _NS_PER_S)
            if at_ns < end_ns:
                yield self._span(
                    f"phase {phase.name}",
                    self._phases[phase.name],
                    (at_ns, min(until_ns, end_ns)),
                    parent=self._run,
                    attributes=self._labels()
                    | {"tfy_last9.phase": phase.name, "tfy_last9.phase.judged": phase.judged},
                )
            at_ns = until_ns

    def request(self, sent: Sent) -> ReadableSpan:
        """Return the span of one request: from the instant it was due to its last byte."""
        start_ns = sent.epoch_ns + sent.due_ns
        end_ns = sent.epoch_ns + max(sent.due_ns, sent.finished_ns or sent.started_ns)
        failed = sent.outcome != "ok"
        return self._span(
            f"chat {sent.model}",
            _context(*trace_ids(sent.request_id)),
            (start_ns, end_ns),
            kind=SpanKind.CLIENT,
            attributes=self._labels() | _attributes(sent),
            events=_events(sent),
            links=tuple(self._links(sent)),
            status=Status(StatusCode.ERROR, sent.outcome) if failed else Status(),
        )

    def _links(self, sent: Sent) -> Iterator[Link]:
        if sent.trace_id is not None and sent.root_span_id is not None:
            seen: dict[str, AttributeValue] = {
                "tfy_last9.link": "gateway trace",
                "tfy_last9.trace.in_last9": sent.is_joined,
            }
            yield Link(_context(sent.trace_id, sent.root_span_id, is_remote=True), seen)
        if sent.phase in self._phases:
            yield Link(self._phases[sent.phase], {"tfy_last9.link": "phase"})

    def _labels(self) -> dict[str, AttributeValue]:
        return {
            "tfy_last9.run_id": self._manifest.run_id,
            "tfy_last9.scenario": self._manifest.scenario.name,
        }

    def _facts(self) -> dict[str, AttributeValue]:
        counters, verdict = self._manifest.counters, self._verdict
        found: dict[str, AttributeValue] = {
            "tfy_last9.verdict": verdict.state.value,
            "tfy_last9.exit_code": int(verdict.exit_code),
            "tfy_last9.reason": verdict.reason,
            "tfy_last9.reason_code": verdict.reason_code,
            "tfy_last9.seed": self._manifest.scenario.seed,
            "tfy_last9.sandbox": self._manifest.sandbox,
        }
        if counters is not None:
            found |= {
                "tfy_last9.requests.offered": counters.offered,
                "tfy_last9.requests.started": counters.started,
                "tfy_last9.requests.missed": counters.missed,
                "tfy_last9.requests.finished": counters.finished,
            }
        return self._labels() | found

    def _outcome(self) -> Status:
        if self._verdict.state in _HEALTHY:
            return Status(StatusCode.OK)
        return Status(StatusCode.ERROR, f"{self._verdict.state}: {self._verdict.reason}")

    def _span(
        self,
        name: str,
        context: SpanContext,
        instants: tuple[int, int],
        *,
        parent: SpanContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, AttributeValue],
        events: tuple[Event, ...] = (),
        links: tuple[Link, ...] = (),
        status: Status | None = None,
    ) -> ReadableSpan:
        start_ns, end_ns = instants
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            events=events,
            links=links,
            kind=kind,
            status=status or Status(),
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=_SCOPE,
        )


def error_type(status: int | None, outcome: str) -> str | None:
    """Return `error.type`: a status code that says it all, else our word for the outcome; None if served."""
    if outcome == "ok":
        return None
    return str(status) if status is not None and status >= 400 else outcome  # noqa: PLR2004 - HTTP


def _attributes(sent: Sent) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": sent.provider or GATEWAY,
        "gen_ai.request.model": sent.model,
        "gen_ai.response.model": sent.resolved_model,
        "gen_ai.response.finish_reasons": (sent.finish_reason,) if sent.finish_reason else None,
        "gen_ai.usage.input_tokens": sent.input_tokens,
        "gen_ai.usage.output_tokens": sent.output_tokens,
        "http.response.status_code": sent.status,
        "error.type": error_type(sent.status, sent.outcome),
        "tfy_last9.request_id": sent.request_id,
        "tfy_last9.arm": sent.arm,
        "tfy_last9.phase": sent.phase,
        "tfy_last9.target": sent.target,
        "tfy_last9.stream": sent.stream,
        "tfy_last9.outcome": sent.outcome,
        "tfy_last9.sampled": not sent.is_wanted,
        "tfy_last9.breaches": tuple(sent.objectives) or None,
        "tfy_last9.gateway.trace_id": sent.trace_id,
        "tfy_last9.ttft_ms": _since_due_ms(sent, sent.first_token_ns),
        "tfy_last9.total_ms": _since_due_ms(sent, sent.finished_ns),
        "tfy_last9.cost_usd": sent.cost_usd,
    }
    return {key: value for key, value in found.items() if value is not None}


def _events(sent: Sent) -> tuple[Event, ...]:
    instants = (
        ("sent", sent.started_ns),
        ("first token", sent.first_token_ns),
        ("last token", sent.last_token_ns),
    )
    return tuple(
        Event(name, {}, timestamp=sent.epoch_ns + at_ns)
        for name, at_ns in instants
        if at_ns is not None
    )


def _since_due_ms(sent: Sent, at_ns: int | None) -> float | None:
    return None if at_ns is None else (at_ns - sent.due_ns) / _NS_PER_MS


def _context(trace_id: str, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, TraceFlags(1))
