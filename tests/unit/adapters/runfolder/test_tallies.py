"""Counts per objective and group, against expectations written by hand."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runfolder_builders import (
    MS,
    Ask,
    S,
    build_missed,
    build_row,
    build_scenario,
    build_span,
    build_target,
    build_trace,
    conditions,
    reduced,
    sealed_folder,
    spans_ask,
    trace_of,
    unsent,
)

from tfy_last9.adapters.runfolder.books import LEDGER
from tfy_last9.adapters.runfolder.reduce import Reduction, required_roles
from tfy_last9.adapters.runfolder.values import LEDGER_VALUES, SPAN_VALUES
from tfy_last9.errors import BrokenRun, ConfigurationError
from tfy_last9.model.fields import ROOT_FIELDS, VALUE_FIELDS
from tfy_last9.model.objective import Book, Condition, Objective, Operator
from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.model.verdict import Tally

Row = dict[str, object]


def only(
    tmp_path: Path, rows: list[Row], objective: Objective, spans: list[Span] | None = None
) -> Tally:
    (tally,) = reduced(tmp_path, rows, spans or [], objective).tallies()[objective.name]
    return tally


def counts(tally: Tally) -> tuple[int, int, int]:
    return tally.total, tally.bad, tally.excluded


def by_group(tallies: tuple[Tally, ...]) -> dict[str, tuple[int, int, bool]]:
    return {
        "/".join(value for _, value in tally.group): (tally.total, tally.bad, tally.expected)
        for tally in tallies
    }


def test_every_field_of_the_vocabulary_has_its_sql(tmp_path: Path) -> None:
    assert {name for book, name in VALUE_FIELDS if book is Book.LEDGER} == LEDGER_VALUES.keys()
    assert {name for book, name in VALUE_FIELDS if book is Book.LAST9} == SPAN_VALUES.keys()
    asks = {Book.LEDGER: Ask(), Book.LAST9: spans_ask()}
    objectives = [
        replace(
            (spans_ask(span=Role.ROOT) if name in ROOT_FIELDS else asks[book]).threshold(
                name, 1e12
            ),
            name=f"{book}/{name}",
        )
        for book, name in VALUE_FIELDS
    ]
    row = build_row(0, cost_usd=0.1, reasoning_tokens=3, cached_tokens=4, connect_ns=5)
    tallies = reduced(tmp_path, [row], build_trace(0), *objectives).tallies()
    without = {name: t[0].bad for name, t in tallies.items() if t[0].bad or t[0].total != 1}
    assert without == {
        "last9/inter_token_ms": 1,
        "last9/ingestion_lag_ms": 0,
        "client-ledger/tool_ms": 0,
        "client-ledger/items": 0,
        "client-ledger/gateway_ms": 0,
    }, (
        "the builder's Model span has no inter-token time, one look proves no lag, and a streamed chat"
        " calls no tool, has no items and no server-timing"
    )


def values(tmp_path: Path, ask: Ask, fields: dict[str, float]) -> dict[str, float | None]:
    objectives = [replace(ask.threshold(field, 1e9), name=field) for field in fields]
    found = reduced(tmp_path, [build_row(0, cost_usd=0.25)], build_trace(0), *objectives).tallies()
    return {name: tallies[0].exemplars[0].value for name, tallies in found.items()}


def test_ledger_values_are_in_their_units(tmp_path: Path) -> None:
    expected = {
        "ttft_ms": 300.0,
        "first_answer_ms": 310.0,
        "total_ms": 1000.0,
        "start_lag_ms": 1.0,
        "max_gap_ms": 50.0,
        "tokens_per_s": 20.0,
        "output_tokens": 20.0,
        "input_tokens": 12.0,
        "cost_usd": 0.25,
    }
    assert values(tmp_path, Ask(), expected) == expected


def test_span_values_may_be_numbers_or_their_text(tmp_path: Path) -> None:
    expected = {"duration_ms": 899.0, "ttft_ms": 280.0, "output_tokens": 20.0, "cost_usd": 0.0002}
    assert values(tmp_path, spans_ask(), expected) == expected


def test_genai_usage_stands_in_for_missing_metrics(tmp_path: Path) -> None:
    span = build_span(0, attributes={"gen_ai.usage.input_tokens": "7"})
    tally = only(tmp_path, [build_row(0)], spans_ask().threshold("input_tokens", 10), [span])
    assert counts(tally) == (1, 0, 0)
    assert tally.exemplars[0].value == 7.0


def test_the_limit_itself_is_good_only_with_or_equal(tmp_path: Path) -> None:
    asks = [replace(Ask().threshold("ttft_ms", 300, op), name=op) for op in Operator]
    tallies = reduced(tmp_path, [build_row(0)], [], *asks).tallies()
    assert {op for op in Operator if tallies[op][0].bad} == {Operator.LT, Operator.GT}


def test_latency_counts_from_the_due_instant(tmp_path: Path) -> None:
    """Coordinated omission: a request that started late was slow for its user."""
    row = build_row(0, started_ns=5 * S, first_token_ns=5300 * MS, finished_ns=6 * S)
    assert only(tmp_path, [row], Ask().threshold("ttft_ms", 1500)).bad == 1


def silent(*outcomes: str) -> list[Row]:
    """One row per outcome, without a first token."""
    return [build_row(i, outcome=o, first_token_ns=None) for i, o in enumerate(outcomes)]


def test_who_waited_and_got_nothing_is_bad(tmp_path: Path) -> None:
    """Shares counted over successes only make a system look better the more it fails."""
    waited = ("ok", "timeout", "stream_broken", "aborted")
    tally = only(tmp_path, silent(*waited), Ask(target=0.9).threshold("ttft_ms", 1500))
    assert counts(tally) == (4, 4, 0)
    assert [(e.value, e.detail) for e in tally.exemplars] == [(None, o) for o in waited]


def test_a_missing_value_is_the_slowest_and_not_one_less(tmp_path: Path) -> None:
    """Among 9 fast requests and one without a first token, the 95th percentile does not exist."""
    rows = [*silent("timeout"), *(build_row(seq) for seq in range(1, 10))]
    asks = [
        replace(Ask(target=p).threshold("ttft_ms", 1500), name=name)
        for name, p in (("p90", 0.9), ("p95", 0.95))
    ]
    tallies = reduced(tmp_path, rows, [], *asks).tallies()
    quantile = tallies["p90"][0].quantile
    assert quantile is not None
    assert (quantile.value, quantile.high) == (300.0, None)
    assert tallies["p95"][0].quantile is None


def test_who_was_refused_has_no_latency(tmp_path: Path) -> None:
    rows = silent("http_error", "provider_error", "rejected_rate_limit", "connect_error")
    asks = [
        replace(Ask().threshold(name, 1500), name=name)
        for name in ("ttft_ms", "total_ms", "tokens_per_s")
    ]
    tallies = reduced(tmp_path, rows, [], *asks).tallies()
    assert [counts(tallies[ask.name][0]) for ask in asks] == [(0, 0, 4)] * 3


def test_a_time_out_below_the_limit_is_not_an_answer_in_time(tmp_path: Path) -> None:
    row = build_row(0, outcome="timeout", finished_ns=5 * S)
    assert counts(only(tmp_path, [row], Ask().threshold("total_ms", 6000))) == (1, 1, 0)


def test_without_streaming_there_is_no_first_token_to_judge(tmp_path: Path) -> None:
    row = build_row(0, stream=False, first_token_ns=None)
    assert counts(only(tmp_path, [row], Ask().threshold("ttft_ms", 1500))) == (0, 0, 1)
    span = build_span(0, attributes={"tfy.model.streaming": False})
    ask = spans_ask().threshold("ttft_ms", 1500)
    assert counts(only(tmp_path / "s", [build_row(0)], ask, [span])) == (0, 0, 1)


def test_tokens_that_were_not_reported_are_not_zero(tmp_path: Path) -> None:
    row = build_row(0, output_tokens=None)
    assert counts(only(tmp_path, [row], Ask().threshold("output_tokens", 100))) == (1, 1, 0)


def test_warm_up_and_missed_arrivals_are_not_judged(tmp_path: Path) -> None:
    rows = [build_row(0, phase="warm-up", first_token_ns=9 * S), build_missed(1), build_row(2)]
    assert counts(only(tmp_path, rows, Ask().threshold("ttft_ms", 1500))) == (1, 0, 0)
    warm = spans_ask().ratio(status="error")
    spans = build_trace(0, status=SpanStatus.ERROR) + build_trace(2)
    assert counts(only(tmp_path / "s", rows, warm, spans)) == (1, 0, 0)


def test_warm_up_counts_for_completeness(tmp_path: Path) -> None:
    rows = [build_row(0, phase="warm-up"), build_row(1)]
    tally = only(tmp_path, rows, Ask().complete(), build_trace(1))
    assert counts(tally) == (2, 1, 0)


def test_spans_of_others_are_never_counted(tmp_path: Path) -> None:
    """A shared gateway: other tenants' slow and failing calls say nothing about this run."""
    foreign = build_trace(7, run_id="x", request_id="x.7", status=SpanStatus.ERROR)
    unclaimed = build_trace(8, request_id="r1.8", status=SpanStatus.ERROR)
    spans = build_trace(0) + foreign + unclaimed
    ask = spans_ask().ratio(status="error")
    assert counts(only(tmp_path, [build_row(0)], ask, spans)) == (1, 0, 0)


def test_spans_of_a_join_conflict_are_not_counted_for_the_row(tmp_path: Path) -> None:
    rows = [build_row(0, trace_id=trace_of(9))]
    foreign = build_trace(9, run_id="x", request_id="x.9")
    tally = only(tmp_path, rows, spans_ask().ratio(status="error"), foreign)
    assert counts(tally) == (0, 0, 0)
    complete = only(tmp_path / "c", rows, Ask().complete(), foreign)
    assert counts(complete) == (1, 1, 0)
    assert complete.exemplars[0].detail == "join conflict"


def test_an_error_span_has_no_latency_and_counts_as_error(tmp_path: Path) -> None:
    spans = [build_span(0, status=SpanStatus.ERROR, duration_ns=9 * S)]
    rows = [build_row(0)]
    slow = only(tmp_path, rows, spans_ask().threshold("duration_ms", 100), spans)
    assert counts(slow) == (0, 0, 1)
    assert counts(only(tmp_path / "e", rows, spans_ask().ratio(status="error"), spans)) == (1, 1, 0)


def test_a_span_without_a_usable_value_is_bad(tmp_path: Path) -> None:
    texts = (None, "NaN", "Infinity", "a lot", "")
    rows = [build_row(seq) for seq in range(len(texts))]
    spans = [
        build_span(seq, attributes={"tfy.model.metric.cost_in_usd": text})
        for seq, text in enumerate(texts)
    ]
    tally = only(tmp_path, rows, spans_ask().threshold("cost_usd", 1), spans)
    assert counts(tally) == (5, 5, 0)


def test_every_attempt_counts_against_the_provider_that_made_it(tmp_path: Path) -> None:
    """A fallback saved the request: the client saw no error, the first provider made one."""
    failed = build_span(0, status=SpanStatus.ERROR)
    served = build_span(0, span_id="f" * 16, provider="anthropic")
    ask = spans_ask(group_by=("provider",)).ratio(status="error")
    spans = [build_span(0, Role.ROOT), failed, served]
    found = by_group(reduced(tmp_path, [build_row(0)], spans, ask).tallies()["objective"])
    assert found == {"anthropic": (1, 0, False), "openai": (1, 1, True)}


def test_a_provider_that_was_sent_traffic_and_shows_no_span_is_still_a_group(
    tmp_path: Path,
) -> None:
    """Otherwise silence would pass, as a k6 threshold on a metric without samples does."""
    rows = [build_row(0), build_row(1, target="anthropic", provider="anthropic")]
    ask = spans_ask(group_by=("provider",)).threshold("duration_ms", 2000)
    found = by_group(reduced(tmp_path, rows, build_trace(0), ask).tallies()["objective"])
    assert found == {"anthropic": (0, 0, True), "openai": (1, 0, True)}


def test_a_virtual_target_expects_every_provider_it_may_reach(tmp_path: Path) -> None:
    virtual = build_target("v", provider=None, may_reach=("gemini", "openai"), model="prod/chat")
    rows = [build_row(0, target="v", provider=None, model="prod/chat")]
    ask = spans_ask(group_by=("provider",)).ratio(status="error")
    ledger = replace(Ask(group_by=("provider",)).ratio(outcome="timeout"), name="ledger")
    tallies = reduced(
        tmp_path, rows, build_trace(0), ask, ledger, scenario=build_scenario(targets=(virtual,))
    ).tallies()
    assert by_group(tallies["objective"]) == {"gemini": (0, 0, True), "openai": (1, 0, True)}
    assert by_group(tallies["ledger"]) == {"(virtual)": (1, 0, True)}


def test_a_standby_may_stay_silent_and_decides_once_it_speaks(tmp_path: Path) -> None:
    """A fallback by priority: the second provider is called only when the first fails."""
    virtual = build_target(
        "v", provider=None, may_reach=("openai",), standby=("gemini",), model="prod/chat"
    )
    scenario = build_scenario(targets=(virtual,))
    rows = [build_row(seq, target="v", provider=None, model="prod/chat") for seq in range(2)]
    ask = spans_ask(group_by=("provider",)).ratio(status="error")
    (quiet, spoken) = (tmp_path / "quiet", tmp_path / "spoken")
    spans = [*build_trace(0), *build_trace(1)]
    tallies = reduced(quiet, rows, spans, ask, scenario=scenario).tallies()["objective"]
    assert by_group(tallies) == {"openai": (2, 0, True)}
    assert not tallies[0].may_be_silent
    spans = [*build_trace(0), *build_trace(1, provider="gemini")]
    tallies = reduced(spoken, rows, spans, ask, scenario=scenario).tallies()["objective"]
    assert by_group(tallies) == {"gemini": (1, 0, True), "openai": (1, 0, True)}
    assert [tally.may_be_silent for tally in tallies] == [True, False]


def test_a_provider_that_only_refused_connections_is_a_group_without_traces(
    tmp_path: Path,
) -> None:
    rows = [
        build_row(0),
        build_row(
            1,
            target="anthropic",
            provider="anthropic",
            outcome="connect_error",
            written=False,
            **unsent(),
        ),
    ]
    ask = Ask(group_by=("provider",)).complete()
    found = by_group(reduced(tmp_path, rows, build_trace(0), ask).tallies()["objective"])
    assert found == {"anthropic": (0, 0, True), "openai": (1, 0, True)}


def test_a_label_that_only_spans_know_keeps_silent_providers_visible(tmp_path: Path) -> None:
    rows = [build_row(0), build_row(1, target="anthropic", provider="anthropic")]
    ask = spans_ask(group_by=("provider", "team")).ratio(status="error")
    spans = build_trace(0, resource={"team": "core"})
    found = by_group(reduced(tmp_path, rows, spans, ask).tallies()["objective"])
    assert found == {"anthropic/(none)": (0, 0, True), "openai/core": (1, 0, True)}


def test_resource_attributes_win_over_span_attributes(tmp_path: Path) -> None:
    spans = [
        build_span(0, resource={"tenant_id": "a"}, attributes={"tenant_id": "b"}),
        build_span(1, resource={}, attributes={"tenant_id": "b"}),
    ]
    ask = spans_ask(group_by=("tenant_id",)).ratio(status="error")
    tallies = reduced(tmp_path, [build_row(0), build_row(1)], spans, ask).tallies()["objective"]
    assert by_group(tallies) == {"a": (1, 0, True), "b": (1, 0, True)}


def test_root_spans_are_grouped_by_where_the_client_sent_them(tmp_path: Path) -> None:
    ask = spans_ask(span=Role.ROOT, group_by=("provider", "route")).ratio(status="error")
    found = by_group(reduced(tmp_path, [build_row(0)], build_trace(0), ask).tallies()["objective"])
    assert found == {"openai/openai-main/gpt-4o-mini": (1, 0, True)}


def test_span_objectives_may_be_split_by_what_only_the_client_knows(tmp_path: Path) -> None:
    rows = [build_row(0, arm="baseline"), build_row(1, arm="canary")]
    ask = spans_ask(group_by=("arm",)).ratio(status="error")
    found = by_group(reduced(tmp_path, rows, build_trace(0), ask).tallies()["objective"])
    assert found == {"baseline": (1, 0, True), "canary": (0, 0, True)}


def test_a_condition_that_matches_nothing_leaves_an_expected_empty_group(tmp_path: Path) -> None:
    """Taurus ignores a criterion whose label matches nothing; here it must end as NO_DATA."""
    for place, group_by in (("a", ()), ("b", ("provider",))):
        for book in (Ask(group_by=group_by), spans_ask(group_by=group_by)):
            ask = replace(book, where=conditions(provider="mistral")).ratio(provider="x")
            path = tmp_path / place / book.book.name
            (tally,) = reduced(path, [build_row(0)], build_trace(0), ask).tallies()["objective"]
            assert (tally.total, tally.expected) == (0, True)


def test_conditions_know_the_aliases_of_a_provider(tmp_path: Path) -> None:
    ask = Ask(where=conditions(provider="claude")).ratio(outcome="timeout")
    rows = [build_row(0), build_row(1, target="anthropic", provider="anthropic")]
    assert only(tmp_path, rows, ask).total == 1


def test_conditions_are_joined_by_and(tmp_path: Path) -> None:
    rows = [build_row(0, outcome="timeout"), build_row(1, outcome="timeout", error_type="read")]
    ask = Ask().ratio(outcome=("timeout", "aborted"), error_type="read")
    assert counts(only(tmp_path, rows, ask)) == (2, 1, 0)


def test_a_name_that_is_no_label_of_the_ledger_is_refused(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    for name in ("provider) --", "seq; DROP TABLE spans", "run_id", "team"):
        ask = Ask(group_by=(name,)).ratio(outcome="timeout")
        with pytest.raises(ConfigurationError, match="the ledger has no label"):
            Reduction(folder, [ask]).tallies()


def test_a_span_label_is_looked_up_and_never_run(tmp_path: Path) -> None:
    names = ("x') OR true --", 'a"b', "a/b~c", "$.x", "'; DROP TABLE spans", "a.b")
    spans = [build_span(0, attributes=dict.fromkeys(names, "found")), build_span(1, attributes={})]
    asks = [
        replace(spans_ask(group_by=(name,), where=where).ratio(status="error"), name=f"{name}{at}")
        for name in names
        for at, where in enumerate(((), (Condition(name, ("found",)),)))
    ]
    tallies = reduced(tmp_path, [build_row(0), build_row(1)], spans, *asks).tallies()
    for name in names:
        assert by_group(tallies[f"{name}0"]) == {"(none)": (1, 0, True), "found": (1, 0, True)}
        assert by_group(tallies[f"{name}1"]) == {"found": (1, 0, True)}


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no field 'mood'"):
        only(tmp_path, [build_row(0)], Ask().threshold("mood", 1))


def test_the_percentile_is_the_nearest_rank_with_its_interval(tmp_path: Path) -> None:
    """n = 100, p50: ranks 40 to 61 at 95 % two-sided, which is 97.5 % on each side."""
    rows = [build_row(i, first_token_ns=i * S + (i + 1) * MS) for i in range(100)]
    ask = replace(Ask(target=0.5).threshold("ttft_ms", 1e6), confidence=0.975)
    quantile = only(tmp_path, rows, ask).quantile
    assert quantile is not None
    assert (quantile.value, quantile.low, quantile.high) == (50.0, 40.0, 61.0)
    assert (quantile.p, quantile.unit) == (0.5, "ms")


def test_of_a_floor_the_lower_percentile_is_shown(tmp_path: Path) -> None:
    rows = [build_row(i, output_tokens=i + 1) for i in range(10)]
    ask = Ask(target=0.9).threshold("output_tokens", 3, Operator.GTE)
    tally = only(tmp_path, rows, ask)
    assert tally.quantile is not None
    assert (tally.bad, tally.quantile.value) == (2, 1.0)
    assert [exemplar.value for exemplar in tally.exemplars] == [1, 2, 3, 4, 5]


def test_the_worst_five_are_shown_in_a_stable_order(tmp_path: Path) -> None:
    late = {2: 900, 4: 2000, 5: 2000}
    rows = [build_row(i, first_token_ns=i * S + late.get(i, 100) * MS) for i in range(8)]
    rows[7]["first_token_ns"] = None
    tally = only(tmp_path, rows, Ask().threshold("ttft_ms", 1500))
    assert [exemplar.request_id for exemplar in tally.exemplars] == [
        "r1.7",
        "r1.4",
        "r1.5",
        "r1.2",
        "r1.0",
    ]


def test_a_ratio_shows_bad_events_only(tmp_path: Path) -> None:
    rows = [build_row(0), build_row(1, outcome="timeout")]
    exemplars = only(tmp_path, rows, Ask().ratio(outcome="timeout")).exemplars
    assert [(e.request_id, e.detail) for e in exemplars] == [("r1.1", "timeout")]


def test_incomplete_traces_say_what_they_show(tmp_path: Path) -> None:
    spans = [build_span(0, Role.ROOT), build_span(0, Role.HTTP)]
    tally = only(tmp_path, [build_row(0), build_row(1)], Ask().complete(), spans)
    assert [e.detail for e in tally.exemplars] == ["shows only http, root", "missing"]


def test_without_collected_evidence_nothing_is_joined(tmp_path: Path) -> None:
    """The client's own header must not pass for a trace that was found."""
    folder = sealed_folder(tmp_path, [build_row(0, join_path="header")])
    objective = Ask().complete()
    (tally,) = Reduction(folder, [objective]).tallies()["objective"]
    assert counts(tally) == (1, 1, 0)


def test_an_unsealed_run_is_refused(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    folder.write_manifest(replace(folder.read_manifest(), counters=None))
    with pytest.raises(BrokenRun, match="never sealed"):
        Reduction(folder, [])


def test_settling_waits_for_the_roles_that_objectives_ask_for() -> None:
    assert required_roles([Ask().ratio(outcome="ok")]) == (Role.ROOT, Role.MODEL)
    asked = required_roles([Ask().complete(Role.HTTP), Ask().complete(Role.ROOT)])
    assert set(asked) == {Role.ROOT, Role.HTTP}


def test_the_ledger_view_reads_from_parquet_only() -> None:
    """A run of a million requests is never copied into memory as a whole."""
    assert "CREATE VIEW" in LEDGER


SPANS = tuple(span for seq in range(4) for span in build_trace(seq))
ROWS = [build_row(seq, outcome="http_error" if seq == 3 else "ok") for seq in range(4)]


def _complete(spans: list[Span]) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as place:
        tally = only(Path(place), ROWS, Ask().complete(), spans)
        return tally.total, tally.bad


@settings(max_examples=8, deadline=None)
@given(kept=st.lists(st.sampled_from(SPANS), unique_by=lambda span: span.span_id), data=st.data())
def test_removing_a_span_never_improves_completeness(kept: list[Span], data: st.DataObject) -> None:
    fewer = [span for span in kept if data.draw(st.booleans())]
    total, bad = _complete(kept)
    total_of_fewer, bad_of_fewer = _complete(fewer)
    assert total == total_of_fewer == 4
    assert bad_of_fewer >= bad
