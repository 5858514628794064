"""Bounds for a random sample of a finite run: of all N, how many are bad if k of m looked at are.

A sample without replacement from a finite run: exact one-sided bounds from the hypergeometric
distribution, P(Hyp(N, M, m) = k) = C(M, k) C(N - M, m - k) / C(N, m).
"""

from __future__ import annotations

import math


def upper_bound(population: int, looked_at: int, bad: int, alpha: float) -> int:
    """Return the largest M with P(Hyp(N, M, m) <= bad) > alpha: at most so many of all are bad.

    True with confidence `1 - alpha`. N is `population`, m is `looked_at`.
    """
    _check(population, looked_at, bad, alpha)
    low, high = bad, population - (looked_at - bad)
    while low < high:
        middle = (low + high + 1) // 2
        if at_most(population, middle, looked_at, bad) > alpha:
            low = middle
        else:
            high = middle - 1
    return low


def lower_bound(population: int, looked_at: int, bad: int, alpha: float) -> int:
    """Return the smallest M with P(Hyp(N, M, m) >= bad) > alpha: at least so many of all are bad."""
    _check(population, looked_at, bad, alpha)
    good = looked_at - bad
    return population - upper_bound(population, looked_at, good, alpha)


def at_most(population: int, bad_in_all: int, looked_at: int, bad: int) -> float:
    """Return P(Hyp(N, M, m) <= bad)."""
    least = max(0, looked_at - (population - bad_in_all))
    if bad < least:
        return 0.0
    if bad >= min(looked_at, bad_in_all):
        return 1.0
    mean = looked_at * bad_in_all / population
    if bad >= mean:
        upper = range(bad + 1, min(looked_at, bad_in_all) + 1)
        return 1.0 - _tail(population, bad_in_all, looked_at, upper)
    return _tail(population, bad_in_all, looked_at, range(bad, least - 1, -1))


def _tail(population: int, bad_in_all: int, looked_at: int, counts: range) -> float:
    """Sum probabilities away from the mean, where they only shrink, until nothing is added."""
    term = _probability(population, bad_in_all, looked_at, counts[0])
    total = 0.0
    step = counts.step
    for count in counts:
        total += term
        if term <= total * 1e-17:
            break
        term *= _ratio(population, bad_in_all, looked_at, count, step)
    return min(total, 1.0)


def _ratio(population: int, bad_in_all: int, looked_at: int, count: int, step: int) -> float:
    """Return P(count + step) / P(count)."""
    rest = population - bad_in_all - looked_at
    if step > 0:
        return (bad_in_all - count) * (looked_at - count) / ((count + 1) * (rest + count + 1))
    return count * (rest + count) / ((bad_in_all - count + 1) * (looked_at - count + 1))


def _probability(population: int, bad_in_all: int, looked_at: int, bad: int) -> float:
    return math.exp(
        _log_choose(bad_in_all, bad)
        + _log_choose(population - bad_in_all, looked_at - bad)
        - _log_choose(population, looked_at)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _check(population: int, looked_at: int, bad: int, alpha: float) -> None:
    if not 0 <= bad <= looked_at <= population:
        raise ValueError(f"expected bad <= looked at <= all, got {bad}, {looked_at}, {population}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must be in (0, 1), got {alpha}")
