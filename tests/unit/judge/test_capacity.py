"""The search for the highest good rate: it brackets it, and never blames the gateway for the generator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_builders import errors, latency, manifest, tally, validity, verdict

from tfy_last9.judge.capacity import (
    LOWEST,
    MOST_STEPS,
    RESOLUTION,
    Outcome,
    Step,
    answer,
    bracket,
    classify,
    next_rate,
    reason_of,
)


def search(outcome_at, first=10.0, most=320.0):
    steps = []
    while (rate := next_rate(steps, first, most)) is not None:
        steps.append(Step(rate, f"r{rate}", outcome_at(rate), "why"))
        assert len(steps) <= MOST_STEPS
    return steps


@given(
    capacity=st.floats(10.0 * LOWEST * 2.1, 319.0),
    kind=st.sampled_from([Outcome.BROKE, Outcome.UNDECIDED, Outcome.GENERATOR, Outcome.USERS]),
)
def test_the_capacity_lies_in_the_bracket_and_the_bracket_is_narrow(capacity, kind):
    steps = search(lambda rate: Outcome.MET if rate < capacity else kind)
    found = answer(steps)
    assert found.met_per_s < capacity <= found.unmet_per_s
    assert found.unmet_per_s / found.met_per_s <= RESOLUTION * 1.01
    assert found.limited_by == kind
    assert len({step.rate_per_s for step in steps}) == len(steps)


def test_a_gateway_that_meets_everything_is_limited_by_the_range():
    found = answer(search(lambda _: Outcome.MET))
    assert (found.met_per_s, found.unmet_per_s, found.limited_by) == (320.0, None, "range")


def test_a_gateway_that_meets_nothing_is_tried_at_ever_lower_rates():
    steps = search(lambda _: Outcome.BROKE)
    assert answer(steps).met_per_s is None
    assert min(step.rate_per_s for step in steps) >= 10.0 * LOWEST


def test_a_run_that_says_nothing_ends_the_search():
    steps = search(lambda rate: Outcome.MET if rate < 30 else Outcome.UNSOUND)
    assert [step.rate_per_s for step in steps] == [10.0, 20.0, 40.0]


def test_a_rate_that_is_met_above_one_that_is_not_counts_for_nothing():
    steps = [
        Step(10, "a", Outcome.MET, ""),
        Step(20, "b", Outcome.BROKE, ""),
        Step(40, "c", Outcome.MET, ""),
    ]
    assert bracket(steps) == (10, 20)


GENERATOR = validity(start_lag_p99_ms=900.0)
CASES = {
    "passed": ({}, Outcome.MET),
    "failed": ({"tallies": {"ttft": (tally(500),)}}, Outcome.BROKE),
    "too few": ({"tallies": {"ttft": (tally(0, 10),)}}, Outcome.UNDECIDED),
    "late": ({"validity": validity(start_lag_p99_ms=900.0)}, Outcome.GENERATOR),
    "no user free": ({"validity": validity(started=900, missed=100)}, Outcome.USERS),
    "no user free, and busy": (
        {"validity": validity(started=900, missed=100, hub_lag_p99_ms=80.0)},
        Outcome.GENERATOR,
    ),
    "not started": ({"validity": validity(started=900)}, Outcome.GENERATOR),
    "data fault": ({"validity": validity(problems=("a trace is negative",))}, Outcome.UNSOUND),
    "broken off": ({"manifest": manifest(ended=None)}, Outcome.UNSOUND),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_verdict_says_about_a_rate(case):
    parts, outcome = CASES[case]
    parts = dict(parts)
    found = verdict([latency()], parts.pop("tallies", {"ttft": (tally(),)}), **parts)
    assert classify(found) is outcome, found.reason


def test_the_reason_names_what_failed_or_what_was_wrong_with_the_run():
    objectives = [latency(), errors()]
    broken = verdict(objectives, {"ttft": (tally(500),), "errors": (tally(500),)})
    assert reason_of(broken) == "ttft, openai and 1 more failed"
    late = verdict(objectives, {}, validity=GENERATOR)
    assert reason_of(late).startswith("generator late")
