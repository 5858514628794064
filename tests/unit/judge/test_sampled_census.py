"""Completeness from a random sample: bounded, never taken for the whole."""

from judge_builders import completeness, tally

from tfy_last9.judge.decide import decide
from tfy_last9.model.verdict import State


def found(bad, total, population, **changes):
    return decide(completeness(**changes), tally(bad=bad, total=total, population=population))


def test_a_clean_sample_that_is_large_enough_passes():
    """600 of 10 000 without a miss: at most 48 missing, 0.48 % (reference value)."""
    finding = found(0, 600, 10_000)
    assert finding.state is State.PASS
    assert finding.bad_high == 48 / 10_000
    assert "random sample" in finding.message
    assert finding.confidence == 0.95


def test_a_clean_sample_that_is_too_small_decides_nothing():
    """300 of 10 000: up to 97 may be missing, 0.97 % of a budget of 0.5 %."""
    finding = found(0, 300, 10_000)
    assert finding.state is State.INCONCLUSIVE
    assert finding.bad_high == 97 / 10_000


def test_a_sample_with_many_missing_fails():
    assert found(40, 600, 10_000).state is State.FAIL


def test_a_sample_of_everything_is_a_census():
    finding = found(3, 1000, 1000)
    assert (finding.state, finding.confidence, finding.bad_low) == (State.PASS, None, None)


def test_a_sample_without_a_single_trace_is_no_data():
    assert found(600, 600, 10_000).state is State.NO_DATA
