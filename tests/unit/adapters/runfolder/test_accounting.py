"""Where requests and traces went: the sums add up, and unknown is not zero."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runfolder_builders import (
    MS,
    Ask,
    S,
    build_missed,
    build_page,
    build_row,
    build_span,
    build_trace,
    collect,
    new_folder,
    reduced,
    sealed_folder,
    swarm_json,
    trace_of,
    unsent,
    write_work,
)

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.adapters.runfolder.spending import Spending, read_spending
from tfy_last9.errors import BrokenRun
from tfy_last9.model.trace import Role
from tfy_last9.ports import Page


def account(folder: RunFolder, *pages: Page) -> Reduction:
    collect(folder, *pages)
    return Reduction(folder, [])


def test_every_intended_request_is_in_exactly_one_place(tmp_path: Path) -> None:
    rows = [
        build_row(0),
        build_row(1, outcome="http_error"),
        build_row(2, outcome="timeout"),
        build_row(3, outcome="rejected_budget"),
        build_row(4, outcome="connect_error", written=False, **unsent()),
        build_row(5, outcome="aborted", written=False),
        build_missed(6),
    ]
    folder = new_folder(tmp_path)
    write_work(folder, rows, swarm_json(7, offered=9))
    seal(folder)
    found = account(folder, build_page([])).accounting()
    assert found.intended == 9
    assert (found.answered, found.unanswered, found.refused) == (2, 1, 1)
    assert (found.unsent, found.missed, found.unreported) == (2, 1, 2)
    assert (found.expected_traces, found.lost) == (3, 3)


def test_on_time_late_lost_and_conflict_are_told_apart(tmp_path: Path) -> None:
    rows = [build_row(seq) for seq in range(3)]
    rows.append(build_row(3, trace_id=trace_of(9)))
    folder = sealed_folder(tmp_path, rows)
    foreign = build_trace(9, run_id="x", request_id="x.9")
    pages = [
        build_page([], 2.0),
        build_page(build_trace(0) + foreign, 3.0),
        build_page([], 40.0),
        build_page(build_trace(1), 41.0),
    ]
    found = account(folder, *pages).accounting()
    assert found.expected_traces == 4
    assert (found.joined, found.late, found.lost, found.conflicts) == (1, 1, 1, 1)
    assert found.complete == 2
    assert found.join_paths == (("header", 2),)


def test_late_needs_a_look_that_did_not_see_it(tmp_path: Path) -> None:
    """Fetched for the first time after an hour, a trace is not late but of unknown lag."""
    folder = sealed_folder(tmp_path, [build_row(0)])
    found = account(folder, build_page(build_trace(0), 3600.0)).accounting()
    assert (found.joined, found.late) == (1, 0)
    assert (found.lag, found.lag_p50_s, found.lag_max_s) == (None, None, None)


def test_a_look_in_vain_shortly_before_first_sight_bounds_the_lag(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    pages = (build_page([], 9.0, roots_only=True), build_page(build_trace(0), 11.0))
    found = account(folder, *pages).accounting()
    assert found.lag_max_s == 10.0
    assert (found.joined, found.late) == (1, 0)


def test_a_lag_below_two_polls_is_known_without_a_look_in_vain(tmp_path: Path) -> None:
    for asked_s, lag_s in ((4.5, 3.5), (5.5, None)):
        folder = sealed_folder(tmp_path / str(asked_s), [build_row(0)])
        found = account(folder, build_page(build_trace(0), asked_s)).accounting()
        assert found.lag_max_s == lag_s


def test_the_limit_of_lateness_is_late(tmp_path: Path) -> None:
    """late_after is 30 s and the request finished at 1 s."""
    for unseen_s, late in ((30.9, 0), (31.0, 1)):
        folder = sealed_folder(tmp_path / str(late), [build_row(0)])
        pages = (build_page([], unseen_s), build_page(build_trace(0), 60.0))
        found = account(folder, *pages).accounting()
        assert (found.late, found.joined) == (late, 1 - late)


def test_traces_of_refused_requests_are_optional(tmp_path: Path) -> None:
    rows = [build_row(0, outcome="rejected_rate_limit"), build_row(1, outcome="rejected_auth")]
    found = account(sealed_folder(tmp_path, rows), build_page(build_trace(0))).accounting()
    assert (found.expected_traces, found.lost, found.optional_found) == (0, 0, 1)


def test_a_lost_header_shows_in_the_join_paths(tmp_path: Path) -> None:
    rows = [build_row(0), build_row(1, trace_id=None, root_span_id=None)]
    spans = build_trace(0) + build_trace(1)
    found = account(sealed_folder(tmp_path, rows), build_page(spans)).accounting()
    assert found.join_paths == (("header", 1), ("metadata", 1))


def test_where_last9_was_not_asked_nothing_is_lost(tmp_path: Path) -> None:
    found = Reduction(sealed_folder(tmp_path, [build_row(0)]), []).accounting()
    assert (found.intended, found.expected_traces, found.lost) == (1, 0, 0)


def test_a_ledger_and_a_manifest_of_different_runs_do_not_add_up(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path / "a", [build_row(0), build_row(1)])
    other = sealed_folder(tmp_path / "b", [build_row(0)])
    folder.ledger_path.write_bytes(other.ledger_path.read_bytes())
    with pytest.raises(BrokenRun, match="counts 2 offered requests, the ledger shows 1"):
        Reduction(folder, []).accounting()


def test_an_outcome_outside_the_closed_set_is_not_dropped_silently(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0, outcome="mystery")])
    with pytest.raises(BrokenRun, match="closed set"):
        Reduction(folder, []).accounting()


def test_generator_numbers_come_from_judged_rows_and_health(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    delayed = {"started_ns": 9 * S, "first_token_ns": 9 * S, "finished_ns": 10 * S}
    write_work(folder, [build_row(0), build_row(1, phase="warm-up", **delayed)])
    lines = [{"worker": 0, "t_ns": t, "hub_lag_max_ns": t * MS} for t in range(1, 101)]
    health = "".join(json.dumps(line) + "\n" for line in lines)
    (folder.work_path / "health-0.ndjson").write_text(health)
    seal(folder)
    found = Reduction(folder, []).validity()
    assert (found.start_lag_p99_ms, found.hub_lag_p99_ms) == (1.0, 99.0)
    assert (found.offered, found.started, found.finished) == (2, 2, 2)
    assert found.problems == ()


def test_without_rows_the_numbers_are_unknown_and_not_zero(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    seal(folder)
    found = Reduction(folder, []).validity()
    assert (found.start_lag_p99_ms, found.hub_lag_p99_ms) == (None, None)


def test_a_negative_duration_is_a_problem_that_names_the_trace(tmp_path: Path) -> None:
    spans = [build_span(0, Role.ROOT), build_span(0, duration_ns=-5)]
    problems = reduced(tmp_path, [build_row(0)], spans).validity().problems
    assert len(problems) == 1
    assert trace_of(0) in problems[0]
    assert "negative duration (-5 ns)" in problems[0]


@pytest.mark.parametrize("value", ["-3", "Infinity"])
def test_a_negative_or_infinite_time_of_the_gateway_is_a_problem(
    tmp_path: Path, value: str
) -> None:
    name = "tfy.model.metric.time_to_first_token_in_ms"
    spans = [build_span(0, Role.ROOT), build_span(0, attributes={name: value})]
    (problem,) = reduced(tmp_path, [build_row(0)], spans).validity().problems
    assert trace_of(0) in problem
    assert f"{name} = {value}" in problem


def test_a_row_that_finished_before_it_started_is_a_problem(tmp_path: Path) -> None:
    rows = [build_row(seq, finished_ns=seq * S - 1) for seq in range(8)]
    problems = reduced(tmp_path, rows, []).validity().problems
    assert len(problems) == 5
    assert "request r1.0" in problems[0]
    assert problems[-1].endswith("(and 3 more like it)")


def test_faults_in_the_traffic_of_others_are_not_ours(tmp_path: Path) -> None:
    foreign = build_trace(7, duration_ns=-5, run_id="x", request_id="x.7")
    assert reduced(tmp_path, [build_row(0)], foreign).validity().problems == ()


def test_the_same_folder_reduces_to_the_same_numbers(tmp_path: Path) -> None:
    rows = [build_row(seq, first_token_ns=seq * S + 300 * MS) for seq in range(30)]
    folder = sealed_folder(tmp_path, rows)
    collect(folder, build_page([span for seq in range(25) for span in build_trace(seq)]))
    objectives = [Ask(group_by=("provider",)).threshold("ttft_ms", 299)]

    def reduce() -> tuple[object, ...]:
        with Reduction(folder, objectives) as reduction:
            return reduction.tallies(), reduction.accounting(), reduction.validity()

    assert reduce() == reduce()


def test_lags_are_counted_by_steps_up_to_the_last_trace(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(n) for n in range(3)])
    pages = (build_page(build_trace(0), 2.5), build_page(build_trace(1), 3.5))
    found = account(folder, *pages).accounting()
    assert found.lag_steps == ((1.0, 0), (2.0, 2))


def test_losses_are_profiled_over_the_run(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(n) for n in range(20)])
    spans = [span for n in range(20) if n % 5 for span in build_trace(n)]
    found = account(folder, build_page(spans)).accounting()
    assert [part[0] for part in found.loss_profile] == [2] * 10
    assert sum(part[1] for part in found.loss_profile) == found.lost == 4


def test_what_a_request_took_is_told_by_target(tmp_path: Path) -> None:
    rows = [
        build_row(0, input_tokens=10, output_tokens=20),
        build_row(1, input_tokens=30, output_tokens=20),
        build_row(2, outcome="timeout", input_tokens=None, output_tokens=None),
    ]
    folder = sealed_folder(tmp_path, rows)
    paid = {"tfy.model.metric.cost_in_usd": 0.25}
    spans = [
        build_span(seq, role, attributes=paid) for seq in (0, 1) for role in (Role.ROOT, Role.MODEL)
    ]
    collect(folder, build_page(spans))
    assert read_spending(folder) == {
        "openai": Spending("openai-main/gpt-4o-mini", 20.0, 20.0, 0.25)
    }
