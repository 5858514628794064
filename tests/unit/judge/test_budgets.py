"""Numbers of the run, composites and time slices: decided with the interval that fits each."""

from dataclasses import replace

import pytest
from judge_builders import objective, provider

from tfy_last9.judge import phrases
from tfy_last9.judge.budgets import decide_any
from tfy_last9.judge.planning import decidability
from tfy_last9.model.objective import (
    Book,
    Budgeting,
    Composite,
    Condition,
    Member,
    Operator,
    Population,
    Ratio,
    Scalar,
    Slicing,
    Threshold,
)
from tfy_last9.model.verdict import Burn, State, Tally
from tfy_last9.stats.binomial import upper_bound

LEDGER = Population(Book.LEDGER, None)
SLOW = Threshold(LEDGER, "ttft_ms", Operator.LTE, 1500.0)
FAILED = Ratio(LEDGER, (Condition("outcome", ("timeout",)),))


def tally(total=100, bad=0, **changes):
    made = Tally(provider("openai"), True, total, bad, 0, None, ())
    return replace(made, **changes)


def run_number(name="missing_traces", op=Operator.LTE, limit=0.0, book=Book.LAST9):
    return objective(Scalar(book, name, op, limit))


def test_one_missing_trace_breaks_the_promise_of_none():
    promise = run_number()
    assert decide_any(promise, tally(scalar=0.0)).state is State.PASS
    found = decide_any(promise, tally(scalar=1.0))
    assert (found.state, found.measured) == (State.FAIL, "1 traces")
    assert found.message == "openai: 1 traces (limit <= 0 traces) over 100 expected traces"


def test_a_sum_of_nothing_is_no_data_and_never_a_pass():
    assert decide_any(run_number(), tally(0, scalar=None)).state is State.NO_DATA
    cost = run_number("cost_usd", limit=5.0)
    assert decide_any(cost, tally(scalar=None, unknown=100)).state is State.NO_DATA


@pytest.mark.parametrize(
    ("op", "value", "state"),
    [
        (Operator.LTE, 4.0, State.INCONCLUSIVE),
        (Operator.LTE, 6.0, State.FAIL),
        (Operator.GTE, 4.0, State.INCONCLUSIVE),
        (Operator.GTE, 6.0, State.PASS),
    ],
)
def test_calls_that_do_not_tell_their_cost_are_not_free(op, value, state):
    """A sum with holes is a lower bound: it can break an upper limit, and never prove one."""
    found = decide_any(run_number("cost_usd", op, 5.0), tally(scalar=value, unknown=2))
    assert found.state is state
    assert found.message.startswith("openai: at least")
    assert "2 of them do not say" in found.message


def composite(**changes):
    members = (Member("slow", SLOW, 0.9, 1.0), Member("failed", FAILED, 0.99, 2.0))
    return objective(Composite(members), target=0.9, **changes)


def burns(slow, failed, n=10_000):
    return tally(
        2 * n,
        slow + failed,
        burns=(Burn("slow", 1.0, 0.1, n, slow), Burn("failed", 2.0, 0.01, n, failed)),
    )


def test_what_the_members_of_a_composite_burn_adds_up():
    found = decide_any(composite(), burns(200, 10))
    assert (found.state, found.measured, found.budget) == (State.PASS, "burns 40 %", 1.0)
    alpha = 0.05 / 2
    expected = upper_bound(200, 10_000, alpha) / 0.1 + 2 * upper_bound(10, 10_000, alpha) / 0.01
    assert found.bad_high == pytest.approx(expected)
    assert "slow 20 %, failed 20 %" in found.message


def test_members_that_each_keep_their_budget_may_break_the_shared_one():
    assert decide_any(composite(), burns(700, 40)).state is State.FAIL
    assert decide_any(composite(), burns(500, 25)).state is State.INCONCLUSIVE


def test_a_silent_member_leaves_a_composite_without_data():
    silent = (Burn("slow", 1.0, 0.1, 100, 0), Burn("failed", 2.0, 0.01, 0, 0))
    found = decide_any(composite(), tally(100, burns=silent))
    assert (found.state, found.message) == (State.NO_DATA, "openai: nothing to judge in failed")


def sliced(method, target=None, **changes):
    return objective(SLOW, slicing=Slicing(method, 60, target), **changes)


def test_bad_slices_are_bounded_like_any_count():
    promise = sliced(Budgeting.TIMESLICES, 0.9)
    assert decide_any(promise, tally(59)).state is State.PASS
    undecided = decide_any(promise, tally(58))
    assert (undecided.state, undecided.requests_needed) == (State.INCONCLUSIVE, None)
    assert decide_any(promise, tally(20, 6)).state is State.FAIL
    assert phrases.claim(promise) == (
        "95 % of slices of 1 min with at most 10 % of requests slower than 1500 ms"
    )


def test_a_mean_over_slices_is_bounded_without_a_distribution():
    promise = sliced(Budgeting.RATIO_TIMESLICES)
    assert decide_any(promise, tally(60, mean_bad=0.0)).state is State.PASS
    assert decide_any(promise, tally(58, mean_bad=0.0)).state is State.INCONCLUSIVE
    assert decide_any(promise, tally(60, mean_bad=0.3)).state is State.FAIL
    found = decide_any(promise, tally(60, 4, mean_bad=0.01))
    assert found.measured == "mean bad 1 %"
    assert found.bad_low < 0.01 < found.bad_high
    assert decide_any(promise, tally(0)).state is State.NO_DATA
    assert phrases.claim(promise) == (
        "mean over slices of 1 min: at most 5 % of requests slower than 1500 ms"
    )


def needed(item, rate):
    (entry,) = decidability([replace(item, group_by=())], {"openai": 100}, {"openai": rate})
    return entry.needed


def test_a_plan_counts_slices_in_requests():
    assert needed(sliced(Budgeting.TIMESLICES, 0.9), 2.0) == 59 * 120
    assert needed(sliced(Budgeting.RATIO_TIMESLICES), 2.0) == 59 * 120
    assert needed(run_number(), 2.0) == 1
    assert needed(composite(), 2.0) > needed(objective(FAILED, target=0.99), 2.0)
