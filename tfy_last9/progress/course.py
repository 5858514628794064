"""How a run went so far, in columns of time that are merged in pairs when there get too many."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tfy_last9.stats.exact import bucket_of, drawn_quantile

MOST_COLUMNS = 240
DRAWN = (0.5, 0.95, 0.99)
MEASURES = ("ttft", "total")
_NS_PER_MS = 1e6
_QUIET_COLUMNS = 3
"""So long after it, nothing more comes for a column: workers ship their rows each second."""

Histograms = defaultdict[tuple[str, str], Counter[int]]
"""Measure and provider to counts per bucket of nanoseconds."""


def _histograms() -> Histograms:
    return defaultdict(Counter)


@dataclass(slots=True)
class Column:
    """What happened in one stretch of time."""

    finished: int = 0
    offered: int | None = None
    """Total so far at the end of the column; None when nobody told."""
    in_flight: int | None = None
    """Most at a time."""
    errors: Counter[str] = field(default_factory=Counter)
    times: Histograms = field(default_factory=_histograms)
    drawn: dict[tuple[str, str], tuple[float | None, ...]] = field(default_factory=dict)
    """Percentiles in milliseconds that were asked for before and have not changed since."""

    def absorb(self, later: Column) -> None:
        """Take in the column that follows."""
        self.finished += later.finished
        self.offered = self.offered if later.offered is None else later.offered
        known = [one for one in (self.in_flight, later.in_flight) if one is not None]
        self.in_flight = max(known, default=None)
        self.errors.update(later.errors)
        for key, counts in later.times.items():
            self.times[key].update(counts)
        self.drawn.clear()

    def percentiles(self, measure: str, name: str) -> tuple[float | None, ...]:
        """Return the percentiles of `DRAWN`, in milliseconds."""
        key = (measure, name)
        if key not in self.drawn:
            counts = self.times.get(key, Counter())
            found = (drawn_quantile(counts, p) for p in DRAWN)
            self.drawn[key] = tuple(
                None if ns is None else round(ns / _NS_PER_MS, 2) for ns in found
            )
        return self.drawn[key]


class Course:
    """Columns from schedule zero on."""

    def __init__(self) -> None:
        self.step_s = 1
        self._columns: list[Column] = []
        self._names: dict[str, None] = {}

    def _at(self, seconds: float) -> Column:
        while (number := int(max(0.0, seconds) // self.step_s)) >= MOST_COLUMNS:
            self._halve()
        while len(self._columns) <= number:
            self._columns.append(Column())
        return self._columns[number]

    def _halve(self) -> None:
        self.step_s *= 2
        for even, odd in zip(self._columns[::2], self._columns[1::2], strict=False):
            even.absorb(odd)
        self._columns = self._columns[::2]

    def finished(self, seconds: float) -> None:
        """Count a request that ended."""
        self._at(seconds).finished += 1

    def failed(self, seconds: float, kind: str) -> None:
        """Count an error, or an arrival that nobody could take."""
        self._at(seconds).errors[kind] += 1

    def timed(self, seconds: float, measure: str, name: str, spent_ns: int) -> None:
        """Take a time of a request that ended; `name` says whose."""
        self._names.setdefault(name)
        column = self._at(seconds)
        column.times[measure, name][bucket_of(spent_ns)] += 1
        column.drawn.pop((measure, name), None)

    def sampled(self, seconds: float, offered: int, in_flight: int) -> None:
        """Take totals of all workers at an instant."""
        column = self._at(seconds)
        column.offered = max(offered, column.offered or 0)
        column.in_flight = max(in_flight, column.in_flight or 0)
        self._draw_ahead(int(seconds // self.step_s) - _QUIET_COLUMNS)

    def _draw_ahead(self, number: int) -> None:
        """Work out a column that is hardly going to change: all at once would hold up the load."""
        if 0 <= number < len(self._columns):
            for measure in MEASURES:
                for name in self._names:
                    self._columns[number].percentiles(measure, name)

    def document(self) -> dict[str, Any]:
        """Return the series to draw: rates per second, times in milliseconds."""
        columns = self._columns
        kinds = sorted({kind for column in columns for kind in column.errors})
        names = sorted(self._names)
        return {
            "step_s": self.step_s,
            "columns": len(columns),
            "offered": self._offered(),
            "finished": [round(column.finished / self.step_s, 2) for column in columns],
            "in_flight": [column.in_flight for column in columns],
            "errors": {kind: [column.errors[kind] for column in columns] for kind in kinds},
            "times": {
                measure: {
                    name: [column.percentiles(measure, name) for column in columns]
                    for name in names
                }
                for measure in MEASURES
            },
        }

    def _offered(self) -> list[float | None]:
        """Return arrivals per second; a column that nobody reported on shares what came after it."""
        rates: list[float | None] = []
        before, silent = 0, 0
        for column in self._columns:
            silent += 1
            if column.offered is not None:
                rate = round((column.offered - before) / silent / self.step_s, 2)
                rates += [rate] * silent
                before, silent = column.offered, 0
        return rates + [None] * silent
