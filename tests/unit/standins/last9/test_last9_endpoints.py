"""The endpoints beside query_range: search, heat map, catalogue, change events, wrong paths."""

import pytest
from last9_sandbox import NS, OTLP_AUTH, T0_S, key_values, make_span, where
from opentelemetry.proto.trace.v1.trace_pb2 import Span

RESOURCE = {"service.name": "tfy-llm-gateway", "deployment.environment": "perf"}


@pytest.fixture
def stocked(last9):
    """Three traces: one span, a root with a child, and one of another model."""
    event = Span.Event(name="exception", attributes=key_values({"exception.type": "Boom"}))
    pair = b"\xab" * 16
    root = make_span(2, name="root", trace_id=pair, duration_ns=50_000_000)
    child = make_span(
        3,
        name="child",
        trace_id=pair,
        parent_span_id=root.span_id,
        attributes={"model": "a/b", "tokens": 7},
    )
    other = make_span(
        9, name="late", start_ns=(T0_S + 60) * NS, attributes={"model": "c"}, events=[event]
    )
    last9.ingest(make_span(1, duration_ns=2_000_000_000), root, child, other, resource=RESOURCE)
    return last9


def test_search_answers_traces_with_the_spans_that_matched(stocked):
    body = stocked.post("search/json", where({"$eq": ["attributes['tokens']", "7"]})).json()
    (trace,) = body["data"]["result"]
    assert body["status"] == "success"
    assert trace["traceID"] == "ab" * 16
    assert (trace["rootServiceName"], trace["rootTraceName"]) == ("tfy-llm-gateway", "root")
    assert trace["durationMs"] == 50.0
    assert int(trace["startTimeUnixNano"]) == T0_S * NS + 2_000_000
    assert int(trace["endTimeUnixNano"]) == T0_S * NS + 52_000_000
    (spans,) = trace["spanSets"]
    assert spans["matched"] == 1
    assert [span["name"] for span in spans["spans"]] == ["child"]


@pytest.mark.parametrize(
    ("parameters", "traces"),
    [
        ({}, 3),
        ({"minDuration": "1s"}, 1),
        ({"maxDuration": "100ms"}, 2),
        ({"minDuration": "10ms", "maxDuration": "1.5s"}, 1),
        ({"limit": "1"}, 1),
    ],
)
def test_search_filters_by_the_duration_of_the_trace(stocked, parameters, traces):
    body = stocked.post("search/json", **parameters).json()
    assert len(body["data"]["result"]) == traces


def test_search_limits_the_spans_of_each_trace(stocked):
    body = stocked.post("search/json", span_limit=1, limit=5).json()
    shown = [len(trace["spanSets"][0]["spans"]) for trace in body["data"]["result"]]
    assert shown == [1, 1, 1]


@pytest.mark.parametrize("duration", ["5", "fast", "1s2x", "-1s"])
def test_a_bad_duration_is_400(stocked, duration):
    assert stocked.post("search/json", minDuration=duration).status_code == 400


def test_the_heat_map_counts_every_span_once(stocked):
    body = stocked.post("heatmap/json", time_resolution_sec=60, buckets=4).json()
    cells = body["data"]["result"]
    assert sum(cell["count"] for cell in cells) == 4
    assert {cell["timestamp"] for cell in cells} == {T0_S, T0_S + 60}
    slow = [cell for cell in cells if cell["from"] <= 2_000_000_000 < cell["to"]]
    assert [cell["count"] for cell in slow] == [1]


@pytest.mark.parametrize("missing", ["time_resolution_sec", "buckets"])
def test_the_heat_map_needs_both_resolutions(stocked, missing):
    given = {"time_resolution_sec": 60, "buckets": 4, missing: None}
    response = stocked.post("heatmap/json", **given)
    assert response.status_code == 400
    assert missing in response.json()["error"]


def test_a_heat_map_of_nothing_is_empty(last9):
    body = last9.post("heatmap/json", time_resolution_sec=60, buckets=4).json()
    assert body["data"]["result"] == []


def test_series_names_attributes_as_the_catalogue_does(stocked):
    (found,) = stocked.post("series/json").json()["data"]
    assert found == {
        "event_exception.type": "Boom",
        "model": found["model"],
        "resource_deployment.environment": "perf",
        "resource_service.name": "tfy-llm-gateway",
        "tokens": "7",
    }


def test_series_takes_a_bare_condition(stocked):
    """Last9's own client wraps conditions for query_range and leaves them bare here."""
    stage = {"type": "filter", "query": {"$eq": ["SpanName", "late"]}}
    (found,) = stocked.post("series/json", stage).json()["data"]
    assert "event_exception.type" in found
    assert "tokens" not in found


def test_series_of_nothing_is_empty(last9):
    assert last9.post("series/json").json() == {"status": "success", "data": []}


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("model", ["a/b", "c"]),
        ("service.name", ["tfy-llm-gateway"]),
        ("resource_deployment.environment", ["perf"]),
        ("event_exception.type", ["Boom"]),
        ("SpanName", ["chat", "child", "late", "root"]),
        ("no.such.key", []),
    ],
)
def test_label_values_are_distinct_and_sorted(stocked, tag, values):
    stage = {"type": "filter", "query": {}}
    body = stocked.post(f"label/json/{tag}/values", stage, start=None, end=None).json()
    assert body == {"status": "success", "data": values}


def test_a_label_with_a_slash_is_found_by_its_escaped_name(last9):
    last9.ingest(make_span(1, attributes={"a/b~c": "x"}))
    assert last9.post("label/json/a%2Fb~c/values").json()["data"] == ["x"]


def test_label_values_are_a_post_only(stocked):
    path = f"{stocked.base}/cat/api/traces/v2/label/json/model/values"
    assert stocked.client.get(path, headers=stocked.access()).status_code == 404


def test_tags_list_the_keys_of_each_scope_without_an_envelope(stocked):
    path = f"{stocked.base}/cat/api/search/tags"
    window = {"region": "ap-south-1", "start": T0_S, "end": T0_S + 900}
    body = stocked.client.get(path, params=window, headers=stocked.access()).json()
    assert body == {
        "scopes": [
            {"name": "span", "tags": ["model", "tokens"]},
            {"name": "resource", "tags": ["deployment.environment", "service.name"]},
            {"name": "event", "tags": ["exception.type"]},
        ]
    }


@pytest.mark.parametrize("path", ["search/json", "heatmap/json", "series/json"])
def test_every_endpoint_wants_the_region_and_a_window(last9, path):
    more = {"time_resolution_sec": 60, "buckets": 4}
    assert last9.post(path, **more).status_code == 200
    assert last9.post(path, **more, region=None).json() == {
        "error": "region query parameter is required"
    }
    assert last9.post(path, **more, region="us-east-1").status_code == 500
    assert last9.post(path, **more, start=None).status_code == 400


def test_the_organisation_describes_itself(last9):
    body = last9.client.get(last9.base, headers=last9.access()).json()
    assert body["id"]
    assert body["slug"] == "acme"


def put_event(last9, event, *scopes):
    path = f"{last9.base}/change_events"
    return last9.client.put(path, json=event, headers=last9.access(*scopes or ("write",)))


def test_a_change_event_needs_write_scope(last9):
    assert put_event(last9, {"event_name": "deploy"}, "read").status_code == 403
    response = put_event(last9, {"event_name": "deploy"})
    assert (response.status_code, response.json()) == (200, {"message": "success"})


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"event_name": ""},
        {"event_name": "x", "event_state": "begin"},
        {"event_name": "x", "timestamp": "yesterday"},
        {"event_name": "x", "timestamp": 7},
        {"event_name": "x", "attributes": ["a"]},
        {"event_name": "x", "attributes": {"a": {}}},
        {"event_name": "x", "value": "1"},
        {"event_name": "x", "eventstate": "stop"},
    ],
)
def test_a_bad_change_event_is_400(last9, event):
    assert put_event(last9, event).status_code == 400


def test_wrong_otlp_paths_and_methods_are_answered_as_a_collector_does(last9):
    headers = {"Authorization": OTLP_AUTH, "Content-Type": "application/x-protobuf"}
    wrong = last9.client.post("/v1/trace", content=b"", headers=headers)
    assert (wrong.status_code, wrong.text) == (404, "404 page not found")
    get = last9.client.get("/v1/traces", headers=headers)
    assert (get.status_code, get.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_metrics_and_logs_are_taken_with_the_credential_only(last9, signal):
    headers = {"Content-Type": "application/x-protobuf"}
    path = f"/v1/{signal}"
    assert last9.client.post(path, content=b"", headers=headers).status_code == 401
    headers["Authorization"] = OTLP_AUTH
    assert last9.client.post(path, content=b"", headers=headers).status_code == 200


def test_metrics_that_are_none_are_refused(last9):
    headers = {"Content-Type": "application/x-protobuf", "Authorization": OTLP_AUTH}
    refused = last9.client.post("/v1/metrics", content=b"\xff\xff", headers=headers)
    assert refused.status_code == 400
