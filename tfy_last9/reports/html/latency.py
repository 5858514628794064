"""Latencies: heat maps over time and distributions on a logarithmic scale, with the objective's line."""

from __future__ import annotations

from collections.abc import Sequence

from tfy_last9.judge.phrases import quantile
from tfy_last9.model.pictures import (
    BINS_PER_DECADE,
    HEAT_PER_DECADE,
    LAG,
    Heat,
    Histogram,
    Limit,
)
from tfy_last9.reports.html.axes import WIDTH, LogScale, Plot, milliseconds, time_grid
from tfy_last9.reports.html.markup import Figure, Table, esc, num, svg
from tfy_last9.reports.html.timelines import TimeAxis, cursor, plot_frame, shades

HEAT_HEIGHT = 120.0
ROW_HEIGHT = 84.0
LEVELS = 7
TITLES = {"ttft": "Time to first token", "total": "Total time", LAG: "Ingestion lag"}


def heat(measure: str, heats: Sequence[Heat], limits: Sequence[Limit], axis: TimeAxis) -> Figure:
    """Return one heat map per provider: time across, latency up, colour for how many."""
    title = f"{TITLES[measure]} over time"
    found = [one for one in heats if one.measure == measure]
    if not found:
        return Figure(f"heat-{measure}", title, "", "", empty=_nothing(measure))
    bins = [cell[1] for one in found for cell in one.cells]
    scale = LogScale(min(bins) - 1, max(bins) + 2, HEAT_PER_DECADE)
    most = max(cell[2] for one in found for cell in one.cells)
    plots = "".join(_heat_panel(one, scale, most, limits, axis) for one in found)
    rows = tuple(
        (one.provider, round(column * axis.step_s, 3), scale.edge(place), scale.edge(place + 1), n)
        for one in found
        for column, place, n in one.cells
    )
    head = ("provider", "from_s", "at_least_ms", "below_ms", "requests")
    n = sum(one.n for one in found)
    lead = f"Darker is more requests (up to {most:,} in a cell), all phases; n = {n:,}."
    return Figure(f"heat-{measure}", title, lead, plots, Table(head, rows))


def _heat_panel(
    one: Heat, scale: LogScale, most: int, limits: Sequence[Limit], axis: TimeAxis
) -> str:
    plot = Plot(6.0, HEAT_HEIGHT - 22.0)
    width = (plot.right - plot.left) / axis.columns
    height = (plot.bottom - plot.top) / (scale.high - scale.low)
    shapes: dict[int, list[str]] = {}
    for column, place, n in one.cells:
        level = 1 + min(LEVELS - 1, int(LEVELS * (n / most) ** 0.5))
        left = plot.x(column / axis.columns)
        top = plot.y((place + 1 - scale.low) / (scale.high - scale.low))
        shapes.setdefault(level, []).append(
            f"M{num(left)} {num(top)}h{num(width)}v{num(height)}h-{num(width)}z"
        )
    body = shades(plot, axis, named=False) + time_grid(plot, axis.length_s)
    for value in scale.ticks():
        y = plot.y(scale.share(value))
        body += f'<line class="grid" x1="{num(plot.left)}" x2="{num(plot.right)}" y1="{num(y)}" y2="{num(y)}"/>'
        body += f'<text class="tick end" x="{num(plot.left - 5)}" y="{num(y + 4)}">{milliseconds(value)}</text>'
    for level in sorted(shapes):
        body += f'<path class="heat{level}" d="{"".join(shapes[level])}"/>'
    for limit in _of(limits, one.measure, one.provider):
        y = plot.y(scale.share(limit.at_ms))
        if scale.edge(scale.low) < limit.at_ms < scale.edge(scale.high):
            body += f'<line class="limit" x1="{num(plot.left)}" x2="{num(plot.right)}" y1="{num(y)}" y2="{num(y)}"/>'
    body += cursor(plot)
    label = f"{one.provider}: {TITLES[one.measure]} over time, {one.n:,} requests"
    picture = svg(WIDTH, HEAT_HEIGHT, body, label)
    more = (
        f' data-heat="{esc(one.provider)}" data-top="{num(plot.top)}" data-bottom="{num(plot.bottom)}"'
        f' data-low="{scale.low}" data-high="{scale.high}" data-per-decade="{scale.per_decade}"'
    )
    name = f'<p class="panel">{esc(one.provider)} <span class="n">n = {one.n:,}</span></p>'
    frame = plot_frame(
        f"heat-{one.measure}", picture, f"{label}: arrow keys read", plot, axis.columns, more
    )
    return name + frame


def distribution(measure: str, histograms: Sequence[Histogram], limits: Sequence[Limit]) -> Figure:
    """Return one histogram per provider; what lies beyond the objective's line is in the colour of FAIL."""
    title = f"{TITLES[measure]}, distribution"
    found = [one for one in histograms if one.measure == measure]
    if not any(one.bins for one in found):
        return Figure(f"dist-{measure}", title, "", "", empty=_nothing(measure))
    bins = [place for one in found for place, _ in one.bins]
    lines = {limit.at_ms for one in found for limit in _of(limits, measure, one.provider)}
    scale = LogScale(min(bins) - 1, max(bins) + 2, BINS_PER_DECADE)
    scale = _reaching(scale, lines)
    rows = tuple(
        (one.provider, scale.edge(place), scale.edge(place + 1), n)
        for one in found
        for place, n in one.bins
    )
    n = sum(one.n for one in found)
    judged = "known lags" if measure == LAG else "judged requests"
    if measure == LAG:
        judged += ", 10 ms and less in the first bar"
    lead = f"Logarithmic scale, {judged}; marks: p50, p95, p99 with 95 % bounds; n = {n:,}."
    picture = ridges(title, found, limits, scale) + _facts(found)
    head = ("provider", "at_least_ms", "below_ms", "requests")
    return Figure(f"dist-{measure}", title, lead, picture, Table(head, rows))


def ridges(title: str, found: Sequence[Histogram], limits: Sequence[Limit], scale: LogScale) -> str:
    """Return distributions below each other on one scale."""
    height = ROW_HEIGHT * len(found) + 22.0
    body = "".join(_row(one, place, scale, limits) for place, one in enumerate(found))
    plot = Plot(0.0, height - 22.0, left=10.0)
    for value in scale.ticks():
        x = num(plot.x(scale.share(value)))
        body += (
            f'<text class="tick middle" x="{x}" y="{num(height - 6)}">{milliseconds(value)}</text>'
        )
    label = f"{title}. " + " ".join(f"{one.provider} {_percentiles(one)}." for one in found)
    return f'<div class="still">{svg(WIDTH, height, body, label)}</div>'


def _row(one: Histogram, place: int, scale: LogScale, limits: Sequence[Limit]) -> str:
    plot = Plot(ROW_HEIGHT * place + 24.0, ROW_HEIGHT * (place + 1) - 14.0, left=10.0)
    lines = sorted(_of(limits, one.measure, one.provider), key=lambda limit: limit.at_ms)
    edge = lines[0].at_ms if lines else float("inf")
    most = max((n for _, n in one.bins), default=1)
    width = (plot.right - plot.left) / (scale.high - scale.low)
    body = ""
    for bin_, n in one.bins:
        left, top = plot.x((bin_ - scale.low) / (scale.high - scale.low)), plot.y(n / most)
        kind = "over" if scale.edge(bin_) >= edge else "bar"
        body += (
            f'<rect class="{kind}" x="{num(left)}" y="{num(top)}" width="{num(width * 0.9)}" '
            f'height="{num(plot.bottom - top)}"/>'
        )
    body += f'<line class="grid" x1="{num(plot.left)}" x2="{num(plot.right)}" y1="{num(plot.bottom)}" y2="{num(plot.bottom)}"/>'
    for found in one.quantiles:
        body += _mark(found.value, found.low, found.high, plot, scale)
    for limit in lines:
        x = plot.x(scale.share(limit.at_ms))
        side, shift = ("end", -4) if scale.share(limit.at_ms) > 0.6 else ("start", 4)  # noqa: PLR2004 - where labels look right
        body += f'<line class="limit" x1="{num(x)}" x2="{num(x)}" y1="{num(plot.top - 8)}" y2="{num(plot.bottom)}"/>'
        if place == 0:
            text = f"objective {milliseconds(limit.at_ms)}"
            body += f'<text class="note {side}" x="{num(x + shift)}" y="{num(plot.top - 2)}">{text}</text>'
    name = f"{one.provider or 'all traces'}"
    return body + f'<text class="name" x="10" y="{num(plot.top - 10)}">{esc(name)}</text>'


def _mark(value: float, low: float | None, high: float | None, plot: Plot, scale: LogScale) -> str:
    x, y = num(plot.x(scale.share(value))), num(plot.bottom + 5)
    ends = [plot.x(scale.share(value if bound is None else bound)) for bound in (low, high)]
    return (
        f'<line class="whisker" x1="{num(ends[0])}" x2="{num(ends[1])}" y1="{y}" y2="{y}"/>'
        f'<circle class="point" cx="{x}" cy="{y}" r="2.6"/>'
    )


def _facts(found: Sequence[Histogram]) -> str:
    """Return the percentiles in words, one line per provider."""
    items = []
    for one in found:
        without = f"; {one.without:,} waited and got nothing" if one.without else ""
        named = f"<b>{esc(one.provider)}</b> " if one.provider else ""
        items.append(f"<li>{named}{esc(_percentiles(one))}{without}; n = {one.n:,}</li>")
    return f'<ul class="facts">{"".join(items)}</ul>'


def _percentiles(one: Histogram) -> str:
    return ", ".join(quantile(found) for found in one.quantiles) or "no value"


def _of(limits: Sequence[Limit], measure: str, provider: str) -> list[Limit]:
    return [one for one in limits if one.measure == measure and one.provider in (None, provider)]


def _reaching(scale: LogScale, lines: set[float]) -> LogScale:
    """Return a scale that also shows the objectives' lines, unless they lie far away."""
    low, high = scale.low, scale.high
    for at_ms in lines:
        alone = LogScale(0, 1, scale.per_decade)
        place = next(p for p in range(-200, 400) if alone.edge(p + 1) > at_ms)
        if low - 2 * scale.per_decade <= place <= high + 2 * scale.per_decade:
            low, high = min(low, place - 1), max(high, place + 3)
    return LogScale(low, high, scale.per_decade)


def _nothing(measure: str) -> str:
    if measure == LAG:
        return "No lag is known: nobody looked at Last9 while traces arrived, or no trace came."
    if measure == "ttft":
        return "No request streamed a first token, so there is no time to first token to show."
    return "No request was answered completely, so there is no total time to show."
