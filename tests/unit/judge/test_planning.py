import pytest
from judge_builders import completeness, errors, latency, objective, provider

from tfy_last9.judge.planning import decidability, undecidable
from tfy_last9.model.objective import Book, Completeness, Condition, Operator, Population, Threshold

PLANNED = {"openai": 300, "gemini": 298}


@pytest.mark.parametrize(("planned", "decidable"), [(298, False), (299, True)])
def test_a_p99_claim_needs_299_requests_without_a_bad_one(planned, decidable):
    (entry,) = decidability([errors()], {"openai": planned})
    assert entry.is_decidable is decidable
    assert (entry.needed, entry.needed_for_one_bad) == (299, 473)


def test_each_provider_is_planned_on_its_own():
    entries = decidability([errors()], PLANNED)
    assert [(entry.group, entry.is_decidable) for entry in entries] == [
        (provider("gemini"), False),
        (provider("openai"), True),
    ]


def test_an_ungrouped_objective_sees_all_requests():
    (entry,) = decidability([errors(group_by=())], PLANNED)
    assert (entry.group, entry.planned) == ((), 598)


def test_the_smallest_fix_is_given_in_requests_and_seconds():
    (entry,) = decidability([errors()], {"gemini": 100}, {"gemini": 10.0})
    assert entry.seconds_needed == pytest.approx(29.9)
    assert str(entry) == "errors, gemini: 100 requests planned, 299 needed: judge at least 29.9 s"


def test_without_a_rate_no_duration_is_promised():
    (entry,) = decidability([errors()], {"gemini": 100})
    assert entry.seconds_needed is None
    assert str(entry) == "errors, gemini: 100 requests planned, 299 needed"


def test_only_critical_objectives_stop_a_run():
    entries = decidability([errors(critical=False), latency()], {"openai": 100})
    assert [entry.is_decidable for entry in entries] == [False, True]
    assert undecidable(entries) == ()
    assert len(undecidable(decidability([errors()], {"openai": 100}))) == 1


def test_a_census_is_decided_by_any_request():
    (entry,) = decidability([completeness()], {"openai": 1})
    assert (entry.needed, entry.is_decidable) == (1, True)
    assert not decidability([completeness()], {"openai": 0})[0].is_decidable


def test_a_condition_on_the_provider_narrows_the_plan():
    where = (Condition("provider", ("openai",)),)
    threshold = Threshold(Population(Book.LEDGER, None, where), "ttft_ms", Operator.LTE, 1.0)
    for indicator in (threshold, Completeness((), where)):
        (entry,) = decidability([objective(indicator)], PLANNED)
        assert (entry.group, entry.planned) == (provider("openai"), 300)


def test_a_condition_that_nothing_planned_meets_stops_the_run_before_it_spends():
    """A mistyped provider would else send the whole load and end with NO_DATA."""
    where = (Condition("provider", ("opnai",)),)
    threshold = Threshold(Population(Book.LEDGER, None, where), "ttft_ms", Operator.LTE, 1.0)
    (entry,) = undecidable(decidability([objective(threshold)], PLANNED))
    assert str(entry).endswith("nothing that is planned meets its conditions")


def test_a_provider_may_be_named_by_an_alias():
    where = (Condition("provider", ("google-gemini",)),)
    threshold = Threshold(Population(Book.LEDGER, None, where), "ttft_ms", Operator.LTE, 1.0)
    (entry,) = decidability([objective(threshold)], PLANNED)
    assert (entry.group, entry.planned) == (provider("gemini"), 298)
