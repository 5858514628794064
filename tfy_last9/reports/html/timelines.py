"""Pictures over time: rates, requests under way, errors, tokens, cost, the generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tfy_last9.judge.phrases import significant
from tfy_last9.model.pictures import Pictures, Stretch, Timeline
from tfy_last9.reports.html.axes import WIDTH, Plot, ceiling, time_grid, value_grid
from tfy_last9.reports.html.markup import Figure, Table, esc, legend, num, svg

HEIGHT = 190.0
PLOT = Plot(12.0, 160.0)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The columns that all pictures over time share."""

    step_s: float
    columns: int
    phases: tuple[Stretch, ...]

    @property
    def length_s(self) -> float:
        """Return the length of the axis."""
        return self.step_s * self.columns


def axis_of(pictures: Pictures) -> TimeAxis:
    """Return the time axis of a run."""
    return TimeAxis(pictures.step_s, pictures.columns, pictures.phases)


def lines(name: str, title: str, unit: str, axis: TimeAxis, drawn: Timeline, empty: str) -> Figure:
    """Return series as lines."""
    return _timeline(name, title, unit, axis, drawn, empty, _lines)


def bars(name: str, title: str, unit: str, axis: TimeAxis, drawn: Timeline, empty: str) -> Figure:
    """Return series as bars upon each other."""
    return _timeline(name, title, unit, axis, drawn, empty, _bars)


def area(name: str, title: str, unit: str, axis: TimeAxis, drawn: Timeline, empty: str) -> Figure:
    """Return one series as an area."""
    return _timeline(name, title, unit, axis, drawn, empty, _area)


def _timeline(
    name: str,
    title: str,
    unit: str,
    axis: TimeAxis,
    drawn: Timeline,
    empty: str,
    draw: Callable[[Timeline, float, TimeAxis], str],
) -> Figure:
    series = drawn.series
    if not series or drawn.n == 0:
        return Figure(name, title, "", "", empty=empty)
    stacked = draw is _bars
    columns = list(zip(*(one.values for one in series), strict=True))
    sums = [sum(v or 0.0 for v in c) if stacked else max(v or 0.0 for v in c) for c in columns]
    most = max(sums)
    top = ceiling(most)
    at = sums.index(most) * axis.step_s
    lead = f"Highest {significant(most)} {unit} at {significant(at)} s; n = {drawn.n:,}."
    body = shades(PLOT, axis) + value_grid(PLOT, top, "") + time_grid(PLOT, axis.length_s)
    body += draw(drawn, top, axis) + cursor(PLOT)
    rows = tuple(
        (round(place * axis.step_s, 3), *(None if v is None else float(f"{v:.6g}") for v in values))
        for place, values in enumerate(columns)
    )
    head = ("from_s", *(f"{one.name} ({unit})" for one in series))
    names = [one.name for one in series]
    picture = svg(WIDTH, HEIGHT, body, f"{title} over time, by {', '.join(names)}. {lead}")
    return Figure(
        name,
        title,
        lead,
        plot_frame(name, picture, f"{title}: arrow keys read the values", PLOT, axis.columns),
        Table(head, rows),
        legend=legend(names) if len(names) > 1 else "",
    )


def plot_frame(
    name: str, picture: str, label: str, plot: Plot, columns: int, more: str = ""
) -> str:
    """Return a plot that the pointer and the arrow keys can read; `more` are further attributes."""
    return (
        f'<div class="plot" tabindex="0" role="group" aria-label="{esc(label)}" data-plot="{name}" '
        f'data-left="{num(plot.left)}" data-right="{num(plot.right)}" data-columns="{columns}"{more}>'
        f"{picture}</div>"
    )


def cursor(plot: Plot) -> str:
    """Return the line that marks the column being read."""
    return f'<line class="cursor" x1="0" x2="0" y1="{num(plot.top)}" y2="{num(plot.bottom)}"/>'


def shades(plot: Plot, axis: TimeAxis, *, named: bool = True) -> str:
    """Return the phases that are not judged as shaded stretches."""
    parts = []
    for phase in axis.phases:
        if phase.judged:
            continue
        left, right = (plot.x(min(1.0, at / axis.length_s)) for at in (phase.start_s, phase.end_s))
        parts.append(
            f'<rect class="shade" x="{num(left)}" y="{num(plot.top)}" width="{num(right - left)}" '
            f'height="{num(plot.bottom - plot.top)}"><title>{esc(phase.name)}: not judged</title></rect>'
        )
        if named and right - left > 40:  # noqa: PLR2004 - enough for a word
            parts.append(
                f'<text class="note" x="{num(left + 3)}" y="{num(plot.top + 11)}">{esc(phase.name)}</text>'
            )
    return "".join(parts)


def _points(
    values: tuple[float | None, ...], top: float, axis: TimeAxis
) -> list[list[tuple[float, float]]]:
    """Return runs of points: a gap ends one and begins the next."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            share = (place + 0.5) / axis.columns
            runs[-1].append((PLOT.x(share), PLOT.y(min(1.0, value / top))))
    return [run for run in runs if run]


def _path(points: list[tuple[float, float]]) -> str:
    if len(points) == 1:  # a lone point would draw nothing
        points = [(points[0][0] - 1, points[0][1]), (points[0][0] + 1, points[0][1])]
    return "M" + "L".join(f"{num(x)} {num(y)}" for x, y in points)


def _lines(drawn: Timeline, top: float, axis: TimeAxis) -> str:
    return "".join(
        f'<path class="line s{place % 6}" d="{_path(run)}"/>'
        for place, one in enumerate(drawn.series)
        for run in _points(one.values, top, axis)
    )


def _area(drawn: Timeline, top: float, axis: TimeAxis) -> str:
    parts = []
    for run in _points(drawn.series[0].values, top, axis):
        base = num(PLOT.bottom)
        closed = f"{_path(run)}L{num(run[-1][0])} {base}L{num(run[0][0])} {base}Z"
        parts.append(f'<path class="area" d="{closed}"/><path class="line s0" d="{_path(run)}"/>')
    return "".join(parts)


def _bars(drawn: Timeline, top: float, axis: TimeAxis) -> str:
    width = (PLOT.right - PLOT.left) / axis.columns
    below = [0.0] * axis.columns
    parts = []
    for place, one in enumerate(drawn.series):
        shapes = []
        for column, value in enumerate(one.values):
            if value:
                bottom, head = PLOT.y(below[column] / top), PLOT.y((below[column] + value) / top)
                left = PLOT.x(column / axis.columns)
                across = num(max(0.8, width * 0.85))
                shapes.append(f"M{num(left)} {num(bottom)}h{across}V{num(head)}h-{across}Z")
                below[column] += value
        parts.append(f'<path class="fill s{place % 6}" d="{"".join(shapes)}"/>')
    return "".join(parts)
