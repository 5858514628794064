"""Refresh and access tokens: real JWTs with the claims that Last9's clients read.

`aud` names the API host, `organization_slug` the organisation, `exp` the end. The answers to wrong
tokens are Last9's own, odd wording included (ai-toolkit, skill last9-api, references/auth.md).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jwt

from tfy_last9.standins.last9.message import Refusal

ALGORITHM = "HS256"
KEY_BYTES = 32
REFRESH, ACCESS = "refresh", "access"
REFRESH_LIFETIME_S = 365 * 86_400
TOKEN_HEADER = "x-last9-api-token"  # noqa: S105 # the name of a header
READ = ("read",)
PREFIX = "Bearer "

Cut = Callable[[str], float | None]


@dataclass(frozen=True, slots=True)
class Statuses:
    """Which status answers an expired access token and a refused refresh token."""

    expired: int = HTTPStatus.UNAUTHORIZED
    bad_refresh: int = HTTPStatus.UNAUTHORIZED


class Tokens:
    """Mints and checks the tokens of one organisation at one API host."""

    def __init__(
        self,
        key: bytes,
        audience: str,
        organization: str,
        lifetime_s: int,
        clock: Callable[[], float],
        statuses: Statuses | None = None,
    ) -> None:
        self._key = key
        self._audience = audience
        self._organization = organization
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._statuses = statuses or Statuses()

    def refresh_token(self, scopes: Sequence[str] = READ) -> str:
        """Mint a refresh token, good for a year."""
        return self._mint(REFRESH, REFRESH_LIFETIME_S, scopes)[0]

    def exchange(self, refresh_token: object) -> dict[str, object]:
        """Answer an exchange; the refresh token is not rotated; raises Refusal."""
        if not isinstance(refresh_token, str):
            raise Refusal(HTTPStatus.BAD_REQUEST, "refresh_token is required")
        try:
            claims = self._claims(refresh_token)
        except jwt.InvalidTokenError as error:
            text = f"invalid refresh token: {error}"
            raise Refusal(self._statuses.bad_refresh, text) from error
        if claims.get("type") != REFRESH or claims["exp"] <= self._clock():
            raise Refusal(self._statuses.bad_refresh, "invalid refresh token: expired or revoked")
        scopes = claims["scopes"]
        access_token, issued_at, expires_at = self._mint(ACCESS, self._lifetime_s, scopes)
        return {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "expires_at": expires_at,
            "issued_at": issued_at,
            "type": "Bearer",
            "scopes": scopes,
        }

    def check(
        self, headers: Mapping[str, str], organization: str, scope: str, cut_s: Cut | None = None
    ) -> None:
        """Let a call with a valid access token pass; raises Refusal.

        `cut_s` may shorten a token's life below what it promises: it maps its id to seconds.
        """
        value = headers.get(TOKEN_HEADER)
        if value is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "missing header X-LAST9-API-TOKEN")
        if not value.startswith(PREFIX):
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid access token")
        try:
            claims = self._claims(value.removeprefix(PREFIX))
        except jwt.InvalidTokenError as error:
            # Misleading, but this is what Last9 says to garbage.
            raise Refusal(HTTPStatus.BAD_REQUEST, f"invalid refresh token: {error}") from error
        if claims.get("type") != ACCESS:
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid access token")
        if self._end_s(claims, cut_s) <= self._clock():
            raise Refusal(self._statuses.expired, "Authorization token is expired")
        if claims["organization_slug"] != organization or scope not in claims["scopes"]:
            raise Refusal(HTTPStatus.FORBIDDEN, "access denied")

    def _end_s(self, claims: dict[str, Any], cut_s: Cut | None) -> float:
        promised = float(claims["exp"])
        life_s = cut_s(claims["jti"]) if cut_s else None
        return promised if life_s is None else min(promised, claims["at"] + life_s)

    def _mint(self, kind: str, lifetime_s: int, scopes: Sequence[str]) -> tuple[str, int, int]:
        now_s = self._clock()
        issued_at = int(now_s)
        expires_at = issued_at + lifetime_s
        claims = {
            "aud": [self._audience],
            "organization_slug": self._organization,
            "scopes": list(scopes),
            "type": kind,
            "iat": issued_at,
            "at": now_s,
            "exp": expires_at,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM), issued_at, expires_at

    def _claims(self, token: str) -> dict[str, Any]:
        """Verify the signature; expiry is judged by our own clock."""
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        return jwt.decode(token, self._key, algorithms=[ALGORITHM], options=options)


def signing_key(directory: Path | None) -> bytes:
    """Return a new key, or the one kept in the directory, so that tokens outlive a restart."""
    if directory is None:
        return secrets.token_bytes(KEY_BYTES)
    path = directory / "signing.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()
