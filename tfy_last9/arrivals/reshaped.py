"""Somebody else's arrivals, squeezed into a schedule: counts over a long time to rates over a short one."""

from __future__ import annotations

from collections.abc import Sequence

from tfy_last9.model.traffic import Bin

SMALLEST_RATE = 0.001
"""Per second: a scenario knows no rate of zero."""


def rates(bins: Sequence[Bin], window_s: tuple[float, float], pieces: int) -> tuple[float, ...]:
    """Return the mean rate per second in each of `pieces` equal parts of the window (Unix seconds).

    A bin that lies across a border counts in both by the time it spends there.
    """
    start_s, end_s = window_s
    length_s = (end_s - start_s) / pieces
    counts = [0.0] * pieces
    for one in bins:
        low, high = max(one.start_s, start_s), min(one.start_s + one.length_s, end_s)
        if high <= low:
            continue
        first = int((low - start_s) / length_s)
        for place in range(first, pieces):
            left = start_s + place * length_s
            shared = min(high, left + length_s) - max(low, left)
            if shared <= 0:
                break
            counts[place] += one.requests * shared / (high - low)
    return tuple(found / length_s for found in counts)


def bin_length_s(window_s: float, most: int) -> int:
    """Return a round length of bins so that no more than `most` cover the window."""
    for length in (1, 5, 10, 30, 60, 300, 600, 3600):
        if window_s / length <= most:
            return length
    return 86_400
