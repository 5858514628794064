import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom

from tfy_last9.stats.sequential import (
    BETTER,
    STAKES,
    WORSE,
    SliceBetting,
    bet_on_slices,
    log_e_better,
    log_e_worse,
    proves,
)

counts = st.integers(1, 100_000).flatmap(
    lambda total: st.tuples(st.integers(0, total), st.just(total))
)
budgets = st.floats(0.001, 0.4)


@given(counts, budgets)
def test_the_grid_agrees_with_likelihood_ratios_of_scipy(count, budget):
    bad, total = count
    for multiples, found in ((WORSE, log_e_worse), (BETTER, log_e_better)):
        shares = [budget * multiple for multiple in multiples if budget * multiple < 1]
        ratios = [
            binom.logpmf(bad, total, share) - binom.logpmf(bad, total, budget) for share in shares
        ]
        expected = logsumexp(ratios) - math.log(len(shares))
        assert found(bad, total, budget) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(st.integers(1, 60), budgets)
def test_the_expected_value_at_the_budget_is_one(total, budget):
    """An e-value: no stopping rule can make it gain on average while the null hypothesis holds."""
    for found in (log_e_worse, log_e_better):
        mean = math.fsum(
            math.exp(found(bad, total, budget)) * binom.pmf(bad, total, budget)
            for bad in range(total + 1)
        )
        assert mean == pytest.approx(1.0, rel=1e-6)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60), budgets)
def test_betting_is_the_mean_of_products_written_out(shares, budget):
    wealth = [math.prod(1 + stake / budget * (s - budget) for s in shares) for stake in STAKES]
    game = SliceBetting(budget)
    for share in shares:
        last = game.take(share)
    assert last == pytest.approx(math.log(sum(wealth) / len(wealth)), rel=1e-9, abs=1e-9)
    assert game.greatest_log_e >= max(0.0, last)


def test_slices_at_the_budget_neither_win_nor_lose():
    assert bet_on_slices([0.01] * 500, 0.01) == pytest.approx(0.0, abs=1e-12)


def test_what_was_proven_once_stays_proven():
    game = SliceBetting(0.01)
    for share in [0.3] * 20 + [0.0] * 400:
        game.take(share)
    assert not proves(game.log_e, 0.05)
    assert proves(game.greatest_log_e, 0.05)


def test_three_times_the_budget_in_bursts_is_caught_and_the_budget_itself_is_not():
    dice = random.Random(3)

    def share(rate):
        """Bad share of 50 requests of which bursts of five begin at random."""
        return min(1.0, sum(5 for _ in range(50) if dice.random() < rate / 5) / 50)

    caught = sum(
        proves(bet_on_slices((share(0.03) for _ in range(100)), 0.01), 0.05) for _ in range(100)
    )
    aborted = sum(
        proves(bet_on_slices((share(0.01) for _ in range(100)), 0.01), 0.05) for _ in range(100)
    )
    assert caught >= 90
    assert aborted <= 5


def test_hardly_any_bad_event_proves_that_the_budget_is_kept():
    assert proves(log_e_better(0, 700, 0.01), 0.05)
    assert not proves(log_e_better(7, 700, 0.01), 0.05)


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1])
def test_a_budget_of_nothing_or_everything_cannot_be_bet_on(budget):
    with pytest.raises(ValueError, match="budget"):
        SliceBetting(budget)


def test_a_share_beyond_one_is_refused():
    with pytest.raises(ValueError, match="share of a slice"):
        SliceBetting(0.1).take(1.5)
