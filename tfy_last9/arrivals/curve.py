"""Due times for a rate that changes over time, by inverting the number of arrivals expected so far.

Points of a process of rate one (evenly spaced, or Poisson) are mapped through the inverse of the
cumulative rate, which gives exactly the wanted rate at every moment (Cinlar, "Introduction to Stochastic
Processes", section 4.7: time change of a Poisson process).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import pi, sin, sqrt
from random import Random

from tfy_last9.model.scenario import Curve, Knot

KNOTS_PER_PERIOD = 48
"""Straight pieces per period of a sine; it is then nowhere off by more than 0.3 % of its swing."""


def due_times(curve: Curve, random: Random) -> Iterator[float]:
    """Yield due times in seconds, rising, from the first to the last knot."""
    before = 0.0
    point = _next_point(0.0, curve, random)
    for start, end in pairwise(curve.knots):
        expected = (start.rate_per_s + end.rate_per_s) / 2 * (end.at_s - start.at_s)
        while point < before + expected:
            yield min(end.at_s, start.at_s + _time_to(point - before, start, end))
            point = _next_point(point, curve, random)
        before += expected


def _next_point(point: float, curve: Curve, random: Random) -> float:
    if curve.even:
        return point + (
            1.0 if point else 0.5
        )  # in the middle of its slot, as constant arrivals are
    return point + random.expovariate(1.0)


def _time_to(arrivals: float, start: Knot, end: Knot) -> float:
    """Return when so many arrivals are expected since `start`: the stable root of a quadratic."""
    slope = (end.rate_per_s - start.rate_per_s) / (end.at_s - start.at_s)
    speed = start.rate_per_s + sqrt(max(0.0, start.rate_per_s**2 + 2 * slope * arrivals))
    return 2 * arrivals / speed if speed else 0.0


def ramp(first: float, last: float, duration_s: float) -> tuple[Knot, ...]:
    """Return knots that rise (or fall) steadily over the whole schedule. Rates are per second."""
    return (Knot(0.0, first), Knot(duration_s, last))


def steps(first: float, changes: tuple[Knot, ...], duration_s: float) -> tuple[Knot, ...]:
    """Return knots that hold a rate until the next change."""
    knots = [Knot(0.0, first)]
    for change in changes:
        knots += [Knot(change.at_s, knots[-1].rate_per_s), change]
    return (*knots, Knot(duration_s, knots[-1].rate_per_s))


def spike(
    base: float, peak: float, at_s: float, for_s: float, duration_s: float
) -> tuple[Knot, ...]:
    """Return knots that jump to `peak` at `at_s` and back after `for_s`."""
    return steps(base, (Knot(at_s, peak), Knot(at_s + for_s, base)), duration_s)


def sine(mean: float, swing: float, period_s: float, duration_s: float) -> tuple[Knot, ...]:
    """Return knots along a sine that begins at its mean and rises first."""
    step_s = period_s / KNOTS_PER_PERIOD
    number = int(duration_s / step_s)
    times = [i * step_s for i in range(number + 1)]
    if times[-1] < duration_s:
        times.append(duration_s)
    return tuple(Knot(at, mean + swing * sin(2 * pi * at / period_s)) for at in times)
