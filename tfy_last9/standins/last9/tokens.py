"""Refresh and access tokens: real JWTs with the claims that Last9's clients read.

`aud` names the API host, `organization_slug` the organisation, `exp` the end. The answers to wrong
tokens are Last9's own, odd wording included (ai-toolkit, skill last9-api, references/auth.md).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
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
SCOPES = ["read"]
PREFIX = "Bearer "


class Tokens:
    """Mints and checks the tokens of one organisation at one API host."""

    def __init__(
        self,
        key: bytes,
        audience: str,
        organization: str,
        lifetime_s: int,
        clock: Callable[[], float],
    ) -> None:
        self._key = key
        self._audience = audience
        self._organization = organization
        self._lifetime_s = lifetime_s
        self._clock = clock

    def refresh_token(self) -> str:
        """Mint a refresh token with read scope, good for a year."""
        return self._mint(REFRESH, REFRESH_LIFETIME_S)[0]

    def exchange(self, refresh_token: object) -> dict[str, object]:
        """Answer an exchange; the refresh token is not rotated; raises Refusal."""
        if not isinstance(refresh_token, str):
            raise Refusal(HTTPStatus.BAD_REQUEST, "refresh_token is required")
        try:
            claims = self._claims(refresh_token)
        except jwt.InvalidTokenError as error:
            raise Refusal(HTTPStatus.UNAUTHORIZED, f"invalid refresh token: {error}") from error
        if claims.get("type") != REFRESH or claims["exp"] <= self._clock():
            raise Refusal(HTTPStatus.UNAUTHORIZED, "invalid refresh token: expired or revoked")
        access_token, issued_at, expires_at = self._mint(ACCESS, self._lifetime_s)
        return {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "expires_at": expires_at,
            "issued_at": issued_at,
            "type": "Bearer",
            "scopes": SCOPES,
        }

    def check(self, headers: Mapping[str, str], organization: str, scope: str) -> None:
        """Let a call with a valid access token pass; raises Refusal."""
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
        if claims["exp"] <= self._clock():
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Authorization token is expired")
        if claims["organization_slug"] != organization or scope not in claims["scopes"]:
            raise Refusal(HTTPStatus.FORBIDDEN, "access denied")

    def _mint(self, kind: str, lifetime_s: int) -> tuple[str, int, int]:
        issued_at = int(self._clock())
        expires_at = issued_at + lifetime_s
        claims = {
            "aud": [self._audience],
            "organization_slug": self._organization,
            "scopes": SCOPES,
            "type": kind,
            "iat": issued_at,
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
