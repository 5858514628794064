"""The schedule is a pure function of scenario and seed."""

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise
from math import gcd
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.mix import block, mixed
from tfy_last9.arrivals.schedule import planned, schedule, share
from tfy_last9.model.scenario import ArrivalKind

SMOKE = load_scenario(Path("scenarios/smoke.yaml"))


def test_the_same_seed_gives_the_same_schedule():
    assert list(schedule(SMOKE)) == list(schedule(SMOKE))


def test_another_seed_gives_another_schedule():
    assert list(schedule(SMOKE)) != list(schedule(replace(SMOKE, seed=1)))


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_the_shares_of_all_workers_make_up_the_schedule(workers):
    parts = [arrival for index in range(workers) for arrival in share(SMOKE, index, workers)]
    assert sorted(parts) == list(schedule(SMOKE))


def test_due_times_rise_and_stay_within_their_phase():
    arrivals = list(schedule(SMOKE))
    assert all(a.due_ns <= b.due_ns for a, b in pairwise(arrivals))
    assert {a.phase for a in arrivals if a.due_ns < 5e9} == {"warm-up"}
    assert {a.phase for a in arrivals if a.due_ns > 5e9} == {"steady"}
    assert arrivals[-1].due_ns < 35e9


def test_the_smoke_scenario_plans_about_2400_judged_requests_in_exact_proportion():
    counts = {target: n for (phase, target), n in planned(SMOKE).items() if phase == "steady"}
    total = sum(counts.values())
    assert 2250 < total < 2550
    for target, share_of in (("openai", 0.40), ("anthropic", 0.35), ("gemini", 0.25)):
        # exact per block of 20, and a phase holds at most two incomplete blocks
        assert abs(counts[target] - share_of * total) <= 20


def test_constant_arrivals_are_evenly_spaced():
    constant = replace(SMOKE, arrivals=ArrivalKind.CONSTANT, phases=SMOKE.phases[:1])
    due = [arrival.due_ns for arrival in schedule(constant)]
    assert len(due) == 400
    assert {round((b - a) / 1e6, 3) for a, b in pairwise(due)} == {12.5}


def test_poisson_gaps_are_exponential():
    """Mean 1/rate and coefficient of variation 1; the bounds are five standard errors wide."""
    long = replace(SMOKE, phases=(replace(SMOKE.phases[1], duration_s=500.0),))
    gaps = [b.due_ns - a.due_ns for a, b in pairwise(schedule(long))]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean * 80 / 1e9 == pytest.approx(1, abs=5 / len(gaps) ** 0.5)
    assert deviation / mean == pytest.approx(1, abs=10 / len(gaps) ** 0.5)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6), st.integers())
def test_the_mix_is_exact_after_every_block(weights, seed):
    size = len(block(weights))
    drawn = list(islice(mixed(weights, Random(seed)), 3 * size))
    for number in range(3):
        counts = Counter(drawn[number * size : (number + 1) * size])
        assert [counts[i] for i in range(len(weights))] == [w // gcd(*weights) for w in weights]
