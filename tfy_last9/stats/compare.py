"""Two arms: counts against counts. Fisher's exact test, and Newcombe's interval of a difference.

Sources: R. A. Fisher, "The Design of Experiments", 1935; R. G. Newcombe, Statistics in Medicine 17, 1998
(method 10, from E. B. Wilson's limits, JASA 22, 1927). Hypergeometric terms are ratios of binomial ones
(C. Loader, 2000), which keeps full precision at any size.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from tfy_last9.stats.binomial import probability

_NORMAL = NormalDist()
_NEGLIGIBLE = 1e-17


def fisher_greater(bad: int, total: int, other_bad: int, other_total: int) -> float:
    """Return the chance that `bad` of `total` or more are bad if both arms are equally bad.

    One-sided: small when the first arm is worse than the other. 1 when nothing is bad at all.
    """
    _check(bad, total)
    _check(other_bad, other_total)
    all_bad = bad + other_bad
    if all_bad == 0 or all_bad == total + other_total:
        return 1.0
    if (
        bad * (total + other_total) <= total * all_bad
    ):  # below the mean the other tail is the short one
        least = max(0, all_bad - other_total)
        return 1.0 - _tail(range(bad - 1, least - 1, -1), total, other_total, all_bad)
    return _tail(range(bad, min(all_bad, total) + 1), total, other_total, all_bad)


def _tail(counts: range, total: int, other_total: int, all_bad: int) -> float:
    """Sum hypergeometric probabilities outwards, until they no longer matter."""
    if not counts:
        return 0.0
    share = all_bad / (total + other_total)
    first = counts[0]
    term = probability(first, total, share) * probability(all_bad - first, other_total, share)
    term /= probability(all_bad, total + other_total, share)
    tail = 0.0
    for count in counts:
        tail += term
        if term <= tail * _NEGLIGIBLE:
            break
        if counts.step > 0:
            rest = other_total - all_bad + count + 1
            term *= (total - count) * (all_bad - count) / ((count + 1) * rest)
        else:
            gain = (total - count + 1) * (all_bad - count + 1)
            term *= count * (other_total - all_bad + count) / gain
    return min(1.0, tail)


def wilson(bad: int, total: int, alpha: float) -> tuple[float, float]:
    """Return Wilson's limits of a share, each one-sided at `alpha`."""
    _check(bad, total)
    z = _NORMAL.inv_cdf(1.0 - alpha)
    share, square = bad / total, z * z / total
    centre = (share + square / 2.0) / (1.0 + square)
    half = z / (1.0 + square) * math.sqrt(share * (1.0 - share) / total + square / (4.0 * total))
    return (
        0.0 if bad == 0 else max(0.0, centre - half),
        1.0 if bad == total else min(1.0, centre + half),
    )


def newcombe(
    bad: int, total: int, other_bad: int, other_total: int, alpha: float
) -> tuple[float, float]:
    """Return limits of (share of the first arm) - (share of the other), each one-sided at `alpha`."""
    low, high = wilson(bad, total, alpha)
    other_low, other_high = wilson(other_bad, other_total, alpha)
    share, other = bad / total, other_bad / other_total
    difference = share - other
    return (
        difference - math.hypot(share - low, other_high - other),
        difference + math.hypot(high - share, other - other_low),
    )


def _check(bad: int, total: int) -> None:
    if total < 1 or not 0 <= bad <= total:
        raise ValueError(f"expected 0 <= bad <= total and a total above 0, got {bad} of {total}")
