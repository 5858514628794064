"""What a span says about itself: its role, its provider and model, the request it belongs to.

Sources: TrueFoundry's docs "fetch request logs: span attributes" (`tfy.*`) and "... genai" (the dual
write), OpenTelemetry GenAI conventions for gateways that know no `tfy.*`. Span kinds of gateway spans
are not documented, so that they decide nothing where `tfy.span_type` speaks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import orjson

from tfy_last9.model.provider import canonical, from_host
from tfy_last9.model.trace import Role
from tfy_last9.wire.last9 import METADATA

_ROLES = {
    "model": Role.MODEL,
    "llm": Role.MODEL,
    "guardrail": Role.GUARDRAIL,
    "mcp": Role.MCP,
    **dict.fromkeys(
        (
            *("chatcompletion", "completion", "agentresponse", "createmodelresponse"),
            *("embedding", "rerank", "mcpgateway"),
        ),
        Role.ROOT,
    ),
}
"""`tfy.span_type`, lower case. `LLM` is an older name of `Model`."""

_MODEL_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""`gen_ai.operation.name` of spans that are one call of a model."""
_GENAI_KEYS = ("gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model")
_HTTP_NAME = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE|HEAD)(?: |$)")
_HTTP_KEYS = ("http.request.method", "http.method", "url.full", "http.url")
_URL_IN_NAME = re.compile(r"https?://\S+")
_VIRTUAL = "virtual-model"
_FQN_MODEL = 5
_FLATTENED = f"{METADATA}."
ERROR_MESSAGE = "tfy.error_message"
OWN_LIMITS = ("Rate limit exceeded for model", "Budget exceeded for model")
"""How the gateway's own refusals begin (recorded replies): no provider was asked."""

Attributes = Mapping[str, object]


_IDENTITY_KEYS = (
    *("tfy.span_type", "tfy.model.fqn", "tfy.model.name", "tfy.model.request_url"),
    *("tfy.request.model_name", "gen_ai.operation.name", "gen_ai.response.model"),
    *("server.address", *_GENAI_KEYS, *_HTTP_KEYS),
)
"""Everything that the functions below read, apart from metadata."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a span is, by itself."""

    role: Role
    provider: str | None
    account: str | None
    model: str | None
    route: str | None


def identity_of(parent: str | None, kind: str, name: str, attributes: Attributes) -> Identity:
    """Return the identity of a span. A run has a few dozen, so that it is looked up first.

    Of the parent only matters whether there is one.
    """
    seen = [(key, attributes[key]) for key in _IDENTITY_KEYS if key in attributes]
    if (limit := _own_limit(attributes)) is not None:
        seen.append((ERROR_MESSAGE, limit))
    if all(type(value) is str for _, value in seen):
        return _known_identity(parent and "", kind, name, *seen)
    return _identity(parent, kind, name, attributes)


@lru_cache(maxsize=4096)
def _known_identity(
    parent: str | None, kind: str, name: str, *seen: tuple[str, object]
) -> Identity:
    return _identity(parent, kind, name, dict(seen))


def _identity(parent: str | None, kind: str, name: str, attributes: Attributes) -> Identity:
    role = role_of(parent, kind, name, attributes)
    return Identity(
        role,
        provider_of(role, name, attributes),
        account_of(attributes),
        model_of(attributes),
        route_of(attributes),
    )


def role_of(parent: str | None, kind: str, name: str, attributes: Attributes) -> Role:
    """Return the role that one span shows by itself; see `assign_roots` for what its trace adds."""
    span_type = _text(attributes, "tfy.span_type")
    if span_type is not None:
        unknown = Role.ROOT if parent is None else Role.OTHER
        role = _ROLES.get(span_type.lower(), unknown)
        # A target that the gateway's own limit kept from being asked: nothing a provider did.
        return Role.OTHER if role is Role.MODEL and _own_limit(attributes) else role
    calls_a_model = _calls_a_model(attributes)
    if kind == "client" and calls_a_model:
        return Role.MODEL
    if parent is None:
        return Role.ROOT
    if kind == "server":
        return Role.OTHER
    if calls_a_model:
        return Role.MODEL
    return Role.HTTP if _is_http(name, attributes) else Role.OTHER


def _own_limit(attributes: Attributes) -> str | None:
    message = _text(attributes, ERROR_MESSAGE)
    return next((limit for limit in OWN_LIMITS if message and message.startswith(limit)), None)


def _calls_a_model(attributes: Attributes) -> bool:
    operation = _text(attributes, "gen_ai.operation.name")
    if operation is not None:
        return operation in _MODEL_OPERATIONS
    return any(key in attributes for key in _GENAI_KEYS)


def _is_http(name: str, attributes: Attributes) -> bool:
    return _HTTP_NAME.match(name) is not None or any(key in attributes for key in _HTTP_KEYS)


def provider_of(role: Role, name: str, attributes: Attributes) -> str | None:
    """Return the canonical provider, from the most to the least trustworthy source.

    1. second field of `tfy.model.fqn`; 2. host of the upstream URL; 3. `gen_ai.provider.name` (older:
    `gen_ai.system`); 4. the account before the slash of `tfy.model.name`. The last is a name that a
    customer chose, so that it is used for Model spans only: a root takes its provider from them.
    """
    fqn = _fqn(attributes)
    if len(fqn) > 1 and fqn[1] and fqn[1] != _VIRTUAL:
        return canonical(fqn[1])
    host = _upstream_host(name, attributes)
    served_by = from_host(host) if host else None
    if served_by is not None:
        return served_by
    declared = _text(attributes, "gen_ai.provider.name") or _text(attributes, "gen_ai.system")
    if declared:
        return canonical(declared)
    account = account_of(attributes)
    if role is Role.MODEL and account and not fqn:
        return canonical(account)
    return None


def _upstream_host(name: str, attributes: Attributes) -> str | None:
    for key in ("tfy.model.request_url", "url.full", "http.url"):
        url = _text(attributes, key)
        if url and "://" in url:
            return _host(url)
    found = _URL_IN_NAME.search(name)
    return _host(found[0]) if found else _text(attributes, "server.address")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def account_of(attributes: Attributes) -> str | None:
    """Return the provider account: the part of the model name before the slash."""
    account, slash, _ = (_text(attributes, "tfy.model.name") or "").partition("/")
    if slash and account:
        return account
    fqn = _fqn(attributes)
    return fqn[2] if len(fqn) >= _FQN_MODEL and fqn[1] != _VIRTUAL else None


def model_of(attributes: Attributes) -> str | None:
    """Return the resolved model, `account/model` where the gateway is TrueFoundry's."""
    name = _text(attributes, "tfy.model.name")
    if name:
        return name
    fqn = _fqn(attributes)
    if len(fqn) >= _FQN_MODEL and fqn[1] != _VIRTUAL:
        return f"{fqn[2]}/{':'.join(fqn[4:])}"
    return _text(attributes, "gen_ai.request.model") or _text(attributes, "gen_ai.response.model")


def route_of(attributes: Attributes) -> str | None:
    """Return the model name the client asked for."""
    return _text(attributes, "tfy.request.model_name")


def metadata_of(attributes: Attributes) -> dict[str, object]:
    """Return the request metadata, however it was encoded.

    Understood: a JSON text (also quoted twice), an object, OTLP's list of key and value, and flattened
    keys (`tfy.request.metadata.run_id`). Anything else is no metadata.
    """
    found = {
        key.removeprefix(_FLATTENED): attributes[key]
        for key in attributes
        if key.startswith(_FLATTENED)
    }
    packed = attributes.get(METADATA)
    if packed is not None:
        found.update(_decoded(packed, depth=2))
    return found


def _decoded(value: object, *, depth: int) -> dict[str, object]:
    if isinstance(value, str) and depth:
        try:
            return _decoded(orjson.loads(value), depth=depth - 1)
        except orjson.JSONDecodeError:
            return {}
    if isinstance(value, list):
        pairs = (item for item in value if isinstance(item, Mapping) and "key" in item)
        return {str(pair["key"]): _otlp_value(pair.get("value")) for pair in pairs}
    if isinstance(value, Mapping):
        if isinstance(value.get("values"), list):
            return _decoded(value["values"], depth=depth)
        return {str(key): item for key, item in value.items()}
    return {}


def _otlp_value(value: object) -> object:
    """Return what an OTLP/JSON `AnyValue` holds (`{"stringValue": "x"}`)."""
    if isinstance(value, Mapping) and len(value) == 1:
        return next(iter(value.values()))
    return value


def _fqn(attributes: Attributes) -> list[str]:
    text = _text(attributes, "tfy.model.fqn")
    return text.split(":") if text else []


def _text(attributes: Attributes, key: str) -> str | None:
    value = attributes.get(key)
    return value.strip() if isinstance(value, str) and value.strip() else None
