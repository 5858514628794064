import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from tfy_last9.stats.binomial import (
    at_least,
    at_most,
    lower_bound,
    probability,
    required_n,
    upper_bound,
)

REQUIRED = {
    (0.10, 0.05): [29, 46, 61, 76, 103, 167, 286, 627, 1172],
    (0.10, 0.01): [44, 64, 81, 97, 127, 197, 325, 681, 1246],
    (0.05, 0.05): [59, 93, 124, 153, 208, 336, 577, 1260, 2353],
    (0.05, 0.01): [90, 130, 165, 198, 259, 398, 656, 1372, 2504],
    (0.01, 0.05): [299, 473, 628, 773, 1049, 1693, 2902, 6323, 11799],
    (0.01, 0.01): [459, 662, 838, 1001, 1307, 2010, 3304, 6898, 12571],
    (0.001, 0.05): [2995, 4742, 6294, 7752, 10511, 16959, 29058, 63281, 118071],
}

counts = st.integers(1, 1_000_000).flatmap(
    lambda total: st.tuples(st.integers(0, total), st.just(total))
)
alphas = st.floats(1e-6, 0.49)


@given(counts, alphas)
@settings(max_examples=150, deadline=None)
def test_bounds_agree_with_the_beta_quantiles_of_scipy(count, alpha):
    bad, total = count
    low = beta.ppf(alpha, bad, total - bad + 1) if bad else 0.0
    high = beta.isf(alpha, bad + 1, total - bad) if bad < total else 1.0
    assert lower_bound(bad, total, alpha) == pytest.approx(low, rel=1e-9, abs=0)
    assert upper_bound(bad, total, alpha) == pytest.approx(high, rel=1e-9, abs=0)


@given(counts, st.floats(0.0, 1.0))
@settings(max_examples=150, deadline=None)
def test_tails_agree_with_scipy(count, share):
    bad, total = count
    assert at_most(bad, total, share) == pytest.approx(
        binom.cdf(bad, total, share), rel=1e-8, abs=1e-14
    )
    assert at_least(bad, total, share) == pytest.approx(
        binom.sf(bad - 1, total, share), rel=1e-8, abs=1e-14
    )


@given(counts, alphas)
@settings(max_examples=100, deadline=None)
def test_bounds_enclose_the_observed_share(count, alpha):
    bad, total = count
    assert 0.0 <= lower_bound(bad, total, alpha) <= bad / total
    assert bad / total <= upper_bound(bad, total, alpha) <= 1.0


@given(st.integers(0, 300), st.integers(0, 300), alphas)
def test_one_more_bad_event_raises_both_bounds(bad, good, alpha):
    """Monotonicity is what keeps a verdict from improving when a request turns bad."""
    total = bad + good + 1
    assert lower_bound(bad, total, alpha) < lower_bound(bad + 1, total, alpha)
    assert upper_bound(bad, total, alpha) <= upper_bound(bad + 1, total, alpha)


@pytest.mark.parametrize(("budget", "alpha"), REQUIRED)
def test_required_requests_reproduce_the_published_table(budget, alpha):
    """The 99 % rows hold MLPerf's published 64 (p90) and 662 (p99) for one late query."""
    seen = [required_n(budget, bad, alpha) for bad in (0, 1, 2, 3, 5, 10, 20, 50, 100)]
    assert seen == REQUIRED[budget, alpha]


@given(st.floats(0.001, 0.5), st.integers(0, 50), st.floats(0.001, 0.3))
@settings(max_examples=60, deadline=None)
def test_required_n_is_the_first_count_whose_upper_bound_fits_the_budget(budget, bad, alpha):
    needed = required_n(budget, bad, alpha)
    assert upper_bound(bad, needed, alpha) <= budget * (1 + 1e-9)
    assert upper_bound(bad, needed - 1, alpha) > budget * (1 - 1e-9)


def test_a_budget_of_everything_needs_one_event():
    assert required_n(1.0, 0, 0.05) == 1
    assert required_n(1.0, 7, 0.05) == 7


def test_zero_bad_events_follow_the_rule_of_three():
    assert upper_bound(0, 1000, 0.05) == pytest.approx(3 / 1000, rel=0.01)


def test_no_events_leave_the_share_unknown():
    assert (lower_bound(0, 0, 0.05), upper_bound(0, 0, 0.05)) == (0.0, 1.0)


@pytest.mark.parametrize(("count", "total"), [(-1, 5), (6, 5)])
def test_impossible_counts_have_certain_tails(count, total):
    assert at_most(count, total, 0.3) == float(count > total)
    assert at_least(count, total, 0.3) == float(count < 0)


@pytest.mark.parametrize("count", [0, 1, 7, 29, 30])
def test_single_probabilities_agree_with_scipy(count):
    assert probability(count, 30, 0.2) == pytest.approx(binom.pmf(count, 30, 0.2), rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_certain_events_have_all_the_probability(share):
    assert probability(int(4 * share), 4, share) == 1.0
    assert probability(2, 4, share) == 0.0


@pytest.mark.parametrize(
    ("bad", "total", "alpha"), [(3, 2, 0.05), (-1, 2, 0.05), (1, 2, 0.0), (1, 2, 1.0)]
)
def test_nonsense_is_refused(bad, total, alpha):
    with pytest.raises(ValueError, match=r"expected|must be"):
        lower_bound(bad, total, alpha)
    with pytest.raises(ValueError, match=r"expected|must be"):
        upper_bound(bad, total, alpha)


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="budget"):
        required_n(0.0, 0, 0.05)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_less_than_one_effective_event_still_has_a_probability(share):
    """Bursts can discount ten bad events to 0.75 of one."""
    assert at_least(0.75, 3.0, share) == pytest.approx(beta.cdf(share, 0.75, 3.25), rel=1e-9)
