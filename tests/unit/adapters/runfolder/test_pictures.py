"""Pictures against rows written by hand: every bin, rate and flow is counted on paper."""

from dataclasses import replace

import pytest
from runfolder_builders import (
    EPOCH_NS,
    MS,
    Ask,
    build_missed,
    build_page,
    build_record,
    build_row,
    build_span,
    build_trace,
    collect,
    sealed_folder,
    unsent,
)

from tfy_last9.adapters.runfolder.pictures import read_pictures
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.judge.gate import judge
from tfy_last9.model.pictures import Flow, Heat, Limit, Spend
from tfy_last9.model.trace import Role


def pictures_of(folder, *objectives):
    with Reduction(folder, objectives) as reduction:
        verdict = judge(
            folder.read_manifest(),
            objectives,
            reduction.tallies(),
            reduction.accounting(),
            reduction.validity(),
            build_record(),
        )
    return read_pictures(folder, objectives, verdict), verdict


def values(timeline):
    return {one.name: one.values for one in timeline.series}


def test_rates_count_by_due_start_and_finish(tmp_path):
    """Two due in second 0 and one in second 2; each takes exactly a second."""
    rows = [build_row(0), build_row(1, due_ns=500 * MS, started_ns=600 * MS, finished_ns=1600 * MS)]
    rows.append(build_row(2))
    pictures, _ = pictures_of(sealed_folder(tmp_path, rows))
    assert pictures.step_s == 1
    assert values(pictures.rates) == {
        "offered": (2, 0, 1, 0),
        "started": (2, 0, 1, 0),
        "finished": (0, 2, 0, 1),
    }
    assert values(pictures.in_flight) == {"in flight": (2, 0, 1, 0)}


def test_missed_arrivals_are_offered_and_never_finished(tmp_path):
    pictures, _ = pictures_of(sealed_folder(tmp_path, [build_row(0), build_missed(1)]))
    assert sum(values(pictures.rates)["offered"]) == 2
    assert sum(values(pictures.rates)["finished"]) == 1
    assert values(pictures.errors) == {"missed": (0, 1)}


def test_long_runs_get_longer_steps_and_never_more_columns(tmp_path):
    rows = [build_row(0), build_row(1, due_ns=3600 * 10**9, started_ns=None, finished_ns=None)]
    pictures, _ = pictures_of(sealed_folder(tmp_path, rows))
    assert (pictures.step_s, pictures.columns) == (60, 61)


def test_heat_cells_lie_at_due_second_and_latency_bin(tmp_path):
    """300 ms is bin 24 of ten per decade (10^2.4 = 251), a second is bin 30."""
    pictures, _ = pictures_of(sealed_folder(tmp_path, [build_row(0), build_row(1)]))
    assert pictures.heats == (
        Heat("total", "openai", 2, ((0, 30, 1), (1, 30, 1))),
        Heat("ttft", "openai", 2, ((0, 24, 1), (1, 24, 1))),
    )


def test_distributions_leave_warm_up_out_and_count_who_waited_for_nothing(tmp_path):
    rows = [
        build_row(0),
        build_row(1, phase="warm-up"),
        build_row(2, **unsent() | {"finished_ns": 22_000 * MS}, outcome="timeout"),
        build_row(3, **unsent() | {"finished_ns": 3100 * MS}, outcome="provider_error"),
    ]
    pictures, _ = pictures_of(sealed_folder(tmp_path, rows))
    ttft = next(one for one in pictures.histograms if one.measure == "ttft")
    assert (ttft.n, ttft.without, ttft.bins) == (1, 1, ((49, 1),))
    assert [found.value for found in ttft.quantiles] == [300, 300, 300]


def test_percentiles_are_nearest_ranks(tmp_path):
    rows = [
        build_row(seq, first_token_ns=seq * 10**9 + (seq + 1) * 10 * MS, first_answer_ns=None)
        for seq in range(20)
    ]
    pictures, _ = pictures_of(sealed_folder(tmp_path, rows))
    ttft = next(one for one in pictures.histograms if one.measure == "ttft")
    assert [found.value for found in ttft.quantiles] == [100, 190, 200]
    assert ttft.quantiles[0].low < 100 < ttft.quantiles[0].high


def test_tokens_and_cost_follow_the_finish_per_provider(tmp_path):
    folder = sealed_folder(tmp_path, [build_row(0), build_row(1)])
    priceless = replace(build_span(1), attributes={})
    collect(folder, build_page([*build_trace(0), build_span(1, Role.ROOT), priceless]))
    pictures, _ = pictures_of(folder)
    assert values(pictures.tokens) == {"openai": (0, 20, 20)}
    assert values(pictures.cost) == {"openai": (0.0002, 0.0002, 0.0002)}
    assert pictures.spend == (Spend("openai", 0.0002, 2, 1),)


def test_flows_name_the_fate_of_every_request_and_agree_with_the_accounting(tmp_path):
    rows = [
        build_row(0),
        build_row(1),
        build_row(2, trace_id=None, root_span_id=None),
        build_row(3, **unsent(), outcome="connect_error", written=False),
        build_missed(4),
        build_row(5, **unsent() | {"status": 429}, outcome="rejected_rate_limit"),
    ]
    folder = sealed_folder(tmp_path, rows)
    collect(folder, build_page([*build_trace(0), build_span(1, Role.ROOT)]))
    pictures, verdict = pictures_of(folder)
    assert set(pictures.flows) == {
        Flow("answered", "on time", 1),
        Flow("answered", "incomplete", 1),
        Flow("answered", "lost", 1),
        Flow("unsent", "none expected", 1),
        Flow("missed", "none expected", 1),
        Flow("refused", "none expected", 1),
    }
    assert sum(flow.n for flow in pictures.flows) == verdict.accounting.intended
    assert verdict.accounting.lost == 1


def test_without_evidence_no_trace_is_called_lost(tmp_path):
    pictures, _ = pictures_of(sealed_folder(tmp_path, [build_row(0)]))
    assert pictures.flows == (Flow("answered", "not asked", 1),)
    assert pictures.lag is None


def test_only_upper_limits_of_drawn_latencies_become_lines(tmp_path):
    asked = (
        Ask(name="first").threshold("ttft_ms", 1500.0),
        Ask(name="size").threshold("output_tokens", 9.0),
    )
    pictures, _ = pictures_of(sealed_folder(tmp_path, [build_row(0)]), *asked)
    assert pictures.limits == (Limit("ttft", None, 1500.0, "first"),)


def test_lag_is_binned_from_joined_traces(tmp_path):
    folder = sealed_folder(tmp_path, [build_row(0)])
    collect(folder, build_page([], asked_s=1.5), build_page(build_trace(0), asked_s=3.0))
    pictures, _ = pictures_of(folder)
    assert pictures.lag is not None
    assert [found.value for found in pictures.lag.quantiles] == pytest.approx([2000, 2000, 2000])


def test_waterfalls_show_what_breaks_an_objective_before_what_is_slow(tmp_path):
    rows = [build_row(0, first_token_ns=900 * MS), build_row(1, finished_ns=1000 * MS + 9000 * MS)]
    folder = sealed_folder(tmp_path, rows)
    collect(folder, build_page([*build_trace(0), *build_trace(1)]))
    objective = Ask(name="first", target=0.999).threshold("ttft_ms", 500.0)
    pictures, verdict = pictures_of(folder, objective)
    assert verdict.findings[0].state != "PASS"
    assert pictures.worst[0].row.request_id == "r1.0"
    assert "first" in pictures.worst[0].why
    assert [len(one.spans) for one in pictures.worst] == [3, 3]


def test_an_empty_ledger_gives_empty_pictures(tmp_path):
    pictures, _ = pictures_of(sealed_folder(tmp_path, []))
    assert (pictures.columns, pictures.phases, pictures.flows, pictures.worst) == (1, (), (), ())


def test_columns_count_from_the_first_due_instant_of_any_worker(tmp_path):
    """Instants are relative to each worker's own epoch."""
    later = build_row(
        1, worker=1, epoch_ns=EPOCH_NS + 5 * 10**9, due_ns=0, started_ns=MS, finished_ns=2 * MS
    )
    pictures, _ = pictures_of(sealed_folder(tmp_path, [build_row(0), later]))
    assert values(pictures.rates)["offered"] == (1, 0, 0, 0, 0, 1)
