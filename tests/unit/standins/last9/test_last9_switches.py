"""Switches: each changes what it names and leaves the rest as it was."""

import argparse
from dataclasses import fields
from pathlib import Path

import pytest
from last9_sandbox import NS, T0_S, key_values, make_export, make_span, where
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.faults import RULES, Owner
from tfy_last9.standins.last9.flags import add_flags, parsed, settings_from
from tfy_last9.standins.last9.settings import (
    AggregateNumbers,
    AggregateShape,
    DefaultOrder,
    EmptyResult,
    ErrorShape,
    EventKeys,
    GroupOrder,
    InvalidSpans,
    Mode,
    OtlpErrors,
    PlainFields,
    Select,
    Settings,
    Timestamps,
    UnsetStatus,
    WindowEnd,
    WindowStart,
    WrongRegion,
)

COUNT = {"type": "aggregate", "aggregates": [{"function": {"$count": []}, "as": "n"}]}
BY_NAME = COUNT | {"groupby": {"SpanName": "name"}}


DOCS = Path(__file__).parents[4] / "docs" / "sandbox.md"


def test_every_switch_and_every_fault_of_last9_is_documented():
    text = DOCS.read_text()
    names = [field.name.replace("_", "-") for field in fields(Settings)]
    assert [name for name in names if f"`{name}=" not in text] == []
    mine = [name for name, rule in RULES.items() if rule.owner is Owner.LAST9]
    assert [name for name in mine if f"| `{name}` |" not in text] == []


class Clock:
    def __init__(self):
        self.now_s = float(T0_S)

    def __call__(self):
        return self.now_s


def test_flags_are_named_and_typed_like_the_settings():
    parser = argparse.ArgumentParser()
    add_flags(parser)
    assert settings_from(parser.parse_args([])) == Settings()
    given = ["--lag-ms=7", "--select=flat", "--drop-rules=a=b", "--drop-rules=c=d"]
    assert settings_from(parser.parse_args(given)) == Settings(
        lag_ms=7, select=Select.FLAT, drop_rules=("a=b", "c=d")
    )


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--lag=5", "did you mean 'lag-ms'"),
        ("--nonsense", "valid are organization"),
        ("--select=fla", "expected one of restrict, flat, ignore, saw fla"),
    ],
)
def test_a_mistake_in_a_switch_names_what_is_valid(capsys, flag, hint):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    with pytest.raises(SystemExit):
        parsed(parser, [flag])
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shape", "kind", "row"),
    [
        (AggregateShape.METRIC, "matrix", {"metric": {"name": "chat", "n": 1}, "values": []}),
        (AggregateShape.VALUE, "vector", {"metric": {"name": "chat"}, "value": [0, "1"]}),
        (AggregateShape.FLAT, "matrix", {"name": "chat", "n": 1}),
    ],
)
def test_the_shape_of_an_aggregate(start, shape, kind, row):
    last9 = start(Settings(aggregate_shape=shape))
    last9.ingest(make_span())
    data = last9.query(where(), BY_NAME).json()["data"]
    assert data == {"resultType": kind, "result": [row]}


def test_the_numbers_of_an_aggregate_as_text(start):
    last9 = start(Settings(aggregate_numbers=AggregateNumbers.STRING))
    last9.ingest(make_span())
    assert last9.result(where(), BY_NAME)[0]["metric"] == {"name": "chat", "n": "1"}


def test_shuffled_groups_are_the_same_groups(start):
    last9 = start(Settings(group_order=GroupOrder.SHUFFLED))
    last9.ingest(*(make_span(n, name=f"s{n}") for n in range(1, 9)))
    names = [row["metric"]["name"] for row in last9.result(where(), BY_NAME)]
    assert names != sorted(names)
    assert sorted(names) == [f"s{n}" for n in range(1, 9)]


@pytest.mark.parametrize(
    ("setting", "data"),
    [
        (EmptyResult.LIST, {"resultType": "stream", "result": []}),
        (EmptyResult.NULL, {"resultType": "stream", "result": None}),
        (EmptyResult.MISSING, {"resultType": "stream"}),
    ],
)
def test_the_empty_answer(start, setting, data):
    assert start(Settings(empty_result=setting)).query().json()["data"] == data


@pytest.mark.parametrize(
    ("start_ends", "end_ends", "names"),
    [
        (WindowStart.INCLUSIVE, WindowEnd.EXCLUSIVE, ["inside", "first"]),
        (WindowStart.EXCLUSIVE, WindowEnd.INCLUSIVE, ["last", "inside"]),
    ],
)
def test_spans_at_the_very_ends_of_a_window(start, start_ends, end_ends, names):
    last9 = start(Settings(window_start=start_ends, window_end=end_ends))
    at = {"first": T0_S * NS, "inside": T0_S * NS + 1, "last": (T0_S + 3600) * NS}
    last9.ingest(
        *(make_span(n, name=name, start_ns=at[name]) for n, name in enumerate(at, 1)),
    )
    assert last9.names() == names


def test_a_window_beyond_the_longest_is_too_heavy(start):
    last9 = start(Settings(max_range_s=3599))
    response = last9.query()
    assert response.status_code == 408
    assert "too heavy" in response.json()["error"]
    assert last9.query(end=T0_S + 3599).status_code == 200


@pytest.mark.parametrize(
    ("setting", "names"),
    [(DefaultOrder.NEWEST, ["s2", "s1"]), (DefaultOrder.OLDEST, ["s1", "s2"])],
)
def test_the_order_when_none_is_asked_for(start, setting, names):
    last9 = start(Settings(default_order=setting))
    last9.ingest(make_span(1, name="s1"), make_span(2, name="s2"))
    assert last9.names() == names


def test_the_mode_when_none_is_asked_for(start):
    last9 = start(Settings(default_mode=Mode.TRACE))
    root = make_span(1, name="root", trace_id=b"\xab" * 16)
    child = make_span(2, name="child", trace_id=b"\xab" * 16, parent_span_id=root.span_id)
    last9.ingest(root, child)
    assert last9.names() == ["root"]
    assert last9.names(mode="span") == ["child", "root"]


def test_plain_names_may_be_unknown(start):
    last9 = start(Settings(plain_fields=PlainFields.REJECT))
    assert last9.query(where({"$eq": ["tfy.span_type", "Model"]})).status_code == 400
    assert last9.query(where({"$eq": ["attributes['x']", "y"]})).status_code == 200


SELECT = {"type": "select", "labels": {"attributes['a']": "first", "SpanName": "name"}}


@pytest.mark.parametrize("setting", Select)
def test_what_select_does(start, setting):
    last9 = start(Settings(select=setting))
    last9.ingest(make_span(1, attributes={"a": "1", "prompt": "secret"}))
    (row,) = last9.result(where(), SELECT)
    if setting is Select.FLAT:
        assert row == {"first": "1", "name": "chat"}
        return
    kept = {"a": "1"} if setting is Select.RESTRICT else {"a": "1", "prompt": "secret"}
    assert row["SpanAttributes"] == kept
    assert row["TraceId"] == f"{1:032x}"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (Timestamps.RFC3339, "2026-11-23T07:00:00.001000000Z"),
        (Timestamps.NAIVE, "2026-11-23T07:00:00.001000000"),
        (Timestamps.SPACE, "2026-11-23 07:00:00.001000000"),
    ],
)
def test_the_form_of_timestamps(start, setting, text):
    last9 = start(Settings(timestamps=setting))
    last9.ingest(make_span(1))
    assert last9.result()[0]["Timestamp"] == text


def test_an_unset_status_may_be_empty(start):
    last9 = start(Settings(unset_status=UnsetStatus.EMPTY))
    last9.ingest(make_span(1))
    assert last9.result()[0]["StatusCode"] == ""


def test_event_keys_may_be_those_of_otlp(start):
    last9 = start(Settings(event_keys=EventKeys.OTLP))
    event = Span.Event(name="x", attributes=key_values({"k": "v"}))
    last9.ingest(make_span(1, events=[event]))
    path = f"{last9.base}/cat/api/traces/{1:032x}"
    body = last9.client.get(path, params={"region": "ap-south-1"}, headers=last9.access()).json()
    (shown,) = body["traces"][0]["Events"]
    assert (shown["name"], shown["attributes"]) == ("x", {"k": "v"})


def test_a_wrong_region_may_be_a_page_of_html(start):
    response = start(Settings(wrong_region=WrongRegion.MAINTENANCE)).query(region="us-east-1")
    assert response.status_code == 502
    assert response.headers["content-type"].startswith("text/html")
    assert "Maintenance Mode" in response.text


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (ErrorShape.TEXT, {"error": "limit must be a positive integer, saw 0"}),
        (
            ErrorShape.STATUS,
            {"status": "error", "error": "limit must be a positive integer, saw 0"},
        ),
        (
            ErrorShape.OBJECT,
            {"error": {"code": 400, "message": "limit must be a positive integer, saw 0"}},
        ),
    ],
)
def test_the_shape_of_an_error(start, shape, body):
    assert start(Settings(error_shape=shape)).query(limit=0).json() == body


def test_expired_tokens_may_be_403(start):
    clock = Clock()
    last9 = start(Settings(expired_status=403, token_lifetime_s=60), clock)
    headers = last9.access()
    clock.now_s += 61
    response = last9.query(headers=headers)
    assert response.status_code == 403
    assert "expired" in response.json()["error"]


def test_spans_older_than_the_retention_are_gone(start):
    clock = Clock()
    last9 = start(Settings(retention_s=600), clock)
    last9.ingest(make_span(1))
    assert len(last9.result()) == 1
    clock.now_s += 601
    assert last9.result() == []


def test_a_span_appears_after_the_lag(start):
    clock = Clock()
    last9 = start(Settings(lag_ms=5000), clock)
    last9.ingest(make_span(1))
    clock.now_s += 4.9
    assert last9.result() == []
    clock.now_s += 0.2
    assert len(last9.result()) == 1


def test_spans_of_one_trace_appear_apart(start):
    clock = Clock()
    last9 = start(Settings(spread_ms=1000), clock)
    last9.ingest(*(make_span(n, trace_id=b"\xab" * 16) for n in (100, 500, 900)))
    seen = []
    for _ in range(4):
        seen.append(len(last9.result()))
        clock.now_s += 0.4
    assert seen == [0, 1, 2, 3]


def test_a_drop_rule_discards_what_matches_and_says_nothing(start):
    last9 = start(Settings(drop_rules=("attributes['env']=dev", "SpanName=noise")))
    spans = [
        make_span(1, name="noise"),
        make_span(2, attributes={"env": "dev"}),
        make_span(3, name="kept", attributes={"env": "prod"}),
    ]
    response = last9.export(make_export(*spans))
    assert (response.status_code, response.content) == (200, b"")
    last9.wait_for(1)
    assert last9.names() == ["kept"]


def test_invalid_spans_may_refuse_the_whole_export(start):
    last9 = start(Settings(invalid_spans=InvalidSpans.REFUSE))
    mixed = make_export(make_span(1), make_span(2, span_id=b""))
    assert last9.export(mixed).status_code == 400
    assert last9.client.get("/sandbox/health").json()["spans"] == 0


def test_errors_of_ingestion_may_be_text(start):
    response = start(Settings(otlp_errors=OtlpErrors.TEXT)).export(b"garbage")
    assert response.headers["content-type"].startswith("text/plain")
    assert "ExportTraceServiceRequest" in response.text


def test_the_window_is_padded_by_nothing(start):
    """A span one nanosecond before the window is outside."""
    last9 = start()
    last9.ingest(make_span(1, start_ns=T0_S * NS - 1))
    assert last9.result() == []
