"""Read everything of a stretch of time from an API that cuts answers without saying so.

There is no cursor: a full answer is split in two, down to one second. The limit we ask for is not the
only one, either: a server may cap answers below it in silence. So the first answer larger than any
proven one is checked against its two halves; if they show spans that it lacks, even when it is asked
again, its size is the server's cap and counts as "full" from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tfy_last9.adapters.last9.calls import QueryTooHeavy
from tfy_last9.model.run import Window
from tfy_last9.model.trace import Span
from tfy_last9.wire.spans import Reading

_SECOND_NS = 10**9
_WIDEST_S = 3600
"""Last9's own client asks for at most an hour at a time (last9/last9-mcp-server)."""
_PAD_S = 1
"""Whether `start` and `end` are inclusive is not documented: ask for a second more on both sides."""
_TRUSTED_ROWS = 100
"""Answers up to this size are taken to be below any server's cap."""

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

    def halves(self) -> tuple[Slice, Slice]:
        """Split at a whole second."""
        middle_s = self.start_s + self.seconds // 2
        return Slice(self.start_s, middle_s), Slice(middle_s, self.end_s)

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


@dataclass(slots=True)
class Harvest:
    """Everything that one look found. Spans may occur more than once."""

    spans: list[Span] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    truncated: list[Slice] = field(default_factory=list)

    def take(self, reading: Reading) -> None:
        """Keep the spans and problems of one answer."""
        self.spans.extend(reading.spans)
        self.problems.update(reading.problems)


class Pager:
    """Reads windows completely. Remembers what it learnt about the server's cap."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cap: int | None = None
        self._proven = min(_TRUSTED_ROWS, limit)

    def read(self, ask: Ask, window: Window) -> Harvest:
        """Return everything in the window, plus what the padding brought in."""
        harvest = Harvest()
        for part in slices(window):
            self._read(ask, part, harvest, None)
        return harvest

    def _read(self, ask: Ask, part: Slice, harvest: Harvest, known: Reading | None) -> None:
        try:
            reading = known or self._ask(ask, part)
        except QueryTooHeavy:
            if part.seconds == 1:
                raise
            self._split(ask, part, harvest)
            return
        harvest.take(reading)
        if self._is_full(reading):
            if part.seconds > 1:
                self._split(ask, part, harvest)
            else:
                harvest.truncated.append(part)
        elif reading.rows > self._proven and part.seconds > 1:
            self._prove(ask, part, harvest, reading)

    def _split(self, ask: Ask, part: Slice, harvest: Harvest) -> None:
        for half in part.halves():
            self._read(ask, half, harvest, None)

    def _prove(self, ask: Ask, part: Slice, harvest: Harvest, whole: Reading) -> None:
        """Compare an unusually large answer with its halves.

        Were it cut at its size n, a half of n rows would be cut as well, and halves below n rows
        would together show more than n spans. So halves below n rows that add nothing prove it whole.
        """
        halves = part.halves()
        readings = tuple(self._ask(ask, half) for half in halves)
        seen = _ids(whole)
        adds = any(_ids(reading) - seen for reading in readings)
        if adds and self._ask(ask, part).rows == whole.rows:
            self._cap = whole.rows
        if all(reading.rows < whole.rows for reading in readings):
            for reading in readings:
                harvest.take(reading)
            if not adds:
                self._proven = max(self._proven, whole.rows)
            return
        for half, reading in zip(halves, readings, strict=True):
            self._read(ask, half, harvest, reading)

    def _ask(self, ask: Ask, part: Slice) -> Reading:
        reading = ask(part.start_s - _PAD_S, part.end_s + _PAD_S, self._limit)
        if self._cap is not None and reading.rows > self._cap:
            self._cap = None
        return reading

    def _is_full(self, reading: Reading) -> bool:
        return reading.rows >= (self._cap or self._limit)


def _ids(reading: Reading) -> set[tuple[str, str]]:
    return {(span.trace_id, span.span_id) for span in reading.spans}
