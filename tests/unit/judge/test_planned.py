"""A planned look ends the load only if it leaves nothing open, of objectives and of arms."""

from dataclasses import replace

from judge_builders import latency, span_latency, tally

from tfy_last9.judge.looks import arms_at_each_look
from tfy_last9.judge.planned import left_open
from tfy_last9.model.canary import ArmCounts, ArmTally
from tfy_last9.model.scenario import Arm, Arms, OnInconclusive, Policy

ONCE = Arms(Arm("baseline"), Arm("canary"), mirror=True)
ARMS = arms_at_each_look(ONCE, Policy(OnInconclusive.EXTEND, looks=5))
ENOUGH = {"ttft": (tally(0, 2000),)}


def arms(sent, errors=0, provider="openai", **changes):
    baseline = ArmCounts(sent, 0, sent, 0, 0, 0)
    canary = replace(baseline, errors=errors)
    return ArmTally(provider, baseline, canary, (), "beyond total 6000 ms", **changes)


def test_nothing_is_open_where_every_objective_is_decided():
    assert left_open([latency()], ENOUGH, None, ()) == ()


def test_what_the_ledger_cannot_tell_keeps_no_run_going():
    assert left_open([latency(), span_latency()], ENOUGH, None, ()) == ()


def test_an_objective_that_is_undecided_is_named():
    (told,) = left_open([latency()], {"ttft": (tally(0, 40),)}, None, ())
    assert "openai" in told


def test_arms_that_are_undecided_keep_the_load_going_though_objectives_are_decided():
    told = left_open([latency()], ENOUGH, ARMS, [arms(5000), arms(100, provider="gemini")])
    assert [one.split(":")[0] for one in told] == ["canary-tail, gemini", "canary-errors, gemini"]


def test_arms_that_are_decided_end_it_good_or_bad():
    assert left_open([latency()], ENOUGH, ARMS, [arms(5000)]) == ()
    assert left_open([latency()], ENOUGH, ARMS, [arms(5000, errors=500)]) == ()


def test_each_look_has_its_share_of_the_error():
    """450 pairs without an error prove the margin at a single look, and not at one of five."""
    assert left_open([], {}, ONCE, [arms(450)]) == ()
    assert left_open([], {}, ARMS, [arms(450)]) != ()


def test_an_arm_without_requests_is_open():
    assert len(left_open([], {}, ARMS, [arms(0)])) == 2


def test_arms_that_the_gateway_splits_are_told_apart_at_the_end():
    (told,) = left_open([latency()], ENOUGH, ARMS, ())
    assert "at the end" in told
