"""From a story to the spans TrueFoundry documents, as OTLP messages.

Root `<type>: <model>` (SERVER), one `Model: <account/model>` (INTERNAL) per attempt or one `MCP: ...`
per request to an MCP server, and under each `POST <url>` (CLIENT). Kinds other than CLIENT are not on
public record. Units are in the attribute names; token counts and milliseconds are numbers, metadata is
one JSON string by default. The messages are built directly: an SDK takes five times as long.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tfy_last9.standins.gateway import identifiers
from tfy_last9.standins.gateway.attributes import Value, fill
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.story import Attempt, Story, ToolStep

Attributes = dict[str, Value | None]
SPANS_PER_ATTEMPT = 2
SAMPLED = 1
"""W3C trace flags."""
FAILED_FROM = 400
OPERATIONS = {"Embedding": "embeddings", "Completion": "text_completion"}
"""`gen_ai.operation.name` by root type; chat otherwise."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Turns stories into spans."""

    settings: Settings

    def tell(self, story: Story, silent: Collection[str] = ()) -> list[Span]:
        """Give the spans of a story, the root first; attempts of silent providers leave none."""
        root = _span(story, story.root_span_id, story.parent_span_id, _root_name(story))
        root.kind = Span.SPAN_KIND_SERVER
        fill(root.attributes, self._root(story))
        offset_ns = story.wall_offset_ns
        _close(root, story, story.received_ns + offset_ns, story.finished_ns + offset_ns)
        spans = [root]
        for attempt in story.attempts:
            if attempt.card.provider not in silent:
                model = _child(story, story.root_span_id, f"Model: {attempt.card.name}", attempt)
                fill(model.attributes, self._model(story, attempt))
                url = attempt.card.vendor_url(attempt.path)
                spans += model, self._request(story, model, attempt, url)
        for step in story.tools:
            called = _child(story, story.root_span_id, _step_name(step), step)
            fill(called.attributes, self._common(story) | _step(step, self.settings.tenant))
            spans += called, self._request(story, called, step, step.url)
        return spans

    def _request(self, story: Story, span: Span, of: Attempt | ToolStep, url: str) -> Span:
        """Give the HTTP request to a provider or an MCP server."""
        http = _child(story, int.from_bytes(span.span_id), f"POST {url}", of)
        http.kind = Span.SPAN_KIND_CLIENT
        fill(http.attributes, self._http(story, of.status, url))
        return http

    def _common(self, story: Story) -> Attributes:
        found: Attributes = {"tfy.request.tenant_name": self.settings.tenant}
        if self.settings.metadata_on_all_spans:
            found |= self._metadata(story)
        return found

    def _metadata(self, story: Story) -> Attributes:
        merged = {
            **story.metadata,
            "tfy_gateway_region": self.settings.region,
            "tfy_gateway_zone": self.settings.zone,
        }
        if self.settings.flat_metadata:
            return {f"tfy.request.metadata.{key}": value for key, value in merged.items()}
        return {"tfy.request.metadata": orjson.dumps(merged).decode()}

    def _payloads(self, story: Story, attempt: Attempt | None) -> Attributes:
        if self.settings.exclude_request_data:
            return {}
        found: Attributes = {
            "tfy.input": story.input_json,
            "tfy.input_short_hand": story.input_short,
        }
        if attempt is not None and attempt.text:
            found["tfy.output"] = _output_json(attempt)
        return found

    def _root(self, story: Story) -> Attributes:
        last = story.attempts[-1] if story.attempts else None
        return {
            **self._common(story),
            **self._metadata(story),
            **self._payloads(story, last),
            "tfy.span_type": story.kind.span_type,
            "tfy.request.model_name": story.requested_model,
            "tfy.request.created_by_subject": story.subject,
            "tfy.request.created_by_subject_teams": ["platform"] if story.subject else None,
            "tfy.model.name": last.card.name if last else None,
            "tfy.error_message": story.error_message,
            "http.response.status_code": story.status,
        }

    def _model(self, story: Story, attempt: Attempt) -> Attributes:
        card = attempt.card
        return {
            **self._common(story),
            **self._payloads(story, attempt),
            **_metrics(story, attempt),
            "tfy.span_type": "Model",
            "tfy.model.id": card.fqn(self.settings.tenant),
            "tfy.model.name": card.name,
            "tfy.model.fqn": card.fqn(self.settings.tenant),
            "tfy.model.request_type": story.kind.request_type,
            "tfy.model.request_url": card.vendor_url(attempt.path),
            "tfy.model.streaming": story.streaming,
            "tfy.error_message": attempt.error_message,
            "tfy.error_type": "unknown" if attempt.error_message else None,
            "http.response.status_code": attempt.status,
            **(_genai(story, attempt) if self.settings.genai_attributes else {}),
        }

    def _http(self, story: Story, status: int | None, url: str) -> Attributes:
        return {
            **self._common(story),
            "http.request.method": "POST",
            "url.full": url,
            "server.address": url.split("/")[2],
            "http.response.status_code": status,
        }


def _metrics(story: Story, attempt: Attempt) -> Attributes:
    """Give latency, time to first token and mean gap in ms, tokens and USD, as far as known."""
    prefix = "tfy.model.metric."
    first_ns, last_ns = attempt.first_token_ns, attempt.last_token_ns
    found: Attributes = {
        prefix + "latency_in_ms": (attempt.finished_ns - attempt.started_ns) / 1e6,
        prefix + "input_tokens": attempt.input_tokens,
        prefix + "output_tokens": attempt.output_tokens,
        prefix + "cost_in_usd": attempt.cost_usd,
        prefix + "cache_read_input_tokens": attempt.cache_read_tokens,
        prefix + "cache_creation_input_tokens": attempt.cache_creation_tokens,
    }
    if story.streaming and first_ns is not None and last_ns is not None:
        found[prefix + "time_to_first_token_in_ms"] = (first_ns - attempt.started_ns) / 1e6
        if attempt.content_events > 1:
            gap_ns = (last_ns - first_ns) / (attempt.content_events - 1)
            found[prefix + "inter_token_latency_in_ms"] = gap_ns / 1e6
    return found


def _genai(story: Story, attempt: Attempt) -> Attributes:
    """Give the optional GenAI dual-write, named by the OpenTelemetry GenAI conventions."""
    sampling = {
        f"gen_ai.request.{key}": value
        for key, value in story.parameters.items()
        if isinstance(value, (int, float))
    }
    failed = attempt.status is None or attempt.status >= FAILED_FROM
    return {
        **sampling,
        "gen_ai.operation.name": OPERATIONS.get(story.kind.span_type, "chat"),
        "gen_ai.provider.name": attempt.card.provider,
        "gen_ai.request.model": attempt.card.model,
        "gen_ai.response.model": attempt.served_model,
        "gen_ai.response.id": attempt.answer_id,
        "gen_ai.response.finish_reasons": [attempt.finish_reason]
        if attempt.finish_reason
        else None,
        "gen_ai.usage.input_tokens": attempt.input_tokens,
        "gen_ai.usage.output_tokens": attempt.output_tokens,
        "server.address": attempt.card.of.base_url.split("/")[2],
        "error.type": str(attempt.status) if failed else None,
    }


def _root_name(story: Story) -> str:
    first = "MCP" if story.kind.span_type == "MCPGateway" else story.kind.span_type
    return f"{first}: {story.requested_model or 'unknown'}"


def _step_name(step: ToolStep) -> str:
    primitive = f": {step.primitive}" if step.primitive else ""
    return f"MCP: {step.method}{primitive} ({step.server})"


def _step(step: ToolStep, tenant: str) -> Attributes:
    """Give the attributes of a request to an MCP server."""
    prefix = "tfy.mcp_server."
    return {
        "tfy.span_type": "MCP",
        prefix + "id": f"{tenant}:{step.server}",
        prefix + "name": step.server,
        prefix + "server_name": step.server,
        prefix + "fqn": f"{tenant}:mcp-server:{step.server}",
        prefix + "url": step.url,
        prefix + "method": step.method,
        prefix + "primitive_name": step.primitive,
        prefix + "error_code": step.error_code,
        prefix + "is_tool_call_execution_error": step.is_tool_error,
        prefix + "metric.latency_in_ms": (step.finished_ns - step.started_ns) / 1e6,
        prefix + "metric.number_of_tools": step.number_of_tools,
        "tfy.error_message": step.error_message,
        "http.response.status_code": step.status,
    }


def _output_json(attempt: Attempt) -> str:
    message = {"role": "assistant", "content": "".join(attempt.text)}
    choice = {"index": 0, "message": message, "finish_reason": attempt.finish_reason}
    return orjson.dumps({"model": attempt.served_model, "choices": [choice]}).decode()


def _span(story: Story, span_id: int, parent: int | None, name: str) -> Span:
    span = Span(name=name, kind=Span.SPAN_KIND_INTERNAL, flags=SAMPLED)
    span.trace_id = story.trace_id.to_bytes(16)
    span.span_id = span_id.to_bytes(8)
    if parent is not None:
        span.parent_span_id = parent.to_bytes(8)
    return span


def _child(story: Story, parent: int, name: str, of: Attempt | ToolStep) -> Span:
    span = _span(story, identifiers.span_id(), parent, name)
    offset_ns = story.wall_offset_ns
    _close(span, of, of.started_ns + offset_ns, of.finished_ns + offset_ns)
    return span


def _close(span: Span, of: Story | Attempt | ToolStep, start_ns: int, end_ns: int) -> None:
    """Date a span in UTC and give it its status."""
    span.start_time_unix_nano = start_ns
    span.end_time_unix_nano = end_ns
    # A stream that broke off was answered with 200 and failed all the same: the message decides.
    if of.error_message is None and of.status is not None and of.status < FAILED_FROM:
        span.status.code = Status.STATUS_CODE_OK
    else:
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = of.error_message or ""
