"""Histograms of gaps: buckets tile the numbers, merging is exact, quantiles are bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.stats.histogram import Histogram, bounds, bucket_of

values = st.one_of(st.integers(0, 200), st.integers(0, 10**12))


def of(numbers):
    histogram = Histogram()
    for number in numbers:
        histogram.add(number)
    return histogram


def test_buckets_follow_one_another_without_gap_or_overlap():
    for bucket in range(1000):
        assert bounds(bucket)[1] + 1 == bounds(bucket + 1)[0]


@given(values)
def test_a_value_is_inside_its_bucket_and_the_bucket_is_narrow(value):
    low, high = bounds(bucket_of(value))
    assert low <= value <= high
    assert high - low <= low / 32


@given(st.lists(values, max_size=30), st.lists(values, max_size=30))
def test_merging_is_counting_together_in_any_order(left, right):
    one, other = of(left), of(right)
    one.merge(of(right))
    other.merge(of(left))
    assert one.buckets() == other.buckets() == of(left + right).buckets()
    assert one.total() == len(left) + len(right)
    assert Histogram(one.buckets()).buckets() == one.buckets()


@given(st.lists(values, min_size=1, max_size=50), st.floats(0.01, 1))
def test_the_bounds_of_a_quantile_hold_the_order_statistic(numbers, share):
    low, high = of(numbers).quantile(share)
    below = sum(number <= high for number in numbers)
    assert below >= share * len(numbers) - 1e-9
    assert sum(number < low for number in numbers) < share * len(numbers) + 1e-9


def test_nothing_has_no_quantile_and_taking_begins_anew():
    histogram = of([5, 5, 7])
    histogram.add(5, 2)
    assert histogram.take() == [(5, 4), (7, 1)]
    assert histogram.quantile(0.5) is None


@pytest.mark.parametrize("value", [-5, -(10**9)])
def test_a_negative_gap_counts_as_none(value):
    histogram = Histogram()
    histogram.add(value)
    assert histogram.buckets() == [(bucket_of(value), 1)] == [(0, 1)]
