"""Read everything of a stretch of time from an API that cuts answers without saying so.

There is no cursor: a full answer is asked again in parts, down to one second. The limit we ask for is not
the only one, either: a server may cap answers below it in silence. So the first answer larger than any
proven one is checked against its two halves; if they show spans that it lacks, even when it is asked
again, its size is the server's cap and counts as "full" from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tfy_last9.adapters.last9.calls import QueryTooHeavy
from tfy_last9.adapters.last9.crew import Crew
from tfy_last9.model.run import Window
from tfy_last9.model.trace import Span
from tfy_last9.wire.spans import Reading

_SECOND_NS = 10**9
_MILLISECOND_NS = 10**6
_WIDEST_S = 3600
"""Last9's own client asks for at most an hour at a time (last9/last9-mcp-server)."""
_PAD_S = 1
"""Whether `start` and `end` are inclusive is not documented: neighbours overlap by a second, and the first
begins a second early. The book knows a span that it has already."""
_TRUSTED_ROWS = 99
"""Answers up to this size are taken to be below any server's cap."""
_FILL = 0.85
"""Share of the limit that an answer is meant to bring, overlap included: traffic is never even."""

Ask = Callable[[int, int, int], Reading]
"""`(start_s, end_s, limit)` to the rows of one answer."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Whole seconds, half-open."""

    start_s: int
    end_s: int

    @property
    def seconds(self) -> int:
        """Length of the slice."""
        return self.end_s - self.start_s

    def split(self, parts: int) -> tuple[Slice, ...]:
        """Split at whole seconds, as evenly as possible."""
        parts = min(parts, self.seconds)
        cuts = [self.start_s + self.seconds * n // parts for n in range(parts + 1)]
        return tuple(Slice(cuts[n], cuts[n + 1]) for n in range(parts))

    def window(self) -> Window:
        """Return the same stretch in nanoseconds."""
        return Window(self.start_s * _SECOND_NS, self.end_s * _SECOND_NS)


def slices(window: Window, widest_s: int = _WIDEST_S) -> Iterator[Slice]:
    """Cover a window with slices of whole seconds, each instant exactly once, oldest first."""
    start_s = window.start_ns // _SECOND_NS
    end_s = -(-window.end_ns // _SECOND_NS)
    while start_s < end_s:
        slice_end_s = min(start_s + widest_s, end_s)
        yield Slice(start_s, slice_end_s)
        start_s = slice_end_s


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice whose answer is final. Spans may occur in neighbouring pieces as well."""

    part: Slice
    reading: Reading
    is_cut: bool = False
    """True where even one second filled the answer."""


@dataclass(slots=True)
class Harvest:
    """Everything that one look found. Spans may occur more than once."""

    spans: list[Span] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    truncated: list[Slice] = field(default_factory=list)

    def take(self, piece: Piece) -> None:
        """Keep the spans and problems of one answer."""
        self.spans.extend(piece.reading.spans)
        self.problems.update(piece.reading.problems)
        if piece.is_cut:
            self.truncated.append(piece.part)


class Cap:
    """What is known about the size of answers: the limit asked for, and a lower one if it showed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cap: int | None = None
        self.proven = min(_TRUSTED_ROWS, limit)

    def is_full(self, rows: int) -> bool:
        """Tell whether an answer of that size may be cut."""
        if self.cap is not None and rows > self.cap:
            self.cap = None
        return rows >= (self.cap or self.limit)


class Todo:
    """Slices still to be asked for, oldest first, each cut to what will probably fit into one answer.

    What fits is known from the answers so far. The rest of a slice stays together, so that a burst does
    not turn a quiet hour after it into hundreds of questions.
    """

    def __init__(self, parts: Iterable[Slice], cap: Cap) -> None:
        self._parts = deque(parts)
        self._cap = cap
        self._rows_per_s = 0.0
        self._widest_s = _WIDEST_S

    def __len__(self) -> int:
        parts = len(self._parts)
        return 2 if parts == 1 and self._fitting_s() < self._parts[0].seconds else parts

    def popleft(self) -> Slice:
        """Take the next slice to ask for."""
        part = self._parts.popleft()
        fitting_s = self._fitting_s()
        if fitting_s >= part.seconds:
            return part
        cut_s = part.start_s + fitting_s
        self._parts.appendleft(Slice(cut_s, part.end_s))
        return Slice(part.start_s, cut_s)

    def put_back(self, parts: Sequence[Slice]) -> None:
        """Ask for these next."""
        self._parts.extendleft(reversed(parts))

    def refuse(self, seconds: int) -> None:
        """Remember that so many seconds were too heavy for one answer."""
        self._widest_s = min(self._widest_s, max(1, seconds // 2))

    def learn(self, seconds: float, rows: int) -> None:
        """Remember how dense the traffic was in the latest answer."""
        self._rows_per_s = rows / seconds

    def _fitting_s(self) -> int:
        fill = _FILL * (self._cap.cap or self._cap.limit)
        if not self._rows_per_s:
            return self._widest_s
        return max(1, min(self._widest_s, int(fill / self._rows_per_s - _PAD_S)))


class Pager:
    """Reads windows completely, several slices at a time."""

    def __init__(self, cap: Cap, crew: Crew) -> None:
        self._cap = cap
        self._crew = crew

    def read(self, ask: Ask, window: Window) -> Harvest:
        """Return everything in the window, plus what the padding brought in."""
        harvest = Harvest()
        for piece in self.stream(ask, window):
            harvest.take(piece)
        return harvest

    def stream(self, ask: Ask, window: Window) -> Iterator[Piece]:
        """Yield everything in the window slice by slice; holds a few answers at a time."""
        todo = Todo(slices(_padded(window)), self._cap)

        def job(part: Slice) -> Callable[[], Reading | None]:
            return lambda: self._tried(ask, part)

        for part, reading in self._crew.ordered(todo, job):
            if reading is None:
                todo.refuse(part.seconds)
                todo.put_back(part.split(2))
            elif self._cap.is_full(reading.rows):
                todo.learn(_covered_s(part, reading), reading.rows)
                if part.seconds == 1:
                    yield self._bare(ask, part, reading)
                else:
                    todo.put_back(part.split(2))
            elif reading.rows > self._cap.proven and part.seconds > 1:
                yield from self._prove(ask, part, reading)
            else:
                todo.learn(part.seconds + _PAD_S, reading.rows)
                yield Piece(part, reading)

    def _tried(self, ask: Ask, part: Slice) -> Reading | None:
        """Return one answer, or None where a shorter slice should be asked for."""
        try:
            return self._asked(ask, part)
        except QueryTooHeavy:
            if part.seconds == 1:
                raise
            return None

    def _asked(self, ask: Ask, part: Slice) -> Reading:
        return ask(part.start_s, part.end_s + _PAD_S, self._cap.limit)

    def _prove(self, ask: Ask, part: Slice, whole: Reading) -> Iterator[Piece]:
        """Compare an unusually large answer with its halves.

        Were it cut at its size n, a half of n rows would be cut as well, and halves below n rows
        would together show more than n spans. So halves below n rows that add nothing prove it whole.
        """
        halves = part.split(2)
        readings = tuple(self._asked(ask, half) for half in halves)
        seen = _ids(whole)
        adds = any(_ids(reading) - seen for reading in readings)
        if adds and self._asked(ask, part).rows == whole.rows:
            self._cap.cap = whole.rows
        if all(reading.rows < whole.rows for reading in readings):
            if not adds:
                self._cap.proven = max(self._cap.proven, whole.rows)
            yield Piece(part, whole)
            yield from (
                Piece(half, reading) for half, reading in zip(halves, readings, strict=True)
            )
            return
        for half, reading in zip(halves, readings, strict=True):
            yield from self._follow(ask, half, reading)

    def _follow(self, ask: Ask, part: Slice, reading: Reading) -> Iterator[Piece]:
        """Go on with a half whose answer is at hand."""
        if self._cap.is_full(reading.rows) and part.seconds > 1:
            for half in part.split(2):
                yield from self._follow(ask, half, self._asked(ask, half))
        elif reading.rows > self._cap.proven and part.seconds > 1:
            yield from self._prove(ask, part, reading)
        elif self._cap.is_full(reading.rows):
            yield self._bare(ask, part, reading)
        else:
            yield Piece(part, reading)

    def _bare(self, ask: Ask, part: Slice, padded: Reading) -> Piece:
        """Ask for one full second without the overlap, which may be what filled the answer.

        Only a span at the very instant of the second may then be missed, where `start` is exclusive. With
        instants finer than milliseconds that is as good as never, and its trace is found to be incomplete.
        """
        bare = ask(part.start_s, part.end_s, self._cap.limit)
        is_fine = any(span.start_ns % _MILLISECOND_NS for span in bare.spans)
        if is_fine and not self._cap.is_full(bare.rows):
            return Piece(part, bare)
        return Piece(part, padded, is_cut=True)


def _padded(window: Window) -> Window:
    """Begin a second early; the end is padded with every question."""
    if window.start_ns >= window.end_ns:
        return window
    return Window(window.start_ns - _PAD_S * _SECOND_NS, window.end_ns)


def _covered_s(part: Slice, full: Reading) -> float:
    """Return how many seconds of the slice the rows of a full answer cover."""
    starts = [span.start_ns for span in full.spans]
    covered_s = (max(starts) - min(starts)) / _SECOND_NS if starts else 0.0
    return covered_s or float(part.seconds + _PAD_S)


def _ids(reading: Reading) -> set[tuple[str, str]]:
    return {(span.trace_id, span.span_id) for span in reading.spans}
