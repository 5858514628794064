"""TrueFoundry AI Gateway headers and error envelope, read tolerantly.

Sources: TrueFoundry docs, AI Gateway "headers" and "feedback for traces" pages; replies recorded in pull
requests of github.com/truefoundry/models. Clients in the wild met base64 and base64url, padded or not,
percent-encoded, and the ids nested one level down: all of these are read.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

import orjson

from tfy_last9.model.request import Outcome

TARGET_ID_HEADER = "x-tfy-feedback-target-id"
RESOLVED_MODEL_HEADER = "x-tfy-resolved-model"
CACHE_STATUS_HEADER = "x-tfy-cache-status"
METADATA_HEADER = "x-tfy-metadata"
METADATA_VALUE_LIMIT = 128
"""Characters per metadata value (TrueFoundry docs, "headers")."""

_HEX = {"traceId": re.compile(r"[0-9a-f]{32}"), "spanId": re.compile(r"[0-9a-f]{16}")}
_MESSAGE_LIMIT = 200
_VARIABLE = re.compile(
    r"""'[^']*'|"[^"]*"|[\w.+-]+@[\w.-]+|\b(?=[\w-]*\d)[0-9A-Za-z_-]{16,}\b|\b\d[\d.,:]*\b"""
)


class TraceIds(NamedTuple):
    """What the gateway says about the trace of a request."""

    trace_id: str
    root_span_id: str | None


class Refusal(NamedTuple):
    """What an answer other than 2xx means."""

    outcome: Outcome
    error_type: str
    """Short and stable; goes into the ledger."""
    message: str


def metadata_header(labels: Mapping[str, str]) -> str:
    """Return the `x-tfy-metadata` value: one JSON object, strings only, ASCII."""
    return json.dumps({key: value[:METADATA_VALUE_LIMIT] for key, value in labels.items()})


def read_target_id(value: str | None) -> TraceIds | None:
    """Return the ids in `x-tfy-feedback-target-id`, or None if the header is missing or unreadable."""
    if not value:
        return None
    text = unquote(value).strip().strip('"').replace("-", "+").replace("_", "/").rstrip("=")
    try:
        decoded = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None
    return _ids_in(decoded)


def _ids_in(decoded: object) -> TraceIds | None:
    if not isinstance(decoded, dict):
        return None
    trace_id = _hex_field(decoded, "traceId")
    if trace_id is not None:
        return TraceIds(trace_id, _hex_field(decoded, "spanId"))
    for nested in decoded.values():
        if (found := _ids_in(nested)) is not None:
            return found
    return None


def _hex_field(decoded: Mapping[object, object], name: str) -> str | None:
    value = decoded.get(name)
    folded = value.lower() if isinstance(value, str) else ""
    return folded if _HEX[name].fullmatch(folded) else None


def template(message: str) -> str:
    """Reduce an error text to its shape: quoted parts, ids and numbers become `#`.

    The ledger keeps templates only, so that no prompt, key or identity ends up in a run folder.
    """
    return _VARIABLE.sub("#", message)[:_MESSAGE_LIMIT]


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Classify an answer other than 2xx: gateway or provider, and why."""
    envelope = _envelope(body)
    message = _message(envelope, body)
    origin = str(envelope.get("error_origin_level") or "")
    kind = str(_error_object(envelope).get("type") or "") or None
    if status in {401, 403} and origin != "api_error" and "provider" not in envelope:
        return Refusal(Outcome.REJECTED_AUTH, kind or f"http_{status}", message)
    if origin.startswith("guardrails") or kind == "guardrail_checks_failed":
        return Refusal(Outcome.REJECTED_GUARDRAIL, kind or "guardrail", message)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return _too_many(envelope, headers, message, kind)
    if origin == "api_error" or envelope.get("provider"):
        return Refusal(Outcome.PROVIDER_ERROR, f"provider_{status}", message)
    if status == 408:  # noqa: PLR2004 - the gateway's own request or TTFT timeout
        return Refusal(Outcome.TIMEOUT, "gateway_timeout", message)
    return Refusal(Outcome.HTTP_ERROR, kind or f"http_{status}", message)


def _too_many(
    envelope: Mapping[str, object], headers: Mapping[str, str], message: str, kind: str | None
) -> Refusal:
    """Tell a gateway 429 from a provider 429 by message, `provider` field and applied rules."""
    if message.startswith("Budget exceeded"):
        return Refusal(Outcome.REJECTED_BUDGET, kind or "budget", message)
    gateway_rule = message.startswith("Rate limit exceeded for model") or (
        "x-tfy-applied-rules" in headers and not envelope.get("provider")
    )
    if gateway_rule or not envelope.get("provider"):
        return Refusal(Outcome.REJECTED_RATE_LIMIT, kind or "rate_limit", message)
    return Refusal(Outcome.PROVIDER_ERROR, "provider_429", message)


def _envelope(body: bytes) -> dict[str, object]:
    try:
        decoded = orjson.loads(body)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _error_object(envelope: Mapping[str, object]) -> dict[str, object]:
    """Return `error`, which one gateway version sends as a JSON string."""
    error = envelope.get("error")
    if isinstance(error, str):
        return _envelope(error.encode()) or {"message": error}
    return error if isinstance(error, dict) else {}


def _message(envelope: Mapping[str, object], body: bytes) -> str:
    for candidate in (envelope.get("message"), _error_object(envelope).get("message")):
        if isinstance(candidate, str) and candidate:
            return candidate[:_MESSAGE_LIMIT]
    return body[:_MESSAGE_LIMIT].decode("utf-8", "replace").strip()
