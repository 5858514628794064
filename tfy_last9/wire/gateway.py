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
from tfy_last9.wire.envelope import MESSAGE_LIMIT, Envelope, cloudflare_code, envelope_of

TARGET_ID_HEADER = "x-tfy-feedback-target-id"
RESOLVED_MODEL_HEADER = "x-tfy-resolved-model"
CACHE_STATUS_HEADER = "x-tfy-cache-status"
RULES_HEADER = "x-tfy-applied-rules"
METADATA_HEADER = "x-tfy-metadata"
METADATA_VALUE_LIMIT = 128
"""Characters per metadata value (TrueFoundry docs, "headers")."""

GUARDRAIL_KIND = "guardrail_checks_failed"

_GATEWAY_WORDS = (
    (Outcome.REJECTED_BUDGET, re.compile(r"^Budget exceeded\b")),
    (Outcome.REJECTED_RATE_LIMIT, re.compile(r"^Rate limit exceeded for model\b")),
    (Outcome.REJECTED_GUARDRAIL, re.compile(r"Guardrail checks failed", re.IGNORECASE)),
)
"""Beginnings of the gateway's own refusals, as its docs and clients in the wild quote them."""
_PROVIDER_WORDS = re.compile(r"^(?:[\w.-]+ error:|Invalid response received from )")
_BUDGET_RULE = re.compile(r"budget", re.IGNORECASE)
_FIRST_TOKEN = re.compile(r"ttft|first[ _-]?token", re.IGNORECASE)
_HEX = {"traceId": re.compile(r"[0-9a-f]{32}"), "spanId": re.compile(r"[0-9a-f]{16}")}
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
    return _VARIABLE.sub("#", message)[:MESSAGE_LIMIT]


def refusal_in_words(message: str) -> Outcome | None:
    """Return what the gateway itself turned down, told by its words alone; None where it did not."""
    for outcome, words in _GATEWAY_WORDS:
        if words.search(message):
            return outcome
    return None


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Classify an answer other than 2xx: gateway or provider, and why."""
    found = envelope_of(body)
    message, kind = found.message or "", found.kind
    code = cloudflare_code(message)
    if code is not None:
        return Refusal(Outcome.REJECTED_AUTH, f"cloudflare_{code}", message)
    if status in {401, 403} and not _names_provider(found):
        return Refusal(Outcome.REJECTED_AUTH, kind or f"http_{status}", message)
    if _is_guardrail(found):
        return Refusal(Outcome.REJECTED_GUARDRAIL, kind or "guardrail", message)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return _too_many(found, headers.get(RULES_HEADER, ""))
    if _names_provider(found):
        return Refusal(Outcome.PROVIDER_ERROR, f"provider_{status}", message)
    return _other(status, found)


def _other(status: int, found: Envelope) -> Refusal:
    message = found.message or ""
    if status == 408:  # noqa: PLR2004 - the gateway's own request or TTFT timeout
        name = "gateway_ttft_timeout" if _FIRST_TOKEN.search(message) else "gateway_timeout"
        return Refusal(Outcome.TIMEOUT, name, message)
    return Refusal(Outcome.HTTP_ERROR, found.kind or f"http_{status}", message)


def _too_many(found: Envelope, rules: str) -> Refusal:
    """Tell a gateway 429 from a provider 429 by message, `provider` field and applied rules.

    Words come first: a gateway that names a provider beside its own rule still refused by itself.
    """
    message, kind = found.message or "", found.kind
    told = refusal_in_words(message)
    of_provider = _names_provider(found) or _PROVIDER_WORDS.search(message) is not None
    if told is None and of_provider:
        return Refusal(Outcome.PROVIDER_ERROR, "provider_429", message)
    if told is Outcome.REJECTED_BUDGET or (told is None and _BUDGET_RULE.search(rules)):
        return Refusal(Outcome.REJECTED_BUDGET, kind or "budget", message)
    return Refusal(Outcome.REJECTED_RATE_LIMIT, kind or "rate_limit", message)


def _is_guardrail(found: Envelope) -> bool:
    told = refusal_in_words(found.message or "") is Outcome.REJECTED_GUARDRAIL
    return told or found.origin.startswith("guardrails") or found.kind == GUARDRAIL_KIND


def _names_provider(found: Envelope) -> bool:
    return found.origin == "api_error" or found.provider is not None
