"""Percentiles that grow: the same values as sorting everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.stats.exact import ExactQuantiles, bucket_of, drawn_quantile, middle_of
from tfy_last9.stats.quantile import nearest_rank

VALUES = st.integers(min_value=-5, max_value=2**62)


@given(st.lists(VALUES, min_size=1, max_size=200), st.floats(0.001, 0.999))
def test_every_percentile_is_the_one_that_sorting_finds(values, p):
    sample = ExactQuantiles()
    for value in values:
        sample.add(value)
    rank = nearest_rank(len(values), p)
    assert len(sample) == len(values)
    assert sample.at_rank(rank) == sorted(values)[rank - 1]


@given(VALUES, VALUES)
def test_buckets_are_in_the_order_of_their_values(one, other):
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)


@given(st.integers(min_value=0, max_value=2**62))
def test_the_middle_of_a_bucket_is_close_to_whatever_is_in_it(value):
    assert bucket_of(middle_of(bucket_of(value))) == bucket_of(value)
    assert abs(middle_of(bucket_of(value)) - value) <= value * 0.008


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=100))
def test_a_drawn_percentile_is_at_most_a_bucket_away(values):
    counts = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    exact = sorted(values)[nearest_rank(len(values), 0.95) - 1]
    assert drawn_quantile(counts, 0.95) == middle_of(bucket_of(exact))


def test_nothing_has_no_percentile():
    assert drawn_quantile({}, 0.5) is None
    with pytest.raises(ValueError, match="no rank 1 among 0"):
        ExactQuantiles().at_rank(1)
