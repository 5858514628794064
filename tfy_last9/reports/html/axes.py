"""Scales, ticks and grids: where a value lands in a plot of 480 units width."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tfy_last9.judge.phrases import significant
from tfy_last9.reports.html.markup import num

WIDTH = 480.0
LEFT = 52.0
RIGHT = 470.0
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Plot:
    """A rectangle to draw in, between y values `top` and `bottom`."""

    top: float
    bottom: float
    left: float = LEFT
    right: float = RIGHT

    def x(self, share: float) -> float:
        """Return the position of a share of the width."""
        return self.left + share * (self.right - self.left)

    def y(self, share: float) -> float:
        """Return the position of a share of the height, counted from the bottom."""
        return self.bottom - share * (self.bottom - self.top)


def ceiling(most: float) -> float:
    """Return the round number at or above `most` where an axis should end."""
    if most <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(most))
    return next(size * nice for nice in _NICE if size * nice >= most * (1 - 1e-9))


def seconds(value: float) -> str:
    """Return an instant on the time axis: `40 s`, `5 min`, `2 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if value >= 2 * size:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value)} s"


def milliseconds(value: float) -> str:
    """Return a latency as short as an axis needs it."""
    return f"{significant(value / 1000)} s" if value >= 1000 else f"{significant(value)} ms"  # noqa: PLR2004 - where labels look right


def value_grid(plot: Plot, top_value: float, unit: str) -> str:
    """Return horizontal lines at 0, half and full, with their values."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = num(plot.y(share))
        text = significant(top_value * share) + (f" {unit}" if share == 1.0 and unit else "")
        parts.append(
            f'<line class="grid" x1="{num(plot.left)}" x2="{num(plot.right)}" y1="{y}" y2="{y}"/>'
        )
        parts.append(
            f'<text class="tick end" x="{num(plot.left - 5)}" y="{num(plot.y(share) + 4)}">{text}</text>'
        )
    return "".join(parts)


def time_grid(plot: Plot, length_s: float) -> str:
    """Return the labels of a time axis."""
    step = _time_step(length_s)
    parts = []
    at = 0.0
    while at <= length_s + 1e-9:
        share = at / length_s
        side = "start" if share == 0 else "end" if share > 0.96 else "middle"  # noqa: PLR2004 - where labels look right
        x = num(plot.x(share))
        parts.append(
            f'<text class="tick {side}" x="{x}" y="{num(plot.bottom + 16)}">{seconds(at)}</text>'
        )
        at += step
    return "".join(parts)


def _time_step(length_s: float) -> float:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
    return next((float(s) for s in steps if length_s / s <= 6), length_s / 4)  # noqa: PLR2004 - where labels look right


@dataclass(frozen=True, slots=True)
class LogScale:
    """Bins on a logarithmic axis: from bin `low` up to and without bin `high`."""

    low: int
    high: int
    per_decade: int

    def share(self, value_ms: float) -> float:
        """Return where a value lies between 0 and 1, cut to the axis."""
        place = self.per_decade * math.log10(max(value_ms, 1e-9))
        return min(1.0, max(0.0, (place - self.low) / (self.high - self.low)))

    def edge(self, place: int) -> float:
        """Return the lower edge of a bin in milliseconds."""
        return float(f"{10.0 ** (place / self.per_decade):.4g}")

    def ticks(self) -> tuple[float, ...]:
        """Return 1, 2 and 5 times powers of ten inside the axis; fewer where they would crowd."""
        decades = (self.high - self.low) / self.per_decade
        factors = (1, 2, 5) if decades <= 1.6 else (1, 3) if decades <= 3 else (1,)  # noqa: PLR2004 - where labels look right
        first, last = self.low // self.per_decade, self.high // self.per_decade
        values = (f * 10.0**exponent for exponent in range(first, last + 1) for f in factors)
        return tuple(v for v in values if self.edge(self.low) <= v <= self.edge(self.high))
