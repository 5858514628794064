"""The query API over a real socket: envelopes, parameters, switches, discovery, one trace."""

import orjson
import pytest
from last9_sandbox import NS, T0_S, key_values, make_span, where
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.last9.settings import (
    DottedFields,
    GroupLimit,
    NumericAttributes,
    Settings,
    WindowEnd,
)

COUNT = {"type": "aggregate", "aggregates": [{"function": {"$count": []}, "as": "n"}]}


def three_spans():
    return [make_span(n, name=f"s{n}", duration_ns=100 - n) for n in (1, 2, 3)]


def test_spans_come_as_a_stream_newest_first(last9):
    last9.ingest(*three_spans())
    body = last9.query().json()
    assert body["status"] == "success"
    assert body["data"]["resultType"] == "stream"
    assert [span["SpanName"] for span in body["data"]["result"]] == ["s3", "s2", "s1"]


def test_no_match_is_an_empty_list(last9):
    assert last9.query().json() == {
        "status": "success",
        "data": {"resultType": "stream", "result": []},
    }


def test_aggregates_come_as_a_matrix_with_empty_values(last9):
    last9.ingest(*three_spans())
    stage = COUNT | {"groupby": {"SpanName": "name"}}
    assert last9.query(where({"$neq": ["SpanName", "s2"]}), stage).json()["data"] == {
        "resultType": "matrix",
        "result": [
            {"metric": {"name": "s1", "n": 1}, "values": []},
            {"metric": {"name": "s3", "n": 1}, "values": []},
        ],
    }


def test_the_region_is_required(last9):
    response = last9.query(region=None)
    assert response.status_code == 400
    assert response.json() == {"error": "region query parameter is required"}


def test_a_foreign_region_is_a_server_error(last9):
    """Not a 4xx: a client that retries every 5xx would retry this for ever."""
    response = last9.query(region="us-east-1")
    assert (response.status_code, response.json()) == (500, {"error": "ERR_S3_CONFIG_MISSING"})


@pytest.mark.parametrize(
    "parameters",
    [
        {"start": None},
        {"end": None},
        {"start": "2026-11-23T07:00:00Z"},
        {"end": "1795420800.5"},
        {"start": "-1"},
        {"limit": "0"},
        {"limit": "many"},
        {"order": "SpanName"},
        {"direction": "up"},
        {"mode": "traces"},
    ],
)
def test_a_bad_parameter_is_400_and_named(last9, parameters):
    response = last9.query(**parameters)
    assert response.status_code == 400
    assert next(iter(parameters)) in response.json()["error"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["s3", "s2", "s1"]),
        ({"order": "desc"}, ["s3", "s2", "s1"]),
        ({"order": "asc"}, ["s1", "s2", "s3"]),
        ({"order": "asc", "direction": "backward"}, ["s1", "s2", "s3"]),
        ({"order": "Timestamp", "direction": "backward"}, ["s3", "s2", "s1"]),
        ({"order": "Timestamp", "direction": "forward"}, ["s1", "s2", "s3"]),
        ({"order": "Duration", "direction": "backward"}, ["s1", "s2", "s3"]),
        ({"order": "Duration", "direction": "forward"}, ["s3", "s2", "s1"]),
        ({"mode": "span"}, ["s3", "s2", "s1"]),
    ],
)
def test_both_dialects_of_order_are_understood(last9, parameters, expected):
    last9.ingest(*three_spans())
    assert last9.names(**parameters) == expected


def test_answers_are_cut_at_the_limit_with_no_flag(start):
    last9 = start(Settings(default_limit=2, max_limit=3))
    last9.ingest(*(make_span(n) for n in range(1, 6)))
    lengths = {limit: len(last9.result(limit=limit)) for limit in (None, 1, 3, 4)}
    assert lengths == {None: 2, 1: 1, 3: 3, 4: 3}
    assert last9.query(limit=1).json().keys() == {"status", "data"}


@pytest.mark.parametrize(("setting", "rows"), [(GroupLimit.APPLY, 2), (GroupLimit.IGNORE, 3)])
def test_whether_groups_are_cut_is_a_switch(start, setting, rows):
    last9 = start(Settings(group_limit=setting))
    last9.ingest(*three_spans())
    stage = COUNT | {"groupby": {"SpanName": "name"}}
    assert len(last9.result(where(), stage, limit=2)) == rows


@pytest.mark.parametrize(("setting", "rows"), [(WindowEnd.EXCLUSIVE, 1), (WindowEnd.INCLUSIVE, 2)])
def test_whether_the_end_belongs_to_the_window_is_a_switch(start, setting, rows):
    last9 = start(Settings(window_end=setting))
    seconds = (T0_S - 1, T0_S, T0_S + 60)
    last9.ingest(*(make_span(n, start_ns=s * NS) for n, s in enumerate(seconds, 1)))
    assert len(last9.result(start=T0_S, end=T0_S + 60)) == rows


@pytest.mark.parametrize(
    ("setting", "value"), [(NumericAttributes.STRING, "412"), (NumericAttributes.NUMBER, 412)]
)
def test_whether_numbers_come_back_as_text_is_a_switch(start, setting, value):
    last9 = start(Settings(numeric_attributes=setting))
    last9.ingest(make_span(attributes={"tokens": 412}))
    (span,) = last9.result(where({"$gt": ["attributes['tokens']", 411]}))
    assert span["SpanAttributes"] == {"tokens": value}


def test_dot_forms_are_400_by_default_and_a_switch(start):
    stage = where({"$eq": ["resource.service.name", "tfy-llm-gateway"]})
    assert start().query(stage).status_code == 400
    last9 = start(Settings(dotted_fields=DottedFields.ACCEPT))
    last9.ingest(make_span())
    assert len(last9.result(stage)) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"nonsense", b'{"pipeline":{}}'])
def test_a_body_without_a_pipeline_is_400(last9, body):
    response = last9.client.post(
        f"{last9.base}/cat/api/traces/v2/query_range/json",
        params={"region": "ap-south-1", "start": T0_S, "end": T0_S + 1},
        content=body,
        headers=last9.access(),
    )
    assert response.status_code == 400
    assert response.json()["error"]


def test_misspelt_aggregate_keys_are_400(last9):
    stage = {"type": "aggregate", "aggregations": COUNT["aggregates"]}
    response = last9.query(where(), stage)
    assert response.status_code == 400
    assert "aggregations" in response.json()["error"]


def test_a_bad_regular_expression_is_400(last9):
    last9.ingest(make_span())
    for field in ("SpanName", "attributes['x']"):
        response = last9.query(where({"$regex": [field, "("]}))
        assert response.status_code == 400
        assert "bad regular expression" in response.json()["error"]


def test_one_trace_shows_all_its_spans_with_events_and_links(last9):
    trace = b"\xab" * 16
    event = Span.Event(name="exception", attributes=key_values({"exception.type": "Boom"}))
    root = make_span(1, name="root", trace_id=trace, events=[event])
    child = make_span(2, name="child", trace_id=trace, parent_span_id=root.span_id)
    last9.ingest(child, root, make_span(3))
    path = f"{last9.base}/cat/api/traces/{trace.hex()}"
    window = {"region": "ap-south-1", "start": T0_S, "end": T0_S + 60}
    body = last9.client.get(path, params=window, headers=last9.access()).json()
    assert body.keys() == {"traces"}
    assert [span["SpanName"] for span in body["traces"]] == ["root", "child"]
    assert body["traces"][0]["Events"][0]["Attributes"] == {"exception.type": "Boom"}
    assert body["traces"][1]["Links"] == []


@pytest.mark.parametrize(
    ("trace_id", "parameters", "status"),
    [
        ("f" * 32, {}, 404),
        (f"{1:032x}", {"start": T0_S + 60, "end": T0_S + 120}, 404),
        (f"{1:032x}", {"region": ""}, 400),
        (f"{1:032x}", {"region": "us-east-1"}, 500),
        (f"{1:032x}", {"start": T0_S}, 400),
        (f"{1:032x}", {}, 200),
    ],
)
def test_one_trace_is_looked_for_in_its_window_and_region(last9, trace_id, parameters, status):
    last9.ingest(make_span(1))
    response = last9.client.get(
        f"{last9.base}/cat/api/traces/{trace_id}",
        params={"region": "ap-south-1"} | parameters,
        headers=last9.access(),
    )
    assert response.status_code == status


def test_datasources_is_a_bare_array_with_a_complete_default(last9):
    """Last9's MCP server does not start if one of these is empty."""
    body = last9.client.get(f"{last9.base}/datasources", headers=last9.access()).json()
    (default,) = [source for source in body if source["is_default"]]
    properties = default.pop("properties")
    assert default.pop("region") == "ap-south-1"
    assert all(default[key] for key in ("id", "name", "url"))
    assert all(properties[key] for key in ("username", "password", "levitate_cluster_id"))


def test_clusters_are_filtered_by_region(last9):
    path = f"{last9.base}/clusters"
    ours = last9.client.get(path, params={"region": "ap-south-1"}, headers=last9.access()).json()
    assert [entry["default"] for entry in ours["data"]] == [True]
    other = last9.client.get(path, params={"region": "us-east-1"}, headers=last9.access()).json()
    assert other["data"] == []


def test_unknown_paths_and_methods_are_404(last9):
    assert last9.client.get("/nothing").status_code == 404
    path = f"{last9.base}/cat/api/traces/v2/query_range/json"
    assert last9.client.get(path, headers=last9.access()).status_code == 404


def test_each_query_is_in_the_journal(last9):
    last9.ingest(*three_spans())
    last9.query(where(), COUNT)
    last9.query(region=None)
    path = f"{last9.base}/cat/api/traces/v2/query_range/json"
    noted = [
        (line["path"], line["pipeline_stages"], line["rows"], line["status"])
        for line in last9.journal("query")
    ]
    assert noted == [(path, ["filter", "aggregate"], 1, 200), (path, [], 0, 400)]


def test_a_hostile_value_finds_itself_and_harms_nothing(last9):
    text = "x'); DROP TABLE spans; --"
    last9.ingest(make_span(1, attributes={"run": text}), make_span(2))
    found = last9.result(where({"$eq": ["attributes['run']", text]}))
    assert [span["SpanAttributes"] for span in found] == [{"run": text}]
    assert len(last9.result()) == 2
    assert orjson.loads(last9.client.get("/sandbox/health").content)["spans"] == 2
