"""Last9's tokens: what a refresh token says about itself, and the answer to an exchange.

Both tokens are JWTs. Their claims are read without checking the signature: they only tell where to
send the token, which is what Last9's own clients do (last9/last9-mcp-server, token_manager.go).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from tfy_last9.wire.last9 import UnreadableAnswer

DEFAULT_HOST = "app.last9.io"
_JWT_PARTS = 3


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; None where it does not."""

    audience: str | None
    """First entry of `aud`: the API host, perhaps with a scheme and a trailing `/api`."""
    organisation: str | None
    expires_s: float | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token and its validity, Unix seconds by Last9's clock."""

    access_token: str
    issued_s: float | None
    expires_s: float | None
    """None when neither the answer nor the token says."""

    def __repr__(self) -> str:
        """Leave the token out: a representation ends up in logs."""
        return f"Grant(issued_s={self.issued_s}, expires_s={self.expires_s})"


def read_claims(token: str) -> Claims:
    """Return the claims of a token; a token that is not a JWT says nothing."""
    payload = _payload(token)
    audience = payload.get("aud")
    if isinstance(audience, list):
        audience = audience[0] if audience else None
    scopes = payload.get("scopes")
    organisation = payload.get("organization_slug")
    return Claims(
        audience=audience.strip() if isinstance(audience, str) and audience.strip() else None,
        organisation=organisation if isinstance(organisation, str) and organisation else None,
        expires_s=_number(payload.get("exp")),
        scopes=tuple(str(scope) for scope in scopes) if isinstance(scopes, list) else (),
    )


def audience_url(audience: str | None) -> str:
    """Return the API's base URL that an audience names; https unless it says http for loopback."""
    text = audience or DEFAULT_HOST
    scheme, _, rest = text.rpartition("://")
    host = rest.rstrip("/").removesuffix("/api").rstrip("/") or DEFAULT_HOST
    plain = scheme.lower() == "http" and is_loopback(f"http://{host}")
    return f"{'http' if plain else 'https'}://{host}"


def is_loopback(url: str) -> bool:
    """Tell whether a URL points at this machine, judged by its host name alone."""
    host = (urlsplit(url).hostname or "").lower()
    return host in {"localhost", "::1"} or (host.startswith("127.") and _is_ipv4(host))


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdecimal() and int(part) < 256 for part in parts)  # noqa: PLR2004 - an IPv4 address


def read_grant(body: bytes) -> Grant:
    """Return the grant in the answer to a token exchange."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableAnswer("the answer to the token exchange is not JSON") from error
    token = answer.get("access_token") if isinstance(answer, Mapping) else None
    if not isinstance(token, str) or not token:
        raise UnreadableAnswer("the answer to the token exchange holds no `access_token`")
    expires_s = _number(answer.get("expires_at"))
    return Grant(
        access_token=token,
        issued_s=_number(answer.get("issued_at")),
        expires_s=expires_s if expires_s is not None else read_claims(token).expires_s,
    )


def _payload(token: str) -> Mapping[str, object]:
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return {}
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        payload = orjson.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError):
        return {}
    return payload if isinstance(payload, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and value.strip().isdecimal():
        return float(value)
    return None
