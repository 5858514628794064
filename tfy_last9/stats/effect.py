"""Correlated events: how much less n of them say than n independent ones (the design effect).

Failures come in bursts. Bounds that assume independence then fail good systems: at exactly the budget,
with bursts of mean length 5, a nominal 5 % becomes 26 %. Slices of consecutive events show it: the
variance of their bad shares against the binomial one is the design effect (L. Kish, "Survey Sampling",
1965, section 8.2), and n / deff, k / deff take the place of n and k in the exact bounds.
"""

from __future__ import annotations

import math
from statistics import NormalDist

SIGNIFICANCE = 0.05
"""Chance variation alone makes deff exceed 1 in half of all runs; below this p-value it is believed."""
SMALLEST_SLICE, GREATEST_SLICE = 10, 50
SLICES_WANTED = 20
FEWEST_SLICES = 3
_SPARSE = 2.0
"""Bad events per slice below which their number is too small for a chi-square."""
_NORMAL = NormalDist()


def slice_size(total: int) -> int:
    """Return how many consecutive events make a slice: about 20 slices, of 10 to 50 events."""
    return min(GREATEST_SLICE, max(SMALLEST_SLICE, total // SLICES_WANTED))


def design_effect(size: int, slices: int, bad: int, bad_squares: int) -> float:
    """Return the design effect of `slices` whole slices of `size` events, 1 without proof of more.

    `bad` and `bad_squares` are the sums over slices of the number of bad events and of its square.
    """
    _check(size, slices, bad, bad_squares)
    if slices < FEWEST_SLICES or bad in (0, size * slices):
        return 1.0
    deff = dispersion(size, slices, bad, bad_squares)
    if deff <= 1.0 or clustering_p(size, slices, bad, bad_squares) >= SIGNIFICANCE:
        return 1.0
    return deff


def dispersion(size: int, slices: int, bad: int, bad_squares: int) -> float:
    """Return Var(bad share of a slice) / (p (1 - p) / size), whether or not it is proven."""
    share = bad / (size * slices)
    variance = (bad_squares - bad * bad / slices) / (slices - 1)
    return variance / (size * share * (1.0 - share))


def clustering_p(size: int, slices: int, bad: int, bad_squares: int) -> float:
    """Return the chance of at least this much clustering among independent events.

    Sparse: pairs of bad events that share a slice are nearly Poisson. Else Fisher's dispersion index,
    chi-square with `slices - 1` degrees of freedom (Wilson-Hilferty's approximation of its tail).
    """
    if bad / slices < _SPARSE:
        pairs = (bad_squares - bad) // 2
        mean = bad * (bad - 1) / 2.0 * (size - 1) / (size * slices - 1)
        return _poisson_at_least(pairs, mean)
    freedom = slices - 1
    ninth = 2.0 / (9.0 * freedom)
    root = math.cbrt(dispersion(size, slices, bad, bad_squares))
    return _NORMAL.cdf((1.0 - ninth - root) / math.sqrt(ninth))


def _poisson_at_least(count: int, mean: float) -> float:
    if count <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    term = math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1))
    total, number = 0.0, count
    while term > total * 1e-16 or number < mean:
        total += term
        number += 1
        term *= mean / number
    return min(1.0, total)


def _check(size: int, slices: int, bad: int, bad_squares: int) -> None:
    if size < 1 or slices < 0 or not 0 <= bad <= size * slices or bad_squares < bad:
        raise ValueError(
            f"these are no slices: {slices} of {size} events, {bad} bad, sum of squares {bad_squares}"
        )
