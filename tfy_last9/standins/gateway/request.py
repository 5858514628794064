"""Read a chat request: headers and body in, a typed request out, or the refusal to send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from tfy_last9.standins.asgi import Scope, carries_key, header
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.catalogue import Card, targets

SUBJECT = "sandbox-virtual-account"
METADATA_VALUE_LIMIT = 128
"""Characters; from TrueFoundry's page on headers."""
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
PARAMETERS = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "frequency_penalty",
    "presence_penalty",
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request that may be served."""

    card: Card
    body: dict[str, Any]
    streaming: bool
    wants_usage: bool
    request_timeout_s: float | None
    """Per attempt; None when the client set no limit."""
    ttft_timeout_s: float | None
    fallbacks: tuple[Card, ...] = ()
    """Targets of a virtual model that step in, by priority, when the one before failed."""


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


def authenticate(scope: Scope, api_key: str) -> None:
    """Refuse callers without the key."""
    if not carries_key(scope, api_key):
        raise envelope.unauthorized()


def parse_body(raw: bytes) -> dict[str, Any]:
    """Parse and check the JSON body; raises the 400 a client would see."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise envelope.bad_request(f"request body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise envelope.bad_request("request body must be a JSON object")
    if not isinstance(body.get("model"), str):
        raise envelope.bad_request("model: required, must be a string")
    return body


def admit(scope: Scope, body: dict[str, Any]) -> ChatRequest:
    """Check access to the model, then the rest of the body."""
    cards = targets(body["model"])
    if not cards:
        raise envelope.forbidden(SUBJECT, body["model"])
    _check_messages(body.get("messages"))
    stream, options = body.get("stream", False), body.get("stream_options")
    if not isinstance(stream, bool):
        raise envelope.bad_request("stream: must be a boolean")
    limit = body.get("max_tokens")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise envelope.bad_request("max_tokens: must be a positive integer")
    return ChatRequest(
        card=cards[0],
        body=body,
        streaming=stream,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        request_timeout_s=_milliseconds(scope, b"x-tfy-request-timeout"),
        ttft_timeout_s=_milliseconds(scope, b"x-tfy-ttft-timeout-ms") if stream else None,
        fallbacks=cards[1:],
    )


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise envelope.bad_request("messages: required, must be a non-empty array")
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise envelope.bad_request(f"messages[{place}].role: must be one of {sorted(ROLES)}")


def _milliseconds(scope: Scope, name: bytes) -> float | None:
    text = header(scope, name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise envelope.bad_request(f"{name.decode()}: must be a positive number of milliseconds")
    return int(text) / 1000


def upstream_body(request: ChatRequest) -> bytes:
    """Write the body for the provider: its own model name, and usage always asked for.

    The gateway needs the counts for its trace; whether the client sees them is its own choice.
    """
    body = {**request.body, "model": request.card.model}
    if request.streaming:
        body["stream_options"] = {"include_usage": True}
    return orjson.dumps(body)
