"""The keys of the sandbox's gateway: JWTs like TrueFoundry's, made anew for each start.

An application's key (virtual account token), which is what `TFY_API_KEY` holds; a user's (personal
access token); and an application's that may use the accounts of one provider alone.
"""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Self

import jwt
import orjson

DAY_S = 86_400
USER = "engineer@sandbox.example.com"
LIMITED = "sandbox-limited-account"
LIMITED_TO = ("openai-main",)


def _token(subject: str, kind: str, secret: str) -> str:
    now_s = int(time.time())
    claims = {
        "aud": secrets.token_hex(16),
        "exp": now_s + 365 * DAY_S,
        "iat": now_s,
        "iss": "truefoundry.com",
        "sub": secrets.token_hex(12),
        "jti": str(uuid.uuid4()),
        "subjectSlug": subject,
        "username": subject,
        "userType": kind,
        "tenantName": "sandbox",
        "roles": ["tenant-member"],
        "jwtId": secrets.token_hex(12),
        "applicationId": secrets.token_hex(16),
    }
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": secrets.token_hex(8)})


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one start."""

    application: str
    personal: str
    limited: str

    @classmethod
    def mint(cls) -> Self:
        """Make fresh keys."""
        secret = secrets.token_hex(32)
        return cls(
            application=_token("sandbox-virtual-account", "serviceaccount", secret),
            personal=_token(USER, "user", secret),
            limited=_token(LIMITED, "serviceaccount", secret),
        )

    def others(self) -> str:
        """Tell the gateway whose the further keys are, as JSON."""
        return orjson.dumps(
            [
                {"key": self.personal, "slug": USER, "kind": "user", "accounts": None},
                {
                    "key": self.limited,
                    "slug": LIMITED,
                    "kind": "virtualaccount",
                    "accounts": LIMITED_TO,
                },
            ]
        ).decode()

    def named(self) -> dict[str, str]:
        """Give the further keys by name."""
        return {"personal": self.personal, "limited": self.limited}
