"""What people see of a run that goes on: standings, percentiles, phases, and the course of things."""

from pathlib import Path

import pytest

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.progress.course import MOST_COLUMNS, Course
from tfy_last9.progress.live_run import LiveRun
from tfy_last9.progress.standings import Standing

DATA = Path(__file__).parents[2] / "data"
SHORT, CANARY = load_scenario(DATA / "short.yaml"), load_scenario(DATA / "canary.yaml")
OBJECTIVES = load_objectives(DATA / "slo")
ZERO = 1_790_000_000_000_000_000
MS = 1_000_000


def row(seq=0, provider="openai", outcome="ok", ttft_ms=300, **more):
    due_ns = 2_000 * MS + seq * 10 * MS
    made = {
        "seq": seq,
        "provider": provider,
        "target": provider,
        "model": "m",
        "phase": "steady",
        "api": "chat",
        "stream": True,
        "outcome": outcome,
        "due_ns": due_ns,
        "started_ns": due_ns,
        "epoch_ns": ZERO,
        "finished_ns": due_ns + 500 * MS,
        "input_tokens": 10,
        "output_tokens": 20,
    }
    if outcome == "ok":
        made["first_token_ns"] = due_ns + ttft_ms * MS
    return made | more


def live(scenario=SHORT):
    run = LiveRun(scenario, OBJECTIVES)
    run.start_ns = ZERO
    return run


def places(run, name):
    return {place.group: place for place in run.places() if place.objective == name}


def test_before_the_first_request_every_objective_says_what_it_needs():
    found = places(live(), "client-ttft-p95")
    assert set(found) == {("openai",), ("anthropic",), ("gemini",)}
    assert found["openai",].words == "needs 59 more"
    assert found["openai",].used is None


def test_enough_good_requests_decide_and_as_many_bad_ones_do():
    run = live()
    run.take(row(seq) for seq in range(59))
    run.take(row(seq, "gemini", ttft_ms=1600) for seq in range(59))
    found = places(run, "client-ttft-p95")
    assert found["openai",].standing is Standing.GOOD
    assert found["openai",].used == 0.0
    assert found["gemini",].standing is Standing.BAD
    assert found["gemini",].used == pytest.approx(20.0)
    assert found["anthropic",].standing is Standing.OPEN


def test_one_bad_request_makes_more_good_ones_necessary():
    run = live()
    run.take(row(seq, ttft_ms=1600 if seq == 3 else 300) for seq in range(59))
    assert places(run, "client-ttft-p95")["openai",].words == "needs 34 more"


def test_what_only_last9_can_answer_waits_for_it():
    (place,) = places(live(), "trace-completeness").values()
    assert place.words == "after the run, from Last9"


def test_warm_up_is_drawn_and_spent_but_not_judged():
    run = live()
    run.take([row(phase="warm-up"), row(1)])
    assert [one.n for one in run.providers() if one.name == "openai"] == [1]
    assert run.spent.output_tokens == 40
    assert run.course.document()["finished"][-1] == 2


def test_who_waited_in_vain_waited_longest():
    run = live()
    run.take(row(seq) for seq in range(9))
    run.take([row(9, outcome="timeout")])
    times = next(one for one in run.providers() if one.name == "openai").times["ttft"]
    assert times.quantile_ns(0.9) == 300 * MS
    assert times.quantile_ns(0.95) is None


def test_an_arrival_that_nobody_took_is_no_request_of_a_provider():
    run = live()
    run.take([row(outcome="missed", started_ns=None, finished_ns=None)])
    assert sum(one.n for one in run.providers()) == 0
    course = run.course.document()
    assert course["errors"] == {"missed": [0, 0, 1]}
    assert sum(course["finished"]) == 0


def test_arms_are_shown_apart():
    run = live(CANARY)
    run.take([row(arm="baseline"), row(1, arm="canary")])
    assert [one.name for one in run.providers()] == ["openai / baseline", "openai / canary"]


def test_a_price_is_unknown_until_somebody_names_one():
    run = live()
    run.take([row()])
    assert run.spent.cost_usd is None
    run.take([row(1, cost_usd=0.25)])
    assert run.spent.cost_usd == 0.25


def test_totals_are_drawn_as_rates():
    run = live()
    for second, offered in ((0.5, 10), (1.5, 30), (3.5, 90)):
        sample = {"t_ns": ZERO + round(second * 1e9), "start_ns": ZERO, "in_flight": 3}
        sample |= {"offered": offered, "started": 0, "missed": 0, "finished": 0, "errors": 0}
        run.sample(sample)
    assert run.course.document()["offered"] == [10, 20, 30, 30]


def test_the_phase_follows_from_the_schedule():
    run = live()
    assert [run.phase(at) for at in (0.5, 3.0, 6.5)] == ["warm-up", "steady", None]


def test_a_long_run_is_drawn_in_wider_columns_and_loses_nothing():
    course = Course()
    for second in range(3 * MOST_COLUMNS + 1):
        course.finished(second)
        course.timed(second, "ttft", "openai", second * MS)
    drawn = course.document()
    assert drawn["step_s"] == 4
    assert drawn["columns"] <= MOST_COLUMNS
    assert sum(drawn["finished"]) * drawn["step_s"] == 3 * MOST_COLUMNS + 1
    last = drawn["times"]["ttft"]["openai"][-1]
    assert last[2] == pytest.approx(3 * MOST_COLUMNS, rel=0.01)


def test_percentiles_that_were_drawn_follow_what_comes_later():
    course = Course()
    course.timed(1, "ttft", "openai", 100 * MS)
    before = course.document()["times"]["ttft"]["openai"][1]
    course.timed(1, "ttft", "openai", 900 * MS)
    after = course.document()["times"]["ttft"]["openai"][1]
    assert before[2] == pytest.approx(100, rel=0.01)
    assert after[2] == pytest.approx(900, rel=0.01)
    assert course.document()["times"]["ttft"]["openai"][0] == (None, None, None)
