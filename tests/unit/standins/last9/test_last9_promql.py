"""PromQL: the subset computes what a hand would, and everything else is 422."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from last9_sandbox import NS, T0_S, make_span
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.last9.promql.evaluation import Series, evaluate
from tfy_last9.standins.last9.promql.language import Unsupported, parse
from tfy_last9.standins.last9.settings import Presence, Settings

CREDENTIALS = {"read_url": "http://x", "username": "u", "password": "p"}
SERVER = Span.SPAN_KIND_SERVER


def ask(last9, path, **body):
    return last9.client.post(
        f"{last9.base}/{path}", json=CREDENTIALS | body, headers=last9.access("read")
    )


def instant(last9, query, at_s=T0_S + 600):
    response = ask(last9, "prom_query_instant", query=query, timestamp=at_s)
    assert response.status_code == 200, response.text
    return response.json()


def stock(last9):
    """Ten server spans in the first minute, five in the second, one of them in error."""
    spans = [make_span(n, kind=SERVER, name="chat", duration_ns=n * 10**6) for n in range(1, 11)]
    spans += [
        make_span(
            n,
            kind=SERVER,
            name="embed",
            start_ns=(T0_S + 60 + n) * NS,
            status={"code": 2 if n == 11 else 1},
        )
        for n in range(11, 16)
    ]
    last9.ingest(*spans, resource={"service.name": "gw", "deployment.environment": "perf"})


def test_a_total_is_the_sum_over_time_of_the_counts(last9):
    stock(last9)
    total = 'sum(sum_over_time(trace_endpoint_count{service_name="gw"}[10m]))'
    assert instant(last9, total) == [{"metric": {}, "value": [T0_S + 600, "15"]}]
    by = 'sum by (status_code) (sum_over_time(trace_endpoint_count{env="perf"}[10m]))'
    assert [(row["metric"], row["value"][1]) for row in instant(last9, by)] == [
        ({"status_code": "STATUS_CODE_ERROR"}, "1"),
        ({"status_code": "STATUS_CODE_OK"}, "4"),
        ({"status_code": "STATUS_CODE_UNSET"}, "10"),
    ]


@pytest.mark.parametrize(
    ("matchers", "total"),
    [
        ('{span_name="chat"}', "10"),
        ('{span_name!="chat"}', "5"),
        ('{span_name=~"ch.*"}', "10"),
        ('{span_name!~"ch.*|x"}', "5"),
        ('{nothing=""}', "15"),
    ],
)
def test_matchers_choose_series(last9, matchers, total):
    stock(last9)
    (row,) = instant(last9, f"sum(sum_over_time(trace_endpoint_count{matchers}[10m]))")
    assert row["value"][1] == total


def test_durations_are_milliseconds_under_words(last9):
    stock(last9)
    rows = instant(last9, 'trace_endpoint_duration{span_name="chat"}', T0_S + 60)
    found = {row["metric"]["quantile"]: float(row["value"][1]) for row in rows}
    assert found.keys() == {"p50", "p90", "p95", "avg", "max"}
    assert (found["p50"], found["avg"], found["max"]) == (5.5, 5.5, 10.0)


def test_p99_and_token_counts_are_switches(start):
    last9 = start(Settings(p99_quantile=Presence.ON, genai_metrics=Presence.ON))
    tokens = {"tfy.span_type": "Model", "tfy.model.metric.input_tokens": 5}
    last9.ingest(make_span(1, kind=SERVER, attributes=tokens))
    rows = instant(last9, 'trace_endpoint_duration{quantile="p99"}', T0_S + 60)
    assert len(rows) == 1
    assert instant(last9, "gen_ai_client_token_usage_total", T0_S + 60)[0]["value"][1] == "5"


def test_a_range_has_one_point_a_minute_up_to_its_end(last9):
    stock(last9)
    query = "sum(trace_endpoint_count)"
    body = ask(last9, "prom_query", query=query, timestamp=T0_S + 120, window=120).json()
    assert body == [{"metric": {}, "values": [[T0_S + 60, "10"], [T0_S + 120, "15"]]}]


def test_labels_and_their_values_are_bare_arrays(last9):
    stock(last9)
    window = {"timestamp": T0_S + 600, "window": 600}
    metric = 'trace_endpoint_count{service_name="gw"}'
    labels = ask(last9, "apm/labels", metric=metric, **window).json()
    assert labels == ["__name__", "env", "service_name", "span_kind", "span_name", "status_code"]
    values = ask(last9, "prom_label_values", label="span_name", matches=[metric], **window).json()
    assert values == ["chat", "embed"]


def test_no_data_is_an_empty_array(last9):
    assert instant(last9, "no_such_metric") == []
    assert instant(last9, "trace_endpoint_count") == []


def test_change_events_are_read_back_as_a_metric(start):
    last9 = start()
    event = {
        "event_name": "load_test",
        "event_state": "stop",
        "timestamp": "2026-11-23T07:00:00.000Z",
        "attributes": {"service_name": "gw", "run_id": "r-42", "passed": True},
    }
    path = f"{last9.base}/change_events"
    assert last9.client.put(path, json=event, headers=last9.access("write")).status_code == 200
    (row,) = instant(last9, 'last9_change_events{run_id="r-42"}', T0_S)
    assert row["value"] == [T0_S, "2"]
    assert row["metric"] == {
        "__name__": "last9_change_events",
        "event_name": "load_test",
        "event_state": "stop",
        "service_name": "gw",
        "service": "gw",
        "run_id": "r-42",
        "passed": "true",
    }


def test_a_change_event_from_long_ago_is_stamped_with_its_arrival(last9):
    event = {"event_name": "old", "timestamp": "2020-01-01T00:00:00Z"}
    last9.client.put(f"{last9.base}/change_events", json=event, headers=last9.access("write"))
    (row,) = instant(last9, "last9_change_events", T0_S)
    assert row["metric"]["event_name"] == "old"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "avg(trace_endpoint_count)",
        "histogram_quantile(0.9, x)",
        "trace_endpoint_count * 2",
        "trace_endpoint_count default 0",
        "trace_endpoint_count[5m]",
        "rate(trace_endpoint_count)",
        "sum(trace_endpoint_count[5m])",
        "sum without (a) (x)",
        'x{a~"b"}',
        'x{a=~"("}',
        "x offset 5m",
        "sum(" * 200 + "x" + ")" * 200,
    ],
)
def test_what_is_outside_the_subset_is_422(last9, query):
    response = ask(last9, "prom_query_instant", query=query or " ", timestamp=T0_S)
    assert response.status_code == 422
    assert response.json()["error"]


def test_the_credentials_of_the_data_source_are_required(last9):
    path = f"{last9.base}/prom_query_instant"
    response = last9.client.post(path, json={"query": "x"}, headers=last9.access())
    assert response.status_code == 400
    assert "read_url" in response.json()["error"]


def test_rate_counts_steps_and_takes_a_fall_for_a_restart():
    series = Series({"__name__": "c"}, ((0, 10), (60, 16), (120, 4), (180, 6)))
    found = evaluate(parse("rate(c[3m])"), 180, lambda _: [series])
    assert found == [({}, (4 + 2) / 180)]


@given(st.text("abcxsum(){}[]=~!\"', 5mrate_by", max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(Unsupported):
        parse(text)
