"""The three simulated vendors: names, speed, and the shape of their error bodies.

Speeds are invented but of the order seen in public benchmarks of small models; they are constants so
that a run with the same seed meets the same latencies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Vendor:
    """One provider as an upstream."""

    name: str
    ttft_median_s: float
    gap_median_s: float
    served: dict[str, str]
    """Requested model name to the versioned name that answers carry."""
    error_body: Callable[[int, str], dict[str, object]]


def _openai_error(status: int, message: str) -> dict[str, object]:
    kind = {404: "invalid_request_error"}.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _anthropic_error(status: int, message: str) -> dict[str, object]:
    kind = {404: "not_found_error", 503: "overloaded_error"}.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def _gemini_error(status: int, message: str) -> dict[str, object]:
    name = {404: "NOT_FOUND", 503: "UNAVAILABLE"}.get(status, "INTERNAL")
    return {"error": {"code": status, "message": message, "status": name}}


OPENAI = Vendor("openai", 0.22, 0.012, {"gpt-4o-mini": "gpt-4o-mini-2024-07-18"}, _openai_error)
ANTHROPIC = Vendor(
    "anthropic", 0.30, 0.013, {"claude-sonnet-4-6": "claude-sonnet-4-6-20260217"}, _anthropic_error
)
GEMINI = Vendor("gemini", 0.25, 0.011, {"gemini-2.5-flash": "gemini-2.5-flash-001"}, _gemini_error)
CANARIES = {
    f"/{vendor.name}-canary": replace(vendor, name=f"{vendor.name}-canary")
    for vendor in (OPENAI, ANTHROPIC, GEMINI)
}
"""The same vendors behind a second account, so that faults can strike the canary of a comparison alone."""


@dataclass(frozen=True, slots=True)
class Route:
    """What an upstream path asks for."""

    vendor: Vendor
    model: str | None
    """None when the model is named in the body."""


def route(path: str) -> Route | None:
    """Find the vendor of an upstream path; Gemini names the model and the method in the path."""
    for prefix, vendor in CANARIES.items():
        if path.startswith(prefix + "/"):
            found = route(path.replace("-canary", "", 1))
            return None if found is None else Route(vendor, found.model)
    if path == "/openai/v1/chat/completions":
        return Route(OPENAI, None)
    if path == "/anthropic/v1/messages":
        return Route(ANTHROPIC, None)
    for version in ("/gemini/v1beta/models/", "/gemini/v1/models/"):
        if path.startswith(version):
            model, _, method = path.removeprefix(version).partition(":")
            if method in {"generateContent", "streamGenerateContent"}:
                return Route(GEMINI, model)
    return None
