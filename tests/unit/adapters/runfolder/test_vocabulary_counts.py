"""The wider vocabulary, counted by hand: run numbers, slices, composites, shares of good, labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from runfolder_builders import (
    MS,
    Ask,
    S,
    build_row,
    build_scenario,
    build_span,
    build_trace,
    conditions,
    reduced,
    spans_ask,
    unsent,
)

from tfy_last9.adapters.runfolder.books import size_band
from tfy_last9.adapters.runfolder.database import open_database
from tfy_last9.arrivals.schedule import schedule
from tfy_last9.model.objective import (
    Book,
    Budgeting,
    Composite,
    Limit,
    Member,
    Operator,
    Population,
    Quality,
    Ratio,
    Scalar,
    Slicing,
    Threshold,
)
from tfy_last9.model.scenario import Message, Prompt
from tfy_last9.model.trace import Role, SpanStatus
from tfy_last9.model.verdict import Burn, Tally

LEDGER = Population(Book.LEDGER, None)


def one(tmp_path: Path, rows, spans, objective, **options) -> Tally:
    (tally,) = reduced(tmp_path, rows, spans, objective, **options).tallies()[objective.name]
    return tally


def number(name: str, book: Book = Book.LAST9, **changes):
    made = replace(Ask().threshold("ttft_ms", 1), indicator=Scalar(book, name, Operator.LTE, 0.0))
    return replace(made, **changes)


def share(good: Quality, population: Population = LEDGER):
    return replace(Ask().ratio(outcome="ok"), indicator=Ratio(population, (), good))


def at(seq: int, second: float, **changes):
    """A request that is due at a second of our choice."""
    row = build_row(seq, **changes)
    shift = round(second * S) - seq * S
    instants = [
        name for name in row if name.endswith("_ns") and name not in ("epoch_ns", "max_gap_ns")
    ]
    return row | {name: row[name] + shift for name in instants if row[name] is not None}


def test_missing_traces_are_counted_and_warm_up_counts_too(tmp_path):
    rows = [build_row(0, phase="warm-up"), build_row(1), build_row(2)]
    found = one(tmp_path, rows, build_trace(1), number("missing_traces"))
    assert (found.scalar, found.total, found.unknown) == (2.0, 3, 0)
    assert [exemplar.request_id for exemplar in found.exemplars] == ["r1.0", "r1.2"]


def test_an_incomplete_trace_is_not_missing(tmp_path):
    spans = [build_span(0, Role.ROOT)]
    assert one(tmp_path / "a", [build_row(0)], spans, number("missing_traces")).scalar == 0.0
    assert one(tmp_path / "b", [build_row(0)], spans, number("incomplete_traces")).scalar == 1.0


def test_the_cost_of_a_run_tells_how_many_calls_are_silent(tmp_path):
    silent = build_span(1, Role.MODEL, attributes={"tfy.span_type": "Model"})
    spans = [*build_trace(0), build_span(1, Role.ROOT), silent]
    found = one(tmp_path, [build_row(0), build_row(1)], spans, number("cost_usd"))
    assert (found.scalar, found.total, found.unknown) == (0.0002, 2, 1)


def test_a_failed_attempt_owes_no_tokens(tmp_path):
    failed = build_span(0, Role.MODEL, attributes={}, status=SpanStatus.ERROR)
    found = one(
        tmp_path, [build_row(0)], [build_span(0, Role.ROOT), failed], number("total_tokens")
    )
    assert (found.scalar, found.unknown) == (None, 0)


def test_numbers_of_the_ledger_are_sums_per_group(tmp_path):
    rows = [build_row(0), build_row(1, outcome="timeout", output_tokens=None)]
    objective = number("failed_requests", Book.LEDGER, group_by=("provider",))
    found = one(tmp_path / "a", rows, [], objective)
    assert (found.group, found.scalar, found.total) == ((("provider", "openai"),), 1.0, 2)
    tokens = one(tmp_path / "b", rows, [], number("output_tokens", Book.LEDGER))
    assert (tokens.scalar, tokens.unknown) == (20.0, 0), "only a served request owes its tokens"


def test_a_run_without_requests_has_no_sum(tmp_path):
    rows = [build_row(0, outcome="missed", written=False, **unsent(), started_ns=None)]
    found = one(tmp_path, rows, [], number("missing_traces"))
    assert (found.scalar, found.total) == (None, 0)


SECONDS = (0, 1, 59.9, 60, 61, 200)
SLOW = (False, True, False, False, False, True)


def slow_rows():
    return [
        at(seq, second) | ({"first_token_ns": round((second + 9) * S)} if slow else {})
        for seq, (second, slow) in enumerate(zip(SECONDS, SLOW, strict=True))
    ]


def test_slices_count_from_the_first_judged_request_and_empty_ones_do_not(tmp_path):
    slicing = Slicing(Budgeting.TIMESLICES, 60, 0.6)
    objective = replace(Ask().threshold("ttft_ms", 1000), slicing=slicing)
    found = one(tmp_path, slow_rows(), [], objective)
    assert (found.total, found.bad, found.quantile) == (3, 1, None)


def test_a_slice_that_meets_its_target_exactly_is_good(tmp_path):
    slicing = Slicing(Budgeting.TIMESLICES, 60, 2 / 3)
    objective = replace(Ask().threshold("ttft_ms", 1000), slicing=slicing)
    assert one(tmp_path, slow_rows(), [], objective).bad == 1


def test_ratio_slices_give_the_mean_of_their_shares(tmp_path):
    slicing = Slicing(Budgeting.RATIO_TIMESLICES, 60, None)
    objective = replace(Ask().threshold("ttft_ms", 1000), slicing=slicing)
    found = one(tmp_path, slow_rows(), [], objective)
    assert (found.total, found.mean_bad) == (3, (1 / 3 + 0 + 1) / 3)


def composite(slicing: Slicing | None = None, slice_target: float | None = None):
    slow = Threshold(LEDGER, "ttft_ms", Operator.LTE, 1000.0)
    failed = Ratio(LEDGER, conditions(outcome="timeout"))
    members = (
        Member("slow", slow, 0.5, 1.0, slice_target),
        Member("failed", failed, 0.9, 2.0, slice_target),
    )
    return replace(Ask().ratio(outcome="ok"), indicator=Composite(members), slicing=slicing)


def failing_rows():
    rows = slow_rows()
    rows[3] |= {"outcome": "timeout"}
    return rows


def test_a_composite_keeps_the_counts_of_each_member(tmp_path):
    found = one(tmp_path, failing_rows(), [], composite())
    assert found.burns == (Burn("slow", 1.0, 0.5, 6, 2), Burn("failed", 2.0, 0.1, 6, 1))
    assert (found.total, found.bad) == (12, 3)


def test_a_slice_is_bad_when_one_member_of_the_composite_is(tmp_path):
    found = one(
        tmp_path, failing_rows(), [], composite(Slicing(Budgeting.TIMESLICES, 60, 0.6), 0.6)
    )
    assert (found.total, found.bad, found.burns) == (3, 2, ())


def test_shortfalls_of_members_add_up_per_slice_and_end_at_all(tmp_path):
    found = one(
        tmp_path, failing_rows(), [], composite(Slicing(Budgeting.RATIO_TIMESLICES, 60, None))
    )
    # Shares of slow and failed per slice: 1/3 and 0; 0 and 1/2 twice; 1 and 0.
    assert found.mean_bad == pytest.approx((1 / 3 + 1.0 + 1.0) / 3)


def test_goodput_counts_every_request_and_not_only_the_served_ones(tmp_path):
    good = Quality(conditions(outcome="ok"), (Limit("ttft_ms", Operator.LTE, 400.0),))
    rows = [
        build_row(0),
        build_row(1, first_token_ns=2 * S),
        build_row(2, outcome="connect_error", written=False, **unsent()),
        build_row(3, stream=False, first_token_ns=None),
    ]
    found = one(tmp_path, rows, [], share(good))
    assert (found.total, found.bad, found.excluded) == (4, 2, 0)


def test_a_span_without_its_attributes_is_not_good(tmp_path):
    population = Population(Book.LAST9, Role.MODEL)
    good = Quality(has=("input_tokens", "cost_usd", "tfy.span_type"))
    silent = build_span(1, Role.MODEL, attributes={"tfy.span_type": "Model"})
    spans = [*build_trace(0), build_span(1, Role.ROOT), silent]
    found = one(tmp_path, [build_row(0), build_row(1)], spans, share(good, population))
    assert (found.total, found.bad) == (2, 1)


def fallen_back(seq: int):
    second = build_span(seq, Role.MODEL, provider="anthropic", model="anthropic-main/claude")
    first = build_span(seq, Role.MODEL, status=SpanStatus.ERROR, duration_ns=100 * MS)
    return [
        build_span(seq, Role.ROOT),
        first,
        replace(second, span_id=f"{seq:08x}000000ff", duration_ns=500 * MS),
    ]


def test_a_second_target_is_a_fallback_and_not_an_error_of_the_client(tmp_path):
    ask = spans_ask(span=Role.ROOT)
    rows, spans = [build_row(0), build_row(1)], [*fallen_back(0), *build_trace(1)]
    assert one(tmp_path / "a", rows, spans, ask.ratio(fallback="yes")).bad == 1
    assert one(tmp_path / "b", rows, spans, ask.ratio(status="error")).bad == 0
    calls = one(tmp_path / "c", rows, spans, ask.threshold("model_calls", 1))
    assert (calls.bad, calls.exemplars[0].value) == (1, 2.0)


def test_overheads_are_differences_of_the_two_books(tmp_path):
    """Client 999 ms, root 900 ms, provider 600 ms."""
    for name, expected in (("client_overhead_ms", 99.0), ("gateway_overhead_ms", 300.0)):
        objective = spans_ask(span=Role.ROOT).threshold(name, 1.0)
        found = one(tmp_path / name, [build_row(0)], fallen_back(0), objective)
        assert found.exemplars[0].value == expected


def test_client_and_gateway_that_disagree_about_the_outcome_are_found(tmp_path):
    rows = [build_row(0), build_row(1, outcome="stream_broken"), build_row(2, outcome="aborted")]
    spans = [span for seq in range(3) for span in build_trace(seq)]
    found = one(tmp_path, rows, spans, spans_ask(span=Role.ROOT).ratio(status_agrees="no"))
    assert [exemplar.request_id for exemplar in found.exemplars] == ["r1.1"]


def test_the_band_of_a_prompt_follows_the_schedule():
    """The SQL says which prompt a row had; the schedule decides it."""
    prompts = tuple(Prompt((Message("user", "x" * size),)) for size in (10, 4000, 40))
    scenario = build_scenario(prompts=prompts)
    with open_database() as database:
        database.execute(
            "CREATE TABLE planned AS SELECT range AS seq, NULL::BIGINT AS arrival FROM range(30)"
        )
        found = database.execute(
            f"SELECT {size_band(scenario)} FROM planned ORDER BY seq"
        ).fetchall()
    bands = ("0-99", "1000-9999", "0-99")
    assert [band for (band,) in found] == [
        bands[arrival.prompt] for arrival, _ in zip(schedule(scenario), range(30), strict=False)
    ]
