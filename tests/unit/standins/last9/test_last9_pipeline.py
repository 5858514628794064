"""Stages: aggregates and their grouping, windows, order and limits, refusals, the SQL itself."""

import statistics

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from last9_sandbox import NS, T0_S, make_span, run, where

from tfy_last9.standins.last9.aggregates import ONE_FIELD, PARAMETRIC
from tfy_last9.standins.last9.conditions import LOGICAL, TESTS
from tfy_last9.standins.last9.fields import BadPipeline, span_field
from tfy_last9.standins.last9.parameters import ALWAYS, Order, Parameters, Window
from tfy_last9.standins.last9.pipeline import Groups, compile_pipeline
from tfy_last9.standins.last9.settings import Mode

ALL = where()
HOUR = Window(T0_S * NS, (T0_S + 3600) * NS - 1)


def aggregate(groupby=None, **functions):
    stage = {
        "type": "aggregate",
        "aggregates": [
            {"function": function, "as": alias} for alias, function in functions.items()
        ],
    }
    return stage | ({"groupby": groupby} if groupby else {})


def provider_spans():
    return [
        make_span(
            number,
            name=provider,
            duration_ns=number * 1000,
            status={"code": code},
            attributes={"gen_ai.system": provider},
        )
        for number, (provider, code) in enumerate(
            [("openai", 1), ("openai", 2), ("anthropic", 1), ("openai", 1)], 1
        )
    ]


def test_groups_carry_their_aliases_and_numbers():
    groupby = {"attributes['gen_ai.system']": "provider", "StatusCode": "status"}
    stage = aggregate(groupby, n={"$count": []}, slowest={"$max": ["Duration"]})
    assert run([ALL, stage], *provider_spans()) == [
        {"provider": "anthropic", "status": "STATUS_CODE_OK", "n": 1, "slowest": 3000},
        {"provider": "openai", "status": "STATUS_CODE_ERROR", "n": 1, "slowest": 2000},
        {"provider": "openai", "status": "STATUS_CODE_OK", "n": 2, "slowest": 4000},
    ]


def test_spans_without_the_key_form_the_group_of_the_empty_string():
    stage = aggregate({"attributes['nope']": "key"}, n={"$count": []})
    assert run([ALL, stage], *provider_spans()) == [{"key": "", "n": 4}]


NUMBERS = [1.0, 2.0, 4.0, 8.5]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ({"$count": []}, 4),
        ({"$sum": ["attributes['x']"]}, 15.5),
        ({"$avg": ["attributes['x']"]}, 3.875),
        ({"$min": ["attributes['x']"]}, 1.0),
        ({"$max": ["attributes['x']"]}, 8.5),
        ({"$median": ["attributes['x']"]}, 3.0),
        ({"$stddev": ["attributes['x']"]}, statistics.stdev(NUMBERS)),
        ({"$stddev_pop": ["attributes['x']"]}, statistics.pstdev(NUMBERS)),
        ({"$variance": ["attributes['x']"]}, statistics.variance(NUMBERS)),
        ({"$variance_pop": ["attributes['x']"]}, statistics.pvariance(NUMBERS)),
        ({"$quantile": [0.5, "attributes['x']"]}, 3.0),
        ({"$quantile": [1, "attributes['x']"]}, 8.5),
        ({"$quantile_exact": [0.5, "attributes['x']"]}, 2.0),
        ({"$apdex_score": [2, "attributes['x']"]}, (2 + 1 / 2) / 4),
        ({"$rate": []}, 4 / 3600),
    ],
)
def test_aggregate_functions(function, expected):
    spans = [make_span(n, attributes={"x": value}) for n, value in enumerate(NUMBERS, 1)]
    parameters = Parameters(HOUR, 10)
    (row,) = run([ALL, aggregate(value=function)], *spans, parameters=parameters)
    assert row["value"] == pytest.approx(expected)


def test_apdex_of_duration_takes_seconds():
    spans = [make_span(n, duration_ns=n * NS) for n in (1, 3, 9)]
    (row,) = run([ALL, aggregate(a={"$apdex_score": [1, "Duration"]})], *spans)
    assert row["a"] == pytest.approx((1 + 1 / 2) / 3)


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.sampled_from([0.5, 0.95, 0.99])
)
@settings(max_examples=25, deadline=None)
def test_an_exact_quantile_is_a_duration_that_occurred(durations, level):
    spans = [make_span(n, duration_ns=value) for n, value in enumerate(durations, 1)]
    stage = aggregate(
        exact={"$quantile_exact": [level, "Duration"]}, smooth={"$quantile": [level, "Duration"]}
    )
    (row,) = run([ALL, stage], *spans)
    assert row["exact"] in durations
    assert min(durations) <= row["smooth"] <= max(durations)


def test_no_span_is_an_empty_answer_and_not_a_count_of_zero():
    assert run([ALL, aggregate(n={"$count": []})]) == []


def test_a_filter_after_an_aggregate_sees_the_aliases():
    stage = aggregate({"SpanName": "provider"}, n={"$count": []})
    having = {"type": "filter", "query": {"$and": [{"$gt": ["n", "1"]}]}}
    assert run([ALL, stage, having], *provider_spans()) == [{"provider": "openai", "n": 3}]
    named = where({"$eq": ["provider", "anthropic"]})
    assert run([ALL, stage, named], *provider_spans()) == [{"provider": "anthropic", "n": 1}]
    with pytest.raises(BadPipeline, match="only its aliases"):
        run([ALL, stage, where({"$eq": ["SpanName", "openai"]})])


def test_windows_start_at_multiples_of_their_length_and_are_stamped_as_text():
    spans = [make_span(n, start_ns=(T0_S + second) * NS) for n, second in enumerate((0, 59, 61), 1)]
    stage = {
        "type": "window_aggregate",
        "function": {"$count": []},
        "as": "n",
        "window": ["1", "minutes"],
        "groupby": {"SpanName": "name"},
    }
    assert run([ALL, stage], *spans) == [
        {"__ts__": str(T0_S), "name": "chat", "n": 2},
        {"__ts__": str(T0_S + 60), "name": "chat", "n": 1},
    ]


def test_filters_in_a_row_must_all_hold():
    first, second = where({"$eq": ["SpanName", "openai"]}), where({"$gt": ["Duration", "1000"]})
    assert len(run([first, second], *provider_spans())) == 2


def test_where_is_filter_and_select_changes_nothing():
    stages = [{"type": "where", "query": {"$and": [{"$eq": ["SpanName", "openai"]}]}}]
    select = {"type": "select", "labels": {"SpanName": "name"}}
    assert run([*stages, select], *provider_spans()) == run(stages, *provider_spans())


def test_an_empty_pipeline_returns_every_span():
    assert len(run([], *provider_spans())) == 4


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order(), [4, 3, 2, 1]),
        (Order(descending=False), [1, 2, 3, 4]),
        (Order("duration_ns"), [1, 2, 3, 4]),
        (Order("duration_ns", descending=False), [4, 3, 2, 1]),
    ],
)
def test_order(order, expected):
    spans = [make_span(n, duration_ns=100 - n) for n in (3, 1, 4, 2)]
    found = run([], *spans, parameters=Parameters(ALWAYS, 10, order))
    assert [int(span["SpanId"], 16) for span in found] == expected


def test_the_answer_is_cut_at_the_limit_without_a_word():
    spans = provider_spans()
    assert len(run([], *spans, parameters=Parameters(ALWAYS, 3))) == 3
    stage = aggregate({"SpanId": "span"}, n={"$count": []})
    assert len(run([ALL, stage], *spans, group_limit=3)) == 3
    assert len(run([ALL, stage], *spans, group_limit=None)) == 4


def test_trace_mode_shows_the_root_of_each_trace_that_has_a_match():
    trace = (9).to_bytes(16, "big")
    root = make_span(1, name="root", trace_id=trace)
    child = make_span(2, name="child", trace_id=trace, parent_span_id=root.span_id)
    other = make_span(3, name="other")
    stages = [where({"$eq": ["SpanName", "child"]})]
    parameters = Parameters(ALWAYS, 10, mode=Mode.TRACE)
    found = run(stages, root, child, other, parameters=parameters)
    assert [span["SpanName"] for span in found] == ["root"]
    with pytest.raises(BadPipeline, match="mode=trace"):
        run([*stages, aggregate(n={"$count": []})], parameters=parameters)


COUNT = {"function": {"$count": []}, "as": "n"}
WINDOW = {"type": "window_aggregate", **COUNT, "window": ["1", "minutes"]}


@pytest.mark.parametrize(
    "stages",
    [
        None,
        {},
        ["filter"],
        [{}],
        [{"query": {}}],
        [{"type": "filter"}],
        [{"type": "filter", "query": {}, "queries": {}}],
        [{"type": "aggregate", "aggregates": [COUNT]}],
        [ALL, {"type": "sort"}],
        [ALL, {"type": "select"}],
        [ALL, {"type": "select", "labels": ["SpanName"]}],
        [ALL, {"type": "aggregate", "aggregations": [COUNT]}],
        [ALL, {"type": "aggregate", "aggregates": [COUNT], "group_by": {"SpanName": "s"}}],
        [ALL, {"type": "aggregate", "aggregates": [COUNT], "groupby": ["SpanName"]}],
        [ALL, {"type": "aggregate", "aggregates": [COUNT], "groupby": {"SpanName": "n"}}],
        [ALL, {"type": "aggregate", "aggregates": []}],
        [ALL, {"type": "aggregate", "aggregates": ["$count"]}],
        [ALL, {"type": "aggregate", "aggregates": [{"function": {"$count": []}, "alias": "n"}]}],
        [ALL, {"type": "aggregate", "aggregates": [{"function": "$count", "as": "n"}]}],
        [ALL, {"type": "aggregate", "aggregates": [{"function": {"$count": []}, "as": 1}]}],
        [ALL, aggregate(n={"$uniq": ["TraceId"]})],
        [ALL, aggregate(n={"$avg": []})],
        [ALL, aggregate(n={"$avg": "Duration"})],
        [ALL, aggregate(n={"$avg": [3]})],
        [ALL, aggregate(n={"$quantile": ["0.95", "Duration"]})],
        [ALL, aggregate(n={"$quantile": [95, "Duration"]})],
        [ALL, aggregate(n={"$quantile": ["Duration"]})],
        [ALL, aggregate(n={"$apdex_score": [True, "Duration"]})],
        [ALL, aggregate(n={"$count": []}), aggregate(m={"$count": []})],
        [ALL, WINDOW | {"aggregates": [COUNT]}],
        [ALL, WINDOW | {"window": [1, "minutes"]}],
        [ALL, WINDOW | {"window": ["0", "minutes"]}],
        [ALL, WINDOW | {"window": ["1", "days"]}],
        [ALL, WINDOW | {"window": "1m"}],
    ],
)
def test_a_malformed_pipeline_is_refused(stages):
    with pytest.raises(BadPipeline):
        run(stages)


def test_values_are_bound_and_come_in_the_order_of_their_marks():
    """The SQL is fixed text; what the query brought stands beside it."""
    stages = [
        where({"$eq": ["attributes['run']", "r-42"]}, {"$gt": ["Duration", "5"]}),
        aggregate({"attributes['team']": "team"}, p={"$quantile": [0.95, "Duration"]}),
        where({"$gt": ["p", 7]}),
    ]
    statement = compile_pipeline(stages, Parameters(Window(1, 2), 10), span_field, Groups(10))
    assert statement.sql.text == (
        "SELECT * FROM (SELECT coalesce(json_extract_string(doc, ?), '') AS c0,"
        " quantile_cont(duration_ns, 0.95) AS c1 FROM spans WHERE start_ns BETWEEN ? AND ?"
        " AND (coalesce(json_extract_string(doc, ?), '') = ?"
        " AND coalesce(duration_ns > ?, FALSE)) GROUP BY 1 HAVING count(*) > 0)"
        " WHERE coalesce(try_cast(c1 AS DOUBLE) > ?, FALSE) ORDER BY 1 LIMIT ?"
    )
    team, run_id = "/SpanAttributes/team", "/SpanAttributes/run"
    assert statement.sql.values == (team, 1, 2, run_id, "r-42", 5, 7, 10)


FIELDS = st.sampled_from(
    ["SpanName", "Duration", "Timestamp", "StatusMessage", "attributes['x']", "events['x']"]
) | st.text(max_size=6)
VALUES = st.text(max_size=6) | st.integers() | st.floats(allow_nan=False) | st.just("9" * 60)
CONDITIONS = st.builds(
    lambda operator, field, value: {operator: [field, value]},
    st.sampled_from([*TESTS, "$notnull", "$exists"]),
    FIELDS,
    VALUES,
)
TREES = st.recursive(
    CONDITIONS,
    lambda nodes: st.builds(
        lambda operator, operands: {operator: operands},
        st.sampled_from(LOGICAL),
        st.lists(nodes, max_size=3),
    ),
    max_leaves=6,
)
FUNCTIONS = st.builds(
    lambda name, arguments: {name: arguments},
    st.sampled_from(["$count", "$rate", *ONE_FIELD, *PARAMETRIC]),
    st.lists(FIELDS | st.floats(0, 1), max_size=2),
)


@given(tree=TREES, function=st.none() | FUNCTIONS, field=FIELDS)
@settings(max_examples=150, deadline=None)
def test_a_query_is_answered_or_refused_and_never_breaks_the_server(tree, function, field):
    stages = [{"type": "filter", "query": {"$and": [tree]}}]
    if function:
        stages.append(aggregate({field: "group"}, value=function))
    spans = [make_span(1, attributes={"x": "1"}), make_span(2, attributes={"x": "many"})]
    try:
        run(stages, *spans)
    except BadPipeline:
        pass
    except duckdb.InvalidInputException:
        assert "regex" in str(tree)
