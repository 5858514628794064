"""The shape of a scenario file. These models also publish its JSON Schema.

Strict: an unknown key or a number where text belongs is an error. Durations are text with a unit
("500ms", "5s", "2m", "1h"), rates are "80/s", "600/min" or a number per second.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from tfy_last9.adapters.files.arms_document import ArmsPart, BaselinePart, CacheName
from tfy_last9.adapters.files.arrivals_document import ArrivalsPart
from tfy_last9.adapters.files.prompt_document import PromptPart, SessionsPart
from tfy_last9.adapters.files.scenario_parts import (
    BodyKey,
    Duration,
    HeaderName,
    HeaderValue,
    MetadataKey,
    MetadataValue,
    Model,
    Name,
    Part,
    Rate,
    Text,
)
from tfy_last9.adapters.files.target_parts import (
    ChecksPart,
    McpPart,
    Path,
    PricePart,
    QuotaPart,
    Server,
)
from tfy_last9.model.provider import canonical


class TargetPart(Part):
    """One destination behind the gateway."""

    name: Name
    model: Model | None = None
    provider: Text | None = None
    may_reach: Annotated[list[Text], Field(min_length=1)] | None = None
    standby: list[Text] = Field(default_factory=list)
    api: Literal["chat", "responses", "messages", "gemini", "embeddings", "mcp", "http"] = "chat"
    stream: bool | None = None
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    body: dict[BodyKey, JsonValue] = Field(default_factory=dict)
    path: Path | None = None
    prompt_key: Text | None = None
    server: Server | None = None
    mcp: McpPart | None = None
    checks: ChecksPart | None = None
    quota: QuotaPart | None = None
    price: PricePart | None = None

    @model_validator(mode="after")
    def _one_way_to_name_providers(self) -> TargetPart:
        if self.api == "mcp" and self.may_reach is None:
            return self  # the server itself, unless it is given another name
        if (self.provider is None) == (self.may_reach is None):
            raise ValueError(
                f'target "{self.name}" needs provider, or may_reach with the providers'
                " a virtual model may choose from; not both"
            )
        return self

    @model_validator(mode="after")
    def _standbys_are_others(self) -> TargetPart:
        if self.standby and self.may_reach is None:
            raise ValueError(
                f'target "{self.name}" has standby providers and no may_reach: only a virtual model'
                " can fall back"
            )
        both = {canonical(name) for name in self.may_reach or ()} & {
            canonical(name) for name in self.standby
        }
        if both:
            raise ValueError(
                f'target "{self.name}" names {", ".join(sorted(both))} in may_reach, whose evidence is'
                " expected, and in standby, which may stay silent; leave it in one"
            )
        return self


class PhasePart(Part):
    """A stretch of the schedule."""

    name: Name
    duration: Duration
    judged: bool = True
    rate: Rate | None = None


class LimitsPart(Part):
    """Bounds on the generator."""

    users: Annotated[int, Field(ge=1, le=100_000)] = 100
    connect: Duration = 5.0
    first_token: Duration = 30.0
    idle: Duration = 30.0
    total: Duration = 120.0
    usd: Annotated[float, Field(gt=0, strict=False)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    stop_after_failures: Annotated[int, Field(ge=0)] | None = None


class SettlePart(Part):
    """How long to wait for traces."""

    deadline: Duration = 120.0
    late_after: Duration = 30.0
    poll: Duration = 2.0


class PolicyPart(Part):
    """Run-level policy of the verdict."""

    on_inconclusive: Annotated[
        Literal["fail", "warn", "extend"], Field(alias="on-inconclusive")
    ] = "fail"
    early_stop: Annotated[bool, Field(alias="early-stop")] = False
    looks: Annotated[int, Field(ge=2, le=20)] = 5
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    baseline: BaselinePart = BaselinePart()


class ScenarioDocument(Part):
    """A scenario file."""

    name: Name
    description: str = ""
    driver: Literal["stream", "openai"] = "stream"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    targets: Annotated[list[TargetPart], Field(min_length=1)]
    arrivals: ArrivalsPart
    phases: Annotated[list[PhasePart], Field(min_length=1)]
    prompts: Annotated[list[PromptPart], Field(min_length=1)] | None = None
    limits: LimitsPart = LimitsPart()
    settle: SettlePart = SettlePart()
    policy: PolicyPart = PolicyPart()
    metadata: dict[MetadataKey, MetadataValue] = Field(default_factory=dict)
    arms: ArmsPart | None = None
    cache: CacheName = "as-is"
    sessions: SessionsPart = SessionsPart()
    sampling: Annotated[float, Field(gt=0, le=1, strict=False)] | None = None
