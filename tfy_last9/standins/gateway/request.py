"""What stands in the headers of a request, and the JSON it carries; raises the refusals a client sees."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from tfy_last9.standins.asgi import Scope, header
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.policy.config import Target

HEADER_NAME, HEADER_VALUE = re.compile(r"[a-z0-9-]+"), re.compile(r"[\t\x20-\x7e]*")
METADATA_VALUE_LIMIT = 128
"""Characters; from TrueFoundry's page on headers."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a model that may be served."""

    model: str
    """As the client named it."""
    body: dict[str, Any]
    streaming: bool
    targets: tuple[Target, ...]
    """Those that may serve; in the order in which they are tried once the route is decided."""
    request_timeout_s: float | None = None
    """Per attempt; None when the client set no limit."""
    ttft_timeout_s: float | None = None
    method: str = ""
    """Gemini's, which its path names."""
    form: tuple[str, bytes] | None = None
    """Content type and bytes of a request that is a form."""

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for usage at the end of a stream."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True


def read_metadata(scope: Scope) -> dict[str, str]:
    """Parse `x-tfy-metadata`: one JSON object of strings, each value at most 128 characters."""
    text = header(scope, b"x-tfy-metadata")
    if text is None:
        return {}
    try:
        metadata = orjson.loads(text.encode("latin-1"))
    except orjson.JSONDecodeError:
        metadata = None
    if not isinstance(metadata, dict):
        raise envelope.bad_request("x-tfy-metadata must be a JSON object")
    for key, value in metadata.items():
        if not isinstance(value, str) or len(value) > METADATA_VALUE_LIMIT:
            raise envelope.bad_request(
                f"x-tfy-metadata: value of {key} must be a string of at most 128 characters"
            )
    return metadata


def wants_trace(scope: Scope) -> bool:
    """Tell whether `x-tfy-logging-config` leaves request logging, and so the trace, on."""
    text = header(scope, b"x-tfy-logging-config")
    try:
        config = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        raise envelope.bad_request("x-tfy-logging-config must be a JSON object") from None
    return not (isinstance(config, dict) and config.get("enabled") is False)


def headers_for_servers(scope: Scope) -> dict[str, str]:
    """Read `x-tfy-mcp-headers`, a JSON object of headers for MCP servers; raises the 400."""
    text = header(scope, b"x-tfy-mcp-headers")
    if text is None:
        return {}
    try:
        found = orjson.loads(text)
        named = {name.lower(): value for name, value in found.items()}
        well_formed = all(
            HEADER_NAME.fullmatch(n) and HEADER_VALUE.fullmatch(v) for n, v in named.items()
        )
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        well_formed = False
    if not well_formed:
        raise envelope.bad_request("x-tfy-mcp-headers must be a JSON object of headers")
    return named


def parse_body(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object; raises the 400 a client would see."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise envelope.bad_request(f"request body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise envelope.bad_request("request body must be a JSON object")
    return body


def model_of(scope: Scope, body: dict[str, Any]) -> str:
    """Name the model as `account/model`; `x-tfy-provider-name` may give the account."""
    model = body.get("model")
    if not isinstance(model, str):
        raise envelope.bad_request("model: required, must be a string")
    account = header(scope, b"x-tfy-provider-name")
    return f"{account}/{model}" if account and "/" not in model else model


def timeouts(scope: Scope, *, streaming: bool) -> tuple[float | None, float | None]:
    """Read the limits of an attempt and of its first token, in seconds."""
    attempt_s = _milliseconds(scope, b"x-tfy-request-timeout")
    return attempt_s, _milliseconds(scope, b"x-tfy-ttft-timeout-ms") if streaming else None


def _milliseconds(scope: Scope, name: bytes) -> float | None:
    text = header(scope, name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise envelope.bad_request(f"{name.decode()}: must be a positive number of milliseconds")
    return int(text) / 1000
