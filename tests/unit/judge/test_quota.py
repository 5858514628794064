"""Quotas and what does not apply: good news that proves nothing, and silence that is no fault."""

import pytest
from judge_builders import errors, latency, tally, verdict

from tfy_last9.judge.decide import decide
from tfy_last9.judge.quota import quota_bound
from tfy_last9.model.verdict import Limited, State


def judged(objective, **changes):
    found = tally(**changes)
    return quota_bound(decide(objective, found), objective, found)


def test_latency_of_a_target_beyond_its_quota_is_inconclusive():
    finding = judged(latency(), limited=(Limited("t", 11, 1000),))
    assert finding.state is State.INCONCLUSIVE
    assert "quota-bound: 1.1 % of the requests to t were rate-limited" in finding.message


def test_one_percent_is_allowed():
    assert judged(latency(), limited=(Limited("t", 10, 1000),)).state is State.PASS


def test_bad_news_stays_bad():
    """Lowering a FAIL would let `on-inconclusive: warn` pass it."""
    assert judged(latency(), bad=500, limited=(Limited("t", 500, 1000),)).state is State.FAIL


def test_errors_are_counted_whoever_was_served():
    assert judged(errors(), limited=(Limited("t", 500, 1000),)).state is State.PASS


def test_what_does_not_apply_is_no_missing_data():
    none = tally(group="embeddings", total=0, excluded=40, inapplicable=40)
    assert decide(latency(), none).state is State.INFO
    assert "not applicable" in decide(latency(), none).message


@pytest.mark.parametrize("inapplicable", [0, 39])
def test_silence_where_a_value_was_possible_is_no_data(inapplicable):
    silent = tally(total=0, excluded=40, inapplicable=inapplicable)
    assert decide(latency(), silent).state is State.NO_DATA


def test_nothing_at_all_is_no_data():
    assert decide(latency(), tally(total=0)).state is State.NO_DATA


def test_a_run_to_which_nothing_applies_does_not_pass():
    none = tally(total=0, excluded=40, inapplicable=40)
    found = verdict([latency()], {"ttft": (none,)})
    assert (found.state, found.reason_code) == (State.NO_DATA, "nothing_applies")


def test_a_run_passes_on_what_applies():
    none = tally(group="embeddings", total=0, excluded=40, inapplicable=40)
    assert verdict([latency()], {"ttft": (tally(), none)}).state is State.PASS
