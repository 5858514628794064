"""One HTTP call, patiently: timeouts, bounded retries, and never a secret in a message.

Retried are network errors, 408, 429 and 5xx except 501; redirects are not followed, so that the token is
not forwarded. Every other answer goes back to the caller, who knows what it means.
"""

from __future__ import annotations

import copy
import logging
import random
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import httpx

from tfy_last9.adapters.network import certificates
from tfy_last9.errors import BackendUnavailable, ConfigurationError
from tfy_last9.ports import Clock
from tfy_last9.wire.last9 import error_text
from tfy_last9.wire.last9_token import is_loopback

_JWT = re.compile(r"eyJ[\w-]+\.[\w-]*(?:\.[\w-]*)?")
_REQUEST_ID = re.compile(r"[\w.:-]{1,80}")
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""Seconds; a heavy query may take long, Last9's own command line client waits 60 s."""
_REQUEST_TIMEOUT, _TOO_MANY, _SERVER_ERROR, _NOT_SUPPORTED = 408, 429, 500, 501
_TOO_HEAVY_ATTEMPTS = 2
_WRONG_REGION = "ERR_S3_CONFIG_MISSING"
_NEVER_TRANSIENT = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")


ANSWER_LIMIT = 256 * 2**20
"""Bytes of one answer, decoded; a longer one is not read to its end."""


class QueryTooHeavy(BackendUnavailable):
    """408 even when asked again, or an answer beyond all measure: the window should be narrower."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long to try. Pauses double from `first_s` to `cap_s`, shortened at random."""

    attempts: int = 6
    first_s: float = 0.5
    cap_s: float = 8.0
    total_s: float = 45.0
    """Most seconds of pauses per call; a `Retry-After` beyond what is left ends the attempts."""

    def pause_s(self, attempt: int, jitter: random.Random, retry_after: str | None) -> float:
        """Return the pause after attempt number `attempt`, counted from 1."""
        if retry_after is not None and retry_after.strip().isdecimal():
            return float(retry_after)
        return min(self.cap_s, self.first_s * 2.0 ** (attempt - 1)) * jitter.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, apart from credentials."""

    method: str
    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    json: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    location: str | None
    """Where a redirect points, without its query."""
    retry_after: str | None = None
    request_id: str | None = None
    """What Last9's support asks for, where the answer names it."""

    @property
    def mark(self) -> str:
        """Return the request id as the end of a message; empty where there is none."""
        return f" (request id {self.request_id})" if self.request_id else ""

    @property
    def ok(self) -> bool:
        """Tell whether the call succeeded."""
        return self.status == httpx.codes.OK


class Caller:
    """Sends calls to one host; may be shared between threads."""

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        *,
        transport: httpx.BaseTransport | None = None,
        retry: Retry | None = None,
        jitter: random.Random | None = None,
        service: str = "Last9",
        ca_bundle: str | None = None,
    ) -> None:
        """`ca_bundle`: PEM file of authorities to trust besides. Raises `ConfigurationError` if it is none."""
        _quieten()
        self._service = service
        self._clock = clock
        self._retry = retry or Retry()
        self._jitter = jitter or random.Random()
        self._secrets: list[str] = []
        is_remote = not is_loopback(base_url) or base_url.startswith("https:")
        self._http = _connections(transport, ca_bundle, trust_env=is_remote)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def with_clock(self, clock: Clock) -> Self:
        """Return a caller over the same connections and secrets whose pauses another clock makes."""
        twin = copy.copy(self)
        twin._clock = clock  # noqa: SLF001 - a copy of ourselves
        return twin

    def conceal(self, secret: str) -> None:
        """Keep a secret out of every message from now on."""
        self._secrets.append(secret)

    def redacted(self, text: str) -> str:
        """Return a text without secrets, for messages."""
        for secret in sorted(set(self._secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return _JWT.sub("***", text)

    def call(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """Return the answer, or raise `BackendUnavailable` once the attempts are used up."""
        waited_s = 0.0
        for attempt in range(1, self._retry.attempts + 1):
            answer, failure = self._attempt(call, headers)
            if answer is not None and not _is_transient(answer):
                return answer
            if failure is not None and any(mark in str(failure) for mark in _NEVER_TRANSIENT):
                break
            if answer is not None and _is_too_heavy(answer) and attempt >= _TOO_HEAVY_ATTEMPTS:
                break
            retry_after = None if answer is None else answer.retry_after
            pause_s = self._retry.pause_s(attempt, self._jitter, retry_after)
            if attempt == self._retry.attempts or waited_s + pause_s > self._retry.total_s:
                break
            self._clock.sleep(pause_s)
            waited_s += pause_s
        raise self._given_up(call, attempt, answer, failure) from failure

    def once(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """Return the first answer, whatever it is."""
        answer, failure = self._attempt(call, headers)
        if answer is None:
            raise self._given_up(call, 1, None, failure) from failure
        return answer

    def _attempt(
        self, call: Call, headers: Mapping[str, str]
    ) -> tuple[Answer | None, httpx.HTTPError | None]:
        try:
            with self._http.stream(
                call.method,
                call.url,
                params=dict(call.parameters) or None,
                json=call.json,
                headers={"Accept": "application/json", **headers},
            ) as response:
                answer = Answer(
                    response.status_code,
                    _body(response, call),
                    _place(response.headers.get("Location")),
                    response.headers.get("Retry-After"),
                    _request_id(response.headers),
                )
        except httpx.HTTPError as error:
            return None, error
        return answer, None

    def _given_up(
        self, call: Call, attempts: int, answer: Answer | None, failure: Exception | None
    ) -> BackendUnavailable:
        tries = "once" if attempts == 1 else f"{attempts} times"
        place = f"{call.method} {call.url}"
        if answer is None:
            cause = self.redacted(f"{type(failure).__name__}: {failure}")
            return BackendUnavailable(
                f"{self._service} did not answer {place}, tried {tries}: {cause}",
                hint="check the network, a proxy, and its address where that is set by hand",
            )
        text = self.redacted(error_text(answer.body))
        message = f"{self._service} answered {answer.status} to {place}, tried {tries}: {text}{answer.mark}"
        if _is_too_heavy(answer):
            return QueryTooHeavy(message, hint="ask for a shorter time range")
        hint = "try again later; for a 502 page, check LAST9_REGION: a wrong region answers so"
        return BackendUnavailable(message, hint=hint)


def _connections(
    transport: httpx.BaseTransport | None, ca_bundle: str | None, *, trust_env: bool
) -> httpx.Client:
    """Return a client that follows no redirect; `trust_env` heeds proxies and SSL_CERT_FILE."""
    try:
        return httpx.Client(
            verify=certificates(ca_bundle) if ca_bundle else True,
            transport=transport,
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=trust_env,
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}",
            hint="it should name a PEM file with certificates of authorities",
        ) from error
    except (ImportError, ValueError, httpx.InvalidURL):
        # The cause would show the address, and addresses of proxies hold passwords.
        raise ConfigurationError(
            "HTTPS_PROXY (or HTTP_PROXY, ALL_PROXY) is not the address of an HTTP proxy",
            hint="expected something like http://proxy.example:3128",
        ) from None


def _body(response: httpx.Response, call: Call) -> bytes:
    pieces, size = [], 0
    for piece in response.iter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_LIMIT:
            raise QueryTooHeavy(
                f"Last9's answer to {call.method} {call.url} is longer than {ANSWER_LIMIT >> 20} MB",
                hint="lower LAST9_PAGE_LIMIT",
            )
    return b"".join(pieces)


def _request_id(headers: httpx.Headers) -> str | None:
    """Return the id of a request from the headers that Last9's own client looks at (errors.go)."""
    found = headers.get("X-Request-ID") or headers.get("X-Correlation-ID") or ""
    return found if _REQUEST_ID.fullmatch(found) else None


def _place(location: str | None) -> str | None:
    if not location:
        return None
    target = urlsplit(location)
    return f"{target.scheme}://{target.hostname}{target.path}" if target.hostname else target.path


def _is_transient(answer: Answer) -> bool:
    if answer.status in {_REQUEST_TIMEOUT, _TOO_MANY}:
        return True
    lasting = answer.status == _NOT_SUPPORTED or _WRONG_REGION.encode() in answer.body
    return answer.status >= _SERVER_ERROR and not lasting


def _is_too_heavy(answer: Answer) -> bool:
    return answer.status == _REQUEST_TIMEOUT


def _quieten() -> None:
    """Httpx logs every URL at INFO; a caller who asks for that level gets it."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
