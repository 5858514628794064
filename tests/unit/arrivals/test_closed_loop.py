"""Closed loops: no schedule, an exact mix, phases by the clock that is passed in."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.adapters.files.scenario import load_scenario, scenario_from_json, scenario_to_json
from tfy_last9.arrivals.closed import ClosedLoop, phase_at
from tfy_last9.arrivals.schedule import NS_PER_S, planned, schedule
from tfy_last9.errors import FileProblems

ROOT = Path(__file__).parents[3]
CLOSED = load_scenario(ROOT / "scenarios" / "closed.yaml")


def test_a_closed_loop_has_no_schedule():
    assert list(schedule(CLOSED)) == []
    assert planned(CLOSED).total() == 0
    assert CLOSED.is_closed
    assert CLOSED.limits.users == 60
    assert CLOSED.title == "closed (closed loop, 60 users)"
    assert replace(CLOSED, arrivals="poisson").title == "closed"
    assert scenario_from_json(scenario_to_json(CLOSED)) == CLOSED


@given(workers=st.integers(1, 7), worker=st.integers(0, 6), asked=st.integers(1, 10))
def test_the_mix_is_exact_on_every_worker_and_numbers_are_unique(workers, worker, asked):
    worker %= workers
    loop = ClosedLoop(CLOSED, worker, workers)
    taken = [loop.take(NS_PER_S) for _ in range(20 * asked)]
    assert Counter(one.target for one in taken) == {0: 8 * asked, 1: 7 * asked, 2: 5 * asked}
    assert [one.seq for one in taken] == [k * workers + worker for k in range(20 * asked)]


def test_the_phase_is_that_of_the_moment_and_after_the_last_there_is_nothing():
    loop = ClosedLoop(CLOSED, 0, 1)
    assert loop.take(2 * NS_PER_S).phase == "warm-up"
    assert loop.take(3 * NS_PER_S).phase == "steady"
    assert loop.take(38 * NS_PER_S) is None
    assert loop.take(-1) is None
    assert phase_at(CLOSED, 37.9).name == "steady"


def test_a_user_may_choose_the_target_and_then_the_mix_is_its_own():
    loop = ClosedLoop(CLOSED, 0, 1)
    assert [loop.take(0, 2).target for _ in range(5)] == [2] * 5


def test_pauses_are_seeded_exponential_or_even():
    first, again = ClosedLoop(CLOSED, 1, 2), ClosedLoop(CLOSED, 1, 2)
    pauses = [first.pause_s() for _ in range(4000)]
    assert pauses[:10] == [again.pause_s() for _ in range(10)]
    assert sum(pauses) / len(pauses) == pytest.approx(0.3, rel=0.1)
    even = ClosedLoop(replace(CLOSED, think_even=True), 0, 1)
    assert {even.pause_s() for _ in range(5)} == {0.3}
    assert ClosedLoop(replace(CLOSED, think_s=0.0), 0, 1).pause_s() == 0


def test_arms_share_each_target_equally():
    scenario = load_scenario(ROOT / "scenarios" / "canary.yaml")
    arms = replace(scenario.arms, mirror=False)
    scenario = replace(scenario, arms=arms, arrivals=CLOSED.arrivals, curve=None)
    loop = ClosedLoop(scenario, 0, 1)
    pairs = [loop.take(0, 0).arm for _ in range(40)]
    assert all(sorted(pairs[i : i + 2]) == [0, 1] for i in range(0, 40, 2))


REFUSED = {
    "no users": ("{kind: closed}", "", 'arrivals of kind "closed" need users'),
    "a rate": ("{kind: closed, users: 3, rate: 5/s}", "", 'of kind "closed" have no rate'),
    "users elsewhere": ("{kind: constant, rate: 5/s, users: 3}", "", "have no users"),
    "extend": ("{kind: closed, users: 3}", "policy: {on-inconclusive: extend}", "extend needs"),
    "early stop": ("{kind: closed, users: 3}", "policy: {early-stop: true}", "early-stop needs"),
    "a phase's rate": ("{kind: closed, users: 3}", "RATE", "closed arrivals set the rate"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_a_closed_loop_is_refused(case, tmp_path):
    arrivals, more, said = REFUSED[case]
    text = (ROOT / "scenarios" / "closed.yaml").read_text()
    text = text.replace("{kind: closed, users: 60, think: 300ms}", arrivals)
    if more == "RATE":
        text, more = text.replace("duration: 35s}", "duration: 35s, rate: 5/s}"), ""
    path = tmp_path / "s.yaml"
    path.write_text(f"{text}\n{more}\n")
    with pytest.raises(FileProblems) as problems:
        load_scenario(path)
    assert said in str(problems.value)
