import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, chi2, poisson

from tfy_last9.stats.binomial import lower_bound, upper_bound
from tfy_last9.stats.effect import clustering_p, design_effect, dispersion, slice_size


def summed(bad_per_slice, size=50):
    return size, len(bad_per_slice), sum(bad_per_slice), sum(n * n for n in bad_per_slice)


def test_the_design_effect_is_the_variance_ratio_written_out_by_hand():
    """Four slices of ten with 0, 0, 0 and 8 bad: variance 0.16 of shares, 0.2 * 0.8 / 10 expected."""
    assert dispersion(*summed([0, 0, 0, 8], size=10)) == pytest.approx(0.16 / 0.016, rel=1e-12)


def test_all_or_nothing_in_each_slice_counts_each_slice_as_one_event():
    deff = design_effect(*summed([50] * 20 + [0] * 20))
    assert deff == pytest.approx(50 * 40 / 39, rel=1e-12)


@pytest.mark.parametrize("bad", [[0] * 20, [50] * 20, [3, 4], [1] * 20, [2, 0, 1, 1] * 5])
def test_without_proof_of_clustering_every_event_counts_in_full(bad):
    assert design_effect(*summed(bad)) == 1.0


def test_two_bad_events_side_by_side_may_be_chance_and_three_are_not():
    assert design_effect(*summed([2] + [0] * 11, size=25)) == 1.0
    assert design_effect(*summed([3] + [0] * 11, size=25)) > 2.0


def test_sparse_clustering_uses_the_poisson_tail_of_shared_pairs():
    size, slices, bad, squares = summed([3] + [0] * 11, size=25)
    mean = 3 * 24 / 299
    assert clustering_p(size, slices, bad, squares) == pytest.approx(poisson.sf(2, mean), abs=1e-12)


def test_dense_clustering_uses_the_chi_square_tail():
    counts = summed([5, 9, 2, 14, 7, 3, 11, 8, 6, 12])
    exact = chi2.sf(9 * dispersion(*counts), 9)
    assert clustering_p(*counts) == pytest.approx(exact, abs=2e-3)


def test_independent_events_are_believed_to_be_clustered_in_one_run_of_twenty():
    dice = random.Random(7)
    believed = sum(
        design_effect(*summed([sum(dice.random() < 0.1 for _ in range(50)) for _ in range(20)])) > 1
        for _ in range(600)
    )
    assert believed <= 0.08 * 600


@given(st.lists(st.integers(0, 20), min_size=0, max_size=60))
def test_a_design_effect_never_adds_events(bad):
    assert design_effect(*summed(bad, size=20)) >= 1.0


@given(st.lists(st.integers(0, 20), min_size=3, max_size=40))
def test_the_order_of_slices_does_not_matter(bad):
    assert design_effect(*summed(bad, 20)) == design_effect(*summed(sorted(bad), 20))


def test_slices_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no slices"):
        design_effect(10, 2, 21, 400)


@pytest.mark.parametrize(
    ("total", "size"), [(0, 10), (200, 10), (300, 15), (1000, 50), (10**6, 50)]
)
def test_slices_hold_between_ten_and_fifty_events(total, size):
    assert slice_size(total) == size


@given(st.floats(0.05, 500.0), st.floats(1.0, 40.0))
def test_bounds_of_counts_that_are_not_whole_agree_with_the_beta_quantiles_of_scipy(bad, ratio):
    total = bad * ratio + 1.0
    low, high = beta.ppf(0.05, bad, total - bad + 1), beta.isf(0.05, bad + 1, total - bad)
    assert lower_bound(bad, total, 0.05) == pytest.approx(low, rel=1e-7, abs=1e-12)
    assert upper_bound(bad, total, 0.05) == pytest.approx(high, rel=1e-7)
