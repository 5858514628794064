import math
from collections import Counter
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm, rankdata, wilcoxon

from tfy_last9.stats.shift import STEP, paired, unpaired

steps = st.lists(st.integers(-300, 300), min_size=1, max_size=40)


def counted(values):
    return sorted(Counter(int(value) for value in values).items())


def in_steps(latencies):
    return [round(math.log(value) / STEP) for value in latencies]


def brute(elements, sigma, alpha, scale):
    """Median and interval of a list that is built in full."""
    ordered = sorted(elements)
    cut = math.floor(len(ordered) / 2 + norm.ppf(alpha) * sigma - 0.5)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    ends = (ordered[cut] * scale, ordered[-1 - cut] * scale) if cut >= 0 else (None, None)
    return middle * scale, *ends


def same(shift, expected):
    for found, wanted in zip((shift.estimate, shift.low, shift.high), expected, strict=True):
        assert (found is None) == (wanted is None)
        if wanted is not None:
            assert found == pytest.approx(wanted, abs=1e-12)


@given(steps, steps)
@settings(max_examples=150, deadline=None)
def test_the_unpaired_shift_is_the_one_of_all_pairs_built(baseline, canary):
    m, n = len(baseline), len(canary)
    ties = sum(t**3 - t for t in Counter(baseline + canary).values())
    variance = m * n / 12 * ((m + n + 1) - ties / ((m + n) * (m + n - 1)))
    pairs = [c - b for b, c in product(baseline, canary)]
    expected = brute(pairs, math.sqrt(max(0, variance)), 0.05, STEP)
    same(unpaired(counted(baseline), counted(canary), margin=0.1, alpha=0.05), expected)


@given(steps)
@settings(max_examples=150, deadline=None)
def test_the_paired_shift_is_the_one_of_all_walsh_averages_built(differences):
    n = len(differences)
    ties = sum(t**3 - t for t in Counter(differences).values())
    variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48
    sums = [a + b for a, b in combinations_with_replacement(differences, 2)]
    expected = brute(sums, math.sqrt(variance), 0.05, STEP / 2)
    same(paired(counted(differences), margin=0.1, alpha=0.05), expected)


def test_the_p_value_is_that_of_the_rank_sum_test_of_scipy():
    dice = np.random.default_rng(5)
    baseline, canary = in_steps(dice.lognormal(0, 0.4, 80)), in_steps(dice.lognormal(0.3, 0.4, 70))
    found = unpaired(counted(baseline), counted(canary), margin=0.0, alpha=0.05)
    expected = mannwhitneyu(canary, baseline, alternative="greater", method="asymptotic").pvalue
    assert found.p_slower == pytest.approx(expected, abs=1e-6)


def test_the_p_value_of_pairs_is_that_of_the_signed_rank_test_of_scipy():
    """Without zeros and ties, where both agree on what to do with them."""
    dice = np.random.default_rng(6)
    differences = [int(d) for d in np.unique(dice.normal(900, 2000, 60).astype(int)) if d]
    assert len(set(rankdata(np.abs(differences)))) == len(differences)
    found = paired(counted(differences), margin=0.0, alpha=0.05)
    expected = wilcoxon(
        differences, alternative="greater", method="asymptotic", correction=True
    ).pvalue
    assert found.p_slower == pytest.approx(expected, abs=1e-6)


@given(steps, steps, st.integers(-5000, 5000))
@settings(deadline=None)
def test_scaling_both_arms_changes_nothing(baseline, canary, offset):
    """Seconds or milliseconds: a factor is an offset on the log scale."""
    moved = (
        counted(value + offset for value in baseline),
        counted(value + offset for value in canary),
    )
    plain = unpaired(counted(baseline), counted(canary), margin=0.1, alpha=0.05)
    assert unpaired(*moved, margin=0.1, alpha=0.05) == plain


@given(steps, st.integers(-500, 500))
@settings(deadline=None)
def test_a_constant_shift_is_found_exactly(values, offset):
    found = unpaired(
        counted(values), counted(value + offset for value in values), margin=0.1, alpha=0.05
    )
    assert found.estimate == pytest.approx(offset * STEP)


def test_identical_constant_arms_show_no_difference():
    same(unpaired([(5, 40)], [(5, 40)], margin=0.1, alpha=0.05), (0.0, 0.0, 0.0))


def test_two_values_are_too_few_for_an_interval():
    found = unpaired([(0, 1)], [(100, 1)], margin=0.1, alpha=0.05)
    assert (found.low, found.high) == (None, None)


def test_ten_billion_pairs_are_never_built():
    dice = np.random.default_rng(9)
    baseline, canary = (
        counted(np.round(np.log(dice.lognormal(m, 0.6, 100_000)) / STEP)) for m in (0, 0.1)
    )
    found = unpaired(baseline, canary, margin=0.1, alpha=0.05)
    assert found.estimate == pytest.approx(0.1, abs=0.01)


def test_an_empty_arm_is_refused():
    with pytest.raises(ValueError, match="both arms"):
        unpaired([], [(1, 1)], margin=0.1, alpha=0.05)
    with pytest.raises(ValueError, match="at least one pair"):
        paired([], margin=0.1, alpha=0.05)
