"""Waiting for evidence: what ends it, what does not, and what is told."""

from dataclasses import dataclass, field, replace

import pytest

from tfy_last9.app.settle import MOST_LOOK_UPS, settle, watch
from tfy_last9.errors import BackendUnavailable
from tfy_last9.model.run import Window
from tfy_last9.model.scenario import Settle
from tfy_last9.ports import Outstanding, Page

S = 10**9
WINDOW = Window(0, 100 * S)
FINISH_NS = 95 * S
SETTLE = Settle(deadline_s=60, late_after_s=30, poll_s=5)
NEAR = (Window(0, 2 * S),)
DEADLINE_NS = FINISH_NS + 60 * S


class FakeClock:
    def __init__(self, now_s=100.0):
        self.now = int(now_s * S)
        self.slept = []

    def now_ns(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.slept.append(seconds)
        self.now += int(seconds * S)


class Named(str):
    """A span that stands for its whole trace: a name, and when it starts."""

    __slots__ = ("start_ns",)

    def __new__(cls, name, start_s):
        made = super().__new__(cls, name)
        made.start_ns = int(start_s * S)
        return made


@dataclass
class FakeSource:
    """Traces are names; each is visible from an instant on, in the window where it started."""

    clock: FakeClock
    visible_s: dict
    starts_s: dict = field(default_factory=dict)
    by_id_only: frozenset = frozenset()
    fails: list = field(default_factory=list)
    """Instants (seconds) until which every call fails, or a predicate of the call's name."""
    truncated: dict = field(default_factory=dict)
    problems: tuple = ()
    calls: list = field(default_factory=list)

    def _called(self, name, detail):
        self.calls.append((name, detail, self.clock.now))
        for trouble in self.fails:
            if trouble(name, self.clock.now / S):
                raise BackendUnavailable(f"{name} is down")

    def _visible(self, window):
        return [
            name
            for name, at_s in self.visible_s.items()
            if at_s * S <= self.clock.now
            and name not in self.by_id_only
            and window.start_ns <= self.starts_s.get(name, 1) * S < window.end_ns
        ]

    def roots(self, run_id, window):
        self._called("roots", (run_id, window))
        return Page(window, self.clock.now, True, [], ())

    def spans(self, window):
        self._called("spans", window)
        cut = self.truncated.get(window, ())
        return Page(window, self.clock.now, False, self._visible(window), cut, self.problems)

    def run(self, run_id, window, trace_ids):
        del trace_ids
        yield self.roots(run_id, window)
        yield self.spans(window)

    def again(self, run_id, window, left):
        del run_id
        for part in left.windows or (window,):
            yield self.spans(part)

    def trace(self, trace_id, window):
        self._called("trace", (trace_id, window))
        if self.visible_s.get(trace_id, 1e9) * S > self.clock.now:
            return []
        return [Named(trace_id, self.starts_s.get(trace_id, 1))]

    def named(self, name):
        return [call for call in self.calls if call[0] == name]


class FakeBook:
    def __init__(self, expected, windows=NEAR):
        self.expected = list(expected)
        self.found = set()
        self.pages = []
        self.windows = windows

    def add(self, page):
        self.pages.append(page)
        self.found.update(page.spans)

    def trace_ids(self):
        return self.expected

    def outstanding(self):
        missing = [name for name in self.expected if name not in self.found]
        windows = self.windows if missing else ()
        complete = len(self.expected) - len(missing)
        return Outstanding(len(self.expected), complete, windows, tuple(missing))


def run(visible_s, expected=None, clock=None, book=None, **source):
    clock = clock or FakeClock()
    book = book or FakeBook(visible_s if expected is None else expected)
    told = []
    fake = FakeSource(clock, visible_s, **source)
    outcome = settle(fake, book, clock, SETTLE, "r-42", WINDOW, FINISH_NS, told.append)
    assert tuple(told) == outcome.history
    return outcome, fake, clock, book


def test_the_first_look_is_at_everything_by_run_and_by_time():
    _, source, _, book = run({"a": 0})
    assert source.calls[0][:2] == ("roots", ("r-42", WINDOW))
    assert source.calls[1][:2] == ("spans", WINDOW)
    assert [page.roots_only for page in book.pages[:2]] == [True, False]


def test_it_ends_one_poll_after_the_last_trace_is_complete():
    outcome, _, clock, _ = run({"a": 0, "b": 113})
    assert outcome.settled
    assert (outcome.expected, outcome.complete, outcome.error) == (2, 2, None)
    assert clock.now == 120 * S


def test_everything_is_looked_at_once_more_when_all_is_complete():
    """The failed attempt of a request that a fallback saved may be exported after the good one."""
    book = FakeBook(["a"])
    outcome, _, _, _ = run({"a": 0, "late sibling": 103}, book=book)
    assert outcome.settled
    assert "late sibling" in book.found


def test_only_outstanding_windows_are_asked_for_in_between():
    _, source, _, _ = run({"a": 0, "b": 118})
    between = [call[1] for call in source.named("spans")[1:-1]]
    assert between
    assert set(between) == {Window(0, 2 * S)}


def test_without_outstanding_windows_everything_is_asked_for():
    _, source, clock, _ = run({"a": 112}, book=FakeBook(["a"], windows=()))
    assert {call[1] for call in source.named("spans")} == {WINDOW}
    assert clock.now == 120 * S


def test_unchanged_counts_prove_nothing():
    """Trap of Tracetest: it took a span count that paused between two polls for the end."""
    outcome, _, clock, _ = run({"a": 0, "b": 0, "c": 153})
    counts = [point.complete for point in outcome.history]
    assert counts[:9] == [2] * 9
    assert outcome.settled
    assert clock.now >= 153 * S


def test_the_last_look_is_at_the_deadline_and_not_before():
    outcome, source, clock, _ = run({"a": 0}, expected=["a", "never"])
    assert not outcome.settled
    assert source.named("spans")[-1][2] == DEADLINE_NS == clock.now
    assert (outcome.expected, outcome.complete) == (2, 1)
    assert outcome.error is None


def test_a_trace_that_appears_at_the_deadline_itself_is_found():
    outcome, _, _, _ = run({"a": 155})
    assert outcome.settled


def test_outstanding_traces_are_looked_up_by_id_at_the_deadline():
    """A span with a wrong clock is not where its request was."""
    outcome, source, _, book = run({"a": 0, "b": 0}, by_id_only=frozenset({"b"}))
    assert [call[1][0] for call in source.named("trace")] == ["b"]
    assert outcome.settled
    assert outcome.looked_up == 1
    around = source.named("trace")[0][1][1]
    assert around.start_ns < WINDOW.start_ns
    assert around.end_ns > WINDOW.end_ns
    looked_up = next(page for page in book.pages if list(page.spans) == ["b"])
    assert looked_up.window.start_ns == looked_up.window.end_ns


def test_what_look_ups_complete_is_followed_by_a_look_at_everything():
    """So that no failed attempt of the traces found before is missed."""
    visible = {"a": 0, "b": 0, "late sibling": 154}
    _, _, _, book = run(
        visible,
        expected=["a", "b"],
        by_id_only=frozenset({"b"}),
        starts_s={"late sibling": 50},
    )
    assert "late sibling" in book.found


def test_look_ups_are_bounded():
    missing = [f"t{n}" for n in range(MOST_LOOK_UPS + 20)]
    outcome, source, _, _ = run({}, expected=missing)
    assert len(source.named("trace")) == MOST_LOOK_UPS == outcome.looked_up
    assert not outcome.settled


def test_look_ups_stop_when_the_back_end_is_down():
    down = [lambda name, _: name == "trace"]
    outcome, source, _, _ = run({}, expected=[f"t{n}" for n in range(100)], fails=down)
    assert len(source.named("trace")) == 3
    assert outcome.error == "trace is down"


def test_one_failing_look_up_does_not_keep_the_others_from_being_found():
    class OneBadTrace(FakeSource):
        def trace(self, trace_id, window):
            if trace_id == "a":
                raise BackendUnavailable("unreadable")
            return super().trace(trace_id, window)

    clock, book = FakeClock(), FakeBook(["a", "b"])
    source = OneBadTrace(clock, {"b": 0}, by_id_only=frozenset({"b"}))
    outcome = settle(source, book, clock, SETTLE, "r", WINDOW, FINISH_NS, lambda _: None)
    assert book.found == {"b"}
    assert outcome.error == "unreadable"
    assert not outcome.settled


def test_nothing_expected_returns_at_once_and_is_marked():
    """Zero of zero traces is not complete evidence."""
    outcome, source, clock, _ = run({"a": 0}, expected=[])
    assert outcome.nothing_expected
    assert not outcome.settled
    assert source.calls == []
    assert clock.slept == []


def test_errors_are_retried_and_forgotten_when_a_later_look_succeeds():
    outcome, _, _, _ = run({"a": 0}, fails=[lambda _, now_s: now_s < 120])
    assert outcome.settled
    assert outcome.error is None


def test_after_a_failed_first_look_everything_is_asked_for_again():
    _, source, _, _ = run({"a": 118}, fails=[lambda _, now_s: now_s < 108])
    assert all(call[1][1] == WINDOW for call in source.named("roots"))
    assert len(source.named("roots")) >= 3


def test_an_error_that_lasts_to_the_deadline_is_recorded():
    outcome, source, clock, _ = run({"a": 0}, fails=[lambda _, __: True])
    assert not outcome.settled
    assert outcome.error == "roots is down"
    assert clock.now == DEADLINE_NS
    assert source.named("trace") == []


def test_complete_is_not_settled_when_the_confirming_look_fails():
    outcome, _, _, _ = run({"a": 0}, fails=[lambda _, now_s: now_s > 101])
    assert outcome.complete == 1
    assert not outcome.settled
    assert outcome.error is not None


def test_after_the_deadline_one_look_is_enough():
    """Collecting again, days later."""
    clock = FakeClock(now_s=10_000)
    outcome, source, _, _ = run({"a": 0}, clock=clock)
    assert outcome.settled
    assert len(source.named("spans")) == 1
    assert clock.slept == []


class SlowSource(FakeSource):
    """Reads a window in ten pages, each asked for only when the one before was read: `read_s` in all."""

    read_s = 240.0

    def run(self, run_id, window, trace_ids):
        del run_id, trace_ids
        length_ns = (window.end_ns - window.start_ns) // 10
        for number in range(10):
            start_ns = window.start_ns + number * length_ns
            yield self.spans(Window(start_ns, start_ns + length_ns))
            self.clock.now += int(self.read_s / 10 * S)


def settled_slowly(visible_s, starts_s=None, book=None, read_s=240.0, **source):
    clock = FakeClock()
    book = book or FakeBook(visible_s)
    slow = SlowSource(clock, visible_s, starts_s or {}, **source)
    slow.read_s = read_s
    return settle(slow, book, clock, SETTLE, "r", WINDOW, FINISH_NS, lambda _: None), slow


def test_reading_for_longer_than_the_deadline_does_not_make_late_traces_lost():
    """The page that should show "late" was read 40 s before it arrived, and all of it took four minutes."""
    outcome, source = settled_slowly({"a": 0, "late": 140}, {"a": 50, "late": 1})
    assert outcome.settled
    assert (outcome.expected, outcome.complete, outcome.error) == (2, 2, None)
    assert source.named("trace") == []


def test_reading_for_longer_than_the_deadline_is_complete_after_one_look():
    outcome, source = settled_slowly({"a": 0, "b": 0}, {"a": 5, "b": 95})
    assert outcome.settled
    assert len(source.named("spans")) == 10


def test_what_a_look_after_the_deadline_does_not_show_is_lost_however_long_reading_takes():
    outcome, source = settled_slowly({"a": 0}, book=FakeBook(["a", "never"]))
    assert not outcome.settled
    assert outcome.complete == 1
    assert source.named("spans")[-1][2] >= DEADLINE_NS


def test_a_first_look_that_broke_off_after_the_deadline_is_made_again():
    """Four minutes of reading may meet a back end that is down for a moment."""
    hiccup = [lambda name, now_s: name == "spans" and 300 <= now_s < 320]
    outcome, _ = settled_slowly({"a": 0}, fails=hiccup)
    assert outcome.settled
    assert outcome.error is None


def test_the_last_look_is_at_everything_where_more_is_missing_than_can_be_named():
    class Named500(FakeBook):
        def outstanding(self):
            left = super().outstanding()
            return replace(left, windows=NEAR, trace_ids=left.trace_ids[:500])

    names = [f"t{number}" for number in range(1200)]
    starts = dict.fromkeys(names, 50)
    outcome, _ = settled_slowly(dict.fromkeys(names, 150), starts, Named500(names), read_s=240)
    assert outcome.settled
    assert outcome.looked_up == 0


def test_truncated_slices_and_problems_are_told():
    cut = Window(5 * S, 6 * S)
    outcome, _, _, _ = run({"a": 0}, truncated={WINDOW: (cut,)}, problems=("span x: no",))
    assert outcome.truncated == (cut,)
    assert outcome.problems == ("span x: no",)


def test_a_slice_that_a_later_look_at_everything_read_is_not_truncated():
    class Passing(FakeSource):
        def spans(self, window):
            if len(self.named("spans")) == 1:
                self.truncated = {}
            return super().spans(window)

    clock, book = FakeClock(), FakeBook(["a"])
    source = Passing(clock, {"a": 0}, truncated={WINDOW: (Window(5 * S, 6 * S),)})
    outcome = settle(source, book, clock, SETTLE, "r", WINDOW, FINISH_NS, lambda _: None)
    assert outcome.truncated == ()


def watched(source, clock, polls, book=None, start_s=90.0, poll_s=5.0):
    book = book or FakeBook([])

    def stop():
        return len(source.named("roots")) >= polls

    outcome = watch(source, book, clock, "r-42", int(start_s * S), 40.0, poll_s, stop)
    return outcome, book


def test_watching_polls_roots_of_the_trailing_window():
    clock = FakeClock()
    source = FakeSource(clock, {})
    outcome, book = watched(source, clock, polls=9)
    windows = [page.window for page in book.pages]
    assert windows[0] == Window(90 * S, 100 * S + 1)
    assert windows[-1].start_ns == pytest.approx(100 * S, abs=10)
    assert windows[-1].end_ns - windows[-1].start_ns == 40 * S + 1
    assert (outcome.polls, outcome.failed) == (9, 0)
    assert all(page.roots_only for page in book.pages)


def test_watching_survives_every_kind_of_failure_and_tells():
    class Broken(FakeSource):
        def roots(self, run_id, window):
            super().roots(run_id, window)
            raise (BackendUnavailable("no route") if len(self.calls) % 2 else KeyError("oops"))

    clock = FakeClock()
    outcome, book = watched(Broken(clock, {}), clock, polls=6)
    assert (outcome.polls, outcome.failed) == (6, 6)
    assert outcome.failures == ("no route", "KeyError: 'oops'")
    assert book.pages == []


def test_watching_goes_on_after_a_failing_poll():
    clock = FakeClock()
    source = FakeSource(clock, {}, fails=[lambda _, now_s: now_s < 108])
    outcome, book = watched(source, clock, polls=4)
    assert outcome.failed == 2
    assert len(book.pages) == 2


def test_a_failing_book_does_not_end_the_watch():
    class FullDisk(FakeBook):
        def add(self, _page):
            raise OSError(28, "No space left on device")

    clock = FakeClock()
    outcome, _ = watched(FakeSource(clock, {}), clock, polls=2, book=FullDisk([]))
    assert outcome.failed == 2
    assert "No space left" in outcome.failures[0]


def test_watching_stops_within_a_moment_and_not_after_a_whole_pause():
    clock = FakeClock()
    source = FakeSource(clock, {})
    watch(source, FakeBook([]), clock, "r", 0, 40.0, 3600.0, lambda: clock.now > 101 * S)
    assert clock.now < 102 * S


def test_before_the_load_starts_nothing_is_asked():
    clock = FakeClock(now_s=50)
    source = FakeSource(clock, {})
    outcome = watch(source, FakeBook([]), clock, "r", 90 * S, 40.0, 5.0, lambda: clock.now > 60 * S)
    assert source.calls == []
    assert outcome.failed == 0


@pytest.mark.parametrize("skew_s", [-300, 300])
def test_a_gateway_whose_clock_is_off_loses_nothing(skew_s):
    """Its spans start outside the window; by id alone only the first 500 would be found."""
    names = [f"t{number}" for number in range(MOST_LOOK_UPS + 100)]
    starts = {name: skew_s + number % 100 for number, name in enumerate(names)}
    outcome, source, _, book = run(dict.fromkeys(names, 0), starts_s=starts)
    assert outcome.settled
    assert book.found == set(names)
    assert len(source.named("trace")) == 1
    assert outcome.displaced_ns == (-300 * S if skew_s < 0 else 200 * S)


def test_traces_that_are_where_they_should_be_displace_nothing():
    outcome, _, _, _ = run({"a": 0, "b": 0}, by_id_only=frozenset({"b"}))
    assert outcome.settled
    assert outcome.displaced_ns is None


def test_a_look_that_cost_much_is_paid_off_before_the_next():
    clock, pauses = FakeClock(0), iter([0.0, 50.0, 0.0])
    source = FakeSource(clock, {})
    ends = clock.now + 60 * S
    watch(
        source,
        FakeBook([]),
        clock,
        "r-42",
        0,
        trailing_s=30,
        poll_s=2,
        stop=lambda: clock.now >= ends,
        least_pause_s=lambda: next(pauses, 0.0),
    )
    times = [call[2] / S for call in source.named("roots")]
    assert times[2] - times[1] == pytest.approx(50.0, abs=0.3)
    assert times[1] - times[0] == pytest.approx(2.0, abs=0.3)
