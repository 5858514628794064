"""Switches of the gateway stand-in.

Each switch stands for something the public documentation leaves open; the default is the reading
that the evidence favours, and a checker has to work under every setting. docs/sandbox.md explains each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tfy_last9.standins.credentials import optional, required
from tfy_last9.standins.gateway.switches import (
    AttributeSet,
    BrokenRoot,
    CacheHitTree,
    MetadataEncoding,
    RejectedSpans,
    RetrySpans,
    SpanKinds,
    StreamOutputGuardrails,
    TimeoutSpans,
)

DEFAULT_RESOURCE = "env=sandbox,region=local,team=platform,tenant_id=sandbox"


class TargetEncoding(Enum):
    """How `x-tfy-feedback-target-id` is encoded; clients have been seen to accept all of these."""

    BASE64 = "base64"
    BASE64URL = "base64url"
    UNPADDED = "unpadded"
    QUOTED = "quoted"


class TargetShape(Enum):
    """Whether the ids stand at the top of its JSON or within `target`."""

    FLAT = "flat"
    NESTED = "nested"


class HeaderOnErrors(Enum):
    """Whether an error bears the header: if its trace will exist, always, or never."""

    TRACED = "traced"
    ALWAYS = "always"
    NEVER = "never"


class MidStreamError(Enum):
    """What a client of chat completions sees of a failure after the first token."""

    ENVELOPE = "envelope"
    OPENAI = "openai"
    CLOSE = "close"


class NativeErrors(Enum):
    """Whether errors of the vendors' native interfaces wear the gateway's envelope or the vendor's."""

    ENVELOPE = "envelope"
    VENDOR = "vendor"


class RootType(Enum):
    """Type of the root of Messages, Responses and Gemini calls: that of chats, or their own."""

    CHAT = "chat"
    OWN = "own"


class UserAgents(Enum):
    """Whether Cloudflare, in front of the SaaS, refuses what does not look like a browser."""

    ANY = "any"
    BROWSER = "browser"


class Exporting(Enum):
    """Who sends spans where the YAML file says nothing of the export: OpenTelemetry's SDK, or `otlp.py`."""

    SDK = "sdk"
    DIRECT = "direct"


class Passing(Enum):
    """Whether something of the provider's answer is passed on."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that may be set when the gateway starts."""

    port: int
    journal: str
    seed: int
    faults: tuple[str, ...]
    gateway_config: Path | None
    """YAML file of routes, limits, guardrails and export; None for the defaults."""
    providers_port: int
    embed_providers: bool
    """Whether the simulated providers run inside this process, to measure one core alone."""
    pace: tuple[float, float] | None
    """Milliseconds to the first token and between tokens of all embedded models; None for their own."""
    record_sends: bool
    """Whether the journal holds the instant at which each token was sent, and was to be."""
    last9_port: int
    last9_ca: str | None
    """PEM file of the authority that signed Last9's certificate, if it speaks TLS."""
    otlp_endpoint: str
    otlp_auth: str
    api_key: str
    other_keys: str
    """JSON list of further keys and whose they are."""
    tenant: str
    region: str
    zone: str
    resource: dict[str, str]
    exporter: Exporting
    exclude_request_data: bool
    honour_traceparent: bool
    attributes: AttributeSet
    metadata_encoding: MetadataEncoding
    metadata_on_all_spans: bool
    retry_spans: RetrySpans
    timeout_spans: TimeoutSpans
    rejected_spans: RejectedSpans
    broken_root: BrokenRoot
    cache_hit_tree: CacheHitTree
    span_kinds: SpanKinds
    stream_output_guardrails: StreamOutputGuardrails
    traced_rejections: frozenset[int]
    target_encoding: TargetEncoding
    target_shape: TargetShape
    header_on_errors: HeaderOnErrors
    mid_stream_error: MidStreamError
    native_errors: NativeErrors
    root_type: RootType
    user_agents: UserAgents
    usage: Passing
    retry_after: Passing
    resolved_model: Passing
    rate_limit_type: str
    """`error.type` of the gateway's own 429."""
    rate_limit_level: str
    """Its `error_origin_level`; empty leaves it out."""
    budget_type: str
    budget_level: str
    timeout_type: str
    """`error.type` of a 408."""


def _state_of(states: type[Enum]) -> Callable[[str], Enum]:
    def state(text: str) -> Enum:
        try:
            return states(text)
        except ValueError:
            valid = ", ".join(str(one.value) for one in states)
            raise argparse.ArgumentTypeError(f"expected one of {valid}, saw {text}") from None

    return state


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if pair)


def _pace(text: str) -> tuple[float, float]:
    ttft_ms, gap_ms = map(float, text.split(","))
    return ttft_ms, gap_ms


def _statuses(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(",") if part)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway")
    add = parser.add_argument
    add("--port", type=int, default=0)
    add("--journal", required=True)
    add("--seed", type=int, default=0)
    add("--fault", action="append", default=[], dest="faults")
    add("--gateway-config", type=Path, help="routes, limits, guardrails and export, as YAML")
    add("--providers-port", type=int, default=0)
    add("--embed-providers", action="store_true", help="simulate the providers in this process")
    add("--pace", type=_pace, help="TTFT,GAP in ms of every embedded model, for measurements")
    add("--record-sends", action="store_true", help="journal the instant of every token")
    add("--last9-port", type=int, default=0, help="where faults of Last9 are passed on to")
    add("--last9-ca")
    add("--otlp-endpoint", required=True, help="full URL, /v1/traces included")
    add("--tenant", default="sandbox")
    add("--region", default="local")
    add("--zone", default="local-a")
    add("--resource", type=_pairs, default=_pairs(DEFAULT_RESOURCE))
    _add_telemetry(parser)
    _add_answers(parser)
    return parser


def _add_telemetry(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--exclude-request-data", action="store_true", help="drop tfy.input, tfy.output")
    add("--honour-traceparent", action="store_true", help="continue the client's W3C trace")
    add("--metadata-on-all-spans", action="store_true", help="not only on the root")
    add("--traced-rejections", type=_statuses, default=_statuses("400,403,429"))


CHOICES: dict[str, Enum] = {
    "--exporter": Exporting.SDK,
    "--attributes": AttributeSet.TFY,
    "--metadata-encoding": MetadataEncoding.JSON,
    "--retry-spans": RetrySpans.MODEL,
    "--timeout-spans": TimeoutSpans.HTTP,
    "--rejected-spans": RejectedSpans.ROOT,
    "--broken-root": BrokenRoot.ERROR,
    "--cache-hit-tree": CacheHitTree.ROOT,
    "--span-kinds": SpanKinds.SERVER,
    "--stream-output-guardrails": StreamOutputGuardrails.SKIP,
    "--root-type": RootType.CHAT,
    "--target-encoding": TargetEncoding.BASE64,
    "--target-shape": TargetShape.FLAT,
    "--header-on-errors": HeaderOnErrors.TRACED,
    "--mid-stream-error": MidStreamError.ENVELOPE,
    "--native-errors": NativeErrors.ENVELOPE,
    "--user-agents": UserAgents.ANY,
    "--usage": Passing.ON,
    "--retry-after": Passing.OFF,
    "--resolved-model": Passing.ON,
}
"""Flags with named states, and their defaults."""


def _add_answers(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    for flag, default in CHOICES.items():
        add(flag, type=_state_of(type(default)), default=default)
    add("--rate-limit-type", default="RateLimitError")
    add("--rate-limit-level", default="rate_limit")
    add("--budget-type", default="BudgetExceededError")
    add("--budget-level", default="budget")
    add("--timeout-type", default="APIError")


def read(argv: list[str]) -> Settings:
    """Read flags; the secrets come in the environment, never as arguments."""
    return Settings(
        **vars(_parser().parse_args(argv)),
        otlp_auth=required("SANDBOX_OTLP_AUTH"),
        api_key=required("SANDBOX_API_KEY"),
        other_keys=optional("SANDBOX_OTHER_KEYS", "[]"),
    )
