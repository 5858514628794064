"""What is needed to read from Last9, taken from `LAST9_*` variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tfy_last9.adapters.network import CA_BUNDLE
from tfy_last9.errors import ConfigurationError
from tfy_last9.wire.last9_token import is_loopback

DEFAULT_SERVICE = "tfy-llm-gateway"
DEFAULT_PAGE_LIMIT = 5000
"""Rows asked for per answer; what Last9's own client asks for (last9/last9-mcp-server)."""

DEFAULT_PARALLEL = 4
DEFAULT_MAX_MB = 8192
DEFAULT_ROWS_MAX = 5_000_000
STRATEGIES = ("auto", "rows", "counts")


@dataclass(frozen=True, slots=True)
class Last9Settings:
    """How to reach Last9. None means: found out from the token or the API."""

    refresh_token: str = field(repr=False)
    api_url: str | None = None
    org: str | None = None
    region: str | None = None
    service: str = DEFAULT_SERVICE
    """`service.name` of the gateway's spans."""
    page_limit: int = DEFAULT_PAGE_LIMIT
    parallel: int = DEFAULT_PARALLEL
    """Queries under way at a time while everything is fetched."""
    max_mb: int = DEFAULT_MAX_MB
    """Most megabytes of answers (decoded) that one collection may read."""
    select: bool = True
    """Ask for the fields that are needed only, so that prompts are not sent."""
    rows_max: int = DEFAULT_ROWS_MAX
    """Most spans to fetch one by one; beyond it Last9 counts and a sample of traces is looked up."""
    strategy: str = "auto"
    """`rows`, `counts`, or `auto`: by size."""
    change_events: bool = False
    """Tell Last9 when a run starts and how it ended; needs a token with write scope."""
    ca_bundle: str | None = None
    """PEM file of authorities to trust besides the system's."""


def from_environment(variables: Mapping[str, str]) -> Last9Settings | None:
    """Return the settings, or None when no refresh token is set. Empty variables count as unset."""
    given = {name: value.strip() for name, value in variables.items() if value.strip()}
    token = given.get("LAST9_REFRESH_TOKEN")
    if token is None:
        return None
    return Last9Settings(
        refresh_token=_checked_token(token),
        api_url=_checked_url(given.get("LAST9_API_URL")),
        org=given.get("LAST9_ORG"),
        region=given.get("LAST9_REGION"),
        service=given.get("LAST9_SERVICE", DEFAULT_SERVICE),
        page_limit=_number(given, "LAST9_PAGE_LIMIT", DEFAULT_PAGE_LIMIT),
        parallel=_number(given, "LAST9_PARALLEL", DEFAULT_PARALLEL, most=16),
        max_mb=_number(given, "LAST9_MAX_MB", DEFAULT_MAX_MB),
        select=_switch(given, "LAST9_SELECT", default=True),
        rows_max=_number(given, "LAST9_ROWS_MAX", DEFAULT_ROWS_MAX),
        strategy=_choice(given, "LAST9_STRATEGY", STRATEGIES),
        change_events=_switch(given, "LAST9_CHANGE_EVENTS", default=False),
        ca_bundle=given.get(CA_BUNDLE),
    )


def _checked_token(token: str) -> str:
    """Refuse what is plainly another credential, without repeating any of it."""
    if token.lower().startswith("basic "):
        raise ConfigurationError(
            "LAST9_REFRESH_TOKEN holds an OTLP Auth Header (`Basic ...`), which cannot read traces",
            hint="create a refresh token with read scope at https://app.last9.io/settings/api-access",
        )
    token = token.removeprefix("Bearer ").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "LAST9_REFRESH_TOKEN holds blanks, line breaks or other characters no token has",
            hint="copy the token again, whole and on one line",
        )
    return token


def _checked_url(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ConfigurationError(
            "LAST9_API_URL should look like https://app.last9.io, without user and password",
            hint="leave it unset: the host is then read from the refresh token",
        )
    if parts.scheme == "http" and not is_loopback(url):
        raise ConfigurationError(
            f"LAST9_API_URL is http:// for {parts.hostname}: the token would travel unencrypted",
            hint="use https:// (http:// is for 127.0.0.1, localhost and ::1 only)",
        )
    return f"{parts.scheme}://{parts.netloc}"


def _number(given: Mapping[str, str], name: str, default: int, *, most: int | None = None) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1 or (most is not None and int(text) > most):
        bound = "1 or more" if most is None else f"1 to {most}"
        raise ConfigurationError(f"{name} should be a whole number, {bound}: {text!r}")
    return int(text)


def _switch(given: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = given.get(name)
    if text is None:
        return default
    known = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}
    if text.lower() not in known:
        raise ConfigurationError(f"{name} should be 1 or 0, on or off, true or false: {text!r}")
    return known[text.lower()]


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = given.get(name, choices[0])
    if text not in choices:
        raise ConfigurationError(f"{name} should be one of {', '.join(choices)}: {text!r}")
    return text
