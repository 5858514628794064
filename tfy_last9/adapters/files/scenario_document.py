"""The shape of a scenario file. These models also publish its JSON Schema.

Strict: an unknown key or a number where text belongs is an error. Durations are text with a unit
("500ms", "5s", "2m", "1h"), rates are "80/s", "600/min" or a number per second.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
    model_validator,
)

from tfy_last9.adapters.files.complaints import shown

RESERVED_METADATA = frozenset({"run_id", "request_id", "phase", "target", "scenario"})
"""Keys that the client itself writes into `x-tfy-metadata`."""
RESERVED_HEADERS = frozenset(
    {
        *("authorization", "x-tfy-metadata", "traceparent", "host", "content-type"),
        *("content-length", "transfer-encoding", "connection"),
    }
)
"""Headers that the client writes itself; credentials never come from a file."""
RESERVED_BODY = frozenset({"model", "messages", "stream"})

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|min|h)")
_PER_SECOND = {"s": 1.0, "min": 60.0, "h": 3600.0}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def parse_duration(value: object) -> float:
    """Return seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'expected a duration such as "500ms", "5s" or "2m", got {shown(value)}')
    amount, unit = float(match[1]), match[2]
    if amount == 0.0:
        raise ValueError(f"a duration must be longer than zero, got {shown(value)}")
    return amount / 1000.0 if unit == "ms" else amount * _SECONDS[unit]


def parse_rate(value: object) -> float:
    """Return requests per second."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        rate = float(value)
    else:
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f'expected a rate such as "80/s" or "600/min", got {shown(value)}')
        rate = float(match[1]) / _PER_SECOND[match[2]]
    if not 0.0 < rate <= 1e6:  # noqa: PLR2004 - also refuses NaN and infinity
        raise ValueError(f"a rate must be above 0 and at most 1000000/s, got {shown(value)}")
    return rate


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        raise ValueError(
            f"a name has 1 to 63 letters, digits, dots, dashes or underscores, got {shown(value)}"
        )
    return value


def _model(value: str) -> str:
    if not re.fullmatch(r"[^/\s]+/\S+", value):
        raise ValueError(
            f"expected account/model, as the gateway lists it, got {shown(value)};"
            " a virtual model has an account too"
        )
    return value


def _header_name(value: str) -> str:
    if value.lower() in RESERVED_HEADERS:
        raise ValueError(f'header "{value}" is written by the client; take it out of the scenario')
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError(f"not a valid header name: {shown(value)}")
    return value


def _header_value(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("a header value holds printable ASCII only")
    return value


def _metadata_key(value: str) -> str:
    if value in RESERVED_METADATA:
        raise ValueError(f'metadata key "{value}" is written by the client; choose another name')
    return value


def _metadata_value(value: str) -> str:
    if len(value) > 128:  # noqa: PLR2004 - TrueFoundry gateway docs: metadata values up to 128 characters
        raise ValueError(f"a metadata value has at most 128 characters, got {len(value)}")
    return value


def _body_key(value: str) -> str:
    if value in RESERVED_BODY:
        raise ValueError(f'body key "{value}" comes from the target itself; take it out of body')
    return value


_DURATION_SCHEMA = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"}
_RATE_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?/(s|min|h)$"},
        {"type": "number", "exclusiveMinimum": 0},
    ]
}
_NAME_SCHEMA = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}

Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
Rate = Annotated[float, BeforeValidator(parse_rate), WithJsonSchema(_RATE_SCHEMA)]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """A mapping of the file: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class TargetPart(Part):
    """One destination behind the gateway."""

    name: Name
    model: Annotated[str, AfterValidator(_model)]
    provider: Text | None = None
    may_reach: Annotated[list[Text], Field(min_length=1)] | None = None
    api: Literal["chat"] = "chat"
    stream: bool = True
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    headers: dict[
        Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_value)]
    ] = {}
    body: dict[Annotated[str, AfterValidator(_body_key)], JsonValue] = {}

    @model_validator(mode="after")
    def _one_way_to_name_providers(self) -> TargetPart:
        if (self.provider is None) == (self.may_reach is None):
            raise ValueError(
                f'target "{self.name}" needs provider, or may_reach with the providers'
                " a virtual model may choose from; not both"
            )
        return self


class ArrivalsPart(Part):
    """When requests are due."""

    kind: Literal["constant", "poisson"]
    rate: Rate


class PhasePart(Part):
    """A stretch of the schedule."""

    name: Name
    duration: Duration
    judged: bool = True
    rate: Rate | None = None


class MessagePart(Part):
    """One chat message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text


class PairPrompt(Part):
    """A user message, with or without a system message before it."""

    user: Text
    system: Text | None = None


class MessagesPrompt(Part):
    """A conversation spelled out."""

    messages: Annotated[list[MessagePart], Field(min_length=1)]


def _prompt_kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "MessagesPrompt" if isinstance(value, dict) and "messages" in value else "PairPrompt"


PromptPart = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[PairPrompt, Tag("PairPrompt")]
    | Annotated[MessagesPrompt, Tag("MessagesPrompt")],
    Discriminator(_prompt_kind),
]


class LimitsPart(Part):
    """Bounds on the generator."""

    users: Annotated[int, Field(ge=1, le=100_000)] = 100
    connect: Duration = 5.0
    first_token: Duration = 30.0
    idle: Duration = 30.0
    total: Duration = 120.0


class SettlePart(Part):
    """How long to wait for traces."""

    deadline: Duration = 120.0
    late_after: Duration = 30.0
    poll: Duration = 2.0


class PolicyPart(Part):
    """Run-level policy of the verdict."""

    on_inconclusive: Annotated[Literal["fail", "warn"], Field(alias="on-inconclusive")] = "fail"


class ScenarioDocument(Part):
    """A scenario file."""

    name: Name
    description: str = ""
    driver: Literal["stream", "openai"] = "stream"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    targets: Annotated[list[TargetPart], Field(min_length=1)]
    arrivals: ArrivalsPart
    phases: Annotated[list[PhasePart], Field(min_length=1)]
    prompts: Annotated[list[PromptPart], Field(min_length=1)]
    limits: LimitsPart = LimitsPart()
    settle: SettlePart = SettlePart()
    policy: PolicyPart = PolicyPart()
    metadata: dict[
        Annotated[str, AfterValidator(_metadata_key)],
        Annotated[str, AfterValidator(_metadata_value)],
    ] = {}
