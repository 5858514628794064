"""Spans from Last9: the `TraceSource` that settling reads from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfy_last9.adapters.last9.client import Counters, Last9Client
from tfy_last9.adapters.last9.paging import Pager
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.errors import HarnessError
from tfy_last9.model.run import Window
from tfy_last9.model.trace import Role, Span
from tfy_last9.ports import Clock, Page
from tfy_last9.wire.last9 import Document
from tfy_last9.wire.last9_queries import spans_of_run, spans_of_service
from tfy_last9.wire.spans import Reading, assign_roots, distinct, read_spans

_PAD_S = 1
_PROBLEMS_SHOWN = 20


class Last9Source:
    """Reads gateway spans by time and by trace. Nothing is left out in silence.

    What it cannot read or cannot fetch completely is in `Page.problems` and `Page.truncated`.
    """

    def __init__(self, client: Last9Client, settings: Last9Settings, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._service = settings.service
        self._limit = settings.page_limit
        self._pager = Pager(settings.page_limit)

    @property
    def counters(self) -> Counters:
        """What reading has cost so far."""
        return self._client.counters

    def roots(self, run_id: str, window: Window) -> Page:
        """Return the root spans that carry the run id."""
        page = self._look(spans_of_run(self._service, run_id).document(), window)
        mine = (span for span in page.spans if _is_root_of(span, run_id))
        return replace(page, roots_only=True, spans=tuple(mine))

    def spans(self, window: Window) -> Page:
        """Return every gateway span in the window, whoever sent the request."""
        page = self._look(spans_of_service(self._service).document(), window)
        return replace(page, spans=assign_roots(page.spans))

    def trace(self, trace_id: str, window: Window) -> Sequence[Span]:
        """Return all gateway spans of one trace; empty when it is unknown."""
        start_s = window.start_ns // 10**9 - _PAD_S
        end_s = -(-window.end_ns // 10**9) + _PAD_S
        rows = self._client.trace(trace_id, start_s, end_s, self._limit)
        reading = self._read(rows)
        if reading.problems:
            raise HarnessError(f"Last9 shows a span that cannot be read: {reading.problems[0]}")
        if reading.rows >= self._limit:
            raise HarnessError(f"trace {trace_id} has {self._limit} spans or more: it may be cut")
        return assign_roots(span for span in distinct(reading.spans) if self._is_ours(span))

    def _look(self, document: Document, window: Window) -> Page:
        asked_ns = self._clock.now_ns()

        def ask(start_s: int, end_s: int, limit: int) -> Reading:
            return self._read(self._client.query(document, start_s, end_s, limit))

        harvest = self._pager.read(ask, window)
        return Page(
            window=window,
            asked_ns=asked_ns,
            roots_only=False,
            spans=tuple(
                span
                for span in distinct(harvest.spans)
                if window.start_ns <= span.start_ns < window.end_ns and self._is_ours(span)
            ),
            truncated=tuple(part.window() for part in harvest.truncated),
            problems=tuple(sorted(harvest.problems))[:_PROBLEMS_SHOWN],
        )

    def _read(self, rows: list[object]) -> Reading:
        reading = read_spans(rows)
        if reading.problems:
            self._client.count_unreadable(len(reading.problems))
        return reading

    def _is_ours(self, span: Span) -> bool:
        """Tell the gateway's spans from those of callers and tool servers in the same trace."""
        return span.service in {self._service, ""}


def _is_root_of(span: Span, run_id: str) -> bool:
    """Tell exactly: the query matches text, and finds run `r-4` in the metadata of `r-42` too."""
    return span.role is Role.ROOT and span.run_id == run_id
