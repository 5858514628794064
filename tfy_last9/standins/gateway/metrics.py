"""The gateway's Prometheus metrics, by the names of TrueFoundry's page on Prometheus and Grafana.

`spans_accepted`, `spans_exported` and `span_drops` together tell a trace that the gateway never made from
one that its exporter lost.
"""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from tfy_last9.standins.gateway.story import OK, Attempt, Story

PREFIX = "ai_gateway_"
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
BUCKETS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)
WHO = ("model_name", "username", "tenant_name")


class _Series(NamedTuple):
    """What is counted of one model for one caller."""

    requests: Counter
    input_tokens: Counter
    output_tokens: Counter
    cost: Counter
    processing: Histogram
    first_token: Histogram
    inter_token: Histogram


class Metrics:
    """All counters of one gateway."""

    def __init__(self, tenant: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the client left it bare
        self.registry = CollectorRegistry(auto_describe=False)
        self._tenant = tenant
        self._series: dict[tuple[str, str], _Series] = {}
        self.requests = self._counter(
            "requests", "Requests that reached a model or were refused", WHO
        )
        self.input_tokens = self._counter("input_tokens", "Tokens of prompts", WHO)
        self.output_tokens = self._counter("output_tokens", "Tokens of answers", WHO)
        self.cost = self._counter("request_cost", "USD", WHO)
        self.failures = self._counter(
            "request_model_inference_failure", "Failed attempts", (*WHO, "error_code")
        )
        self.processing = self._histogram("request_processing_ms", "Whole request")
        self.first_token = self._histogram("first_token_latency_ms", "Time to first token")
        self.inter_token = self._histogram("inter_token_latency_ms", "Mean gap between tokens")
        self.guardrails = self._counter(
            "guardrail_requests", "Guardrail verdicts", ("guardrail_fqn", "result")
        )
        self.guardrail_latency = self._histogram(
            "guardrail_execution_latency_ms", "Time of a guardrail", ("guardrail_fqn",)
        )
        self.rate_limit_nominated = self._counter("rate_limit_nominated", "Matches", ("ruleId",))
        self.rate_limit_applied = self._counter("rate_limit_applied", "Refusals", ("ruleId",))
        self.budget_nominated = self._counter("budget_nominated", "Matches", ("ruleId",))
        self.budget_applied = self._counter("budget_applied", "Refusals", ("ruleId",))
        self.budget_usage = Gauge(
            PREFIX + "budget_usage", "Used in this period", ("ruleId",), registry=self.registry
        )
        self.load_balanced = self._counter("load_balanced_requests", "Routed requests", ("ruleId",))
        self.spans_accepted = self._counter("spans_accepted", "Spans that entered the queue")
        self.spans_exported = self._counter(
            "spans_exported", "Spans that left the queue", ("outcome", "reason", "tenant_name")
        )
        self.span_drops = self._counter(
            "span_drops", "Spans that never entered the queue", ("reason",)
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...] = ("model_name",)
    ) -> Histogram:
        return Histogram(PREFIX + name, text, labels, registry=self.registry, buckets=BUCKETS_MS)

    def exported(self, spans: int, reason: str | None) -> None:
        """Count spans that left the queue: successfully without a reason, or lost for one."""
        outcome = "success" if reason is None else "failed"
        self.spans_exported.labels(outcome, reason or "", self._tenant).inc(spans)

    def told(self, story: Story) -> None:
        """Count a finished request."""
        asked = self._of(story.requested_model or "unknown", story.subject or "unknown")
        asked.requests.inc()
        asked.processing.observe((story.finished_ns - story.received_ns) / 1e6)
        for attempt in story.attempts:
            self._attempt(attempt, story.subject or "unknown")
        for step in story.applied.guardrails:
            fqn = step.verdict.guardrail.fqn
            self.guardrails.labels(fqn, step.verdict.result.value).inc()
            self.guardrail_latency.labels(fqn).observe((step.finished_ns - step.started_ns) / 1e6)

    def _attempt(self, attempt: Attempt, subject: str) -> None:
        of = self._of(attempt.card.name, subject)
        if attempt.status != OK or attempt.error_message is not None:
            who = (attempt.card.name, subject, self._tenant)
            self.failures.labels(*who, str(attempt.status)).inc()
        if attempt.cost_usd is not None:
            of.input_tokens.inc(attempt.input_tokens or 0)
            of.output_tokens.inc(attempt.output_tokens or 0)
            of.cost.inc(attempt.cost_usd)
        first_ns, last_ns = attempt.first_token_ns, attempt.last_token_ns
        if first_ns is not None and last_ns is not None:
            of.first_token.observe((first_ns - attempt.started_ns) / 1e6)
            if attempt.content_events > 1:
                gap_ns = (last_ns - first_ns) / (attempt.content_events - 1)
                of.inter_token.observe(gap_ns / 1e6)

    def _of(self, model: str, subject: str) -> _Series:
        """Find the series of a model and a caller; they are looked up once."""
        found = self._series.get((model, subject))
        if found is None:
            who = (model, subject, self._tenant)
            found = _Series(
                requests=self.requests.labels(*who),
                input_tokens=self.input_tokens.labels(*who),
                output_tokens=self.output_tokens.labels(*who),
                cost=self.cost.labels(*who),
                processing=self.processing.labels(model),
                first_token=self.first_token.labels(model),
                inter_token=self.inter_token.labels(model),
            )
            self._series[model, subject] = found
        return found

    def text(self) -> bytes:
        """Give everything in Prometheus' text format."""
        return generate_latest(self.registry)
