import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tfy_last9.stats.quantile import interval_ranks, nearest_rank

RANKS = {
    100: [(40, 61), (84, 96), (90, 100), (97, None)],
    300: [(133, 168), (259, 281), (277, 293), (293, None)],
    500: [(228, 273), (436, 464), (465, 485), (490, 500)],
    1000: [(469, 532), (881, 919), (936, 964), (983, 997)],
    5000: [(2431, 2570), (4458, 4542), (4719, 4781), (4936, 4964)],
    10000: [(4902, 5099), (8941, 9059), (9457, 9543), (9880, 9920)],
}


@pytest.mark.parametrize("n", RANKS)
def test_interval_ranks_reproduce_the_table(n):
    assert [interval_ranks(n, p, 0.05) for p in (0.5, 0.9, 0.95, 0.99)] == RANKS[n]


@given(st.integers(1, 3000), st.floats(0.01, 0.999), st.floats(0.001, 0.5))
@settings(max_examples=100, deadline=None)
def test_interval_ranks_cover_as_promised_and_no_wider(n, p, alpha):
    low, high = interval_ranks(n, p, alpha)
    tail = alpha / 2
    if low is not None:
        assert binom.cdf(low - 1, n, p) <= tail * (1 + 1e-9)
        assert binom.cdf(low, n, p) > tail * (1 - 1e-9)
    if high is not None:
        assert binom.sf(high - 1, n, p) <= tail * (1 + 1e-9)
        assert binom.sf(high - 2, n, p) > tail * (1 - 1e-9)


@given(st.integers(30, 5000), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_the_interval_encloses_the_nearest_rank(n, p):
    low, high = interval_ranks(n, p, 0.05)
    assert (low or 0) <= nearest_rank(n, p) <= (high or n + 1)


def test_no_samples_give_no_interval():
    assert interval_ranks(0, 0.5, 0.05) == (None, None)


@pytest.mark.parametrize(
    ("n", "p", "rank"),
    [(1, 0.5, 1), (20, 0.95, 19), (100, 0.07, 7), (100, 0.99, 99), (101, 0.99, 100)],
)
def test_nearest_rank_is_the_smallest_rank_at_or_above_n_times_p(n, p, rank):
    """0.07 * 100 is 7.000000000000001 in binary: rounding must not push the rank to 8."""
    assert nearest_rank(n, p) == rank


@pytest.mark.parametrize("p", [0.0, 1.0, math.nan])
def test_a_share_outside_zero_to_one_is_refused(p):
    with pytest.raises(ValueError, match="p in"):
        nearest_rank(10, p)


def test_a_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one sample"):
        nearest_rank(0, 0.5)
