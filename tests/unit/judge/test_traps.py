"""Every fail-open trap of other gates that concerns judging, each named after the mistake."""

from dataclasses import replace

import pytest
from judge_builders import (
    N,
    accounting,
    completeness,
    errors,
    evidence,
    latency,
    manifest,
    scenario,
    span_latency,
    tally,
    validity,
    verdict,
)

from tfy_last9.judge.decide import decide
from tfy_last9.judge.gate import fold
from tfy_last9.model.run import Window
from tfy_last9.model.scenario import OnInconclusive
from tfy_last9.model.verdict import State


def test_a_threshold_on_a_metric_without_samples_never_passes():
    """k6: a missing sink makes a threshold true, and an empty trend has percentile 0."""
    assert verdict([latency()], {"ttft": (tally(total=0),)}).state is State.NO_DATA


def test_a_rate_with_denominator_zero_is_not_skipped():
    """k6 skips rates without samples."""
    assert verdict([errors()], {"errors": (tally(total=0),)}).state is State.NO_DATA


def test_a_label_that_matches_nothing_is_not_ignored():
    """Taurus logs it at debug level and goes on."""
    found = verdict([latency(), errors()], {"ttft": (tally(),)})
    assert found.state is State.NO_DATA
    assert "errors" in found.reason


def test_an_objective_with_an_empty_list_of_groups_is_not_ignored():
    assert verdict([latency()], {"ttft": ()}).state is State.NO_DATA


def test_no_objectives_is_not_a_pass():
    """Keptn's lighthouse passes when there is no SLO file."""
    found = verdict([], {})
    assert (found.state, found.exit_code, found.reason_code) == (State.ERROR, 23, "no_objectives")


def test_only_informational_objectives_are_not_a_pass():
    """Keptn scores 100 when nothing counts."""
    found = verdict([latency(critical=False)], {"ttft": (tally(),)})
    assert (found.state, found.exit_code) == (State.ERROR, 23)
    assert found.reason_code == "nothing_critical"


def test_only_unconfigured_objectives_are_not_a_pass():
    found = verdict([span_latency()], {}, manifest=manifest(client_only=True), evidence=None)
    assert (found.state, found.reason_code) == (State.ERROR, "nothing_judged")


def test_an_empty_group_does_not_count_as_full_marks():
    """Kayenta: a group without data scores 100."""
    groups = (tally(), tally(total=0, group="gemini"))
    found = verdict([span_latency()], {"provider-latency": groups})
    assert found.state is State.NO_DATA
    assert "gemini" in found.reason


def test_a_run_that_ended_before_any_measurement_is_not_successful():
    """Argo Rollouts: terminated before the first measurement is Successful."""
    nothing = accounting(
        **dict.fromkeys(("intended", "answered", "expected_traces", "joined"), 0), complete=0
    )
    facts = validity(offered=0, started=0, finished=0)
    found = verdict([latency()], {}, accounting=nothing, validity=facts)
    assert found.state is State.ERROR


def test_zero_requests_never_exit_with_zero():
    """Locust: a fail ratio of 0 and exit 0 when nothing was sent."""
    facts = validity(finished=0)
    found = verdict([errors()], {"errors": (tally(),)}, validity=facts)
    assert (found.exit_code, found.reason_code) == (23, "no_requests")


def test_one_passing_objective_does_not_silence_another_that_fails():
    """locust-plugins: setting one check switches the default failure exit off."""
    found = verdict([latency(), errors()], {"ttft": (tally(),), "errors": (tally(500),)})
    assert (found.state, found.exit_code) == (State.FAIL, 20)


def test_latency_computed_over_few_survivors_is_not_a_clean_pass():
    """inference-perf computes goodput over successes only."""
    survivors = decide(latency(), tally(0, 100, excluded=900))
    assert survivors.state is State.WARN
    assert "900 excluded" in survivors.message


def test_latency_without_any_survivor_is_no_data():
    finding = decide(latency(), tally(0, 0, excluded=N))
    assert finding.state is State.NO_DATA
    assert "all 1,000 requests were excluded" in finding.message


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_inconclusive_never_overwrites_failed(order):
    """Argo: the last assignment wins inside one metric."""
    groups = [tally(500), tally(0, 5, "gemini")]
    found = verdict([latency()], {"ttft": tuple(groups[i] for i in order)})
    assert found.state is State.FAIL


def test_a_span_count_that_paused_does_not_make_a_trace_complete():
    """Tracetest: complete means that the count did not change. Here only found spans count."""
    lost = accounting(joined=900, lost=100, complete=900)
    found = verdict([completeness()], {"completeness": (tally(100),)}, accounting=lost)
    assert found.state is State.FAIL


def test_no_telemetry_at_all_is_not_free_of_findings():
    """Weaver live-check: no telemetry, no findings, exit 0."""
    silent = accounting(joined=0, lost=N, complete=0, join_paths=())
    tallies = {"completeness": (tally(N),), "provider-latency": (tally(total=0),)}
    found = verdict([completeness(), span_latency()], tallies, accounting=silent)
    assert (found.state, found.exit_code) == (State.NO_DATA, 22)
    assert {finding.state for finding in found.findings} == {State.NO_DATA}


def test_no_expected_trace_is_not_completeness():
    """Every request was refused, so the ledger's objectives may hold and Last9 proves nothing."""
    refused = accounting(answered=0, refused=N, expected_traces=0, joined=0, complete=0)
    found = verdict([latency()], {"ttft": (tally(),)}, accounting=refused)
    assert (found.state, found.reason_code) == (State.NO_DATA, "no_expected_traces")


def test_one_failed_request_in_thousands_does_not_turn_the_run_red():
    """The opposite trap: Locust's default exit code is 1 after any failure (1 of 3822)."""
    found = verdict([errors()], {"errors": (tally(1, 3822),)})
    assert (found.state, found.exit_code) == (State.PASS, 0)


def test_a_truncated_answer_is_an_error_although_everything_seen_is_good():
    cut = evidence(truncated=(Window(0, 1),))
    found = verdict([span_latency()], {"provider-latency": (tally(),)}, evidence=cut)
    assert (found.state, found.reason_code) == (State.ERROR, "truncated")


def test_a_percentile_that_is_not_a_number_is_an_error():
    from tfy_last9.model.verdict import Quantile

    broken = tally(quantile=Quantile(0.95, float("nan"), None, None, "ms"))
    assert decide(latency(), broken).state is State.ERROR


def test_a_point_estimate_inside_the_budget_is_not_yet_a_pass():
    finding = decide(latency(), tally(1, 50))
    assert finding.state is State.INCONCLUSIVE


def test_a_non_critical_failure_is_still_visible():
    found = verdict(
        [latency(), errors(critical=False)], {"ttft": (tally(),), "errors": (tally(500),)}
    )
    assert (found.state, found.exit_code) == (State.WARN, 0)
    assert found.reason.startswith("errors, openai: 50 %")


def test_lenience_towards_inconclusive_does_not_extend_to_no_data():
    lenient = manifest(scenario=scenario(OnInconclusive.WARN))
    undecided = verdict([latency()], {"ttft": (tally(0, 5),)}, manifest=lenient)
    silent = verdict([latency()], {"ttft": (tally(0, 0),)}, manifest=lenient)
    assert (undecided.state, silent.state) == (State.WARN, State.NO_DATA)


def test_an_unjoined_provider_cannot_hide_behind_another_name():
    """Spans under a name nobody sent to do not stand in for the provider that stayed silent."""
    groups = (tally(total=0, group="anthropic"), tally(group="claude-x", expected=False))
    found = verdict([span_latency()], {"provider-latency": groups})
    assert found.state is State.NO_DATA


def test_folding_nothing_is_left_to_the_gate():
    """`fold` alone would call an empty set PASS; the gate refuses it before folding."""
    assert fold([], on_inconclusive=OnInconclusive.FAIL) is State.PASS
    assert verdict([], {}).state is State.ERROR


def test_spans_of_the_traces_that_happened_to_arrive_do_not_pass():
    """Survivorship: the lost 60 % may be the slow ones, and no objective asks for completeness."""
    few = accounting(joined=400, lost=600, complete=400)
    found = verdict([span_latency()], {"provider-latency": (tally(total=400),)}, accounting=few)
    assert (found.state, found.exit_code, found.reason_code) == (State.NO_DATA, 22, "uncovered")
    assert "60 %" in found.reason
    assert any("collect" in step for step in found.next_steps)


def test_what_is_unseen_within_the_budget_or_judged_elsewhere_is_no_matter():
    """A critical completeness objective has its own budget for what may be missing."""
    nearly = accounting(joined=970, lost=30, complete=970)
    spans = {"provider-latency": (tally(total=970),)}
    assert verdict([span_latency()], spans, accounting=nearly).state is State.PASS
    some = accounting(joined=900, lost=100, complete=900)
    lenient = {"completeness": (tally(bad=100),), **spans}
    objectives = [span_latency(), completeness(target=0.85)]
    assert verdict(objectives, lenient, accounting=some).state is State.PASS
    on_ledger = verdict([latency()], {"ttft": (tally(),)}, accounting=some)
    assert on_ledger.state is State.PASS
    sampled = replace(accounting(joined=400, lost=600, complete=400), sampling=0.4)
    assert verdict([span_latency()], spans, accounting=sampled).state is State.PASS


def test_the_few_that_were_served_do_not_pass_for_the_many_that_were_refused():
    """Survivorship: with most requests rejected, a latency SLO alone must not let the run through."""
    few = tally(total=200, excluded=800, turned_away=800)
    found = verdict([latency()], {"ttft": (few,)})
    assert (found.state, found.exit_code) == (State.INCONCLUSIVE, 21)
    assert "800 that failed" in found.reason
    slow = verdict([latency()], {"ttft": (replace(few, bad=100),)})
    assert slow.state is State.FAIL, "what is proven bad stays proven"
    unasked = tally(total=200, excluded=800)
    assert verdict([latency()], {"ttft": (unasked,)}).state is State.WARN
