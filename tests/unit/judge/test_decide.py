import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_builders import completeness, errors, latency, span_latency, tally

from tfy_last9.judge.decide import decide, needs_last9, not_configured
from tfy_last9.model.verdict import SEVERITY, Quantile, State
from tfy_last9.stats.binomial import upper_bound


@pytest.mark.parametrize(
    ("bad", "total", "state"),
    [
        (0, 58, State.INCONCLUSIVE),
        (0, 59, State.PASS),
        (1, 93, State.PASS),
        (1, 92, State.INCONCLUSIVE),
        (50, 1000, State.INCONCLUSIVE),
        (62, 1000, State.INCONCLUSIVE),
        (63, 1000, State.FAIL),
        (1000, 1000, State.FAIL),
        (38, 1000, State.PASS),
        (39, 1000, State.INCONCLUSIVE),
    ],
)
def test_a_bound_decides_and_not_the_observed_share(bad, total, state):
    """Budget 5 % at 95 % confidence: 59 requests without a bad one are the published minimum."""
    assert decide(latency(), tally(bad, total)).state is state


def test_a_pass_that_uses_most_of_the_budget_is_a_warning():
    finding = decide(latency(), tally(4500, 100_000))
    assert finding.state is State.WARN
    assert finding.message.endswith("uses 90 % of the budget")
    assert decide(latency(), tally(3900, 100_000)).state is State.PASS


def test_an_undecided_finding_says_how_many_good_requests_are_missing():
    finding = decide(latency(), tally(1, 60))
    assert finding.requests_needed == 33
    assert decide(latency(), tally(1, 93)).state is State.PASS
    assert "needs 33 more good requests to pass" in finding.message


@pytest.mark.parametrize(
    ("bad", "total", "state"),
    [(5, 1000, State.PASS), (6, 1000, State.FAIL), (0, 1, State.PASS), (999, 1000, State.FAIL)],
)
def test_a_census_compares_without_bounds(bad, total, state):
    finding = decide(completeness(), tally(bad, total))
    assert finding.state is state
    assert (finding.bad_low, finding.bad_high, finding.confidence) == (None, None, None)


def test_a_census_at_exactly_its_budget_passes():
    """1 - 0.9 is 0.09999999999999998 in binary; one of ten must not fail for that."""
    assert decide(completeness(target=0.9), tally(1, 10)).state is State.PASS


def test_no_complete_trace_is_silence_and_not_failure():
    finding = decide(completeness(), tally(40, 40, "gemini"))
    assert finding.state is State.NO_DATA
    assert finding.message == "gemini: not one of 40 expected traces is complete in Last9"


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (completeness(), "no trace was expected"),
        (span_latency(), "Last9 shows no provider calls"),
        (errors(), "no requests were started"),
    ],
)
def test_silence_is_described_by_the_book_that_is_silent(objective, words):
    finding = decide(objective, tally(0, 0))
    assert finding.state is State.NO_DATA
    assert words in finding.message


@pytest.mark.parametrize("counts", [{"bad": 2, "total": 1}, {"bad": -1}, {"excluded": -1}])
def test_counts_that_do_not_add_up_are_an_error(counts):
    finding = decide(latency(), tally(**counts))
    assert finding.state is State.ERROR
    assert "do not add up" in finding.message


def test_the_message_of_a_failure_can_be_read_alone():
    quantile = Quantile(0.95, 2840.0, 2710.0, 3020.0, "ms")
    finding = decide(latency(), tally(826, 840, "anthropic", quantile=quantile))
    assert finding.claim == "p95 time to first token <= 1500 ms"
    assert finding.message == (
        "anthropic: 98.3 % of 840 requests slower than 1500 ms"
        " (budget 5 %, at least 97.4 % with 95 % confidence); p95 2.84 s [2.71, 3.02]"
    )


def test_excluded_events_are_shown():
    assert (
        "1,000 requests slower than 1500 ms, 7 excluded ("
        in decide(latency(), tally(excluded=7)).message
    )


def test_a_group_nobody_sent_to_is_judged_but_not_critical():
    finding = decide(span_latency(), tally(500, group="mistral", expected=False))
    assert (finding.state, finding.critical) == (State.FAIL, False)
    assert "does not list this group" in finding.message


def test_an_ungrouped_finding_has_no_prefix():
    assert decide(errors(), tally(group=None)).message.startswith("0 % of 1,000 requests in error")


def test_every_finding_says_from_which_book_it_comes():
    books = [decide(item, tally()).book for item in (errors(), span_latency(), completeness())]
    assert books == ["client-ledger", "last9", "both"]


def test_what_needs_last9_is_not_configured_without_it():
    assert [needs_last9(item) for item in (errors(), span_latency(), completeness())] == [
        *(False, True, True)
    ]
    finding = not_configured(span_latency())
    assert (finding.state, finding.total) == (State.NOT_CONFIGURED, 0)


counts = st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
@settings(max_examples=150, deadline=None)
def test_one_more_bad_request_never_improves_a_finding(count):
    """NO_DATA cannot occur with events, so severity is a fair order here."""
    bad, total = count
    before, after = (decide(latency(), tally(k, total + 1)) for k in (bad, bad + 1))
    assert SEVERITY[after.state] >= SEVERITY[before.state]


@given(counts)
@settings(max_examples=150, deadline=None)
def test_a_pass_is_always_proven(count):
    bad, total = count
    finding = decide(latency(), tally(bad, total))
    proven = upper_bound(bad, total, 0.05) <= 0.05
    assert (finding.state in (State.PASS, State.WARN)) == proven


@given(counts)
@settings(max_examples=100, deadline=None)
def test_the_missing_requests_suffice_and_not_one_fewer(count):
    bad, total = count
    needed = decide(latency(), tally(bad, total)).requests_needed
    if needed is not None:
        passed = (State.PASS, State.WARN)
        assert decide(latency(), tally(bad, total + needed)).state in passed
        assert decide(latency(), tally(bad, total + needed - 1)).state not in passed


@given(st.integers(2, 5000).flatmap(lambda n: st.tuples(st.integers(0, n - 2), st.just(n))))
@settings(max_examples=100, deadline=None)
def test_losing_a_trace_never_improves_completeness(count):
    missing, total = count
    before, after = (decide(completeness(), tally(k, total)) for k in (missing, missing + 1))
    assert SEVERITY[after.state] >= SEVERITY[before.state]


def test_a_standby_that_was_hardly_called_is_a_warning_and_can_still_fail():
    few = decide(span_latency(), tally(0, 5, may_be_silent=True))
    assert (few.state, few.requests_needed) == (State.WARN, None)
    assert "only a standby" in few.message
    assert decide(span_latency(), tally(500, 1000, may_be_silent=True)).state is State.FAIL
    assert decide(span_latency(), tally(0, 5)).state is State.INCONCLUSIVE
