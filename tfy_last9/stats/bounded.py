"""Bounds on the mean of independent values in [0, 1], whatever their distribution.

Hoeffding (1963), theorem 1: the mean of n such values with expectation p reaches m >= p with probability
at most exp(-n KL(m, p)), where KL is the relative entropy of two coins. Solving for p gives the bounds.
No assumption but independence and range; wider than a bound that knows the variance.
"""

from __future__ import annotations

import math

_STEPS = 100


def divergence(mean: float, p: float) -> float:
    """Return KL(mean, p) in nats; infinite where `p` excludes what was seen."""
    total = 0.0
    for seen, expected in ((mean, p), (1.0 - mean, 1.0 - p)):
        if seen > 0.0:
            if expected <= 0.0:
                return math.inf
            total += seen * math.log(seen / expected)
    return max(0.0, total)


def mean_bounds(mean: float, n: int, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper bound of the expectation, each missed with at most `alpha`."""
    allowed = math.log(1.0 / alpha) / n
    return _edge(mean, 0.0, allowed), _edge(mean, 1.0, allowed)


def _edge(mean: float, end: float, allowed: float) -> float:
    """Return the p between `mean` and `end` whose divergence is `allowed`, by bisection."""
    if divergence(mean, end) <= allowed:
        return end
    inside, outside = mean, end
    for _ in range(_STEPS):
        middle = (inside + outside) / 2.0
        if divergence(mean, middle) <= allowed:
            inside = middle
        else:
            outside = middle
    return outside
