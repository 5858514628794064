"""What the master writes about a run, and where it keeps rows."""

import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.schedule import Arrival, planned
from tfy_last9.model.price import Price
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.swarm import master as master_module
from tfy_last9.swarm.breaker import STOP_AFTER, STOP_AFTER_FAILURES, Breaker
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.health import Counts, HealthMeter
from tfy_last9.swarm.record import Epoch, Recorder
from tfy_last9.swarm.run import Run
from tfy_last9.swarm.spending import cost_of
from tfy_last9.swarm.spool import Spool
from tfy_last9.wire.traceparent import trace_ids

ROOT = Path(__file__).parents[4]
SHORT = load_scenario(ROOT / "tests" / "data" / "short.yaml")


@pytest.fixture
def run(tmp_path):
    run = Run(SimpleNamespace(work_path=tmp_path / ".work"), SHORT, "run-1")
    run.start_ns = 1
    run.indices = {"a": 0, "b": 1}
    yield run
    run.close()


def farewell(worker, **more):
    known = {"run_id": "run-1", "epoch_ns": 5, "rows": 10, "offered": 10, "exhausted": True}
    known["spending"] = None
    return {"worker": worker, "stopped": [], **known, **more}


def said(run, *farewells):
    """Let workers say goodbye, and wait until that is on disk."""
    for data in farewells:
        letter = {"worker": data["worker"], "number": 1, "farewell": data}
        run.take(letter, lambda _: None)
    gevent.sleep(0.1)


def report(run):
    run.close()
    return json.loads((run.spool.folder / "swarm.json").read_text())


def test_a_run_whose_workers_all_finished_ended_by_schedule(run):
    said(run, farewell(0), farewell(1))
    written = report(run)
    assert (written["ended"], written["offered"]) == ("schedule", 20)
    for number, worker in enumerate(written["workers"]):
        assert (worker["worker"], worker["host"]) == (number, "ab"[number])
        assert (worker["epoch_ns"], worker["rows"], worker["drained"]) == (5, 10, True)


def test_a_run_that_was_stopped_offers_what_its_workers_were_offered(run):
    said(run, farewell(0, exhausted=False), farewell(1))
    written = report(run)
    assert (written["ended"], written["offered"]) == ("stopped", 20)


def test_a_run_that_a_signal_ended_says_so(run):
    said(run, farewell(0, exhausted=False))
    run.interrupted = True
    assert report(run)["ended"] == "interrupted"


def test_a_worker_that_said_nothing_is_named_as_not_drained(run):
    said(run, farewell(0))
    written = report(run)
    assert [worker["drained"] for worker in written["workers"]] == [True, False]
    assert written["expected_workers"] == 2
    assert written["offered"] == planned(SHORT).total()


def test_no_worker_at_all_is_no_schedule_that_ended(run):
    assert report(run)["ended"] == "stopped"


def test_a_target_that_several_workers_stopped_is_reported_once(run):
    stop = {"target": "openai", "status": 401, "message": "no", "skipped": 4}
    said(run, farewell(0, stopped=[stop]), farewell(1, stopped=[stop]))
    assert report(run)["stopped_targets"] == [stop | {"skipped": 8}]


def test_a_worker_that_left_while_the_others_went_on_is_a_problem_of_the_run(run):
    said(run, farewell(0), farewell(1, exhausted=False, left=True))
    assert report(run)["problems"] == ["worker 1 on b left in the middle of the run"]


def test_nobody_left_a_run_that_a_signal_ended_as_a_whole(run):
    said(run, farewell(0, exhausted=False, left=True), farewell(1, exhausted=False, left=True))
    run.interrupted = True
    assert report(run)["problems"] == []


def test_a_worker_that_could_not_start_is_a_problem_of_the_run(run):
    said(run, farewell(0, problem="worker 0 could not start: x"), farewell(1))
    assert report(run)["problems"] == ["worker 0 could not start: x"]


def test_a_write_that_failed_is_a_problem_of_the_run(run):
    shutil.rmtree(run.spool.folder)
    said(run, farewell(0))
    run.spool.document("progress.json", {})
    gevent.sleep(0.1)
    run.spool.folder.mkdir()
    assert "progress.json" in report(run)["problems"][0]


def test_a_letter_under_another_workers_name_is_not_taken(run, monkeypatch):
    monkeypatch.setattr(master_module, "MasterRunner", SimpleNamespace)
    master = object.__new__(master_module.Master)
    master._environment = SimpleNamespace(runner=SimpleNamespace())
    letters = [SimpleNamespace(node_id=name, data={"worker": 1}) for name in ("a", "b", "c")]
    assert [master._is_its_own(run, letter) for letter in letters] == [False, True, False]


def test_only_living_workers_are_waited_for(run):
    said(run, farewell(0))
    assert run.missing(lambda _: True) == ["b"]
    assert run.missing(lambda client: client != "b") == []


def test_what_is_handed_over_last_is_on_disk_once_closed(tmp_path):
    spool = Spool(tmp_path / "w")
    kept = []
    for number in range(100):
        line = zlib.compress(b'{"seq":%d}\n' % number)
        spool.letter(number % 2, line, {"worker": 0} if number == 0 else None, kept.append)
    spool.close("swarm.json", lambda: {"kept": len(kept)})
    lines = [
        json.loads(line)["seq"]
        for worker in (0, 1)
        for line in (tmp_path / "w" / f"rows-{worker}.ndjson").read_text().splitlines()
    ]
    assert sorted(lines) == list(range(100))
    assert json.loads((tmp_path / "w" / "health-0.ndjson").read_text()) == {"worker": 0}
    assert json.loads((tmp_path / "w" / "swarm.json").read_text()) == {"kept": 100}
    assert kept == [True] * 100


def test_rows_reach_the_disk_while_the_run_goes_on(tmp_path):
    spool = Spool(tmp_path / "w")
    spool.letter(0, zlib.compress(b"{}\n"), None, lambda _: None)
    gevent.sleep(0.3)
    assert (tmp_path / "w" / "rows-0.ndjson").read_bytes() == b"{}\n"
    spool.close("swarm.json", dict)


def test_a_disk_that_cannot_be_written_to_is_remembered_and_raises_nothing(tmp_path):
    spool = Spool(tmp_path / "w")
    (tmp_path / "w").rmdir()
    kept = []
    spool.letter(0, zlib.compress(b"x"), None, kept.append)
    spool.close("swarm.json", dict)
    assert isinstance(spool.failure, OSError)
    assert kept == [False]


def arrival(seq=7, target=0):
    return Arrival(seq, 2_000_000_000, "steady", target, 0)


def recorder():
    made = Recorder(SHORT, "run-1", 3, Epoch(monotonic_ns=1_000, utc_ns=50_000))
    made.zero_ns = 1_500
    return made


def test_instants_are_counted_from_the_epoch():
    epoch = Epoch(monotonic_ns=1_000, utc_ns=50_000)
    assert epoch.since(1_250) == 250
    assert epoch.since(None) is None


def test_epochs_agree_with_both_clocks():
    import time

    before, epoch, after = time.time_ns(), Epoch.now(), time.time_ns()
    assert before - 1e6 <= epoch.utc_ns <= after + 1e6


def test_a_row_says_what_is_known_and_leaves_the_rest_null():
    made = recorder()
    call = made.call(arrival())
    answer = Answer(started_ns=2_000, outcome=Outcome.OK, finished_ns=9_000, written=True)
    row = made.row(call, answer)
    assert isinstance(row, LedgerRow)
    assert (row.request_id, row.worker, row.target, row.phase) == ("run-1.7", 3, "openai", "steady")
    assert (row.due_ns, row.started_ns, row.finished_ns) == (2_000_000_500, 1_000, 8_000)
    assert (row.epoch_ns, row.outcome, row.attempt) == (50_000, "ok", 1)
    assert row.first_token_ns is row.trace_id is row.max_gap_ns is row.connect_ns is None
    assert row.client_trace_id == trace_ids("run-1.7")[0]


def test_the_request_is_labelled_so_that_its_trace_can_be_found():
    headers = recorder().call(arrival()).headers
    labels = json.loads(headers["x-tfy-metadata"])
    assert labels["run_id"] == "run-1"
    assert labels["request_id"] == "run-1.7"
    assert headers["traceparent"].startswith("00-" + trace_ids("run-1.7")[0])


def test_error_texts_are_reduced_to_templates_and_error_types_are_short():
    made = recorder()
    answer = Answer(started_ns=2_000, finished_ns=3_000)
    answer.fail(
        Outcome.HTTP_ERROR, "t" * 500, "no user jane@example.com with key sk-12345678901234567"
    )
    row = made.row(made.call(arrival()), answer)
    assert len(row.error_type) == 64
    assert row.error_message == "no user # with key #"


def test_an_unsent_arrival_has_no_instants_but_its_due_time():
    row = recorder().unsent(arrival(), Outcome.MISSED, None)
    assert (row.outcome, row.written, row.started_ns, row.finished_ns) == (
        "missed",
        False,
        None,
        None,
    )
    assert row.due_ns == 2_000_000_500


def refused(status=401):
    answer = Answer(started_ns=0, status=status)
    answer.fail(Outcome.REJECTED_AUTH, "auth", "wrong key")
    return answer


def test_a_target_is_stopped_after_so_many_refusals_in_a_row():
    breaker = Breaker()
    for _ in range(STOP_AFTER - 1):
        breaker.take("a", refused())
    assert not breaker.is_stopped("a")
    breaker.take("a", refused())
    assert breaker.is_stopped("a")
    assert not breaker.is_stopped("b")
    assert (breaker.trips["a"].status, breaker.trips["a"].skipped) == (401, 1)


def test_another_answer_between_refusals_starts_the_count_again():
    breaker = Breaker()
    for number in range(4 * STOP_AFTER):
        breaker.take("a", refused(200 if number % STOP_AFTER == 0 else 403))
    assert not breaker.is_stopped("a")


def test_a_request_without_an_answer_says_nothing_about_the_key():
    breaker = Breaker()
    for _ in range(STOP_AFTER):
        breaker.take("a", refused())
        breaker.take("a", refused(None))
    assert breaker.is_stopped("a")


@pytest.mark.parametrize("status", [429, 500, 404])
def test_a_few_other_failures_do_not_stop_a_target(status):
    breaker = Breaker()
    for _ in range(3 * STOP_AFTER):
        breaker.take("a", refused(status))
    assert not breaker.is_stopped("a")


def outcome(kind, status=503):
    answer = Answer(started_ns=0, status=status, outcome=kind)
    if kind is not Outcome.OK:
        answer.error_type, answer.error_message = "upstream", "no healthy upstream"
    return answer


@pytest.mark.parametrize("kind", [Outcome.PROVIDER_ERROR, Outcome.TIMEOUT, Outcome.CONNECT_ERROR])
def test_a_target_that_only_fails_is_stopped(kind):
    breaker = Breaker()
    status = 503 if kind is Outcome.PROVIDER_ERROR else None
    for _ in range(STOP_AFTER_FAILURES - 1):
        breaker.take("a", outcome(kind, status))
    assert not breaker.is_stopped("a")
    breaker.take("a", outcome(kind, status))
    assert breaker.is_stopped("a")
    assert breaker.trips["a"].status == status
    assert "its last 50 requests all failed, the last: no healthy upstream" in (
        breaker.trips["a"].message
    )


@pytest.mark.parametrize("limit", [3, 0])
def test_how_many_failures_stop_a_target_can_be_chosen(limit):
    breaker = Breaker(limit)
    for _ in range(4 * STOP_AFTER_FAILURES if limit == 0 else limit):
        breaker.take("a", outcome(Outcome.PROVIDER_ERROR))
    assert breaker.is_stopped("a") is bool(limit)


def test_one_good_answer_clears_a_target_and_our_own_aborts_say_nothing():
    breaker = Breaker(3)
    for kind in (Outcome.TIMEOUT, Outcome.TIMEOUT, Outcome.OK, Outcome.TIMEOUT, Outcome.TIMEOUT):
        breaker.take("a", outcome(kind))
    breaker.take("a", outcome(Outcome.ABORTED))
    assert not breaker.is_stopped("a")
    breaker.take("a", outcome(Outcome.TIMEOUT))
    assert breaker.is_stopped("a")


def spent(**more):
    known = {"usd": 0.5, "tokens": 900, "reserved_usd": 0.1, "reserved_tokens": 100}
    return known | {"is_spent": False} | more


def test_a_budget_that_ended_the_load_of_a_worker_ends_the_run_and_says_what_was_not_sent(run):
    limits = replace(SHORT.limits, usd=1.5)
    run.scenario = replace(SHORT, limits=limits)
    run.farewells = {
        0: farewell(0, exhausted=False, spending=spent(is_spent=True)),
        1: farewell(1, spending=spent()),
    }
    written = report(run)
    assert (written["ended"], written["offered"]) == ("stopped", 20)
    assert written["spending"]["usd"] == 1.0
    assert written["early_stop"]["requests_saved"] == planned(SHORT).total() - 20
    assert "of 1.5 USD 1.000000 are spent and 0.200000 kept" in written["early_stop"]["message"]


def test_a_budget_that_lasted_is_only_counted(run):
    run.farewells = {0: farewell(0, spending=spent()), 1: farewell(1, spending=spent())}
    written = report(run)
    assert written["early_stop"] is None
    assert written["spending"]["tokens"] == 1800


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"cost_usd": 0.002, "input_tokens": 10, "output_tokens": 5}, (2_000_000, 15)),
        ({"cost_usd": 0.002}, (2_000_000, None)),
        ({"input_tokens": 10, "output_tokens": 5}, (10_000 + 50_000, 15)),
        ({"input_tokens": 10}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_an_answer_costs_what_it_reports_or_its_tokens_or_nobody_knows(told, cost):
    target = replace(SHORT.targets[0], price=Price(1.0, 10.0))
    answer = Answer(started_ns=0, written=True)
    for name, value in told.items():
        setattr(answer.facts, name, value)
    assert cost_of(target, answer) == cost
    answer.written = False
    assert cost_of(target, answer) == (0, 0)


def test_tokens_without_a_price_are_no_cost_of_nothing():
    answer = Answer(started_ns=0, written=True)
    answer.facts.input_tokens = answer.facts.output_tokens = 7
    assert cost_of(SHORT.targets[0], answer) == (None, 14)


def test_the_health_meter_forgets_the_last_interval():
    meter = HealthMeter(0)
    meter.started_late_by(5)
    meter.started_late_by(3)
    counts = Counts(offered=2, started=2)
    assert meter.sample(counts, 0)["start_lag_max_ns"] == 5
    assert meter.sample(replace(counts), 0)["start_lag_max_ns"] == 0


def test_the_health_meter_sees_a_hub_that_is_blocked():
    import time

    meter = HealthMeter(0)
    meter.start()
    gevent.sleep(0.01)
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        pass
    gevent.sleep(0.01)
    meter.stop()
    assert meter.sample(Counts(), 0)["hub_lag_max_ns"] > 20e6
