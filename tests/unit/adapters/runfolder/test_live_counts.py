"""What is shown while a run goes on is what SQL counts when it is over, row by row."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runfolder_builders import MS, Ask, build_row, build_scenario, conditions, sealed_folder, unsent

from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.model.fields import VALUE_FIELDS
from tfy_last9.model.objective import Book, Limit, Operator, Quality, Ratio
from tfy_last9.model.request import Outcome
from tfy_last9.progress.live_run import LiveRun
from tfy_last9.progress.standings import can_be_watched

FIELDS = sorted(name for book, name in VALUE_FIELDS if book is Book.LEDGER)
GROUPED = ("provider",)


def without_nulls(row):
    return {name: value for name, value in row.items() if value is not None}


@st.composite
def rows(draw):
    """Requests of every outcome, with instants and counts that may or may not be there."""
    made = []
    for seq in range(draw(st.integers(1, 60))):
        outcome = draw(st.sampled_from(Outcome))
        row = build_row(
            seq, outcome=outcome.value, provider=draw(st.sampled_from(["openai", "gemini", None]))
        )
        row["stream"] = draw(st.booleans())
        row["api"] = draw(st.sampled_from(["chat", "chat", "embeddings", "mcp", "http"]))
        row["phase"] = draw(st.sampled_from(["warm-up", "steady"]))
        if outcome is Outcome.MISSED:
            row |= unsent() | {"started_ns": None, "written": False}
        for name, values in OPTIONAL.items():
            if draw(st.booleans()):
                row[name] = draw(values)
        made.append(row)
    return made


OPTIONAL = {
    "first_token_ns": st.none(),
    "first_answer_ns": st.none(),
    "last_token_ns": st.none(),
    "max_gap_ns": st.one_of(st.none(), st.integers(0, 90 * MS)),
    "chunks": st.one_of(st.none(), st.integers(0, 3)),
    "output_tokens": st.one_of(st.none(), st.integers(0, 40)),
    "input_tokens": st.none(),
    "reasoning_tokens": st.integers(0, 30),
    "cost_usd": st.sampled_from([0.0, 0.001, 0.5]),
    "connect_ns": st.integers(0, 90 * MS),
    "operation": st.sampled_from(["tools/call", "tools/list"]),
    "tool_calls": st.integers(0, 2),
    "items": st.integers(0, 3),
    "gateway_ms": st.sampled_from([1.0, 90.0]),
    "error_type": st.sampled_from(["overloaded", "quota"]),
}


def objectives():
    """One objective per field, and ratios of every shape."""
    limits = {"output_tokens": 20.0, "total_tokens": 30.0, "cost_usd": 0.01, "tokens_per_s": 20.0}
    for name in FIELDS:
        ask = Ask(name, group_by=GROUPED)
        yield ask.threshold(name, limits.get(name, 50.0), Operator.LTE)
        yield replace(ask, name=f"{name}-ge").threshold(name, limits.get(name, 300.0), Operator.GTE)
    yield Ask("errors", group_by=GROUPED).ratio(outcome=("timeout", "provider_error"))
    yield Ask("quota", where=conditions(outcome=("ok", "aborted"))).ratio(error_type="quota")
    quality = Quality(
        where=conditions(outcome="ok"),
        limits=(Limit("ttft_ms", Operator.LTE, 1000.0),),
        has=("output_tokens", "error_type"),
    )
    ratio = Ask("quality", group_by=("route", "worker")).ratio(outcome="ok")
    population = ratio.indicator.population
    yield replace(ratio, indicator=Ratio(population, (), quality))


@settings(max_examples=6)
@given(rows())
def test_every_field_and_condition_counts_as_in_sql(tmp_path_factory, made):
    chosen = tuple(objectives())
    assert all(map(can_be_watched, chosen))
    live = LiveRun(build_scenario(), chosen)
    live.take(map(without_nulls, made))
    shown = {(one.objective, one.group): (one.total, one.bad) for one in live.places() if one.total}
    with Reduction(sealed_folder(tmp_path_factory.mktemp("run"), made), chosen) as reduction:
        counted = {
            (name, tuple(value for _, value in tally.group)): (tally.total, tally.bad)
            for name, tallies in reduction.tallies().items()
            for tally in tallies
            if tally.total
        }
    assert shown == counted


@settings(max_examples=8)
@given(rows(), st.sampled_from(["ttft", "total"]))
def test_percentiles_are_those_of_the_verdict(tmp_path_factory, made, measure):
    one = Ask("p", group_by=GROUPED, target=0.95).threshold(f"{measure}_ms", 50.0)
    live = LiveRun(build_scenario(), (one,))
    live.take(map(without_nulls, made))
    shown = {
        provider.name: round(ns / 1e6, 6)
        for provider in live.providers()
        if (ns := provider.times[measure].quantile_ns(0.95)) is not None
    }
    with Reduction(sealed_folder(tmp_path_factory.mktemp("run"), made), (one,)) as reduction:
        counted = {
            tally.group[0][1]: round(tally.quantile.value, 6)
            for tally in reduction.tallies()["p"]
            if tally.quantile is not None
        }
    assert shown == counted


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_the_vocabulary_can_be_watched(name):
    """A field that is added to the vocabulary is added here, or its objective is shown as `after the run`."""
    assert can_be_watched(Ask().threshold(name, 1.0))
