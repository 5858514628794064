"""The gateway's configuration as data: TrueFoundry's manifests, by TrueFoundry's field names.

Sources: docs "virtual model routing", "rate limiting", "budget limiting", "guardrails configuration" and
"export OpenTelemetry traces"; the manifest types of truefoundry/truefoundry-python-sdk. Defaults are the
documented ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tfy_last9.standins.gateway.catalogue import BY_NAME, Card

RETRY_ON = frozenset({429, 500, 502, 503})
FALL_BACK_ON = frozenset({401, 403, 404, 408, 429, 500, 502, 503})
"""`fallback_status_codes` when not given, with the 408 that later documentation adds."""


class Strategy(Enum):
    """`routing_config.type`."""

    WEIGHT = "weight-based-routing"
    PRIORITY = "priority-based-routing"
    LATENCY = "latency-based-routing"


class Operation(Enum):
    """What a guardrail does."""

    VALIDATE = "validate"
    MUTATE = "mutate"


class Enforcing(Enum):
    """What a finding or a failure of a guardrail leads to."""

    ENFORCE = "enforce"
    AUDIT = "audit"
    IGNORE_ERRORS = "enforce_but_ignore_on_error"


class Logging(Enum):
    """`REQUEST_LOGGING_MODE`: whether a header decides on logging, and so on the trace."""

    HEADER = "header"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Caller:
    """What rules may ask about a request besides its model."""

    slug: str
    kind: str = "virtualaccount"
    teams: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def subjects(self) -> frozenset[str]:
        """The names rules may call it by."""
        return frozenset({f"{self.kind}:{self.slug}", *(f"team:{team}" for team in self.teams)})


@dataclass(frozen=True, slots=True)
class When:
    """Conditions of a rule, ANDed; an absent one holds."""

    subjects: frozenset[str] | None = None
    models: frozenset[str] | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    def holds(self, caller: Caller, model: str) -> bool:
        """Tell whether a request is meant; `*` names every subject and every model."""
        return (
            _among(self.subjects, caller.subjects)
            and _among(self.models, {model})
            and self.metadata.items() <= caller.metadata.items()
        )


def _among(wanted: frozenset[str] | None, seen: frozenset[str] | set[str]) -> bool:
    return wanted is None or "*" in wanted or bool(wanted & seen)


@dataclass(frozen=True, slots=True)
class Retry:
    """`retry_config`: more tries of the same target."""

    attempts: int = 2
    """Tries after the first."""
    delay_s: float = 0.1
    on_status_codes: frozenset[int] = RETRY_ON


@dataclass(frozen=True, slots=True)
class SlaCutoff:
    """`sla_cutoff`: a target that was slower than this of late stands back."""

    time_per_output_token_ms: float = float("inf")
    time_to_first_token_ms: float = float("inf")


@dataclass(frozen=True, slots=True)
class Target:
    """One of `load_balance_targets`."""

    target: str
    weight: int = 0
    priority: int = 0
    """0 is the highest."""
    sla_cutoff: SlaCutoff | None = None
    retry_config: Retry | None = None
    fallback_status_codes: frozenset[int] = FALL_BACK_ON
    fallback_candidate: bool = True
    """Whether it may step in for another."""
    override_params: dict[str, object] = field(default_factory=dict)
    headers_set: dict[str, str] = field(default_factory=dict)
    headers_remove: frozenset[str] = frozenset()
    metadata_match: dict[str, str] = field(default_factory=dict)

    @property
    def card(self) -> Card:
        """The model it stands for."""
        return BY_NAME[self.target]


@dataclass(frozen=True, slots=True)
class Sticky:
    """`sticky_routing`: requests of one session go to one target."""

    ttl_s: float
    session_identifiers: tuple[tuple[str, str], ...]
    """Source (`headers` or `metadata`) and key."""


@dataclass(frozen=True, slots=True)
class VirtualModel:
    """One `integration/model/virtual`."""

    name: str
    """`<group>/<name>`."""
    strategy: Strategy
    targets: tuple[Target, ...]
    sticky: Sticky | None = None

    def fqn(self, tenant: str) -> str:
        """Give the fully qualified name in a tenant."""
        group, _, name = self.name.partition("/")
        return f"{tenant}:virtual-model:{group}:model:{name}"


@dataclass(frozen=True, slots=True)
class RateRule:
    """A rule of `gateway-rate-limiting-config`."""

    id: str
    when: When
    limit_to: int
    of: str
    """`requests` or `tokens`."""
    per_s: int
    applies_per: tuple[str, ...] = ()
    """Up to two of `user`, `model`, `virtualaccount`, `metadata.<key>`."""


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """A rule of `gateway-budget-config`."""

    id: str
    when: When
    limit_to: float
    of: str
    """`cost` (USD) or `tokens`."""
    per: str
    """`day`, `week`, `month` or `quarter`, in UTC."""
    applies_per: tuple[str, ...] = ()
    audit_mode: bool = False


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One guardrail of a `provider-account/guardrail-config-group`; what it finds is a pattern here."""

    fqn: str
    """`<group>/<name>`."""
    operation: Operation
    enforcing: Enforcing
    pattern: re.Pattern[str]
    replacement: str = "[redacted]"
    latency_s: float = 0.0
    is_broken: bool = False
    """Whether its own service fails."""
    url: str = ""


GUARDRAIL_HOOKS = (
    *("llm_input_guardrails", "llm_output_guardrails"),
    *("mcp_tool_pre_invoke_guardrails", "mcp_tool_post_invoke_guardrails"),
)
"""As `x-tfy-guardrails` and the rules name them."""


@dataclass(frozen=True, slots=True)
class GuardrailRule:
    """A rule of `gateway-guardrails-config`."""

    id: str
    when: When
    asked: Mapping[str, tuple[Guardrail, ...]] = field(default_factory=dict)
    """Guardrails by hook (`GUARDRAIL_HOOKS`)."""


@dataclass(frozen=True, slots=True)
class SpanFilter:
    """One item of `when` of the exporter: a string attribute has to have one of the values."""

    key: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Export:
    """`otel_traces_exporter_config`, and the numbers of the exporter behind it.

    The numbers are not TrueFoundry's chart defaults (queue 1000, batch 10 to 50): a gateway of one process
    must not lose what the tests compare unless it is told to.
    """

    encoding: str = "proto"
    resource: dict[str, str] = field(default_factory=dict)
    exclude_request_data: bool = False
    when: tuple[SpanFilter, ...] = ()
    queue_size: int = 100_000
    batch_size: int = 1000
    window_s: float = 0.25
    workers: int = 1
    timeout_s: float = 60.0
    retries: int = 3
    retry_delay_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    """When a target counts as unhealthy: so many failures (5xx, 429, 401, 403) in so many seconds."""

    failures: int = 2
    window_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Config:
    """One gateway."""

    virtual_models: dict[str, VirtualModel] = field(default_factory=dict)
    """By name and by slug."""
    rate_rules: tuple[RateRule, ...] = ()
    budget_rules: tuple[BudgetRule, ...] = ()
    guardrails: dict[str, Guardrail] = field(default_factory=dict)
    guardrail_rules: tuple[GuardrailRule, ...] = ()
    export: Export = Export()
    health: Health = Health()
    logging: Logging = Logging.HEADER
