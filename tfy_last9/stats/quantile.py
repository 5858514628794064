"""Percentiles by nearest rank, and their intervals from order statistics.

No distribution is assumed: the interval comes from the binomial number of samples below the true
percentile. Nearest rank (inverse CDF) is the one definition used for gating and for display.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tfy_last9.stats.binomial import at_least, at_most

_SLACK = 1e-9
"""Absorbs the rounding of n * p, so that 0.07 of 100 samples is rank 7 and not 8."""


def nearest_rank(n: int, p: float) -> int:
    """Return the 1-based rank of the p-quantile among `n` sorted samples: the smallest rank >= n * p."""
    if n < 1:
        raise ValueError(f"a percentile needs at least one sample, got {n}")
    _check(p)
    return min(n, max(1, math.ceil(n * p - _SLACK)))


def interval_ranks(n: int, p: float, alpha: float) -> tuple[int | None, int | None]:
    """Return the 1-based ranks that enclose the true p-quantile with confidence `1 - alpha`, two-sided.

    Lower: greatest r with P(Bin(n, p) <= r - 1) <= alpha / 2. Upper: smallest r with
    P(Bin(n, p) >= r) <= alpha / 2. None where `n` is too small for a finite bound.
    """
    _check(p)
    if n < 1:
        return None, None
    tail = alpha / 2.0
    low = _last(n, lambda rank: at_most(rank - 1, n, p) <= tail)
    high = 1 + _last(n, lambda rank: at_least(rank, n, p) > tail)
    return (low or None), (high if high <= n else None)


def _last(n: int, holds: Callable[[int], bool]) -> int:
    """Return the greatest rank in 1..n for which `holds` is true, 0 if none; true ranks come first."""
    low, high = 0, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _check(p: float) -> None:
    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile needs p in (0, 1), got {p}")
