import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom

from tfy_last9.stats.compare import fisher_greater, newcombe, wilson

arms = st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.mark.parametrize(
    ("canary", "baseline", "p"), [((4, 600), (0, 600), 0.062), ((8, 1000), (0, 1000), 0.0039)]
)
def test_the_published_examples_of_sparse_errors(canary, baseline, p):
    assert fisher_greater(*canary, *baseline) == pytest.approx(p, abs=5e-4 if p > 0.01 else 5e-5)


def test_the_lady_tasting_tea():
    """Three of four cups right: 17 of 70."""
    assert fisher_greater(3, 4, 1, 4) == pytest.approx(17 / 70, rel=1e-12)


@given(arms, arms)
@settings(max_examples=150, deadline=None)
def test_fisher_agrees_with_the_hypergeometric_tail_of_scipy(canary, baseline):
    bad, total = canary
    other, size = baseline
    expected = hypergeom.sf(bad - 1, total + size, bad + other, total)
    assert fisher_greater(bad, total, other, size) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_fisher_agrees_with_the_test_of_scipy():
    expected = fisher_exact([[30, 470], [11, 489]], alternative="greater").pvalue
    assert fisher_greater(30, 500, 11, 500) == pytest.approx(expected, rel=1e-9)


def test_an_arm_that_is_much_better_is_no_worse():
    assert fisher_greater(0, 100_000, 5000, 100_000) == pytest.approx(1.0)


def test_nothing_bad_or_everything_bad_shows_no_difference():
    assert fisher_greater(0, 10, 0, 20) == 1.0
    assert fisher_greater(10, 10, 20, 20) == 1.0


def test_the_published_interval_of_newcombe():
    """R. G. Newcombe 1998, table II, method 10, example (a): 56/70 - 48/80, 95 %: 0.0524 to 0.3339."""
    low, high = newcombe(56, 70, 48, 80, 0.025)
    assert (low, high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_wilson_agrees_with_scipy():
    from scipy.stats import binomtest

    for bad, total in ((0, 20), (3, 20), (20, 20), (17, 4000)):
        interval = binomtest(bad, total).proportion_ci(0.90, method="wilson")
        assert wilson(bad, total, 0.05) == (
            pytest.approx(interval.low, abs=1e-12),
            pytest.approx(interval.high, abs=1e-12),
        )


@given(arms, arms)
def test_the_difference_lies_inside_its_interval_and_swaps_sign_with_the_arms(canary, baseline):
    low, high = newcombe(*canary, *baseline, 0.05)
    difference = canary[0] / canary[1] - baseline[0] / baseline[1]
    assert low - 1e-12 <= difference <= high + 1e-12
    assert newcombe(*baseline, *canary, 0.05) == (pytest.approx(-high), pytest.approx(-low))


def test_an_empty_arm_is_refused():
    with pytest.raises(ValueError, match="total above 0"):
        fisher_greater(0, 0, 1, 10)
