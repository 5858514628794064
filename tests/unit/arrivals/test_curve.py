"""Rates that change over time: how many arrivals, and when, without a clock."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import pi, sin
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals import curve
from tfy_last9.arrivals.curve import due_times
from tfy_last9.arrivals.schedule import schedule, share
from tfy_last9.model.scenario import ArrivalKind, Curve, Knot

SMOKE = load_scenario(Path("scenarios/smoke.yaml"))


def even(knots):
    return list(due_times(Curve(knots, even=True), Random(1)))


def poisson(knots, seed=1):
    return list(due_times(Curve(knots, even=False), Random(seed)))


def between(times, start, end):
    return sum(start <= time < end for time in times)


def test_a_ramp_sends_the_area_under_it_and_most_of_it_late():
    times = even(curve.ramp(0.0, 100.0, 10.0))
    assert len(times) == 500
    # The area of the first half is a quarter of the whole.
    assert between(times, 0, 5) == 125
    assert between(times, 9, 10) == 95


def test_a_ramp_may_fall_to_nothing():
    times = even(curve.ramp(100.0, 0.0, 10.0))
    assert len(times) == 500
    assert between(times, 0, 5) == 375


def test_steps_hold_each_rate_until_the_next():
    times = even(curve.steps(10.0, (Knot(2.0, 50.0), Knot(3.0, 5.0)), 5.0))
    assert (between(times, 0, 2), between(times, 2, 3), between(times, 3, 5)) == (20, 50, 10)
    assert {round(b - a, 6) for a, b in pairwise(times) if b < 2} == {0.1}


def test_a_spike_is_over_when_it_is_over():
    times = even(curve.spike(10.0, 200.0, 4.0, 1.0, 10.0))
    assert (between(times, 0, 4), between(times, 4, 5), between(times, 5, 10)) == (40, 200, 50)


def test_a_sine_has_its_mean_rate_and_its_swing():
    times = even(curve.sine(50.0, 40.0, 20.0, 40.0))
    assert len(times) == pytest.approx(2000, abs=2)
    exact = 50 * 10 + 40 * 20 / pi  # the rising half period
    assert between(times, 0, 10) == pytest.approx(exact, rel=0.003)
    assert between(times, 10, 20) == pytest.approx(1000 - exact, rel=0.01)


def test_a_sine_may_end_in_the_middle_of_a_period():
    knots = curve.sine(50.0, 10.0, 8.0, 3.3)
    assert knots[-1].at_s == 3.3
    assert knots[-1].rate_per_s == pytest.approx(50 + 10 * sin(2 * pi * 3.3 / 8))


def test_poisson_arrivals_follow_the_curve_too():
    """Bounds are five standard deviations wide."""
    times = poisson(curve.ramp(0.0, 1000.0, 20.0))
    assert len(times) == pytest.approx(10_000, abs=500)
    assert between(times, 0, 10) == pytest.approx(2_500, abs=250)
    late = [b - a for a, b in pairwise(times) if a > 18]
    mean = sum(late) / len(late)
    deviation = (sum((gap - mean) ** 2 for gap in late) / len(late)) ** 0.5
    assert deviation / mean == pytest.approx(1, abs=0.15)


rates = st.floats(0, 200)


@given(st.lists(st.tuples(st.floats(0.01, 3), rates), min_size=2, max_size=6), st.integers())
def test_due_times_rise_and_stay_within_the_curve(pieces, seed):
    knots, at = [], 0.0
    for length, rate in pieces:
        knots.append(Knot(at, rate))
        at += length
    for times in (even(tuple(knots)), poisson(tuple(knots), seed)):
        assert all(a <= b for a, b in pairwise(times))
        assert all(0 <= time <= knots[-1].at_s for time in times)


def shaped(knots, **more):
    return replace(SMOKE, arrivals=ArrivalKind.RAMP, curve=Curve(knots, even=True), **more)


def test_a_curve_runs_over_all_phases_and_they_keep_their_names():
    scenario = shaped(curve.ramp(10.0, 10.0, 35.0))
    phases = Counter(arrival.phase for arrival in schedule(scenario))
    assert phases == {"warm-up": 50, "steady": 300}
    assert [arrival.seq for arrival in schedule(scenario)] == list(range(350))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_shares_of_a_curve_make_up_the_whole(workers):
    scenario = shaped(curve.spike(10.0, 90.0, 10.0, 5.0, 35.0))
    parts = [arrival for index in range(workers) for arrival in share(scenario, index, workers)]
    assert sorted(parts) == list(schedule(scenario))


def test_a_replay_sends_at_the_written_times():
    scenario = replace(SMOKE, arrivals=ArrivalKind.REPLAY, offsets_s=(0.0, 1.25, 1.25, 6.0))
    arrivals = list(schedule(scenario))
    assert [arrival.due_ns for arrival in arrivals] == [
        0,
        1_250_000_000,
        1_250_000_000,
        6_000_000_000,
    ]
    assert [arrival.phase for arrival in arrivals] == ["warm-up"] * 3 + ["steady"]
