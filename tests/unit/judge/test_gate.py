from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_builders import (
    N,
    accounting,
    completeness,
    errors,
    evidence,
    latency,
    manifest,
    span_latency,
    tally,
    validity,
    verdict,
)

from tfy_last9.judge.gate import fold
from tfy_last9.model.run import StoppedTarget, Window
from tfy_last9.model.scenario import OnInconclusive
from tfy_last9.model.verdict import SEVERITY, Quantile, State

GOOD = {"ttft": (tally(),)}


def judged(tallies=None, **parts):
    return verdict([latency()], tallies or GOOD, **parts)


def test_a_sound_run_inside_its_budgets_passes():
    found = judged()
    assert (found.state, found.exit_code, found.reason_code) == (State.PASS, 0, "passed")
    assert found.reason.startswith("1 of 1 proven good enough; tightest: ttft, openai: 0 % of")
    assert found.next_steps == ()


def test_a_pass_names_what_came_closest_to_its_budget():
    found = judged({"ttft": (tally(3), tally(20, group="gemini"), tally(0, group="x"))})
    assert "tightest: ttft, gemini" in found.reason


@pytest.mark.parametrize(
    ("bad", "total", "state", "exit_code", "code"),
    [
        (500, N, State.FAIL, 20, "objective_failed"),
        (0, 5, State.INCONCLUSIVE, 21, "inconclusive"),
        (0, 0, State.NO_DATA, 22, "no_data"),
        (4500, 100_000, State.WARN, 0, "passed_with_warnings"),
        (2, 1, State.ERROR, 23, "objective_error"),
    ],
)
def test_the_worst_finding_is_the_verdict(bad, total, state, exit_code, code):
    found = judged({"ttft": (tally(bad, total, "gemini"), tally())})
    assert (found.state, found.exit_code, found.reason_code) == (state, exit_code, code)
    assert found.reason.startswith("ttft, gemini: ")


def test_the_reason_names_the_finding_furthest_over_its_budget_and_counts_the_rest():
    groups = (tally(100), tally(900, group="gemini"), tally(0, 0, "x"))
    found = judged({"ttft": groups})
    assert found.reason.startswith("ttft, gemini: 90 % of 1,000 requests slower")
    assert found.reason.endswith("(and 2 more not passed)")


def test_a_critical_failure_is_blamed_before_a_worse_one_that_is_not_critical():
    tallies = {"ttft": (tally(100),), "errors": (tally(900),)}
    found = verdict([latency(), errors(critical=False)], tallies)
    assert found.reason.startswith("ttft, openai")


OBSTACLES = {
    "interrupted": ({"manifest": manifest(ended="interrupted")}, "incomplete", 130),
    "broken off": ({"manifest": manifest(ended=None)}, "incomplete", 23),
    "harness": ({"manifest": manifest(problems=("disk full",))}, "harness", 23),
    "stopped target": (
        {"manifest": manifest(stopped_targets=(StoppedTarget("openai", 401, "no key", 7),))},
        "target_stopped",
        23,
    ),
    "nothing finished": ({"validity": validity(finished=0)}, "no_requests", 23),
    "unreported": (
        {"accounting": accounting(answered=N - 9, unreported=9), "validity": validity()},
        "unreported",
        23,
    ),
    "no evidence": ({"evidence": None}, "no_evidence", 23),
    "not asked": ({"evidence": evidence(strategy="none")}, "no_evidence", 23),
    "fetch failed": ({"evidence": evidence(error="HTTP 500")}, "evidence_unavailable", 23),
    "truncated": ({"evidence": evidence(truncated=(Window(0, 1),))}, "truncated", 23),
    "unreadable": ({"evidence": evidence(problems=("no start time",))}, "unreadable", 23),
    "data fault": ({"validity": validity(problems=("trace ab is negative",))}, "invalid_run", 23),
    "saturated": ({"validity": validity(started=900)}, "invalid_run", 23),
    "lost worker": ({"manifest": manifest(expected_workers=2)}, "invalid_run", 23),
    "requests do not add up": ({"accounting": accounting(missed=1)}, "accounting", 23),
    "traces do not add up": ({"accounting": accounting(lost=1)}, "accounting", 23),
}


@pytest.mark.parametrize("case", OBSTACLES)
def test_an_unsound_run_is_an_error_and_its_objectives_are_shown_not_judged(case):
    parts, code, exit_code = OBSTACLES[case]
    found = judged({"ttft": (tally(500),)}, **parts)
    assert (found.state, found.reason_code, found.exit_code) == (State.ERROR, code, exit_code)
    assert found.reason.startswith("nothing can be said about the objectives: ")
    assert [finding.state for finding in found.findings] == [State.INFO]
    assert found.findings[0].bad == 500
    assert found.validity.problems
    assert found.next_steps


def test_every_obstacle_is_listed_and_the_first_one_is_the_reason():
    parts = {"manifest": manifest(ended="interrupted", problems=("the disk is full",))}
    found = judged(**parts)
    assert found.reason.endswith("(and 1 more)")
    assert len(found.validity.problems) == 2


def test_that_nobody_looked_for_traces_is_no_news_when_the_run_broke_off():
    found = judged(manifest=manifest(ended="interrupted"), evidence=None)
    assert found.validity.problems == (
        "interrupted before the schedule ended; what was recorded is kept",
    )


def test_an_objective_on_spans_nobody_looked_for_has_no_counts():
    """All zero, and so no better than silence: the reducer would count every trace as missing."""
    found = verdict([completeness()], {"completeness": (tally(N),)}, evidence=None)
    assert (found.findings[0].total, found.findings[0].bad) == (0, 0)


def test_a_stopped_run_is_judged_on_what_it_offered():
    assert judged(manifest=manifest(ended="stopped")).state is State.PASS


def test_a_client_only_run_judges_the_ledger_and_says_what_it_left_out():
    objectives = [latency(), span_latency(), completeness()]
    books = accounting(**dict.fromkeys(("expected_traces", "joined", "complete"), 0))
    found = verdict(
        objectives, GOOD, manifest=manifest(client_only=True), evidence=None, accounting=books
    )
    assert (found.state, found.exit_code) == (State.PASS, 0)
    assert [finding.state for finding in found.findings] == [
        *(State.PASS, State.NOT_CONFIGURED, State.NOT_CONFIGURED)
    ]
    assert "2 not configured" in found.reason


@pytest.mark.parametrize(
    ("state", "critical", "policy", "folded"),
    [
        (State.FAIL, True, OnInconclusive.WARN, State.FAIL),
        (State.FAIL, False, OnInconclusive.FAIL, State.WARN),
        (State.NO_DATA, False, OnInconclusive.FAIL, State.WARN),
        (State.INCONCLUSIVE, True, OnInconclusive.FAIL, State.INCONCLUSIVE),
        (State.INCONCLUSIVE, True, OnInconclusive.WARN, State.WARN),
        (State.WARN, True, OnInconclusive.FAIL, State.WARN),
        (State.INFO, True, OnInconclusive.FAIL, State.PASS),
    ],
)
def test_folding_respects_criticality_and_policy(state, critical, policy, folded):
    finding = replace(judged().findings[0], state=state, critical=critical)
    assert fold([finding], on_inconclusive=policy) is folded


def test_the_next_step_of_a_latency_failure_shows_the_slowest_traces_of_that_group():
    quantile = Quantile(0.95, 2000.0, 1900.0, 2100.0, "ms")
    found = judged({"ttft": (tally(500, group="gemini", quantile=quantile),)})
    command = "tfy-last9 traces r1 --where provider=gemini --slowest 5"
    assert found.next_steps == (f"see what broke ttft, gemini: {command}",)


def test_the_next_step_of_an_undecided_run_is_a_longer_one():
    found = judged({"ttft": (tally(0, 40), tally(0, 30, "gemini"))})
    (step,) = found.next_steps
    assert step == (
        "send 29 more requests to decide ttft, gemini:"
        " judge about 40 s instead of 20 s (--duration 40s), at the same rate"
    )


def test_missing_traces_lead_to_the_missing_ones_and_to_fetching_again():
    lost = accounting(joined=900, lost=100, complete=900)
    found = verdict(
        [completeness()],
        {"completeness": (tally(100),)},
        accounting=lost,
        evidence=evidence(settled=False),
    )
    assert found.next_steps == (
        "traces may still arrive; fetch the evidence again: tfy-last9 collect r1",
        "see what broke completeness, openai: tfy-last9 traces r1 --where provider=openai --missing",
    )


def test_what_is_broken_whatever_arrives_comes_before_what_may_still_arrive():
    lost = accounting(joined=900, lost=100, complete=900)
    quantile = Quantile(0.95, 2000.0, 1900.0, 2100.0, "ms")
    found = verdict(
        [completeness(), latency()],
        {"completeness": (tally(100),), "ttft": (tally(500, quantile=quantile),)},
        accounting=lost,
        evidence=evidence(settled=False),
    )
    assert [step.partition(":")[0] for step in found.next_steps] == [
        "see what broke ttft, openai",
        "traces may still arrive; fetch the evidence again",
        "see what broke completeness, openai",
    ]


def test_two_objectives_that_lead_to_one_command_name_it_once():
    found = verdict(
        [replace(errors(), name="one"), replace(errors(), name="two")],
        {"one": (tally(500),), "two": (tally(500),)},
    )
    assert len(found.next_steps) == 1


def test_silence_of_last9_leads_to_the_doctor():
    found = verdict([span_latency()], {"provider-latency": (tally(0, 0),)})
    assert found.next_steps[-1].endswith("tfy-last9 doctor")


def test_silence_of_the_ledger_leads_to_the_requests():
    found = judged({"ttft": (tally(0, 0),)})
    assert found.next_steps == (
        "see what became of these requests: tfy-last9 traces r1 --where provider=openai --failed",
    )


def test_judging_is_a_pure_function():
    assert judged() == judged()


states = st.sampled_from([state for state in State if state is not State.NOT_CONFIGURED])
findings = st.lists(
    st.builds(replace, st.just(judged().findings[0]), state=states, critical=st.booleans()),
    max_size=6,
)


@given(findings, findings, st.sampled_from(list(OnInconclusive)))
def test_one_more_finding_never_improves_the_run(some, more, policy):
    alone = fold(some, on_inconclusive=policy)
    together = fold([*some, *more], on_inconclusive=policy)
    assert SEVERITY[together] >= SEVERITY[alone]


@given(findings, st.sampled_from(list(OnInconclusive)), st.randoms(use_true_random=False))
def test_the_order_of_findings_does_not_matter(some, policy, random):
    mixed = list(some)
    random.shuffle(mixed)
    assert fold(mixed, on_inconclusive=policy) is fold(some, on_inconclusive=policy)
