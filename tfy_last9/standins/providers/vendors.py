"""The simulated vendors: their models, how fast each is, how many answers at once, their error bodies.

Speeds are invented but of the order seen in public benchmarks of such models; they are constants so
that a run with the same seed meets the same latencies. To add a vendor, add one to `VENDORS`, its
name to `PROVIDERS` in `standins/faults.py` and its models to the gateway's catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

Problem = Callable[[int, str], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Speed:
    """Times of one model; both are log-normal with these medians and shapes."""

    ttft_median_s: float = 0.05
    gap_median_s: float = 0.012
    ttft_sigma: float = 0.3
    gap_sigma: float = 0.25


@dataclass(frozen=True, slots=True)
class Thinking:
    """How a model reasons before it answers."""

    median_s: float
    aloud: bool
    """Whether it streams its reasoning; a model that does not is silent meanwhile."""
    always: bool
    """Whether it reasons unasked."""


@dataclass(frozen=True, slots=True)
class Served:
    """One model of a vendor."""

    version: str
    """The versioned name that answers carry."""
    speed: Speed = field(default_factory=Speed)
    thinking: Thinking | None = None
    """None for a model that cannot reason."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """One provider as an upstream."""

    name: str
    served: dict[str, Served]
    """By the name that requests carry."""
    error_body: Problem
    capacity: int = 1000
    """Answers at once; what comes on top waits, first come, first served."""


def _openai_error(status: int, message: str) -> dict[str, object]:
    kinds = {400: "invalid_request_error", 404: "invalid_request_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error")
    code = "rate_limit_exceeded" if status == 429 else None  # noqa: PLR2004 - HTTP
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_error(status: int, message: str) -> dict[str, object]:
    kinds = {
        400: "invalid_request_error",
        404: "not_found_error",
        429: "rate_limit_error",
        503: "overloaded_error",
    }
    return {
        "type": "error",
        "error": {"type": kinds.get(status, "api_error"), "message": message},
        "request_id": None,
    }


def _gemini_error(status: int, message: str) -> dict[str, object]:
    names = {
        400: "INVALID_ARGUMENT",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        503: "UNAVAILABLE",
    }
    return {"error": {"code": status, "message": message, "status": names.get(status, "INTERNAL")}}


def _plain_error(status: int, message: str) -> dict[str, object]:
    """Bedrock, Cohere and Mistral name no kind in the body."""
    del status
    return {"message": message}


ALOUD = Thinking(median_s=0.6, aloud=True, always=False)
OPENAI = Vendor(
    "openai",
    {
        "gpt-4o-mini": Served("gpt-4o-mini-2024-07-18", Speed(0.22, 0.012)),
        "gpt-5-mini": Served(
            "gpt-5-mini-2025-08-07",
            Speed(0.24, 0.010),
            Thinking(median_s=1.6, aloud=False, always=True),
        ),
        "gpt-3.5-turbo-instruct": Served("gpt-3.5-turbo-instruct", Speed(0.18, 0.010)),
        "text-embedding-3-small": Served("text-embedding-3-small"),
        "omni-moderation-latest": Served("omni-moderation-2024-09-26"),
        "gpt-image-1": Served("gpt-image-1", Speed(0.8)),
        "gpt-4o-mini-tts": Served("gpt-4o-mini-tts", Speed(0.15)),
        "whisper-1": Served("whisper-1", Speed(0.15)),
    },
    _openai_error,
)
ANTHROPIC = Vendor(
    "anthropic",
    {"claude-sonnet-4-6": Served("claude-sonnet-4-6-20260217", Speed(0.30, 0.013), ALOUD)},
    _anthropic_error,
)
GEMINI = Vendor(
    "gemini",
    {"gemini-2.5-flash": Served("gemini-2.5-flash-001", Speed(0.25, 0.011), ALOUD)},
    _gemini_error,
)
BEDROCK = Vendor(
    "bedrock",
    {
        "us.anthropic.claude-haiku-4-5": Served(
            "us.anthropic.claude-haiku-4-5-20251001-v1:0", Speed(0.20, 0.010), ALOUD
        )
    },
    _plain_error,
)
MISTRAL = Vendor(
    "mistral",
    {
        "mistral-small-latest": Served("mistral-small-2506", Speed(0.16, 0.009)),
        "mistral-embed": Served("mistral-embed"),
    },
    _plain_error,
)
DEEPSEEK = Vendor(
    "deepseek",
    {
        "deepseek-reasoner": Served(
            "deepseek-reasoner",
            Speed(0.35, 0.014),
            Thinking(median_s=1.2, aloud=True, always=True),
        )
    },
    _openai_error,
)
COHERE = Vendor("cohere", {"rerank-v3.5": Served("rerank-v3.5", Speed(0.08))}, _plain_error)
CANARIES = tuple(
    replace(vendor, name=f"{vendor.name}-canary") for vendor in (OPENAI, ANTHROPIC, GEMINI)
)
"""The same vendors behind a second account, so that faults can strike the canary of a comparison alone."""
VENDORS = {
    vendor.name: vendor
    for vendor in (OPENAI, ANTHROPIC, GEMINI, BEDROCK, MISTRAL, DEEPSEEK, COHERE, *CANARIES)
}
