"""Which target is tried first, and which after it; time and lots are given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.standins.gateway.policy.config import (
    Caller,
    Health,
    SlaCutoff,
    Sticky,
    Strategy,
    Target,
    VirtualModel,
)
from tfy_last9.standins.gateway.policy.health import TargetHealth
from tfy_last9.standins.gateway.policy.routing import Router, by_weight

A, B, C = (
    "openai-main/gpt-4o-mini",
    "anthropic-main/claude-sonnet-4-6",
    "gemini-main/gemini-2.5-flash",
)
CALLER = Caller("someone")


def model(*targets, strategy=Strategy.PRIORITY, sticky=None):
    return VirtualModel("prod/chat", strategy, targets, sticky)


def order(router, of, caller=CALLER, lot=0.0, now_s=1000.0, names=(A, B, C)):
    return [one.target for one in router.route(of, names, caller, lambda: lot, now_s).targets]


@pytest.fixture
def router():
    return Router(TargetHealth(Health()))


def test_priority_goes_by_number_and_not_by_place(router):
    of = model(Target(A, priority=2), Target(B, priority=0), Target(C, priority=1))
    assert order(router, of) == [B, C, A]


def test_a_target_that_may_not_step_in_is_tried_first_or_not_at_all(router):
    of = model(
        Target(A, priority=0, fallback_candidate=False),
        Target(B, priority=1, fallback_candidate=False),
        Target(C, priority=2),
    )
    assert order(router, of) == [A, C]


def test_only_targets_that_are_open_and_fit_the_metadata_are_tried(router):
    of = model(
        Target(A, priority=0, metadata_match={"tier": "gold"}),
        Target(B, priority=1),
        Target(C, priority=2),
    )
    assert order(router, of, names=(A, C)) == [C]
    gold = Caller("someone", metadata={"tier": "gold"})
    assert order(router, of, gold) == [A, B, C]
    assert order(router, of, names=()) == []


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (500, True),
        (503, True),
        (429, True),
        (401, True),
        (403, True),
        (404, False),
        (408, False),
        (400, False),
    ],
)
def test_two_failures_of_the_documented_kinds_put_a_target_at_the_end(router, status, counts):
    of = model(Target(A, priority=0), Target(B, priority=1))
    router.health.failed(A, status, 1000.0)
    assert order(router, of, now_s=1001.0) == [A, B]
    router.health.failed(A, status, 1002.0)
    assert order(router, of, now_s=1003.0) == ([B, A] if counts else [A, B])
    assert order(router, of, now_s=1121.0) == [A, B], "two minutes later the first is forgotten"


def test_if_all_are_unhealthy_they_are_tried_all_the_same(router):
    of = model(Target(A, priority=0), Target(B, priority=1))
    for name in (A, B):
        for at_s in (1000.0, 1001.0):
            router.health.failed(name, 500, at_s)
    assert order(router, of, now_s=1002.0) == [A, B]


def test_a_target_that_is_slower_than_its_cutoff_stands_back_for_three_minutes(router):
    of = model(
        Target(A, priority=0, sla_cutoff=SlaCutoff(time_to_first_token_ms=500)),
        Target(B, priority=1),
    )
    for at_s in (1000.0, 1001.0):
        router.health.served(A, 900.0, 10.0, at_s)
    assert order(router, of, now_s=1002.0) == [A, B], "two samples prove nothing"
    router.health.served(A, 900.0, 10.0, 1002.0)
    assert order(router, of, now_s=1003.0) == [B, A]
    assert order(router, of, now_s=1183.0) == [A, B]


def test_latency_prefers_the_fastest_and_treats_within_a_fifth_as_equal(router):
    of = model(Target(A), Target(B), Target(C), strategy=Strategy.LATENCY)
    for name, tpot_ms in ((A, 10.0), (B, 11.9), (C, 12.1)):
        for at_s in (1000.0, 1001.0, 1002.0):
            router.health.served(name, None, tpot_ms, at_s)
    firsts = {order(router, of, Caller(f"caller-{k}"), now_s=1003.0)[0] for k in range(40)}
    assert firsts == {A, B}


def test_a_caller_keeps_its_choice_for_an_epoch_of_ten_minutes(router):
    of = model(Target(A), Target(B), Target(C), strategy=Strategy.LATENCY)
    during = {order(router, of, now_s=float(at_s))[0] for at_s in range(1200, 1800, 7)}
    later = {order(router, of, now_s=1200.0 + 600 * k)[0] for k in range(30)}
    assert len(during) == 1
    assert len(later) > 1


def test_a_target_without_samples_gets_its_chance(router):
    of = model(Target(A), Target(B), strategy=Strategy.LATENCY)
    for at_s in (1000.0, 1001.0, 1002.0):
        router.health.served(A, None, 10.0, at_s)
    assert B in {order(router, of, Caller(f"caller-{k}"), now_s=1003.0)[0] for k in range(40)}


SESSION = Sticky(60.0, (("metadata", "session_id"), ("headers", "x-user")))


def session(session_id="s", user="u"):
    return Caller("someone", metadata={"session_id": session_id}, headers={"x-user": user})


def test_a_session_stays_where_it_was_until_it_ends(router):
    of = model(Target(A, weight=50), Target(B, weight=50), strategy=Strategy.WEIGHT, sticky=SESSION)
    assert order(router, of, session(), lot=0.9, now_s=0.0)[0] == B
    assert order(router, of, session(), lot=0.0, now_s=59.0)[0] == B
    assert order(router, of, session(user="other"), lot=0.0, now_s=59.0)[0] == A
    assert order(router, of, session(), lot=0.0, now_s=60.0)[0] == A


def test_a_request_that_does_not_say_its_session_is_not_sticky(router):
    of = model(Target(A, weight=50), Target(B, weight=50), strategy=Strategy.WEIGHT, sticky=SESSION)
    half = Caller("someone", metadata={"session_id": "s"})
    assert order(router, of, half, lot=0.9)[0] == B
    assert order(router, of, half, lot=0.0)[0] == A


def test_a_session_leaves_a_target_that_became_unhealthy(router):
    of = model(Target(A, weight=50), Target(B, weight=50), strategy=Strategy.WEIGHT, sticky=SESSION)
    assert order(router, of, session(), lot=0.0, now_s=1000.0)[0] == A
    router.health.failed(A, 500, 1001.0)
    router.health.failed(A, 500, 1001.0)
    assert order(router, of, session(), lot=0.0, now_s=1002.0)[0] == B


WEIGHTS = st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any)


@given(WEIGHTS, st.floats(0, 1, exclude_max=True))
def test_every_target_is_in_the_order_once_and_a_weight_of_zero_never_first(weights, lot):
    targets = [Target(str(place), weight=weight) for place, weight in enumerate(weights)]
    ordered = by_weight(targets, lot)
    assert sorted(one.target for one in ordered) == sorted(one.target for one in targets)
    assert ordered[0].weight > 0


@given(WEIGHTS)
def test_equally_spaced_lots_give_each_target_its_weight(weights):
    targets = [Target(str(place), weight=weight) for place, weight in enumerate(weights)]
    total = sum(weights)
    firsts = [by_weight(targets, (k + 0.5) / total)[0].target for k in range(total)]
    assert [firsts.count(one.target) for one in targets] == weights
