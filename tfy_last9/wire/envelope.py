"""Errors as a gateway, a provider or a proxy before them writes them, in every shape clients have met.

Sources: replies recorded in pull requests of github.com/truefoundry/models (the gateway's own envelope);
one version put `error` there as a JSON string. OpenAI and Anthropic: `{"error": {"type", "message"}}`.
Google: `{"error": {"code", "message", "status"}}`, in a list when streamed. JSON-RPC 2.0, section 5.1.
Proxies answer with HTML or plain text; Cloudflare with `error code: 1010`.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

import orjson

from tfy_last9.wire.json_values import mapped, worded

MESSAGE_LIMIT = 200
_DEPTH = 4
"""An envelope in an envelope: deeper nesting is somebody's data and no error any more."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]+>", re.IGNORECASE | re.DOTALL)
_CLOUDFLARE = re.compile(r"error code: (1\d{3})\b")


class Envelope(NamedTuple):
    """What an error says about itself; None where it does not."""

    message: str | None = None
    kind: str | None = None
    """`error.type`, or what stands for it: Google's `status`."""
    code: str | None = None
    origin: str = ""
    """`error_origin_level` of the gateway; empty where it is silent."""
    provider: str | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing at all could be read."""
        return self.message is None and self.kind is None and self.code is None


def envelope_in(document: object) -> Envelope:
    """Return the error in a decoded JSON document."""
    return _read(document, _DEPTH)


def envelope_of(body: bytes) -> Envelope:
    """Return the error in a body of any kind."""
    try:
        return _read(orjson.loads(body), _DEPTH)
    except ValueError:
        return Envelope(message=plain_text(body) or None)


def plain_text(body: bytes) -> str:
    """Return what a body that is no JSON says: the title of a page, or its words."""
    text = body.decode("utf-8", "replace").strip()
    if text[:1] == "<":
        title = _TITLE.search(text)
        text = html.unescape(title[1] if title else _TAG.sub(" ", text))
    return " ".join(text.split())[:MESSAGE_LIMIT]


def cloudflare_code(message: str | None) -> str | None:
    """Return the code with which Cloudflare itself, before the gateway, refused a request."""
    found = _CLOUDFLARE.search(message or "")
    return found[1] if found else None


def _read(document: object, depth: int) -> Envelope:
    if isinstance(document, list):
        document = document[0] if document else None
    if isinstance(document, str):
        return _unquoted(document, depth)
    if not isinstance(document, dict) or depth == 0:
        return Envelope()
    inner = _read(document.get("error"), depth - 1)
    own = _unquoted(worded(document.get("message")) or _detail(document), depth)
    return Envelope(
        message=own.message or inner.message,
        kind=inner.kind or own.kind or _kind(document),
        code=inner.code or own.code or _text(document.get("code")),
        origin=worded(document.get("error_origin_level")) or inner.origin or own.origin,
        provider=worded(document.get("provider")) or inner.provider or own.provider,
    )


def _unquoted(text: str | None, depth: int) -> Envelope:
    """Read a message, which may be an envelope itself, written as a JSON string."""
    if text is None:
        return Envelope()
    if text.lstrip()[:1] == "{":
        try:
            found = _read(orjson.loads(text), depth - 1)
        except ValueError:
            found = Envelope()
        if not found.is_empty:
            return found
    return Envelope(message=text[:MESSAGE_LIMIT])


def _kind(document: dict[str, object]) -> str | None:
    """Return the type of an error object; Anthropic and others write `type: error` around it."""
    kind = worded(document.get("type"))
    if kind is not None and kind != "error":
        return kind
    status = worded(document.get("status"))
    return None if status in (None, "failure", "error") else status


def _detail(document: dict[str, object]) -> str | None:
    """Return the `detail` of FastAPI and of problem documents (RFC 9457)."""
    detail = document.get("detail")
    if isinstance(detail, list) and detail:
        return worded(mapped(detail[0]).get("msg"))
    return worded(detail) or worded(document.get("title"))


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
