"""What the spans of a story say: TrueFoundry's documented attributes, and the switches for the rest.

Units are in the names; token counts and milliseconds are numbers, metadata is one JSON string by default.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from tfy_last9.standins.gateway import genai, kinds
from tfy_last9.standins.gateway.attributes import Value
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.story import Attempt, GuardrailStep, Story, ToolStep
from tfy_last9.standins.gateway.switches import AttributeSet, MetadataEncoding

Attributes = dict[str, Value | None]
"""Absent ones are None."""
METADATA = "tfy.request.metadata"


@dataclass(frozen=True, slots=True)
class Describer:
    """Writes the attributes of spans as the settings want them."""

    settings: Settings
    exclude_request_data: bool

    @property
    def is_genai_only(self) -> bool:
        """Whether nothing of TrueFoundry's is written."""
        return self.settings.attributes is AttributeSet.GENAI

    def root(self, story: Story) -> Attributes:
        """Describe the whole request."""
        if self.is_genai_only:
            return genai.root(story)
        last = story.attempts[-1] if story.attempts else None
        applied = story.applied
        first = story.attempts[0].card.name if last and applied.virtual_model else None
        return {
            **self._common(story),
            **self._metadata(story),
            **self._payloads(story, last),
            "tfy.span_type": story.kind.span_type,
            "tfy.request.model_name": story.requested_model,
            "tfy.request.created_by_subject": story.subject,
            "tfy.request.created_by_subject_teams": ["platform"] if story.subject else None,
            "tfy.model.name": last.card.name if last else None,
            "tfy.loadbalance.first_target": first,
            "applied_loadbalance_rule_ids": _listed(applied.virtual_model),
            "applied_ratelimit_rule_ids": _listed(*applied.rate_limits),
            "applied_budget_rule_ids": _listed(*applied.budgets),
            "tfy.triggered_guardrail_fqns": _listed(*applied.guardrail_fqns()),
            "tfy.error_message": story.error_message,
            "http.response.status_code": story.status,
        }

    def model(self, story: Story, attempt: Attempt) -> Attributes:
        """Describe one attempt."""
        if self.is_genai_only:
            return genai.model(story, attempt)
        card, tenant = attempt.card, self.settings.tenant
        both = self.settings.attributes is AttributeSet.BOTH
        return {
            **self._common(story),
            **self._payloads(story, attempt),
            **_metrics(story, attempt),
            "tfy.span_type": "Model",
            "tfy.model.id": card.fqn(tenant),
            "tfy.model.name": card.name,
            "tfy.model.fqn": card.fqn(tenant),
            "tfy.model.request_type": story.kind.request_type,
            "tfy.model.request_url": card.vendor_url(attempt.path),
            "tfy.model.streaming": story.streaming,
            "tfy.error_message": attempt.error_message,
            "tfy.error_type": "unknown" if attempt.error_message else None,
            "http.response.status_code": attempt.status,
            **(genai.model(story, attempt) if both else {}),
        }

    def guardrail(self, story: Story, step: GuardrailStep) -> Attributes:
        """Describe one guardrail that was asked."""
        if self.is_genai_only:
            return {}
        rail, prefix = step.verdict.guardrail, "tfy.guardrail."
        tenant, entity = self.settings.tenant, story.requested_model or "unknown"
        return {
            **self._common(story),
            "tfy.span_type": "Guardrail",
            prefix + "id": f"{tenant}:guardrail:{rail.fqn}",
            prefix + "name": rail.fqn.rpartition("/")[2],
            prefix + "fqn": rail.fqn,
            prefix + "result": step.verdict.result.value,
            prefix + "applied_on_entity.type": "mcp_server" if story.kind is kinds.MCP else "model",
            prefix + "applied_on_entity.id": entity,
            prefix + "applied_on_entity.name": entity,
            prefix + "applied_on_entity.fqn": entity,
            prefix + "applied_on_entity.scope": step.hook,
            prefix + "metric.latency_in_ms": (step.finished_ns - step.started_ns) / 1e6,
            "tfy.error_message": step.verdict.error,
        }

    def tool(self, story: Story, step: ToolStep) -> Attributes:
        """Describe a request to an MCP server."""
        if self.is_genai_only:
            return genai.tool(step)
        prefix, tenant = "tfy.mcp_server.", self.settings.tenant
        return {
            **self._common(story),
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

    def http(self, story: Story, status: int | None, url: str) -> Attributes:
        """Describe a request that the gateway made."""
        return {
            **self._common(story),
            "http.request.method": "POST",
            "url.full": url,
            "server.address": url.split("/")[2],
            "http.response.status_code": status,
        }

    def _common(self, story: Story) -> Attributes:
        if self.is_genai_only:
            return {}
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
        match self.settings.metadata_encoding:
            case MetadataEncoding.FLAT:
                return {f"{METADATA}.{key}": value for key, value in merged.items()}
            case MetadataEncoding.KVLIST:
                return {METADATA: merged}
            case MetadataEncoding.JSON:
                return {METADATA: orjson.dumps(merged).decode()}

    def _payloads(self, story: Story, attempt: Attempt | None) -> Attributes:
        if self.exclude_request_data:
            return {}
        found: Attributes = {
            "tfy.input": story.input_json,
            "tfy.input_short_hand": story.input_short,
        }
        if attempt is not None and attempt.text:
            found["tfy.output"] = _output_json(attempt)
        return found


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


def _output_json(attempt: Attempt) -> str:
    message = {"role": "assistant", "content": "".join(attempt.text)}
    choice = {"index": 0, "message": message, "finish_reason": attempt.finish_reason}
    return orjson.dumps({"model": attempt.served_model, "choices": [choice]}).decode()


def _listed(*names: str | None) -> list[str] | None:
    """Give a list of names, or None for none: an attribute that has nothing to say is not written."""
    found = list(dict.fromkeys(name for name in names if name is not None))
    return found or None
