"""Last9's API, call by call: data sources, spans by query, spans of one trace."""

from __future__ import annotations

import copy
import random
import re
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from tfy_last9.adapters.last9.auth import Access, api_url
from tfy_last9.adapters.last9.calls import Answer, Call, Caller, Retry
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.errors import (
    BackendUnavailable,
    ConfigurationError,
    CredentialRefused,
    HarnessError,
    TfyError,
)
from tfy_last9.ports import Clock
from tfy_last9.wire import last9

_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_NOT_UNDERSTOOD = {400, 404, 422, 501}
_MB = 1_000_000
_CLIENT_ERRORS = range(400, 500)
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class QueryRefused(BackendUnavailable):
    """Last9 understood a query and will not answer it: it asks for something it does not know."""


class FetchCapReached(HarnessError):
    """More was read than the settings allow."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in Last9 the traces are."""

    region: str
    cluster: str | None
    """Cluster id for deep links; None when the region was set by hand."""


@dataclass(slots=True)
class Counters:
    """What reading has cost so far."""

    queries: int = 0
    rows: int = 0
    bytes: int = 0
    unreadable: int = 0
    """Rows that could not be read; any makes the evidence untrustworthy."""


class Last9Client:
    """Talks to one Last9 organisation. Share it between threads; close it once."""

    def __init__(
        self,
        settings: Last9Settings,
        clock: Clock,
        *,
        transport: httpx.BaseTransport | None = None,
        retry: Retry | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._caller = Caller(
            *(api_url(settings), clock),
            transport=transport,
            retry=retry,
            jitter=jitter,
            ca_bundle=settings.ca_bundle,
        )
        self._access = Access(settings, self._caller, clock)
        self._lock = threading.Lock()
        self._place: Place | None = None
        self.counters = Counters()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    def with_clock(self, clock: Clock) -> Self:
        """Return a client over the same token, connections and counters; `clock` makes its pauses."""
        twin = copy.copy(self)
        twin._caller = self._caller.with_clock(clock)  # noqa: SLF001 - a copy of ourselves
        return twin

    @property
    def api_url(self) -> str:
        """Scheme and host of the API."""
        return api_url(self._settings)

    @property
    def organisation(self) -> str:
        """The organisation's slug; asking for it may exchange the token."""
        return self._access.organisation

    def datasources(self) -> tuple[last9.DataSource, ...]:
        """Return the organisation's data sources that name a region."""
        answer = self._get(last9.DATASOURCES_PATH, {})
        if not answer.ok:
            raise self._refusal(answer, "the list of data sources")
        try:
            return last9.read_datasources(answer.body)
        except last9.UnreadableAnswer as error:
            raise self._unreadable(error, "the list of data sources") from error

    def place(self) -> Place:
        """Return where the traces are: the region that is set, else that of the default data source."""
        with self._lock:
            if self._place is None:
                self._place = self._discover()
            return self._place

    def _discover(self) -> Place:
        if self._settings.region:
            return Place(self._settings.region, None)
        sources = self.datasources()
        chosen = next((source for source in sources if source.is_default), None)
        if chosen is None and len({source.region for source in sources}) == 1:
            chosen = sources[0]
        if chosen is None:
            regions = ", ".join(sorted({source.region for source in sources})) or "none"
            raise ConfigurationError(
                f"Last9 names no default data source (regions seen: {regions})",
                hint="set LAST9_REGION, for example us-east-1 or ap-south-1",
            )
        return Place(chosen.region, chosen.cluster)

    def query(self, document: last9.Document, start_s: int, end_s: int, limit: int) -> list[object]:
        """Return the rows that match, at most `limit`, for Unix seconds `start_s` to `end_s`."""
        parameters = last9.query_parameters(self.place().region, start_s, end_s, limit)
        answer = self._send("POST", last9.QUERY_PATH, parameters, document)
        self._count(answer)
        if not answer.ok:
            raise self._refusal(answer, "a span query")
        try:
            rows = last9.read_query(answer.body)
        except last9.UnreadableAnswer as error:
            raise self._unreadable(error, "a span query") from error
        with self._lock:
            self.counters.rows += len(rows)
        return rows

    def trace(self, trace_id: str, start_s: int, end_s: int, limit: int) -> list[object]:
        """Return the rows of one trace, none when it is unknown in that time range."""
        if not _TRACE_ID.fullmatch(trace_id):
            raise ValueError(f"a trace id is 32 lower-case hex digits: {trace_id!r}")
        parameters = last9.trace_parameters(self.place().region, start_s, end_s, limit)
        answer = self._get(f"{last9.TRACE_PATH}/{trace_id}", parameters)
        self._count(answer)
        if answer.status == _NOT_FOUND:
            return []
        if not answer.ok:
            raise self._refusal(answer, f"trace {trace_id}")
        try:
            rows = last9.read_trace(answer.body)
        except last9.UnreadableAnswer as error:
            raise self._unreadable(error, f"trace {trace_id}") from error
        with self._lock:
            self.counters.rows += len(rows)
        return rows

    def ask(
        self, method: str, path: str, parameters: dict[str, str], document: object, what: str
    ) -> bytes:
        """Return the body of a successful answer; `what` names the question in messages."""
        answer = self._send(method, path, parameters, document)
        self._count(answer)
        if not answer.ok:
            raise self._refusal(answer, what, write=method == "PUT")
        return answer.body

    def send(
        self,
        method: str,
        path: str,
        parameters: dict[str, str],
        document: object,
        *,
        patient: bool = True,
    ) -> Answer:
        """Return an answer whatever its status; `patient=False` takes a failure for an answer at once."""
        if patient:
            return self._send(method, path, parameters, document)
        call = Call(method, self._access.base_url + path, parameters, document)
        return self._caller.once(call, {last9.TOKEN_HEADER: f"Bearer {self._access.token()}"})

    def count_unreadable(self, rows: int) -> None:
        """Add rows that could not be read."""
        with self._lock:
            self.counters.unreadable += rows

    def _count(self, answer: Answer) -> None:
        with self._lock:
            self.counters.queries += 1
            self.counters.bytes += len(answer.body)
            total = self.counters.bytes
        if total > self._settings.max_mb * _MB:
            raise FetchCapReached(
                f"{total / _MB:,.0f} MB were read from Last9, more than LAST9_MAX_MB allows",
                hint=f"raise LAST9_MAX_MB (now {self._settings.max_mb}), or set LAST9_STRATEGY=counts",
            )

    def _get(self, path: str, parameters: dict[str, str]) -> Answer:
        return self._send("GET", path, parameters, None)

    def _send(self, method: str, path: str, parameters: dict[str, str], document: object) -> Answer:
        """Send with the access token; renew it once when Last9 says that it is no longer good."""
        token = self._access.token()
        call = Call(method, self._access.base_url + path, parameters, document)
        answer = self._caller.call(call, {last9.TOKEN_HEADER: f"Bearer {token}"})
        if not _token_is_stale(answer):
            return answer
        token = self._access.token(instead_of=token)
        return self._caller.call(call, {last9.TOKEN_HEADER: f"Bearer {token}"})

    def _refusal(self, answer: Answer, what: str, *, write: bool = False) -> TfyError:
        text = self._caller.redacted(last9.error_text(answer.body))
        message = f"Last9 answered {answer.status} to {what}: {text}{answer.mark}"
        if answer.status == _UNAUTHORISED or _token_is_stale(answer):
            return CredentialRefused(message, hint="LAST9_REFRESH_TOKEN may have been revoked")
        scope = "write" if write else "read"
        if answer.status == _FORBIDDEN:
            return CredentialRefused(message, hint=f"the refresh token needs {scope} scope")
        if "ERR_S3_CONFIG_MISSING" in text:
            hint = f"Last9 has no traces in {self.place().region}: set LAST9_REGION, or unset it"
            return ConfigurationError(message, hint=hint)
        if answer.location:
            message += f" (a redirect to {answer.location}, not followed: the token would go along)"
        hint = "check LAST9_API_URL, LAST9_ORG and LAST9_REGION"
        if "limit" in text.lower():
            hint = f"lower LAST9_PAGE_LIMIT (now {self._settings.page_limit})"
        if answer.status in _NOT_UNDERSTOOD:
            return QueryRefused(message, hint=hint)
        return BackendUnavailable(message, hint=hint)

    def _unreadable(self, error: Exception, what: str) -> BackendUnavailable:
        text = self._caller.redacted(str(error))
        return BackendUnavailable(
            f"Last9's answer to {what} cannot be read: {text}",
            hint="check that LAST9_API_URL points at Last9's API",
        )


def _token_is_stale(answer: Answer) -> bool:
    """Tell whether a new token may help. Expiry was seen as 401, 403 and other 4xx alike."""
    if answer.status == _UNAUTHORISED:
        return True
    return answer.status in _CLIENT_ERRORS and b"expired" in answer.body.lower()
