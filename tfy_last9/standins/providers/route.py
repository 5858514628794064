"""From an upstream path to a vendor and what it is asked for: `/<vendor>/<the vendor's own path>`."""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.standins.providers.dialects import chat, completions, gemini, messages, responses
from tfy_last9.standins.providers.dialects.dialect import Dialect
from tfy_last9.standins.providers.objects import ANSWERS
from tfy_last9.standins.providers.vendors import VENDORS, Vendor

DIALECTS: dict[str, Dialect] = {
    "/v1/chat/completions": chat,
    "/v1/completions": completions,
    "/v1/messages": messages,
    "/v1/responses": responses,
}
GEMINI_VERSIONS = ("/v1beta/models/", "/v1/models/")
GEMINI_METHODS = frozenset({"generateContent", gemini.STREAM})


@dataclass(frozen=True, slots=True)
class Route:
    """What an upstream path asks for."""

    vendor: Vendor
    path: str
    dialect: Dialect | None
    """None for an answer that is not text."""
    model: str | None = None
    """None when the model is named in the body."""
    method: str = ""
    """Gemini's, which the path names."""


def route(path: str) -> Route | None:
    """Find the vendor and the format of an upstream path."""
    name, _, rest = path.removeprefix("/").partition("/")
    vendor, rest = VENDORS.get(name), "/" + rest
    if vendor is None:
        return None
    if rest in DIALECTS:
        return Route(vendor, rest, DIALECTS[rest])
    if rest in ANSWERS:
        return Route(vendor, rest, None)
    for version in GEMINI_VERSIONS:
        if rest.startswith(version):
            model, _, method = rest.removeprefix(version).partition(":")
            if method in GEMINI_METHODS:
                return Route(vendor, rest, gemini, model, method)
    return None
