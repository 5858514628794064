"""Hoeffding's bound: reference values, and how often it misses."""

import math
from random import Random

import pytest

from tfy_last9.stats.bounded import divergence, mean_bounds


def test_without_any_shortfall_the_upper_bound_has_a_closed_form():
    low, high = mean_bounds(0.0, 59, 0.05)
    assert low == 0.0
    assert high == pytest.approx(1.0 - 0.05 ** (1 / 59), abs=1e-12)
    assert mean_bounds(1.0, 59, 0.05) == pytest.approx((0.05 ** (1 / 59), 1.0), abs=1e-12)


def test_the_divergence_of_two_coins():
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert divergence(0.25, 0.5) == pytest.approx(expected, abs=1e-15)
    assert divergence(0.3, 0.3) == 0.0
    assert divergence(0.3, 1.0) == math.inf


def test_bounds_meet_the_allowed_divergence_exactly():
    for bound in mean_bounds(0.1, 200, 0.05):
        assert 200 * divergence(0.1, bound) == pytest.approx(math.log(20.0), rel=1e-9)


def test_a_mean_at_the_budget_is_failed_in_at_most_five_percent():
    random, budget, runs = Random(7), 0.05, 400
    wrong = 0
    for _ in range(runs):
        slices = [random.betavariate(0.5, 9.5) for _ in range(60)]
        low, _ = mean_bounds(sum(slices) / 60, 60, 0.05)
        wrong += low > budget
    assert wrong <= 0.05 * runs
