import pytest
from judge_builders import (
    N,
    accounting,
    evidence,
    latency,
    manifest,
    objective,
    span_latency,
    tally,
    validity,
    verdict,
)

from tfy_last9.judge.soundness import obstacles
from tfy_last9.judge.validity import examine, smallest_latency_limit_ms
from tfy_last9.model.objective import Book, Operator, Population, Threshold
from tfy_last9.model.run import WorkerFacts
from tfy_last9.model.verdict import State


def problems(objectives=(), run=None, books=None, **facts):
    found = examine(run or manifest(), objectives, books or accounting(), validity(**facts))
    return found.problems


def test_a_sound_run_has_no_problem_and_no_warning():
    found = examine(manifest(), [latency()], accounting(), validity())
    assert (found.problems, found.warnings) == ((), ())


@pytest.mark.parametrize(("started", "count"), [(990, 0), (989, 1)])
def test_a_generator_that_starts_less_than_99_percent_is_saturated(started, count):
    found = problems(started=started, missed=N - started)
    assert len(found) == count
    assert all("generator saturated" in text for text in found)


@pytest.mark.parametrize(("lag_ms", "count"), [(150.0, 0), (151.0, 1), (None, 0)])
def test_starting_later_than_a_tenth_of_the_smallest_limit_is_a_problem(lag_ms, count):
    found = problems([latency()], start_lag_p99_ms=lag_ms)
    assert len(found) == count
    assert all("generator late" in text for text in found)


def test_only_upper_time_limits_on_the_ledger_bound_the_start_lag():
    ledger = Population(Book.LEDGER, None)
    speed = objective(Threshold(ledger, "tokens_per_s", Operator.LTE, 1.0))
    at_least = objective(Threshold(ledger, "total_ms", Operator.GTE, 2.0))
    assert smallest_latency_limit_ms([speed, at_least, span_latency()]) is None
    assert smallest_latency_limit_ms([latency(), speed]) == 1500.0


def test_a_worker_that_never_took_part_is_counted():
    assert reasons(manifest(expected_workers=3)) == ["1 of 3 workers took part"]


def test_a_worker_that_was_lost_is_named():
    run = manifest(workers=(WorkerFacts(0, 0, 0, drained=False, host="host-b", gaps=2),))
    (reason,) = reasons(run)
    assert reason.startswith("worker 0 on host-b was lost before all its rows had arrived")
    assert reason.endswith("2 batches of them known to exist")


def reasons(run):
    found = obstacles(run, [latency()], accounting(), validity(), evidence())
    assert {obstacle.code for obstacle in found} == {"incomplete"}
    return [obstacle.message for obstacle in found]


def test_rows_that_a_worker_wrote_and_nobody_stored_are_a_problem():
    run = manifest(workers=(WorkerFacts(0, 0, N + 5, drained=True),))
    assert problems(run=run) == ("workers wrote 1,005 ledger rows, but 1,000 are stored",)


def test_data_faults_stay_problems():
    assert problems(problems=("span x is negative",)) == ("span x is negative",)


def test_a_busy_hub_and_a_few_missed_arrivals_are_warnings():
    facts = validity(hub_lag_p99_ms=25.0, missed=3, started=N - 3)
    found = examine(manifest(), [], accounting(), facts)
    assert found.problems == ()
    assert [text.split()[0] for text in found.warnings] == ["event-loop", "3"]


def test_an_empty_schedule_is_not_called_saturated():
    assert problems(offered=0, started=0) == ()


def test_a_wait_that_was_interrupted_is_resumed_and_not_paid_again():
    """All requests were sent: only the traces are still to be fetched."""
    found = verdict([latency()], {"ttft": (tally(),)}, manifest=manifest(ended="unsettled"))
    assert (found.state, found.exit_code, found.reason_code) == (State.ERROR, 130, "incomplete")
    assert "while waiting for traces" in found.reason
    assert "collect" in found.next_steps[0]
    assert not any("run the gate again" in step for step in found.next_steps)
