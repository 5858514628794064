"""What happened to one request, told afterwards: the journal line and the spans are made from it.

Instants are monotonic nanoseconds; `wall_offset_ns` turns them into UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tfy_last9.standins.gateway import kinds
from tfy_last9.standins.gateway.catalogue import Card
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.policy.guardrails import Verdict

OK = 200


@dataclass(slots=True)
class Attempt:
    """One call of one target; more than one when a target failed and another was tried."""

    card: Card
    started_ns: int
    path: str = "/v1/chat/completions"
    """Of the vendor's interface, from which the span's address is made."""
    finished_ns: int = 0
    status: int | None = None
    """None while no status has been received and none was decided."""
    error_message: str | None = None
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    content_events: int = 0
    text: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    answer_id: str | None = None
    served_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cost_usd: float | None = None
    is_retry: bool = False
    """Whether the same target had failed right before."""
    reached_provider: bool = True
    """Whether a request was sent to the provider: not when the gateway's own limit or cache answered."""
    is_aborted: bool = False
    """Whether the gateway gave it up for a reason that is not the provider's."""

    def saw_token(self, text: str, now_ns: int) -> None:
        """Note a delta that the provider sent: content, reasoning, or a fragment of a call."""
        if self.first_token_ns is None:
            self.first_token_ns = now_ns
        self.last_token_ns = now_ns
        self.content_events += 1
        self.text.append(text)

    def priced(self, input_tokens: int, output_tokens: int) -> float:
        """Note the tokens that the provider reported; returns what they cost in USD."""
        self.input_tokens, self.output_tokens = input_tokens, output_tokens
        self.cost_usd = self.card.cost_usd(input_tokens, output_tokens)
        return self.cost_usd


@dataclass(slots=True)
class ToolStep:
    """One request to an MCP server."""

    server: str
    url: str
    method: str
    """JSON-RPC method."""
    started_ns: int
    primitive: str | None = None
    """Name of the tool that was called."""
    finished_ns: int = 0
    status: int | None = None
    error_code: int | None = None
    """JSON-RPC error of the protocol."""
    error_message: str | None = None
    is_tool_error: bool | None = None
    """Whether the tool said that it failed; None unless one was called."""
    number_of_tools: int | None = None


@dataclass(frozen=True, slots=True)
class GuardrailStep:
    """One guardrail that was asked."""

    verdict: Verdict
    hook: str
    """`llm_input`, `llm_output`, `mcp_tool_pre_invoke` or `mcp_tool_post_invoke`."""
    started_ns: int
    finished_ns: int


@dataclass(slots=True)
class Applied:
    """What the gateway's configuration had to do with a request."""

    virtual_model: str | None = None
    """The route's id: the virtual model's name."""
    order: tuple[str, ...] = ()
    """Targets in the order in which they are tried."""
    is_sticky: bool = False
    rate_limits: list[str] = field(default_factory=list)
    budgets: list[str] = field(default_factory=list)
    guardrails: list[GuardrailStep] = field(default_factory=list)
    cache_status: str | None = None
    cached_trace_id: str | None = None
    cache_similarity: float | None = None
    """How alike the cached question is, from 0 to 1; for semantic hits."""
    stages_ns: dict[str, int] = field(default_factory=dict)
    """How long each stage before and after the model call took."""

    def document(self) -> dict[str, object]:
        """Give what headers say of it; empty if nothing applied."""
        found: dict[str, object] = {}
        if self.virtual_model is not None:
            found["load_balancing"] = [self.virtual_model]
            found["routing_model_order"] = list(self.order)
        if self.rate_limits:
            found["rate_limit"] = list(dict.fromkeys(self.rate_limits))
        if self.budgets:
            found["budget"] = list(dict.fromkeys(self.budgets))
        if self.guardrails:
            found["guardrails"] = self.guardrail_fqns()
        return found

    def guardrail_fqns(self) -> list[str]:
        """Name the guardrails that ran."""
        return list(dict.fromkeys(step.verdict.guardrail.fqn for step in self.guardrails))


@dataclass(slots=True)
class Story:
    """One request as the gateway lived it."""

    trace_id: int
    root_span_id: int
    parent_span_id: int | None
    """The client's span, if its traceparent is honoured; else None."""
    received_ns: int
    wall_offset_ns: int
    kind: Kind = kinds.CHAT
    finished_ns: int = 0
    requested_model: str | None = None
    """For MCP, the name of the server."""
    subject: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    """As the client sent it; the gateway's own keys are merged when spans are made."""
    streaming: bool = False
    wants_trace: bool = True
    parameters: dict[str, object] = field(default_factory=dict)
    input_json: str = ""
    input_short: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    tools: list[ToolStep] = field(default_factory=list)
    applied: Applied = field(default_factory=Applied)
    first_sent_ns: int | None = None
    last_sent_ns: int | None = None
    sends_ns: list[int] | None = None
    """When each token was sent; None unless that is recorded."""
    events_sent: int = 0
    status: int | None = None
    outcome: str = "aborted"
    error_message: str | None = None

    def sending_token(self, now_ns: int) -> None:
        """Note that a content-bearing event is being handed to the socket."""
        if self.first_sent_ns is None:
            self.first_sent_ns = now_ns
        self.last_sent_ns = now_ns
        if self.sends_ns is not None:
            self.sends_ns.append(now_ns)

    def traceparent(self) -> str:
        """Give W3C's trace context of the root, as it is handed to MCP servers."""
        return f"00-{self.trace_id:032x}-{self.root_span_id:016x}-01"

    def served(self) -> None:
        """Note that the client got what it asked for."""
        self.status, self.outcome = OK, "ok"

    def journal_fields(self) -> dict[str, object]:
        """Give the fields of the journal's `request` line."""
        recorded = {}
        if self.sends_ns is not None and self.attempts:
            answer_id = self.attempts[-1].answer_id
            recorded = {"sends_mono_ns": self.sends_ns, "answer_id": answer_id}
        return recorded | {
            "request_id": self.metadata.get("request_id"),
            "run_id": self.metadata.get("run_id"),
            "trace_id": f"{self.trace_id:032x}",
            "root_span_id": f"{self.root_span_id:016x}",
            "kind": self.kind.request_type or self.kind.span_type,
            "target": self.requested_model,
            "provider": self.attempts[-1].card.provider if self.attempts else None,
            "received_mono_ns": self.received_ns,
            "first_sent_mono_ns": self.first_sent_ns,
            "last_sent_mono_ns": self.last_sent_ns,
            "finished_mono_ns": self.finished_ns,
            "events_sent": self.events_sent,
            "status": self.status,
            "outcome": self.outcome,
            **self._policy_fields(),
        }

    def _policy_fields(self) -> dict[str, object]:
        found = self.applied.document()
        if self.applied.cache_status is not None:
            found["cache"] = self.applied.cache_status
        if len(self.attempts) > 1 or self.applied.virtual_model is not None:
            found["attempts"] = [[one.card.name, one.status] for one in self.attempts]
        return found
