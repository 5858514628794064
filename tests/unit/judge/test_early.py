from dataclasses import replace

import pytest
from judge_builders import (
    completeness,
    errors,
    evidence,
    latency,
    manifest,
    scenario,
    span_latency,
    tally,
    verdict,
)

from tfy_last9.judge.early import (
    Stakes,
    can_be_bet_on,
    can_be_bet_on_traces,
    proven_failure,
    proven_pass,
    with_kept,
    with_proofs,
)
from tfy_last9.judge.gate import judge
from tfy_last9.judge.looks import at_each_look, looks_after, shares_of_error, with_stretches
from tfy_last9.model.run import EarlyStop, Proven, Spending
from tfy_last9.model.scenario import Arm, Arms, OnInconclusive, Policy
from tfy_last9.model.verdict import State

GROUP = (("provider", "openai"),)


def stakes(objectives, where=None, *, with_traces=False):
    return Stakes(tuple(objectives), where or scenario(), with_traces)


def test_only_critical_claims_on_the_ledger_with_known_groups_are_bet_on():
    assert can_be_bet_on(latency())
    assert can_be_bet_on(errors(group_by=()))
    for other in (
        latency(critical=False),
        latency(group_by=("model",)),
        span_latency(),
        completeness(),
    ):
        assert not can_be_bet_on(other)


def test_the_error_is_shared_among_all_claims_of_the_plan():
    claims = [latency(), errors(), span_latency()]
    assert stakes(claims).claims == 2
    assert stakes(claims, with_traces=True).claims == 3
    enough_for_one, enough_for_two = {("ttft", GROUP): 3.1}, {("ttft", GROUP): 3.8}
    assert proven_failure(stakes([latency()]), enough_for_one) is not None
    assert proven_failure(stakes(claims), enough_for_one) is None
    assert proven_failure(stakes(claims, with_traces=True), enough_for_two) is None
    proof = proven_failure(stakes(claims), enough_for_two)
    assert proof.state is State.FAIL
    assert [(one.objective, one.log_e) for one in proof.proven] == [("ttft", 3.8)]
    assert proof.message.startswith("ttft, openai is proven to fail")


def test_early_pass_needs_every_claim_proven():
    both = [latency(), errors()]
    enough = {"ttft": (tally(0, 2000),), "errors": (tally(0, 2000),)}
    assert proven_pass(stakes(both), enough).state is State.PASS
    assert proven_pass(stakes(both), enough | {"errors": (tally(0, 300),)}) is None
    assert proven_pass(stakes(both), {"ttft": (tally(0, 2000),)}) is None


def test_early_pass_waits_until_last9_can_decide_its_own_objectives():
    both = [latency(), span_latency()]
    assert proven_pass(stakes(both), {"ttft": (tally(0, 2000),)}) is not None
    strict = [latency(), span_latency(target=0.999)]
    assert proven_pass(stakes(strict), {"ttft": (tally(0, 2000),)}) is None


def test_a_plain_bound_inside_the_budget_is_no_reason_to_stop():
    """59 good requests pass a p95 at a look that was planned; a look every two seconds needs more."""
    assert proven_pass(stakes([latency()]), {"ttft": (tally(0, 60),)}) is None


def test_what_was_proven_while_the_load_ran_fails_whatever_the_bounds_say():
    (finding,) = verdict([latency()], {"ttft": (tally(50),)}).findings
    assert finding.state is State.INCONCLUSIVE
    (proven,) = with_proofs([finding], stakes([latency()]), {("ttft", GROUP): 9.0})
    assert proven.state is State.FAIL
    assert "proven while the load ran (log e-value 9)" in proven.message
    (same,) = with_proofs([finding], stakes([latency()]), {("ttft", GROUP): 1.0})
    assert same == finding


@pytest.mark.parametrize(
    ("policy", "shares"),
    [
        (Policy(OnInconclusive.FAIL), 1),
        (Policy(OnInconclusive.EXTEND, looks=4), 4),
        (Policy(OnInconclusive.FAIL, early_stop=True), 2),
        (Policy(OnInconclusive.EXTEND, early_stop=True, looks=4), 5),
        (Policy(OnInconclusive.FAIL, retries=2), 3),
        (Policy(OnInconclusive.EXTEND, early_stop=True, looks=4, retries=1), 10),
    ],
)
def test_every_look_takes_its_share_of_the_error(policy, shares):
    assert shares_of_error(policy) == shares
    (one,) = at_each_look([latency()], policy)
    assert one.confidence == pytest.approx(1 - 0.05 / shares)


def test_a_verdict_after_several_looks_uses_the_stricter_bounds():
    several = replace(scenario(), policy=Policy(OnInconclusive.EXTEND, looks=5))
    counts = {"ttft": (tally(0, 60),)}
    assert verdict([latency()], counts).state is State.PASS
    assert verdict([latency()], counts, manifest=manifest(scenario=several)).state is (
        State.INCONCLUSIVE
    )


def test_extending_repeats_the_judged_phases_once_per_look():
    several = replace(scenario(), policy=Policy(OnInconclusive.EXTEND, looks=3))
    longer = with_stretches(several)
    assert [phase.name for phase in longer.phases] == [
        "warm-up",
        "steady",
        "steady-look2",
        "steady-look3",
    ]
    assert looks_after(longer, 3) == ("steady", "steady-look2", "steady-look3")
    assert with_stretches(scenario()) == scenario()


def test_a_run_that_was_stopped_early_says_what_it_saved():
    stop = EarlyStop("stopped early: enough is known; about 900 tokens were not spent", 30, 900)
    sound = verdict([latency()], {"ttft": (tally(5),)})
    told = judge(
        manifest(ended="stopped", early_stop=stop),
        [latency()],
        {"ttft": (tally(5),)},
        sound.accounting,
        sound.validity,
        evidence(),
    )
    assert told.state is State.PASS
    assert told.validity.warnings[0] == stop.message


def test_spans_are_bet_on_where_they_are_fetched_and_known_well():
    assert can_be_bet_on_traces(span_latency())
    for other in (latency(), completeness(), span_latency(critical=False)):
        assert not can_be_bet_on_traces(other)
    lag = replace(span_latency().indicator, field="ingestion_lag_ms")
    assert not can_be_bet_on_traces(replace(span_latency(), indicator=lag))


def test_early_pass_needs_the_spans_proven_where_they_are_fetched():
    both = [latency(), span_latency()]
    client = {"ttft": (tally(0, 2000),)}
    assert proven_pass(stakes(both, with_traces=True), client) is None
    spans = client | {"provider-latency": (tally(0, 2000),)}
    assert proven_pass(stakes(both, with_traces=True), spans) is not None
    silent = client | {"provider-latency": (tally(0, 0),)}
    assert proven_pass(stakes(both, with_traces=True), silent) is None


def test_the_proof_that_ended_the_load_is_never_taken_back():
    """A trace that turned up later cuts the slices elsewhere: the proof stands in the manifest."""
    stop = EarlyStop("stopped early", 30, 900, (Proven("provider-latency", GROUP, 9.0),))
    assert with_kept({}, stop) == {("provider-latency", GROUP): 9.0}
    assert with_kept({("provider-latency", GROUP): 2.0, ("a", ()): 1.0}, stop) == {
        ("provider-latency", GROUP): 9.0,
        ("a", ()): 1.0,
    }
    assert with_kept({("a", ()): 1.0}, None) == {("a", ()): 1.0}
    sound = verdict([span_latency()], {"provider-latency": (tally(50),)})
    assert sound.state is State.INCONCLUSIVE
    stopped = manifest(ended="stopped", early_stop=stop)
    told = verdict([span_latency()], {"provider-latency": (tally(50),)}, manifest=stopped)
    assert told.state is State.FAIL


def test_arms_take_four_claims_for_each_provider():
    compared = replace(scenario(), arms=Arms(Arm("baseline"), Arm("canary")))
    assert stakes([latency()], compared).claims == 5
    assert stakes([latency()], compared).alphas()["canary-errors"] == pytest.approx(0.01)
    assert proven_failure(stakes([], compared), {("canary-tail", GROUP): 4.4}).state is State.FAIL
    assert proven_pass(stakes([latency()], compared), {"ttft": (tally(0, 2000),)}) is None


@pytest.mark.parametrize(
    ("policy", "bad", "state", "code"),
    [
        (OnInconclusive.FAIL, 5, State.INCONCLUSIVE, 21),
        (OnInconclusive.WARN, 5, State.WARN, 0),
        (OnInconclusive.FAIL, 900, State.FAIL, 20),
    ],
)
def test_a_run_that_its_budget_cut_short_is_never_better_for_it(policy, bad, state, code):
    stop = EarlyStop("stopped by the budget: of 2 USD 1.9 are spent", 30, 900)
    spending = Spending(1.9, 900, 0.0, 0, is_spent=True)
    sound = verdict([latency()], {"ttft": (tally(5),)})
    cut = manifest(scenario=scenario(policy), ended="stopped", early_stop=stop, spending=spending)
    told = judge(
        *(cut, [latency()], {"ttft": (tally(bad),)}),
        *(sound.accounting, sound.validity, evidence()),
    )
    assert (told.state, told.exit_code) == (state, code)
    assert told.validity.warnings[0] == stop.message
    if state is State.INCONCLUSIVE:
        assert told.reason_code == "budget_spent"
        assert stop.message in told.reason
        assert "raise --budget-usd" in told.next_steps[0]


def test_too_few_requests_because_of_the_budget_are_not_answered_with_a_longer_run():
    stop = EarlyStop("stopped by the budget: of 2 USD 1.9 are spent", 30, 900)
    spending = Spending(1.9, 900, 0.0, 0, is_spent=True)
    few = verdict([latency()], {"ttft": (tally(0, 20),)})
    cut = manifest(ended="stopped", early_stop=stop, spending=spending)
    told = judge(
        *(cut, [latency()], {"ttft": (tally(0, 20),)}),
        *(few.accounting, few.validity, evidence()),
    )
    assert told.state is State.INCONCLUSIVE
    assert told.reason.endswith("; the budget ended the run early")
    assert told.next_steps[-1].startswith("raise --budget-usd")
    assert not [step for step in told.next_steps if "--duration" in step]
