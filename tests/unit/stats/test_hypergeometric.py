"""Bounds on a sample without replacement, against published figures, scipy and brute force."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from tfy_last9.stats.hypergeometric import at_most, lower_bound, upper_bound


@pytest.mark.parametrize(
    ("population", "looked_at", "most"),
    [(2000, 300, 18), (2000, 500, 10), (2000, 1000, 4), (10_000, 300, 97), (10_000, 600, 48)],
)
def test_nothing_missing_in_a_sample_bounds_the_whole(population, looked_at, most):
    """Reference values computed independently when the method was chosen."""
    assert upper_bound(population, looked_at, 0, 0.05) == most


SAMPLES = st.integers(1, 400).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(1, n)).flatmap(
        lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), st.integers(0, pair[1]))
    )
)


@settings(max_examples=200, deadline=None)
@given(SAMPLES, st.floats(0.001, 0.3))
def test_the_bounds_are_those_of_their_definition(sample, alpha):
    population, looked_at, bad = sample
    possible = range(bad, population - (looked_at - bad) + 1)
    below = {m: hypergeom.cdf(bad, population, m, looked_at) for m in possible}
    above = {m: hypergeom.sf(bad - 1, population, m, looked_at) for m in possible}
    if any(abs(p - alpha) < 1e-9 for p in (*below.values(), *above.values())):
        return
    upper = upper_bound(population, looked_at, bad, alpha)
    lower = lower_bound(population, looked_at, bad, alpha)
    assert upper == max(m for m in possible if below[m] > alpha)
    assert lower == min(m for m in possible if above[m] > alpha)


@pytest.mark.parametrize(
    ("population", "bad_in_all", "looked_at", "bad"),
    [(1_000_000, 4000, 1500, 3), (1_000_000, 4000, 1500, 12), (3_000_000, 15_000, 600, 0)],
)
def test_probabilities_hold_at_a_million(population, bad_in_all, looked_at, bad):
    expected = hypergeom.cdf(bad, population, bad_in_all, looked_at)
    assert at_most(population, bad_in_all, looked_at, bad) == pytest.approx(expected, rel=1e-7)


def test_looking_at_everything_leaves_nothing_open():
    assert upper_bound(500, 500, 7, 0.05) == lower_bound(500, 500, 7, 0.05) == 7


@pytest.mark.parametrize("sample", [(10, 11, 0), (10, 5, 6), (10, 5, -1)])
def test_a_sample_that_cannot_be_is_refused(sample):
    with pytest.raises(ValueError, match="expected"):
        upper_bound(*sample, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_alpha_is_a_probability(alpha):
    with pytest.raises(ValueError, match="alpha"):
        upper_bound(10, 5, 0, alpha)
