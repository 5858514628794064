"""Access tokens: exchanged for the refresh token, renewed before they expire.

`POST /api/v4/oauth/access_token` with the refresh token in the body and no other header (Last9 docs,
"Getting started with API"). How long a token lives is read from the answer: the docs say 24 h, other
lifetimes were observed.
"""

from __future__ import annotations

import threading

from tfy_last9.adapters.last9.calls import Answer, Call, Caller
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.errors import BackendUnavailable, ConfigurationError, CredentialRefused
from tfy_last9.ports import Clock
from tfy_last9.wire.last9 import API_PREFIX, TOKEN_PATH, UnreadableAnswer, error_text
from tfy_last9.wire.last9_token import Grant, audience_url, read_claims, read_grant

_MARGIN_S = 300.0
_UNKNOWN_LIFETIME_S = 600.0
"""Assumed where neither the answer nor the token names an expiry; a 401 corrects it."""
_REFUSED = {400, 401, 403}
_NEW_TOKEN = "create a refresh token with read scope at https://app.last9.io/settings/api-access"  # noqa: S105 - a hint


def api_url(settings: Last9Settings) -> str:
    """Return scheme and host of the API: from the settings, else from the refresh token."""
    return settings.api_url or audience_url(read_claims(settings.refresh_token).audience)


class Access:
    """The current access token. Thread-safe: a watcher and the main thread may share it."""

    def __init__(self, settings: Last9Settings, caller: Caller, clock: Clock) -> None:
        self._settings = settings
        self._caller = caller
        self._clock = clock
        self._lock = threading.Lock()
        self._grant: Grant | None = None
        self._renew_ns = 0
        caller.conceal(settings.refresh_token)

    @property
    def organisation(self) -> str:
        """The organisation's slug: from the settings, else from the refresh or the access token."""
        found = self._settings.org or read_claims(self._settings.refresh_token).organisation
        found = found or read_claims(self.token()).organisation
        if found is None:
            raise ConfigurationError(
                "the Last9 tokens do not name an organisation",
                hint="set LAST9_ORG to the part after /organizations/ in Last9's page addresses",
            )
        return found

    @property
    def base_url(self) -> str:
        """Everything before the paths of the API, organisation included."""
        return f"{api_url(self._settings)}{API_PREFIX}/organizations/{self.organisation}"

    def token(self, *, instead_of: str | None = None) -> str:
        """Return a valid access token; one that Last9 has just refused is replaced."""
        with self._lock:
            grant = self._grant
            due = self._clock.now_ns() >= self._renew_ns
            if grant is None or due or grant.access_token == instead_of:
                grant = self._exchange()
            return grant.access_token

    def _exchange(self) -> Grant:
        call = Call(
            "POST",
            api_url(self._settings) + TOKEN_PATH,
            json={"refresh_token": self._settings.refresh_token},
        )
        answer = self._caller.call(call, {})
        grant = self._read(answer)
        self._caller.conceal(grant.access_token)
        self._grant = grant
        self._renew_ns = self._clock.now_ns() + int(_usable_s(grant, self._clock) * 1e9)
        return grant

    def _read(self, answer: Answer) -> Grant:
        text = self._caller.redacted(error_text(answer.body)) if not answer.ok else ""
        if answer.status in _REFUSED:
            raise CredentialRefused(
                f"Last9 turned LAST9_REFRESH_TOKEN down ({answer.status}: {text})", hint=_NEW_TOKEN
            )
        if not answer.ok:
            towards = f" towards {answer.location}" if answer.location else ""
            raise BackendUnavailable(
                f"the token exchange at {api_url(self._settings)} answered {answer.status}{towards}: {text}",
                hint="check LAST9_API_URL, or leave it unset",
            )
        try:
            return read_grant(answer.body)
        except UnreadableAnswer as error:
            raise BackendUnavailable(
                f"{error} ({api_url(self._settings)})",
                hint="check LAST9_API_URL, or leave it unset",
            ) from error


def _usable_s(grant: Grant, clock: Clock) -> float:
    """Return for how long to use a grant: its lifetime less five minutes, or half of a short one.

    The lifetime is the difference of two instants of Last9's clock where both are given, so that a
    wrong clock here neither wastes exchanges nor sends expired tokens.
    """
    if grant.expires_s is None:
        lifetime_s = _UNKNOWN_LIFETIME_S
    else:
        since_s = grant.issued_s if grant.issued_s is not None else clock.now_ns() / 1e9
        lifetime_s = max(0.0, grant.expires_s - since_s)
    return max(lifetime_s - _MARGIN_S, lifetime_s / 2)
