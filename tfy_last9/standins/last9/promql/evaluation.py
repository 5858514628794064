"""Expression tree -> vector at an instant, over any source of series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from tfy_last9.standins.last9.promql.language import Expression, OverRange, Selector, Sum

LOOKBACK_S = 300.0
"""How old the last sample of a series may be, as in Prometheus."""


@dataclass(frozen=True, slots=True)
class Series:
    """Labels, `__name__` included, and samples (Unix s, value) in order of time."""

    labels: dict[str, str]
    samples: tuple[tuple[float, float], ...]


Vector = list[tuple[dict[str, str], float]]
Source = Callable[[Selector], list[Series]]


def reach_s(expression: Expression) -> float:
    """Tell how far before the instant samples are looked at."""
    if isinstance(expression, Sum):
        return reach_s(expression.inner)
    if isinstance(expression, OverRange):
        return expression.selector.range_s or 0.0
    return LOOKBACK_S


def evaluate(expression: Expression, at_s: float, source: Source) -> Vector:
    """Compute the value at an instant."""
    if isinstance(expression, Sum):
        return _summed(expression, evaluate(expression.inner, at_s, source))
    if isinstance(expression, OverRange):
        return _over_range(expression, at_s, source)
    found: Vector = []
    for series in source(expression):
        recent = [value for s, value in series.samples if at_s - LOOKBACK_S < s <= at_s]
        if recent:
            found.append((series.labels, recent[-1]))
    return found


def _over_range(expression: OverRange, at_s: float, source: Source) -> Vector:
    range_s = expression.selector.range_s or 0.0
    found: Vector = []
    for series in source(expression.selector):
        inside = [value for s, value in series.samples if at_s - range_s < s <= at_s]
        labels = {key: value for key, value in series.labels.items() if key != "__name__"}
        if expression.function == "sum_over_time" and inside:
            found.append((labels, sum(inside)))
        elif expression.function == "rate" and len(inside) > 1:
            found.append((labels, _increase(inside) / range_s))
    return found


def _increase(values: list[float]) -> float:
    """Add up the steps of a counter; a step down is a restart from zero. No extrapolation."""
    return sum(new - old if new >= old else new for old, new in pairwise(values))


def _summed(expression: Sum, vector: Vector) -> Vector:
    totals: dict[tuple[tuple[str, str], ...], float] = {}
    for labels, value in vector:
        key = tuple((name, labels[name]) for name in expression.by if labels.get(name))
        totals[key] = totals.get(key, 0.0) + value
    return [(dict(key), value) for key, value in totals.items()]
