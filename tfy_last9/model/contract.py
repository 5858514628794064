"""What each span of the gateway must say: the telemetry contract that dashboards and SLOs are built on.

Sources: TrueFoundry's docs "fetch request logs: span attributes" (`tfy.*`) and "... genai"; a gateway that
exports only OpenTelemetry's GenAI conventions keeps the contract by the names of those. What may be absent
by documentation (first-token time of an answer that was not streamed, tokens of a failed call) is not owed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.model.trace import Role


class Owed(StrEnum):
    """On which spans of a role an attribute is owed."""

    ALWAYS = "always"
    GOOD = "good"
    """Status other than error."""
    FAILED = "failed"
    TOKENS = "tokens"
    """Good, and of a kind that answers in tokens: no embedding, no picture."""
    STREAMED = "streamed"
    """As `TOKENS`, and not marked as answered in one piece."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One attribute that spans of one role owe, and the names it may have."""

    role: Role
    names: tuple[str, ...]
    """Any of them will do; the first is TrueFoundry's and is the one that is reported."""
    owed: Owed = Owed.ALWAYS
    tfy_only: bool = False
    """Owed only by spans that carry `tfy.span_type`: other gateways have no such attribute."""

    @property
    def attribute(self) -> str:
        """Return the name under which its absence is reported."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class ContractGap:
    """Spans of one type and provider that lack an attribute they owe."""

    span_type: str
    """`tfy.span_type`, or the role where a span has none."""
    provider: str | None
    """Of the span, or of its trace's first provider call; None where neither is known."""
    attribute: str
    missing: int
    total: int
    """Spans of this type and provider that owe it."""


_METRIC = "tfy.model.metric."
_STATUS = ("http.response.status_code", "http.status_code")
_INPUT = (f"{_METRIC}input_tokens", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT = (
    *(f"{_METRIC}output_tokens", "gen_ai.usage.output_tokens"),
    "gen_ai.usage.completion_tokens",
)
_COST = (f"{_METRIC}cost_in_usd", "gen_ai.usage.cost_usd", "gen_ai.usage.cost")
_MODEL = ("tfy.model.name", "gen_ai.request.model", "gen_ai.response.model")
_PROVIDER = ("tfy.model.fqn", "gen_ai.provider.name", "gen_ai.system")

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(Role.ROOT, ("tfy.request.metadata",), tfy_only=True),
    Requirement(Role.ROOT, ("tfy.request.created_by_subject",), tfy_only=True),
    Requirement(Role.ROOT, ("tfy.request.tenant_name",), tfy_only=True),
    Requirement(Role.ROOT, _STATUS, tfy_only=True),
    Requirement(Role.MODEL, _MODEL),
    Requirement(Role.MODEL, _PROVIDER),
    Requirement(Role.MODEL, ("tfy.model.request_type", "gen_ai.operation.name")),
    Requirement(Role.MODEL, ("tfy.request.tenant_name",), tfy_only=True),
    Requirement(Role.MODEL, _STATUS, tfy_only=True),
    Requirement(Role.MODEL, (f"{_METRIC}latency_in_ms",), Owed.GOOD, tfy_only=True),
    Requirement(Role.MODEL, _INPUT, Owed.TOKENS),
    Requirement(Role.MODEL, _OUTPUT, Owed.TOKENS),
    Requirement(Role.MODEL, _COST, Owed.TOKENS, tfy_only=True),
    Requirement(Role.MODEL, (f"{_METRIC}time_to_first_token_in_ms",), Owed.STREAMED, tfy_only=True),
    Requirement(Role.MODEL, ("tfy.error_message", "error.type"), Owed.FAILED),
    Requirement(Role.MCP, ("tfy.mcp_server.name", "tfy.mcp_server.server_name")),
    Requirement(Role.MCP, ("tfy.mcp_server.method", "mcp.method.name")),
    Requirement(Role.MCP, ("tfy.mcp_server.metric.latency_in_ms",), Owed.GOOD, tfy_only=True),
    Requirement(Role.GUARDRAIL, ("tfy.guardrail.name", "tfy.guardrail.fqn")),
    Requirement(Role.GUARDRAIL, ("tfy.guardrail.result",)),
)

TOKENLESS = ("embedding", "rerank", "moderation", "image", "audio", "speech", "transcription")
"""Parts of `tfy.model.request_type` and `gen_ai.operation.name`, lower case, of calls that answer in
something other than tokens."""
