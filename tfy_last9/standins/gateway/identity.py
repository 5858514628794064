"""Who calls: personal access tokens of users, virtual account tokens of applications.

Both are JWTs at TrueFoundry. Here they are made by the supervisor and known to the gateway by value, so
one that is not in the table belongs to nobody, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from tfy_last9.standins.asgi import Scope
from tfy_last9.standins.gateway import envelope

KEY_HEADERS = (b"authorization", b"x-api-key", b"x-goog-api-key")
"""As OpenAI's, Anthropic's and Google's clients send a key."""
BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller."""

    slug: str
    """What traces and refusals call it."""
    kind: str = "virtualaccount"
    """`user` or `virtualaccount`, as telemetry names subject types."""
    accounts: frozenset[str] | None = None
    """Provider accounts it may use; None for all."""

    def may_use(self, account: str) -> bool:
        """Tell whether a model of that account is open to it."""
        return self.accounts is None or account in self.accounts


VIRTUAL_ACCOUNT = Identity("sandbox-virtual-account")


class Identities:
    """The keys that are valid here."""

    def __init__(self, api_key: str, others: str) -> None:
        self._by_key = {api_key: VIRTUAL_ACCOUNT}
        for given in orjson.loads(others):
            accounts = given.get("accounts")
            self._by_key[given["key"]] = Identity(
                given["slug"], given["kind"], None if accounts is None else frozenset(accounts)
            )

    def authenticate(self, scope: Scope) -> Identity:
        """Find the caller; raises the 401."""
        for key in _keys(scope["headers"]):
            found = self._by_key.get(key)
            if found is not None:
                return found
        raise envelope.unauthorized()


def _keys(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[str]:
    for name, value in headers:
        if name in KEY_HEADERS:
            yield value.decode("latin-1").removeprefix(BEARER)
