"""What a terminal shows while a gate waits: the load, then the traces that settle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tfy_last9.cli.budgeting import spending_text, used_up
from tfy_last9.judge.phrases import percent, quantity, significant
from tfy_last9.model.run import SettlePoint
from tfy_last9.progress.live_run import LiveRun, Provider, Spent
from tfy_last9.progress.standings import (
    NOTHING,
    Place,
    Standing,
    about,
    most_used,
    summary,
    together,
)

STYLES = {
    Standing.BAD: "bold red",
    Standing.OPEN: "dim",
    Standing.GOOD: "green",
    Standing.LATER: "dim",
}
_BAR = 28
_NS_PER_S = 1e9
_WINDOW_S = 5.0
"""Rates are means over so long."""


@dataclass(slots=True)
class LoadView:
    """The load of a run; `live` is fed by whoever shows it."""

    title: str
    live: LiveRun
    now_ns: Callable[[], int] = time.time_ns
    _rates: list[tuple[float, int, int]] = field(default_factory=list)

    def line(self) -> str:
        """Return it in one line, for a log."""
        totals = self.live.totals
        if not totals:
            return "load: starting"
        text = (
            f"load: {totals['finished']} finished, {totals['in_flight']} in flight, "
            f"{totals['errors']} errors, {totals['missed']} missed"
        )
        if (spending := self.live.spending) is not None:
            text += f", {spending_text(spending, self.live.scenario.limits)}"
        left_s = self._left_s()
        text += f", {left_s:.0f} s left" if left_s else ", draining"
        slow = ", ".join(
            f"{one.name} {quantity(ns / 1e6, 'ms')}"
            for one in self.live.providers()
            if (ns := one.times["ttft"].quantile_ns(0.95)) is not None
        )
        return f"{text} | p95 to first token: {slow}" if slow else text

    def document(self) -> dict[str, Any]:
        """Return its totals."""
        return dict(self.live.totals)

    def __rich__(self) -> RenderableType:
        """Return the panel."""
        parts = [self._head(), self._totals(), *_budget(self.live)]
        return Group(*parts, _providers(self.live), _rest(self.live))

    def _elapsed_s(self) -> float:
        return max(0.0, self.live.seconds(self.now_ns()) or 0.0)

    def _left_s(self) -> float:
        return max(0.0, self.live.scenario.duration_s - self._elapsed_s())

    def _head(self) -> RenderableType:
        elapsed_s, whole_s = self._elapsed_s(), self.live.scenario.duration_s
        phase = self.live.phase(elapsed_s) if self.live.totals else "starting"
        left = f"{self._left_s():.0f} s left" if phase else "draining: waiting for the last answers"
        row = Table.grid(padding=(0, 2))
        bar = ProgressBar(whole_s, min(elapsed_s, whole_s), width=_BAR)
        row.add_row(
            Text(self.title, style="bold"), Text(phase or "done"), bar, Text(left, style="dim")
        )
        return row

    def _totals(self) -> RenderableType:
        totals = self.live.totals
        if not totals:
            return Text("users are being started", style="dim")
        offered, finished = self._rate(totals)
        parts = [
            f"{significant(offered)}/s offered",
            f"{significant(finished)}/s finished",
            f"{totals['in_flight']:,} in flight",
            _spent(self.live.spent),
        ]
        text = Text(" · ".join(parts))
        for name in ("errors", "missed"):
            style = "bold red" if totals[name] else "dim"
            text.append(f" · {totals[name]:,} {name}", style=style)
        return text

    def _rate(self, totals: Mapping[str, int]) -> tuple[float, float]:
        """Return arrivals and finished requests per second, over the last few."""
        point = (self._elapsed_s(), totals["offered"], totals["finished"])
        if not self._rates or self._rates[-1][1:] != point[1:]:
            self._rates.append(point)
        while len(self._rates) > 2 and point[0] - self._rates[1][0] >= _WINDOW_S:  # noqa: PLR2004 - two make a rate
            self._rates.pop(0)
        first, last = self._rates[0], self._rates[-1]
        spent_s = last[0] - first[0]
        if spent_s <= 0:
            spent_s, first = max(last[0], 1.0), (0.0, 0, 0)
        return (last[1] - first[1]) / spent_s, (last[2] - first[2]) / spent_s


@dataclass(slots=True)
class SettleView:
    """The wait for traces."""

    last_finish_ns: int
    deadline_s: float
    fetched: Callable[[], tuple[int, int]]
    """Queries answered and rows read so far."""
    point: SettlePoint | None = None
    now_ns: Callable[[], int] = time.time_ns

    def take(self, point: SettlePoint) -> None:
        """Take how far it is."""
        self.point = point

    def line(self) -> str:
        """Return it in one line, for a log."""
        queries, rows = self.fetched()
        read = f"{queries:,} queries, {rows:,} rows read"
        if self.point is None:
            return f"traces: asking Last9, {read}"
        known = f"{self.point.complete:,} of {self.point.expected:,} complete in Last9"
        return f"traces: {known}, {self._left()}, {read}"

    def document(self) -> dict[str, Any]:
        """Return its numbers; without `complete` before the first look is over."""
        queries, rows = self.fetched()
        known: dict[str, Any] = {"queries": queries, "rows": rows, "deadline_s": self.deadline_s}
        if self.point is not None:
            elapsed_s = (self.point.at_ns - self.last_finish_ns) / _NS_PER_S
            known |= {"expected": self.point.expected, "complete": self.point.complete}
            known |= {"elapsed_s": round(max(0.0, elapsed_s), 1)}
        return known

    def __rich__(self) -> RenderableType:
        """Return a bar with what is known."""
        row = Table.grid(padding=(0, 2))
        point = self.point
        bar = ProgressBar(
            max(1, point.expected) if point else None,
            point.complete if point else 0,
            width=_BAR,
            pulse=point is None,
            animation_time=time.monotonic(),
        )
        row.add_row(Text("traces", style="bold"), bar, Text(self.line().removeprefix("traces: ")))
        return row

    def _left(self) -> str:
        left_s = self.deadline_s - (self.now_ns() - self.last_finish_ns) / _NS_PER_S
        return f"deadline in {left_s:.0f} s" if left_s > 0 else "deadline reached"


def _spent(spent: Spent) -> str:
    tokens = f"{spent.input_tokens:,} + {spent.output_tokens:,} tokens"
    return tokens if spent.cost_usd is None else f"{tokens}, {significant(spent.cost_usd)} USD"


def _budget(live: LiveRun) -> Iterable[RenderableType]:
    """Draw how much of a budget is gone; nothing for a run without one."""
    limits = live.scenario.limits
    if live.spending is None or (limits.usd is None and limits.tokens is None):
        return
    spent, taken = used_up(live.spending, limits)
    style = "bold red" if live.spending["is_spent"] else "yellow" if taken > 0.8 else "green"  # noqa: PLR2004 - as error budgets
    row = Table.grid(padding=(0, 2))
    bar = ProgressBar(1.0, min(spent, 1.0), width=_BAR, complete_style=style)
    row.add_row(Text("budget"), bar, Text(spending_text(live.spending, limits), style=style))
    yield row


def _providers(live: LiveRun) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("provider")
    for name in ("n", "TTFT p50", "p95", "p99", "total p95", "errors", "budget used"):
        table.add_column(name, justify="right")
    table.add_column("objectives")
    places = live.places()
    for one in live.providers():
        table.add_row(*_cells(one, about(one.name, places)))
    return table


def _cells(provider: Provider, places: tuple[Place, ...]) -> Iterable[RenderableType]:
    errors = Text(f"{provider.errors:,}", style="bold red" if provider.errors else "")
    times = [provider.times["ttft"].quantile_ns(p) for p in (0.5, 0.95, 0.99)]
    times.append(provider.times["total"].quantile_ns(0.95))
    return (
        provider.name,
        f"{provider.n:,}",
        *(NOTHING if ns is None else quantity(ns / 1e6, "ms") for ns in times),
        errors,
        _used(most_used(places)),
        Text(summary(places), style=STYLES[together(places)]),
    )


def _used(used: float | None) -> Text:
    if used is None:
        return Text(NOTHING, style="dim")
    style = "bold red" if used > 1 else "yellow" if used > 0.8 else ""  # noqa: PLR2004 - as WARN in judge.decide
    return Text(percent(used), style=style)


def _rest(live: LiveRun) -> RenderableType:
    """Say what waits for Last9, and what stands without a provider."""
    lines = [
        f"{place.objective}: {place.words}"
        for place in live.places()
        if place.standing is not Standing.LATER and not place.group
    ]
    waiting = sum(place.standing is Standing.LATER for place in live.places())
    if waiting:
        lines.append(f"{waiting} more are decided after the load")
    return Text("; ".join(lines), style="dim")
