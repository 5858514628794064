from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.schedule import planned, schedule, share

CANARY = load_scenario(Path(__file__).parents[3] / "scenarios" / "canary.yaml")


def scenario(*, mirror, seed=CANARY.seed):
    return replace(CANARY, arms=replace(CANARY.arms, mirror=mirror), seed=seed)


def test_a_mirrored_arrival_goes_to_both_arms_at_the_same_instant():
    arrivals = list(schedule(scenario(mirror=True)))
    pairs = list(zip(arrivals[::2], arrivals[1::2], strict=True))
    assert [one.seq for one in arrivals] == list(range(len(arrivals)))
    for first, second in pairs:
        assert first.seq // 2 == second.seq // 2
        assert {first.arm, second.arm} == {0, 1}
        same = (first.due_ns, first.target, first.prompt, first.phase)
        assert same == (second.due_ns, second.target, second.prompt, second.phase)


def test_neither_arm_is_always_sent_first():
    """A fixed order once made a gateway look 2 s slower than it was."""
    first = Counter(one.arm for one in list(schedule(scenario(mirror=True)))[::2])
    assert abs(first[0] - first[1]) < 0.1 * first.total()


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_each_target_deals_out_equal_shares_of_both_arms(seed):
    counts = Counter((one.target, one.arm) for one in schedule(scenario(mirror=False, seed=seed)))
    for target in range(len(CANARY.targets)):
        assert abs(counts[target, 0] - counts[target, 1]) <= 1


def test_arms_leave_the_instants_of_the_schedule_alone():
    plain = [one.due_ns for one in schedule(replace(CANARY, arms=None))]
    assert [one.due_ns for one in schedule(scenario(mirror=False))] == plain
    assert [one.due_ns for one in schedule(scenario(mirror=True))][::2] == plain


def test_mirroring_doubles_what_is_planned():
    plain = planned(replace(CANARY, arms=None))
    assert planned(scenario(mirror=True)) == Counter({key: 2 * n for key, n in plain.items()})


@pytest.mark.parametrize("mirror", [True, False])
def test_workers_share_both_arms_without_a_message(mirror):
    chosen = scenario(mirror=mirror)
    parts = [one for worker in range(3) for one in share(chosen, worker, 3)]
    assert sorted(parts) == list(schedule(chosen))
    arms = Counter(one.arm for one in share(chosen, 0, 2))
    assert abs(arms[0] - arms[1]) < 0.15 * arms.total()


def test_without_arms_no_arrival_has_one():
    assert {one.arm for one in schedule(replace(CANARY, arms=None))} == {None}
