"""The second oracle: asks TrueFoundry's own storage for traces that Last9 does not show.

A trace that is there was lost between the gateway's export and Last9; one that is not was never made, or was
lost before the export. Optional (TFY_CONTROL_PLANE_URL), and it never makes a verdict better: it says where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from tfy_last9.adapters.environment import checked_key, checked_url
from tfy_last9.adapters.last9.calls import Call, Caller
from tfy_last9.adapters.network import CA_BUNDLE
from tfy_last9.errors import BackendUnavailable, MissingSettings, TfyError
from tfy_last9.model.run import LostTrace, SecondOracle, Window
from tfy_last9.ports import Clock
from tfy_last9.wire import span_query

URL, KEY = "TFY_CONTROL_PLANE_URL", "TFY_API_KEY"
MOST_ASKED = 2_000
"""Lost traces that are asked for, in order of their requests: enough to see where they are lost."""
BATCH = 100
"""Ids per query: half a page, so that two roots of one trace still fit."""
_OK = 200
_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """Where TrueFoundry's control plane is, and the key for it."""

    url: str
    api_key: str = field(repr=False)
    ca_bundle: str | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """Return the settings, None where no control plane is named."""
        url = environment.get(URL, "")
        if not url:
            return None
        key = environment.get(KEY, "")
        if not key:
            raise MissingSettings(
                f"{URL} is set and {KEY} is not", hint=f"set {KEY}, or unset {URL}"
            )
        return cls(checked_url(URL, url), checked_key(KEY, key), environment.get(CA_BUNDLE) or None)


class ControlPlane:
    """TrueFoundry's span query; use it as a context manager."""

    def __init__(self, settings: ControlPlaneSettings, clock: Clock) -> None:
        self._url = settings.url + span_query.PATH
        self._headers = {"Authorization": f"Bearer {settings.api_key}"}
        self._caller = Caller(
            *(settings.url, clock),
            service="TrueFoundry's control plane",
            ca_bundle=settings.ca_bundle,
        )
        self._caller.conceal(settings.api_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._caller.close()

    def look_for(self, lost: Sequence[LostTrace], window: Window) -> SecondOracle:
        """Ask for lost traces; what goes wrong is part of the answer."""
        asked = tuple(lost[:MOST_ASKED])
        found: set[str] = set()
        try:
            for part in _parts(asked):
                found |= self._found(part, window)
        except TfyError as error:
            return SecondOracle((), (), error.message)
        ids = tuple(trace.request_id for trace in asked)
        return SecondOracle(ids, tuple(one for one in ids if one in found))

    def _found(self, part: Sequence[LostTrace], window: Window) -> set[str]:
        """Return the request ids of a batch whose trace TrueFoundry has."""
        named = {trace.trace_id: trace.request_id for trace in part if trace.trace_id is not None}
        unnamed = [trace.request_id for trace in part if trace.trace_id is None]
        found: set[str] = set()
        if named:
            pages = self._pages(span_query.by_trace(tuple(named)), window)
            traces = {trace for page in pages for trace in page.trace_ids}
            found |= {named[trace] for trace in traces & named.keys()}
        if unnamed:
            pages = self._pages(span_query.by_request(unnamed), window)
            found |= {one for page in pages for one in page.request_ids} & set(unnamed)
        return found

    def _pages(
        self, condition: Mapping[str, object], window: Window
    ) -> Iterator[span_query.SpanPage]:
        token: str | None = None
        while True:
            body = span_query.document(condition, window.start_ns, window.end_ns, token)
            answer = self._caller.call(Call("POST", self._url, json=body), self._headers)
            if answer.status in _REFUSED:
                raise BackendUnavailable(
                    f"TrueFoundry's control plane refused {KEY} ({answer.status})",
                    hint="the key needs permission to read request logs: ask a tenant admin for it",
                )
            if answer.status != _OK:
                raise BackendUnavailable(
                    f"TrueFoundry's control plane answered {answer.status} to {span_query.PATH}"
                )
            try:
                page = span_query.read_page(answer.body)
            except span_query.UnreadableSpans as error:
                raise BackendUnavailable(f"TrueFoundry's span query: {error}") from error
            yield page
            token = page.next_token
            if token is None:
                return


def _parts(lost: Sequence[LostTrace]) -> Iterator[Sequence[LostTrace]]:
    for start in range(0, len(lost), BATCH):
        yield lost[start : start + BATCH]
