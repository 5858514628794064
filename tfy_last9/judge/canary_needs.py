"""How many more requests per arm would decide a comparison, if the arms go on as they did."""

from __future__ import annotations

import math

from tfy_last9.stats.compare import newcombe
from tfy_last9.stats.shift import Shift

_MOST_DOUBLINGS = 24


def latency_needed(shift: Shift, margin: float, size: int) -> int | None:
    """Return how many more requests per arm would narrow the interval enough, at the same estimate."""
    if shift.low is None or shift.high is None:
        return None
    room = abs(math.log1p(margin) - shift.estimate)
    half = (shift.high - shift.low) / 2.0
    if room == 0.0:
        return None
    return max(1, math.ceil(size * (half / room) ** 2) - size)


def counts_needed(counts: tuple[int, int, int, int], margin: float, alpha: float) -> int | None:
    """Return how many more requests per arm, at the same shares, would prove less than the margin."""
    bad, total, other_bad, other_total = counts
    if bad / total - other_bad / other_total >= margin:
        return None

    def decides(factor: float) -> bool:
        grown = [math.ceil(count * factor) for count in counts]
        return newcombe(grown[0], grown[1], grown[2], grown[3], alpha)[1] <= margin

    low, high = 1.0, 2.0
    for _ in range(_MOST_DOUBLINGS):
        if decides(high):
            break
        low, high = high, 2.0 * high
    else:
        return None
    while high - low > low / 100.0:
        middle = (low + high) / 2.0
        low, high = (low, middle) if decides(middle) else (middle, high)
    return max(1, math.ceil(total * high) - total)
