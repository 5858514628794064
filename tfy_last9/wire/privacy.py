"""What of a span may be kept: no content, no credentials, identities only as hashes.

A gateway is shared: spans of other people's traffic are read with ours, so that the rule holds for
every span and not only for those of the run. Content names come from TrueFoundry's attribute list,
the OpenTelemetry GenAI conventions (current and older) and OpenInference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache

import orjson

_CONTENT = frozenset(
    {
        "tfy.input",
        "tfy.output",
        "tfy.prompt_variables",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "input.value",
        "output.value",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "url.query",
        "exception.stacktrace",
    }
)
_CONTENT_PREFIXES = (
    "tfy.input_",
    "tfy.output_",
    "tfy.input.",
    "tfy.output.",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.content",
    "llm.input_messages",
    "llm.output_messages",
    "http.request.header",
    "http.response.header",
    "http.request.body",
    "http.response.body",
)
_SECRET = re.compile(
    r"authorization|cookie|password|secret|api[-_.]?key|access[-_.]?token", re.IGNORECASE
)
_IDENTITY = re.compile(
    r"(?:^|[._])(?:created_by_subject|subject|user|user[._-]?(?:id|name|email)|username|e?mail"
    r"|enduser[._]id|client[._](?:address|ip)|client_ip|peer[._](?:ip|address))$"
    r"|^tfycreatedbysubject$|^user\.|^enduser\.",
    re.IGNORECASE,
)
_ERROR_TEXT = re.compile(r"(?:error_message|exception\.message|error\.message)$")
_URL_KEY = re.compile(r"ur[il]|http\.target", re.IGNORECASE)
_TEMPLATE = (
    (re.compile(r"https?://[^\s\"'<>]+"), "<url>"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "<email>"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), "<token>"),
    (re.compile(r"\b(?:sk|pk|rk|key|AIza)[-_]?[\w*-]{8,}"), "<key>"),
    (re.compile(r"(?<!\w)\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`"), "<text>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=\w*\d)\w{16,}\b"), "<id>"),
    (re.compile(r"\d{4,}(?:\.\d+)?|\d+\.\d+"), "<n>"),
)
_TEMPLATE_LIMIT = 200


def pseudonym(value: object) -> str:
    """Return a short hash that tells identities apart without naming them."""
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    data = text.encode() if isinstance(text, str) else text
    return "sha256:" + hashlib.sha256(data).hexdigest()[:12]


def error_template(text: str) -> str:
    """Return an error text with what varies or names someone taken out; status codes stay."""
    for pattern, placeholder in _TEMPLATE:
        text = pattern.sub(placeholder, text)
    return " ".join(text.split())[:_TEMPLATE_LIMIT]


@lru_cache(maxsize=1024)
def bare_url(url: str) -> str:
    """Return a URL without user, query and fragment: some providers take keys in the query."""
    without_query = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"(https?://)[^/@\s]*@", r"\1", without_query)


class _Treatment(Enum):
    """What happens to the value of an attribute; its name decides."""

    DROP = "drop"
    HASH = "hash"
    TEMPLATE = "template"
    STRIP = "strip"
    KEEP = "keep"


def presentable(attributes: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes that may be kept, in key order."""
    return {
        key: _presentable(treatment, attributes[key])
        for key in sorted(attributes)
        if (treatment := _treatment(key)) is not _Treatment.DROP
    }


def is_kept(key: str) -> bool:
    """Tell whether an attribute of that name may be kept at all, if only as a hash."""
    return _treatment(key) is not _Treatment.DROP


def is_plain(key: str) -> bool:
    """Tell whether a text under that name may be kept as it is."""
    return _treatment(key) is _Treatment.KEEP


def presented(key: str, value: object) -> object:
    """Return what of the value of a kept attribute may be kept."""
    return _presentable(_treatment(key), value)


@lru_cache(maxsize=4096)
def _treatment(key: str) -> _Treatment:
    """Return the treatment of a name; cached because every span has the same few dozen."""
    if key in _CONTENT or key.startswith(_CONTENT_PREFIXES) or _SECRET.search(key):
        return _Treatment.DROP
    if _IDENTITY.search(key):
        return _Treatment.HASH
    if _ERROR_TEXT.search(key):
        return _Treatment.TEMPLATE
    return _Treatment.STRIP if _URL_KEY.search(key) else _Treatment.KEEP


def _presentable(treatment: _Treatment, value: object) -> object:
    if treatment is _Treatment.HASH:
        return pseudonym(value) if value not in (None, "") else value
    if isinstance(value, str):
        if treatment is _Treatment.TEMPLATE:
            return error_template(value)
        return bare_url(value) if treatment is _Treatment.STRIP else value
    if isinstance(value, Mapping):
        return presentable({str(name): item for name, item in value.items()})
    return value
