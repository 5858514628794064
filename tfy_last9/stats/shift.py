"""By how much is one arm slower? Hodges-Lehmann shifts of log latencies, with distribution-free intervals.

Sources: Hodges and Lehmann, Ann. Math. Statist. 34, 1963; Hollander and Wolfe, "Nonparametric Statistical
Methods", sections 3.3 and 4.3. Samples come as counts per whole step on the log scale, so that the work
depends on the number of distinct steps and never on the number of pairs: the k-th smallest of all pairwise
differences (or Walsh averages) is found by bisection over whole numbers, counting with two pointers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

STEP = 1e-4
"""Width of a step in log units: latencies are told apart to 0.01 %."""
Counts = Sequence[tuple[int, int]]
"""(step, how many), steps ascending."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Shift:
    """Log of the ratio canary / baseline. Bounds are None where the samples are too small for one."""

    estimate: float
    low: float | None
    high: float | None
    p_slower: float
    """Chance of this much slowness if the true ratio is at most the margin (one-sided, normal)."""


def unpaired(baseline: Counts, canary: Counts, *, margin: float, alpha: float) -> Shift:
    """Return the shift between two samples; each bound is one-sided at `alpha`, `margin` is a ratio - 1.

    The variance of the rank sum is corrected for ties. Raises ValueError for an empty sample.
    """
    m, n = _size(baseline), _size(canary)
    if not m or not n:
        raise ValueError(f"a comparison needs values in both arms, got {m} and {n}")

    def below(limit: int) -> int:
        return _differences_up_to(baseline, canary, limit)

    pairs = m * n
    ends = (canary[0][0] - baseline[-1][0], canary[-1][0] - baseline[0][0])
    variance = m * n / 12.0 * ((m + n + 1) - _ties(baseline, canary) / ((m + n) * (m + n - 1)))
    ordered = _Ordered(below, pairs, *ends)
    return _shift(ordered, math.sqrt(max(0.0, variance)), 1.0, margin, alpha)


def paired(differences: Counts, *, margin: float, alpha: float) -> Shift:
    """Return the shift of paired log differences from their Walsh averages (signed ranks)."""
    n = _size(differences)
    if not n:
        raise ValueError("a paired comparison needs at least one pair")

    def below(limit: int) -> int:
        return _walsh_up_to(differences, limit)

    ends = (2 * differences[0][0], 2 * differences[-1][0])
    ties = sum(count**3 - count for _, count in differences)
    variance = n * (n + 1) * (2 * n + 1) / 24.0 - ties / 48.0
    ordered = _Ordered(below, n * (n + 1) // 2, *ends)
    return _shift(ordered, math.sqrt(max(0.0, variance)), 2.0, margin, alpha)


@dataclass(frozen=True, slots=True)
class _Ordered:
    """A multitude of whole numbers that is never built: only how many are at most a limit is known."""

    up_to: Callable[[int], int]
    size: int
    least: int
    greatest: int

    def at(self, place: int) -> int:
        """Return the element at a 0-based place in ascending order."""
        low, high = self.least, self.greatest
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.up_to(middle) > place else (middle + 1, high)
        return low


def _shift(ordered: _Ordered, sigma: float, parts: float, margin: float, alpha: float) -> Shift:
    """`parts`: the elements are sums of so many steps (2 for Walsh averages, kept whole by not halving)."""
    size = ordered.size
    cut = math.floor(size / 2.0 + _NORMAL.inv_cdf(alpha) * sigma - 0.5)
    unit = STEP / parts
    middle = (ordered.at((size - 1) // 2) + ordered.at(size // 2)) / 2.0
    return Shift(
        estimate=middle * unit,
        low=ordered.at(cut) * unit if cut >= 0 else None,
        high=ordered.at(size - 1 - cut) * unit if cut >= 0 else None,
        p_slower=_p_slower(ordered, sigma, math.log1p(margin) / unit),
    )


def _p_slower(ordered: _Ordered, sigma: float, limit: float) -> float:
    """Return the one-sided p-value of "more than half of the elements are above the limit"."""
    at_most, below = ordered.up_to(math.floor(limit)), ordered.up_to(math.ceil(limit) - 1)
    excess = ordered.size / 2.0 - (at_most + below) / 2.0
    if sigma == 0.0:
        return 0.0 if excess > 0 else 1.0
    return _NORMAL.cdf(-(excess - 0.5) / sigma)


def _differences_up_to(baseline: Counts, canary: Counts, limit: int) -> int:
    """Count pairs with canary - baseline <= limit: the baseline values from `canary - limit` on."""
    above = [0, *accumulate(count for _, count in reversed(baseline))]
    place, found = len(baseline), 0
    for step, count in reversed(canary):
        while place and baseline[place - 1][0] >= step - limit:
            place -= 1
        found += count * above[len(baseline) - place]
    return found


def _walsh_up_to(differences: Counts, limit: int) -> int:
    """Count pairs i <= j with d_i + d_j <= limit."""
    total = [0, *accumulate(count for _, count in differences)]
    place, twice, same = len(differences), 0, 0
    for step, count in differences:
        while place and differences[place - 1][0] + step > limit:
            place -= 1
        twice += count * total[place]
        if 2 * step <= limit:
            same += count
    return (twice + same) // 2


def _size(counts: Counts) -> int:
    return sum(count for _, count in counts)


def _ties(baseline: Counts, canary: Counts) -> int:
    pooled: dict[int, int] = dict(baseline)
    for step, count in canary:
        pooled[step] = pooled.get(step, 0) + count
    return sum(count**3 - count for count in pooled.values())
