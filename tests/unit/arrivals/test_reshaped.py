"""Counts over a long time become rates over a short one; nothing is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.arrivals.reshaped import bin_length_s, rates
from tfy_last9.model.traffic import Bin


def test_a_bin_counts_where_it_lies():
    bins = [Bin(0, 10, 100), Bin(10, 10, 300)]
    assert rates(bins, (0, 20), 2) == (10.0, 30.0)


def test_a_bin_across_a_border_is_shared_by_time():
    assert rates([Bin(5, 10, 100)], (0, 20), 2) == (5.0, 5.0)


def test_a_bin_that_begins_before_the_window_counts_inside_it():
    """The query itself stops at the window, so that all its requests were inside."""
    assert rates([Bin(-5, 10, 50)], (0, 10), 1) == (5.0,)


def test_silence_is_zero():
    assert rates([Bin(0, 10, 10)], (0, 30), 3) == (1.0, 0.0, 0.0)


@given(
    counts=st.lists(st.integers(0, 1000), min_size=1, max_size=30),
    pieces=st.integers(1, 17),
    length=st.sampled_from([1, 5, 60]),
)
def test_no_request_is_lost_or_made_up(counts, pieces, length):
    bins = [Bin(place * length, length, n) for place, n in enumerate(counts)]
    window_s = len(counts) * length
    found = rates(bins, (0.0, float(window_s)), pieces)
    assert sum(found) * window_s / pieces == pytest.approx(sum(counts), abs=1e-6)


@pytest.mark.parametrize(
    ("window_s", "length"), [(10, 1), (1440, 1), (1441, 5), (86_400, 60), (14 * 86_400, 3600)]
)
def test_bins_are_round_and_not_too_many(window_s, length):
    assert bin_length_s(window_s, 1440) == length
