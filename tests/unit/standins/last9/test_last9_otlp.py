"""OTLP decoding: every attribute type, protobuf and JSON, what is left out."""

import base64
import math

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from last9_sandbox import NS, T0_S, key_values, make_export, make_span
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.last9.otlp import Undecodable, decode_json, decode_protobuf, rfc3339
from tfy_last9.standins.last9.settings import NumericAttributes

STRING, NUMBER = NumericAttributes.STRING, NumericAttributes.NUMBER
MAP = AnyValue(kvlist_value=KeyValueList(values=key_values({"a": 1, "b": ["x", 2.5]})))


def decoded(*spans, resource=None, numeric=STRING):
    body = make_export(*spans, resource=resource).SerializeToString()
    return decode_protobuf(body, numeric)


def document(*spans, **reading):
    (row,) = decoded(*spans, **reading).rows
    return orjson.loads(row.doc)


@pytest.mark.parametrize(
    ("value", "text", "native"),
    [
        ("gpt", "gpt", "gpt"),
        ("", "", ""),
        (True, "true", True),
        (False, "false", False),
        (0, "0", 0),
        (-(2**63), str(-(2**63)), -(2**63)),
        (412.0, "412", 412),
        (0.000218, "0.000218", 0.000218),
        (math.nan, "NaN", "NaN"),
        (math.inf, "Infinity", "Infinity"),
        (-math.inf, "-Infinity", "-Infinity"),
        (b"\x00\xff", "AP8=", "AP8="),
        (["a", 1], '["a",1]', ["a", 1]),
        ([], "[]", []),
        (MAP, '{"a":1,"b":["x",2.5]}', {"a": 1, "b": ["x", 2.5]}),
        (AnyValue(), "", None),
    ],
)
def test_every_attribute_type(value, text, native):
    span = make_span(attributes={"key": value})
    assert document(span)["SpanAttributes"] == {"key": text}
    assert document(span, numeric=NUMBER)["SpanAttributes"] == {"key": native}


def test_resource_attributes_are_strings_under_every_setting():
    """Last9's own client decodes them into a map of strings and fails on a number."""
    resource = {"service.name": "s", "replicas": 3, "zones": ["a"]}
    found = document(make_span(), resource=resource, numeric=NUMBER)["ResourceAttributes"]
    assert found == {"service.name": "s", "replicas": "3", "zones": '["a"]'}


def test_a_span_has_exactly_the_documented_keys():
    span = make_span(
        1,
        parent_span_id=b"\0" * 7 + b"\2",
        kind=Span.SPAN_KIND_SERVER,
        status={"code": 2, "message": "upstream 503"},
        trace_state="a=b",
        start_ns=T0_S * NS + 123456789,
        duration_ns=812345678,
        attributes={"gen_ai.system": "openai"},
    )
    assert document(span, resource={"service.name": "llm-gateway"}) == {
        "Timestamp": "2026-11-23T07:00:00.123456789Z",
        "TraceId": f"{1:032x}",
        "SpanId": f"{1:016x}",
        "ParentSpanId": f"{2:016x}",
        "TraceState": "a=b",
        "SpanName": "chat",
        "SpanKind": "SPAN_KIND_SERVER",
        "ServiceName": "llm-gateway",
        "ResourceAttributes": {"service.name": "llm-gateway"},
        "SpanAttributes": {"gen_ai.system": "openai"},
        "Duration": 812345678,
        "StatusCode": "STATUS_CODE_ERROR",
        "StatusMessage": "upstream 503",
    }


@pytest.mark.parametrize("parent", [b"", bytes(8)])
def test_a_root_has_an_empty_parent(parent):
    assert document(make_span(parent_span_id=parent))["ParentSpanId"] == ""


def test_a_span_that_ends_before_it_starts_lasts_nothing():
    assert document(make_span(duration_ns=-5))["Duration"] == 0


def test_an_unknown_kind_reads_as_unspecified():
    assert document(make_span(kind=17))["SpanKind"] == "SPAN_KIND_UNSPECIFIED"


def test_events_and_links_are_kept_for_the_trace_view():
    span = make_span(
        events=[Span.Event(name="x", time_unix_nano=T0_S * NS, attributes=key_values({"n": 1}))],
        links=[Span.Link(trace_id=b"t" * 16, span_id=b"s" * 8)],
    )
    (row,) = decoded(span).rows
    details = orjson.loads(row.details)
    assert details["Events"] == [
        {"Timestamp": "2026-11-23T07:00:00.000000000Z", "Name": "x", "Attributes": {"n": "1"}}
    ]
    assert details["Links"][0]["TraceId"] == (b"t" * 16).hex()


@pytest.mark.parametrize(
    "broken",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": b"short"},
        {"span_id": bytes(8)},
        {"start_ns": 0},
        {"end_time_unix_nano": 2**64 - 1},
    ],
)
def test_a_span_without_valid_ids_or_times_is_left_out_and_counted(broken):
    result = decoded(make_span(1), make_span(2, **broken))
    assert (len(result.rows), result.rejected) == (1, 1)


def test_a_span_that_comes_twice_is_kept_twice():
    assert len(decoded(make_span(1), make_span(1)).rows) == 2


def otlp_json(*spans, **extra):
    """Write an export as the Node exporter does: lowerCamelCase, ids in hex."""
    document = json_format.MessageToDict(make_export(*spans))
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                for carrier in (span, *span.get("links", ())):
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if key in carrier:
                            carrier[key] = base64.b64decode(carrier[key]).hex()
    return orjson.dumps(document | extra)


ATTRIBUTES = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.text(max_size=8)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=8)
    | st.lists(st.text(max_size=4) | st.integers(-9, 9), max_size=3),
    max_size=5,
)


@given(attributes=ATTRIBUTES, numeric=st.sampled_from(NumericAttributes))
@settings(max_examples=60, deadline=None)
def test_json_and_protobuf_decode_to_the_same_rows(attributes, numeric):
    span = make_span(
        3,
        attributes=attributes,
        parent_span_id=b"\xab" * 8,
        kind=Span.SPAN_KIND_CLIENT,
        status={"code": 2, "message": "m"},
        links=[Span.Link(trace_id=b"\xcd" * 16, span_id=b"\xef" * 8)],
        events=[Span.Event(name="e", attributes=key_values(attributes))],
    )
    from_json = decode_json(otlp_json(span), numeric)
    assert from_json == decode_protobuf(make_export(span).SerializeToString(), numeric)
    assert from_json.rows[0].trace_id == f"{3:032x}"


def test_json_accepts_numeric_strings_upper_case_hex_and_unknown_fields():
    body = orjson.dumps(
        {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "traceId": "AB" * 16,
                                    "spanId": "CD" * 8,
                                    "name": "x",
                                    "kind": 3,
                                    "startTimeUnixNano": "1795417200000000000",
                                    "endTimeUnixNano": 1795417200000000007,
                                    "attributes": [{"key": "n", "value": {"intValue": "5"}}],
                                    "tomorrow": 1,
                                }
                            ]
                        }
                    ]
                }
            ]
        }
    )
    (row,) = decode_json(body, NUMBER).rows
    assert (row.trace_id, row.kind, row.duration_ns) == ("ab" * 16, "SPAN_KIND_CLIENT", 7)
    assert orjson.loads(row.doc)["SpanAttributes"] == {"n": 5}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"7",
        b'{"resourceSpans":7}',
        b'{"resourceSpans":[7]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":7}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":7}]}]}]}',
    ],
)
def test_json_that_is_no_export_is_refused(body):
    with pytest.raises(Undecodable):
        decode_json(body, STRING)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_bytes_that_are_no_export_are_refused_and_nothing_else_happens(body):
    for decode in (decode_protobuf, decode_json):
        try:
            decode(body, STRING)
        except Undecodable:
            continue


def test_a_truncated_export_is_refused():
    body = make_export(make_span()).SerializeToString()
    with pytest.raises(Undecodable):
        decode_protobuf(body[:-3], STRING)


def test_an_empty_export_is_an_export():
    assert decode_protobuf(ExportTraceServiceRequest().SerializeToString(), STRING).rows == ()
    assert decode_json(b"{}", STRING).rows == ()


def test_instants_keep_their_nanoseconds():
    assert rfc3339(1_795_417_200_000_000_001) == "2026-11-23T07:00:00.000000001Z"
    assert rfc3339(999_999_999) == "1970-01-01T00:00:00.999999999Z"


def test_an_attribute_that_was_seen_before_is_read_the_same_again():
    """Short attributes are looked up in a table; the second look must not differ from the first."""
    attributes = {"short": "x", "n": 7, "zero": 0, "f": 0.5, "no": False, "long": "y" * 500}
    for numeric in NumericAttributes:
        body = make_export(make_span(1, attributes=attributes)).SerializeToString()
        first, again = (decode_protobuf(body, numeric).rows for _ in range(2))
        assert first == again
    text = orjson.loads(decode_protobuf(body, NumericAttributes.STRING).rows[0].doc)
    assert text["SpanAttributes"] == {
        "short": "x",
        "n": "7",
        "zero": "0",
        "f": "0.5",
        "no": "false",
        "long": "y" * 500,
    }


def test_an_attribute_that_is_no_key_and_value_makes_the_export_undecodable():
    body = make_export(make_span(1, attributes={"key": "v"})).SerializeToString()
    with pytest.raises(Undecodable):
        decode_protobuf(body.replace(b"\x0a\x03key", b"\x0f\x03key"), NumericAttributes.STRING)


def test_a_promoted_attribute_is_answered_as_any_other():
    """It has a column of its own beside the map; both have to say the same."""
    span = make_span(1, attributes={"http.response.status_code": 200, "tfy.span_type": "Model"})
    (row,) = decode_protobuf(make_export(span).SerializeToString(), NumericAttributes.NUMBER).rows
    assert (row.http_status, row.span_type, row.provider) == ("200", "Model", None)
