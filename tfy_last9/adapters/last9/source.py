"""Spans from Last9: the `TraceSource` that settling reads from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from tfy_last9.adapters.last9.client import Counters, Last9Client
from tfy_last9.adapters.last9.crew import Crew
from tfy_last9.adapters.last9.paging import Ask, Cap, Pager, Piece
from tfy_last9.adapters.last9.selecting import Selecting
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.survey import Reach, Survey, survey
from tfy_last9.errors import HarnessError
from tfy_last9.model.run import Window
from tfy_last9.model.trace import Role, Span
from tfy_last9.ports import Clock, Outstanding, Page
from tfy_last9.wire.last9_pipeline import Pipeline
from tfy_last9.wire.last9_queries import (
    spans_of_requests,
    spans_of_run,
    spans_of_service,
    spans_of_traces,
)
from tfy_last9.wire.spans import Reading, assign_roots, distinct, read_spans

TRACES_PER_QUERY = 100
_PAD_S = 1
_PROBLEMS_SHOWN = 20
_NOWHERE = Window(0, 0)


class Last9Source:
    """Reads gateway spans by time and by trace. Nothing is left out in silence.

    What it cannot read or cannot fetch completely is in `Page.problems` and `Page.truncated`. `labels` are
    attribute names that objectives group by or compare.
    """

    def __init__(
        self,
        client: Last9Client,
        settings: Last9Settings,
        clock: Clock,
        labels: Iterable[str] = (),
    ) -> None:
        self._client = client
        self._clock = clock
        self._service = settings.service
        self._limit = settings.page_limit
        self._selecting = Selecting(client, labels, enabled=settings.select)
        self._cap = Cap(settings.page_limit)
        self._crew = Crew(settings.parallel)
        self._pager = Pager(self._cap, self._crew)
        self._survey: Survey | None = None

    @property
    def counters(self) -> Counters:
        """What reading has cost so far."""
        return self._client.counters

    @property
    def contents(self) -> str:
        """How prompts and completions were kept out, in words."""
        return self._selecting.note

    @property
    def reach(self) -> Reach:
        """How the spans of the run are reached."""
        return Reach.WINDOW if self._survey is None else self._survey.reach

    def roots(self, run_id: str, window: Window) -> Page:
        """Return the root spans that carry the run id."""
        page = self._look(spans_of_run(self._service, run_id), window)
        return _roots_only(page, run_id)

    def spans(self, window: Window) -> Page:
        """Return every gateway span in the window, whoever sent the request."""
        page = self._look(spans_of_service(self._service), window)
        return replace(page, spans=assign_roots(page.spans))

    def surveyed(self, run_id: str, window: Window, traces: int) -> Survey:
        """Return how much there is to read and how, by counting once; `traces` is what the ledger names."""
        if self._survey is None:
            self._survey = survey(self._client, self._service, run_id, window, traces, self._limit)
        return self._survey

    def run(self, run_id: str, window: Window, trace_ids: Sequence[str]) -> Iterator[Page]:
        """Yield everything of a run, piece by piece, with as little of other traffic as possible."""
        if self.surveyed(run_id, window, len(trace_ids)).reach is Reach.WINDOW:
            for page in self._pages(spans_of_service(self._service), window):
                yield replace(page, spans=assign_roots(page.spans))
            return
        known = set(trace_ids)
        for page in self._pages(spans_of_run(self._service, run_id), window):
            mine = _roots_only(page, run_id)
            known.update(span.trace_id for span in mine.spans)
            yield mine
        yield from self.traces(sorted(known), window)

    def again(self, run_id: str, window: Window, left: Outstanding) -> Iterator[Page]:
        """Yield what may have arrived of the outstanding traces."""
        if self.surveyed(run_id, window, len(left.trace_ids)).reach is Reach.WINDOW:
            for part in left.windows or (window,):
                yield self.spans(part)
            return
        yield self.roots(run_id, window)
        yield from self.traces(left.trace_ids, window)

    def traces(self, trace_ids: Sequence[str], window: Window) -> Iterator[Page]:
        """Yield the gateway spans of these traces; says nothing about any other."""
        yield from self._batches(trace_ids, window, spans_of_traces)

    def requests(self, request_ids: Sequence[str], window: Window) -> Iterator[Page]:
        """Yield the spans that carry these request ids."""
        yield from self._batches(request_ids, window, spans_of_requests)

    def trace(self, trace_id: str, window: Window) -> Sequence[Span]:
        """Return all gateway spans of one trace; empty when it is unknown."""
        return assign_roots(span for span in self._trace(trace_id, window) if self._is_ours(span))

    def services(self, trace_id: str, window: Window) -> tuple[str, ...]:
        """Return the services whose spans one trace shows, in the order of their names."""
        return tuple(sorted({span.service for span in self._trace(trace_id, window)}))

    def _trace(self, trace_id: str, window: Window) -> Iterable[Span]:
        start_s, end_s = _seconds(window)
        rows = self._client.trace(trace_id, start_s, end_s, self._limit)
        reading = read_spans(rows)
        if reading.problems:
            self._client.count_unreadable(len(reading.problems))
            raise HarnessError(f"Last9 shows a span that cannot be read: {reading.problems[0]}")
        if reading.rows >= self._limit:
            raise HarnessError(f"trace {trace_id} has {self._limit} spans or more: it may be cut")
        return distinct(reading.spans)

    def _look(self, pipeline: Pipeline, window: Window) -> Page:
        asked_ns = self._clock.now_ns()
        harvest = self._pager.read(self._ask(pipeline), window)
        return Page(
            window=window,
            asked_ns=asked_ns,
            roots_only=False,
            spans=self._within(harvest.spans, window),
            truncated=tuple(part.window() for part in harvest.truncated),
            problems=tuple(sorted(harvest.problems))[:_PROBLEMS_SHOWN],
        )

    def _pages(self, pipeline: Pipeline, window: Window) -> Iterator[Page]:
        asked_ns = self._clock.now_ns()
        for piece in self._pager.stream(self._ask(pipeline), window):
            yield self._page(piece, window, asked_ns)
            asked_ns = self._clock.now_ns()

    def _page(self, piece: Piece, window: Window, asked_ns: int) -> Page:
        slice_window = piece.part.window()
        return Page(
            window=Window(
                max(window.start_ns, slice_window.start_ns),
                min(window.end_ns, slice_window.end_ns),
            ),
            asked_ns=asked_ns,
            roots_only=False,
            spans=self._within(piece.reading.spans, window),
            truncated=(slice_window,) if piece.is_cut else (),
            problems=piece.reading.problems[:_PROBLEMS_SHOWN],
        )

    def _within(self, spans: Iterable[Span], window: Window) -> tuple[Span, ...]:
        return tuple(
            span
            for span in distinct(spans)
            if window.start_ns <= span.start_ns < window.end_ns and self._is_ours(span)
        )

    def _ask(self, pipeline: Pipeline) -> Ask:
        return lambda start_s, end_s, limit: self._selecting.spans(pipeline, start_s, end_s, limit)

    def _batches(
        self,
        ids: Sequence[str],
        window: Window,
        pipeline: Callable[[str, Sequence[str]], Pipeline],
    ) -> Iterator[Page]:
        """Ask for many ids at a time; a full answer is asked again in halves."""
        start_s, end_s = _seconds(window)
        todo = deque(
            tuple(ids[n : n + TRACES_PER_QUERY]) for n in range(0, len(ids), TRACES_PER_QUERY)
        )

        def job(batch: tuple[str, ...]) -> Callable[[], tuple[int, Reading]]:
            def asked() -> tuple[int, Reading]:
                query = pipeline(self._service, batch)
                asked_ns = self._clock.now_ns()
                return asked_ns, self._selecting.spans(query, start_s, end_s, self._limit)

            return asked

        for batch, (asked_ns, reading) in self._crew.ordered(todo, job):
            is_cut = self._cap.is_full(reading.rows)
            if is_cut and len(batch) > 1:
                middle = len(batch) // 2
                todo.extendleft((batch[middle:], batch[:middle]))
                continue
            spans = (span for span in distinct(reading.spans) if self._is_ours(span))
            yield Page(
                window=_NOWHERE,
                asked_ns=asked_ns,
                roots_only=False,
                spans=assign_roots(spans),
                truncated=(window,) if is_cut else (),
                problems=reading.problems[:_PROBLEMS_SHOWN],
            )

    def _is_ours(self, span: Span) -> bool:
        """Tell the gateway's spans from those of callers and tool servers in the same trace."""
        return span.service in {self._service, ""}


def _roots_only(page: Page, run_id: str) -> Page:
    """Tell exactly: the query matches text, and finds run `r-4` in the metadata of `r-42` too."""
    mine = tuple(span for span in page.spans if span.role is Role.ROOT and span.run_id == run_id)
    return replace(page, roots_only=True, spans=mine)


def _seconds(window: Window) -> tuple[int, int]:
    return window.start_ns // 10**9 - _PAD_S, -(-window.end_ns // 10**9) + _PAD_S
