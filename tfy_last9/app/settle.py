"""Wait until Last9 shows every expected trace, or until the deadline.

`watch` looks for roots while load runs, so that it is known how long traces take. `settle` comes after
the ledger is sealed: everything once, then again and again what is outstanding. Nothing is concluded
from a count that stops growing; only completeness or the deadline ends the wait. The deadline is for
traces to arrive, not for reading them: what is missing is lost only if a look that began after it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from tfy_last9.errors import Stopped, TfyError
from tfy_last9.model.run import SettlePoint, Window
from tfy_last9.model.scenario import Settle
from tfy_last9.ports import Clock, EvidenceBook, Outstanding, Page, TraceSource

MOST_LOOK_UPS = 500
_LOOK_UP_MARGIN_NS = 3600 * 10**9
"""Around the window: spans with a wrong clock are found by id where they are not by time."""
_MOST_FAILED_LOOK_UPS = 3
"""In a row; after that the back end is down and the other look-ups would only wait."""
_STEP_S = 0.2
_MOST_FAILURES_KEPT = 20


@dataclass(frozen=True, slots=True)
class WatchOutcome:
    """What became of the polls while load ran. Failures cost knowledge of lag, nothing else."""

    polls: int
    failed: int
    failures: tuple[str, ...]
    """Distinct messages, in order, at most 20."""
    truncated: int
    """Polls whose answer was cut: what they did not show proves nothing."""


@dataclass(frozen=True, slots=True)
class SettleOutcome:
    """How the wait ended."""

    settled: bool
    """Every expected trace showed its required spans. False when none was expected."""
    nothing_expected: bool
    expected: int
    complete: int
    looked_up: int
    """Traces asked for one by one at the deadline."""
    history: tuple[SettlePoint, ...]
    truncated: tuple[Window, ...]
    """Slices that could not be read completely by the last look at them."""
    problems: tuple[str, ...]
    """Spans that could not be read."""
    error: str | None
    """Why the evidence is not up to date; None when the last look succeeded."""
    looked_ns: int | None = None
    """When the last look at everything began that nothing was cut from; None without one."""
    displaced_ns: int | None = None
    """How far outside the window a trace of the run starts, below 0 before it; None for nowhere: the
    clocks of generator and gateway differ by at least so much."""


def watch(
    source: TraceSource,
    book: EvidenceBook,
    clock: Clock,
    run_id: str,
    start_ns: int,
    trailing_s: float,
    poll_s: float,
    stop: Callable[[], bool],
    least_pause_s: Callable[[], float] = lambda: 0.0,
) -> WatchOutcome:
    """Poll for roots of the last `trailing_s` seconds until `stop`; never raises.

    `least_pause_s` is asked after each look, so that the caller can bound what the looks cost.

    `trailing_s` should cover the longest request, the lateness limit and a margin: a root is looked for
    by its start, and only a look that covered it can prove it late.
    """
    polls = failed = truncated = 0
    failures: dict[str, None] = {}
    while not stop():
        now_ns = clock.now_ns()
        window = Window(max(start_ns, now_ns - _ns(trailing_s)), now_ns + 1)
        polls += 1
        try:
            if window.start_ns < window.end_ns:
                page = source.roots(run_id, window)
                truncated += bool(page.truncated)
                book.add(page)
            _rest(clock, max(poll_s, least_pause_s()), stop)
        except Stopped:
            break
        except Exception as error:  # noqa: BLE001 - a poll must not end the run; it is told instead
            failed += 1
            if len(failures) < _MOST_FAILURES_KEPT:
                failures[_told(error)] = None
            with suppress(Stopped):
                _rest(clock, poll_s, stop)
    return WatchOutcome(polls, failed, tuple(failures), truncated)


def _rest(clock: Clock, seconds: float, stop: Callable[[], bool]) -> None:
    """Wait in small steps, so that the end of the load is noticed at once."""
    while seconds > 0 and not stop():
        step_s = min(seconds, _STEP_S)
        clock.sleep(step_s)
        seconds -= step_s


def settle(
    source: TraceSource,
    book: EvidenceBook,
    clock: Clock,
    settle: Settle,
    run_id: str,
    window: Window,
    last_finish_ns: int,
    on_progress: Callable[[SettlePoint], None],
) -> SettleOutcome:
    """Fetch evidence until it is complete, or a look began `settle.deadline_s` after the last finish."""
    waiting = _Waiting(source, book, clock, run_id, window, on_progress)
    if book.outstanding().expected == 0:
        return waiting.outcome(book.outstanding())
    deadline_ns = last_finish_ns + _ns(settle.deadline_s)
    while True:
        began_ns = clock.now_ns()
        waiting.look(is_last=began_ns >= deadline_ns)
        left_s = (deadline_ns - clock.now_ns()) / 1e9
        if waiting.is_confirmed or began_ns >= deadline_ns:
            break
        if left_s > 0:
            clock.sleep(min(settle.poll_s, left_s))
        elif waiting.error is not None:
            clock.sleep(settle.poll_s)
        elif waiting.is_complete:
            break
    waiting.finish()
    return waiting.outcome(book.outstanding())


@dataclass(slots=True)
class _Waiting:
    """State between two looks."""

    source: TraceSource
    book: EvidenceBook
    clock: Clock
    run_id: str
    window: Window
    on_progress: Callable[[SettlePoint], None]
    error: str | None = None
    is_complete: bool = False
    is_confirmed: bool = False
    """Complete, and everything was looked at again one poll later."""
    looked_up: int = 0
    history: list[SettlePoint] = field(default_factory=list)
    truncated: dict[Window, None] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)
    seen_everything: bool = False
    last_was_everything: bool = False
    looked_ns: int | None = None
    displaced_ns: int | None = None

    def look(self, *, is_last: bool = False) -> None:
        """Look once: everything the first time and once more when complete, else what is missing.

        The second look at everything is for spans that completeness does not ask for: the failed attempt
        of a request that a fallback saved may be exported after the attempt that served it. The last look
        is at everything too where more is missing than can be named.
        """
        was_complete, self.error = self.is_complete, None
        everything = was_complete or not self.seen_everything
        self.last_was_everything = everything or (is_last and self._is_beyond_naming())
        try:
            if self.last_was_everything:
                self._look_at_everything()
            else:
                self._add(self.source.again(self.run_id, self.window, self.book.outstanding()))
        except TfyError as error:
            self.error = _told(error)
        self._note()
        self.is_confirmed = was_complete and self.is_complete and self.error is None

    def finish(self) -> None:
        """At the end: search what is missing trace by trace, or look at everything a last time."""
        if self.error is not None:
            return
        if not self.is_complete:
            self._look_up_all(until_displaced=True)
        if self.displaced_ns is not None and self.error is None:
            self._look_where_clocks_differ()
            self._look_up_all()
        if self.is_complete and not self.last_was_everything:
            self.look()

    def _is_beyond_naming(self) -> bool:
        left = self.book.outstanding()
        return left.expected - left.complete > len(left.trace_ids)

    def _look_up_all(self, *, until_displaced: bool = False) -> None:
        """Ask for the outstanding traces one by one: they may be where no window looks for them."""
        around = Window(
            self.window.start_ns - _LOOK_UP_MARGIN_NS, self.window.end_ns + _LOOK_UP_MARGIN_NS
        )
        failed_in_a_row = 0
        for trace_id in self.book.outstanding().trace_ids[:MOST_LOOK_UPS]:
            try:
                self._look_up(trace_id, around)
                failed_in_a_row = 0
            except TfyError as error:
                self.error = _told(error)
                failed_in_a_row += 1
                if failed_in_a_row == _MOST_FAILED_LOOK_UPS:
                    break
            if until_displaced and self.displaced_ns is not None:
                break
        self._note()

    def _look_where_clocks_differ(self) -> None:
        """Look at everything where the run is in the gateway's time, as one trace outside shows."""
        assert self.displaced_ns is not None
        edge_ns = self.window.start_ns if self.displaced_ns < 0 else self.window.end_ns
        seen_ns, length_ns = edge_ns + self.displaced_ns, self.window.end_ns - self.window.start_ns
        there = Window(seen_ns - length_ns, seen_ns + length_ns)
        try:
            self._add(self.source.run(self.run_id, there, self.book.trace_ids()))
        except TfyError as error:
            self.error = _told(error)
        self._note()

    def outcome(self, left: Outstanding) -> SettleOutcome:
        """Return how it ended."""
        return SettleOutcome(
            settled=left.expected > 0 and self.is_complete and self.error is None,
            nothing_expected=left.expected == 0,
            expected=left.expected,
            complete=left.complete,
            looked_up=self.looked_up,
            history=tuple(self.history),
            truncated=tuple(sorted(self.truncated, key=lambda part: part.start_ns)),
            problems=tuple(sorted(self.problems)),
            error=self.error,
            looked_ns=self.looked_ns,
            displaced_ns=self.displaced_ns,
        )

    def _look_at_everything(self) -> None:
        asked_ns = self.clock.now_ns()
        before, self.truncated = self.truncated, {}
        try:
            self._add(self.source.run(self.run_id, self.window, self.book.trace_ids()))
        except TfyError:
            self.truncated |= before
            raise
        self.seen_everything = True
        if not self.truncated:
            self.looked_ns = asked_ns

    def _look_up(self, trace_id: str, around: Window) -> None:
        asked_ns = self.clock.now_ns()
        spans = self.source.trace(trace_id, around)
        self.looked_up += 1
        if spans:
            self._note_place(min(span.start_ns for span in spans))
        # An empty window: this look says nothing about other traces.
        nowhere = Window(asked_ns, asked_ns)
        self._add((Page(nowhere, asked_ns, roots_only=False, spans=spans, truncated=()),))

    def _note_place(self, start_ns: int) -> None:
        if start_ns < self.window.start_ns:
            self.displaced_ns = start_ns - self.window.start_ns
        elif start_ns >= self.window.end_ns:
            self.displaced_ns = start_ns - self.window.end_ns

    def _add(self, pages: Iterable[Page]) -> None:
        for page in pages:
            self.book.add(page)
            self.truncated.update(dict.fromkeys(page.truncated))
            self.problems.update(dict.fromkeys(page.problems))

    def _note(self) -> None:
        left = self.book.outstanding()
        self.is_complete = left.complete >= left.expected
        point = SettlePoint(self.clock.now_ns(), left.expected, left.complete)
        self.history.append(point)
        self.on_progress(point)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _told(error: Exception) -> str:
    return f"{error}" if isinstance(error, TfyError) else f"{type(error).__name__}: {error}"
