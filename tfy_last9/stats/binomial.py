"""Bounds for "at most k of n": exact (Clopper-Pearson) one-sided bounds on a share of bad events.

Assumes independent events. The tail of the binomial distribution is the regularised incomplete beta
function, evaluated by its continued fraction (Lentz's method; NIST DLMF 8.17.22) with a saddle-point
prefactor (C. Loader, "Fast and accurate computation of binomial probabilities", 2000) that keeps
full precision at millions of events, where differences of log-gammas do not. Counts need not be whole:
correlated events count as fewer (see `effect`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

_STEP = 1e-13
"""Relative step at which the inversion stops: well under the promised 1e-9."""
_ITERATIONS = 200
"""Newton takes about ten; bisection alone would need fewer than this."""
_TINY = 1e-300
_ROUNDING = 1e-15


def lower_bound(bad: float, total: float, alpha: float) -> float:
    """Return the share that the true bad share exceeds with confidence `1 - alpha`; 0 without bad events."""
    _check(bad, total, alpha)
    if bad == 0:
        return 0.0
    if bad == total:
        return math.exp(math.log(alpha) / total)

    def excess_and_slope(share: float) -> tuple[float, float]:
        slope = bad * probability(bad, total, share) / share
        return at_least(bad, total, share) - alpha, slope

    return _root(excess_and_slope, 0.0, bad / total, start=bad / total)


def upper_bound(bad: float, total: float, alpha: float) -> float:
    """Return the share that the true bad share stays below with confidence `1 - alpha`; 1 if all are bad."""
    _check(bad, total, alpha)
    if bad == total:
        return 1.0
    if bad == 0:
        return -math.expm1(math.log(alpha) / total)
    if 2 * bad > total:
        return 1.0 - lower_bound(total - bad, total, alpha)

    def excess_and_slope(share: float) -> tuple[float, float]:
        slope = (total - bad) * probability(bad, total, share) / (1.0 - share)
        return alpha - at_most(bad, total, share), slope

    return _root(excess_and_slope, bad / total, 1.0, start=bad / total)


def required_n(budget: float, bad: int, alpha: float) -> int:
    """Return the smallest number of events that can PASS with exactly `bad` bad ones.

    That is the smallest n with P(Bin(n, budget) <= bad) <= alpha. `budget` is in (0, 1].
    """
    if not 0.0 < budget <= 1.0:
        raise ValueError(f"budget must be in (0, 1], got {budget}")
    _check(bad, bad, alpha)
    if budget == 1.0:
        return max(bad, 1)
    enough = max(2 * bad, 1)
    while at_most(bad, enough, budget) > alpha:
        enough *= 2
    short = bad
    while enough - short > 1:
        middle = (short + enough) // 2
        if at_most(bad, middle, budget) > alpha:
            short = middle
        else:
            enough = middle
    return enough


def at_most(count: float, total: float, share: float) -> float:
    """Return P(Bin(total, share) <= count)."""
    if count >= total:
        return 1.0
    if count < 0:
        return 0.0
    return _beta(1.0 - share, share, total - count, count + 1, total)


def at_least(count: float, total: float, share: float) -> float:
    """Return P(Bin(total, share) >= count)."""
    if count <= 0:
        return 1.0
    if count > total:
        return 0.0
    return _beta(share, 1.0 - share, count, total - count + 1, total)


def probability(count: float, total: float, share: float) -> float:
    """Return P(Bin(total, share) = count)."""
    if share <= 0.0:
        return 1.0 if count == 0 else 0.0
    if share >= 1.0:
        return 1.0 if count == total else 0.0
    if count == 0:
        return math.exp(total * math.log1p(-share))
    rest = total - count
    if rest == 0:
        return math.exp(total * math.log(share))
    if count < 0 or rest < 0:  # less than one event, after discounting for bursts: no series fits
        ways = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(rest + 1)
        return math.exp(ways + count * math.log(share) + rest * math.log1p(-share))
    exponent = (
        _stirling_error(total)
        - _stirling_error(count)
        - _stirling_error(rest)
        - _deviance(count, total * share)
        - _deviance(rest, total * (1.0 - share))
    )
    return math.exp(exponent) * math.sqrt(total / (math.tau * count * rest))


def _root(
    excess_and_slope: Callable[[float], tuple[float, float]],
    low: float,
    high: float,
    *,
    start: float,
) -> float:
    """Return where a rising function crosses 0, by Newton's method kept inside a shrinking bracket."""
    share = start
    for _ in range(_ITERATIONS):
        excess, slope = excess_and_slope(share)
        low, high = (low, share) if excess > 0 else (share, high)
        newton = share - excess / slope if slope else low
        nearer = newton if low < newton < high else (low + high) / 2.0
        if abs(nearer - share) <= _STEP * share:
            return nearer
        share = nearer
    return share


def _beta(x: float, y: float, a: float, b: float, total: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), where y = 1 - x and a + b = total + 1."""
    if x <= 0.0:
        return 0.0
    if y <= 0.0:
        return 1.0
    if x <= (a + 1) / (a + b + 2):
        return probability(a, total, x) * y * _fraction(x, a, b)
    return 1.0 - probability(b, total, y) * x * _fraction(y, b, a)


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function by Lentz's method."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    value = d
    step = 0
    while True:
        step += 1
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        d = 1.0 / _away_from_zero(1.0 + even * d)
        c = _away_from_zero(1.0 + even / c)
        value *= c * d
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        d = 1.0 / _away_from_zero(1.0 + odd * d)
        c = _away_from_zero(1.0 + odd / c)
        value *= c * d
        if abs(c * d - 1.0) <= _ROUNDING:
            return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _stirling_error(n: float) -> float:
    """Return log(n!) minus Stirling's approximation of it (Loader 2000, section 2)."""
    if n < 16:  # noqa: PLR2004 - below 16 the series has not converged; log-gamma is exact enough there
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(math.tau)
    square = float(n) * n
    tail = 1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square
    return (1 / 12 - (1 / 360 - tail / square) / square) / n


def _deviance(count: float, mean: float) -> float:
    """Return count * log(count / mean) + mean - count without cancellation (Loader's bd0)."""
    if abs(count - mean) >= 0.1 * (count + mean):
        return count * math.log(count / mean) + mean - count
    v = (count - mean) / (count + mean)
    value = (count - mean) * v
    term = 2.0 * count * v
    odd = 1
    while True:
        term *= v * v
        odd += 2
        longer = value + term / odd
        if longer == value:
            return value
        value = longer


def _check(bad: float, total: float, alpha: float) -> None:
    if not 0 <= bad <= total:
        raise ValueError(f"expected 0 <= bad <= total, got {bad} of {total}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must be in (0, 1), got {alpha}")
