"""Rows of Last9's answers to spans, and what the spans of a trace say about each other."""

import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.model.trace import Role, SpanStatus
from tfy_last9.wire.spans import assign_roots, distinct, read_span, read_spans

TRACE = "019e88d3d58b72289db404b486e0e151"


def row(**changes):
    plain = {
        "Timestamp": "2026-11-23T07:00:00.5Z",
        "TraceId": TRACE,
        "SpanId": "1078a3517b71ad36",
        "ParentSpanId": "",
        "TraceState": "",
        "SpanName": "ChatCompletion: prod/chat-default",
        "SpanKind": "SPAN_KIND_SERVER",
        "ServiceName": "tfy-llm-gateway",
        "ResourceAttributes": {
            "service.name": "tfy-llm-gateway",
            "deployment.environment": "perf",
            "env": "other",
            "region": "us-east-1",
            "team": "platform",
            "Authorization": "Basic c2VjcmV0",
        },
        "SpanAttributes": {
            "tfy.span_type": "ChatCompletion",
            "tfy.request.model_name": "prod/chat-default",
            "tfy.model.name": "openai-main/gpt-4o-mini",
            "tfy.request.metadata": '{"run_id":"r-42","request_id":"r-42.7","user":"alice"}',
            "tfy.request.created_by_subject": "alice@example.com",
            "tfy.input": "my diary",
            "tfy.error_message": "quota of 20000 reached",
            "http.response.status_code": "200",
        },
        "Duration": 2310000000,
        "StatusCode": "STATUS_CODE_OK",
        "StatusMessage": "",
    }
    return {**plain, **changes}


def test_a_root_span_is_read_whole():
    span = read_span(row())
    assert (span.trace_id, span.span_id, span.parent_span_id) == (TRACE, "1078a3517b71ad36", None)
    assert (span.role, span.status, span.kind) == (Role.ROOT, SpanStatus.OK, "server")
    assert (span.run_id, span.request_id) == ("r-42", "r-42.7")
    assert (span.start_ns, span.duration_ns) == (1795417200_500000000, 2310000000)
    assert (span.env, span.region, span.service) == ("perf", "us-east-1", "tfy-llm-gateway")
    assert (span.account, span.model) == ("openai-main", "openai-main/gpt-4o-mini")
    assert (span.route, span.provider) == ("prod/chat-default", None)
    assert span.status_message is None
    assert span.resource["team"] == "platform"
    assert span.attributes["http.response.status_code"] == 200


def test_nothing_private_is_left_in_a_span():
    text = repr(read_span(row(StatusMessage="user bob@example.com over 12345 tokens")))
    for secret in ("my diary", "alice", "bob", "Basic", "12345", "20000"):
        assert secret not in text


def test_a_span_can_be_written_as_json():
    """The evidence keeps attributes as JSON."""
    orjson.dumps(read_span(row()), default=dict)


@pytest.mark.parametrize(
    ("resource", "env", "region"),
    [
        ({"env": "production"}, "production", None),
        ({"deployment.environment.name": "x", "cloud.region": "eu-1"}, "x", "eu-1"),
        (None, None, None),
        ({"env": ""}, None, None),
    ],
)
def test_environment_and_region_come_from_the_resource(resource, env, region):
    span = read_span(row(ResourceAttributes=resource))
    assert (span.env, span.region) == (env, region)


@pytest.mark.parametrize(
    "changes",
    [
        {"SpanAttributes": None, "SpanName": None, "SpanKind": None, "StatusCode": ""},
        {"StatusMessage": None, "ServiceName": None, "ParentSpanId": None},
    ],
)
def test_absent_optional_fields_do_no_harm(changes):
    assert read_span(row(**changes)).trace_id == TRACE


def test_rows_that_cannot_be_read_are_counted_and_named():
    bad = [
        row(TraceId=""),
        row(SpanId=None),
        row(Duration=None),
        row(Duration="1.5s"),
        row(Timestamp="soon"),
        row(StatusCode="FINE"),
        row(SpanAttributes=[]),
        "text",
        None,
    ]
    reading = read_spans([row(), *bad])
    assert reading.rows == 10
    assert len(reading.spans) == 1
    assert len(reading.problems) == len(bad)
    assert TRACE in reading.problems[2]
    assert "Duration" in reading.problems[2]


def span(span_id, parent=None, trace=TRACE, **attributes):
    fields = {"SpanId": f"{span_id:016x}", "TraceId": trace, "SpanAttributes": attributes}
    parent_id = f"{parent:016x}" if parent is not None else ""
    kind = attributes.pop("kind", "SPAN_KIND_INTERNAL")
    return read_span(row(**fields, ParentSpanId=parent_id, SpanKind=kind, SpanName="x"))


def roles(spans):
    return {int(span.span_id, 16): span.role for span in assign_roots(spans)}


def test_a_root_kind_inside_another_gateway_span_is_not_the_root():
    agent = span(1, **{"tfy.span_type": "AgentResponse"})
    inner = span(2, 1, **{"tfy.span_type": "ChatCompletion"})
    assert roles([inner, agent]) == {1: Role.ROOT, 2: Role.OTHER}


def test_a_root_whose_parent_is_the_client_stays_root():
    """A gateway that honours traceparent: the parent is no gateway span."""
    root = span(1, 99, **{"tfy.span_type": "ChatCompletion"})
    model = span(2, 1, **{"tfy.span_type": "Model"})
    assert roles([root, model]) == {1: Role.ROOT, 2: Role.MODEL}


def test_a_genai_trace_under_a_callers_span_gets_its_root_from_the_serving_span():
    server = span(1, 99, kind="SPAN_KIND_SERVER")
    model = span(2, 1, kind="SPAN_KIND_CLIENT", **{"gen_ai.request.model": "m"})
    assert roles([model, server]) == {1: Role.ROOT, 2: Role.MODEL}


def test_a_child_whose_parent_has_not_arrived_is_not_promoted():
    """Otherwise half a trace would look like a complete one."""
    assert roles([span(2, 1, **{"tfy.span_type": "Model"})]) == {2: Role.MODEL}
    assert roles([span(3, 2)]) == {3: Role.OTHER}


def test_traces_do_not_mix():
    other = "a" * 32
    first = span(1, 2, **{"tfy.span_type": "ChatCompletion"})
    second = span(2, trace=other, **{"tfy.span_type": "ChatCompletion"})
    assert {found.role for found in assign_roots([first, second])} == {Role.ROOT}


def test_a_span_that_came_twice_counts_once_and_by_its_worse_copy():
    fine, failed = read_span(row()), read_span(row(StatusCode="Error", Duration=1))
    assert [found.status for found in distinct([fine, failed])] == [SpanStatus.ERROR]
    slow = read_span(row(Duration=9 * 10**9))
    assert [found.duration_ns for found in distinct([slow, fine])] == [9 * 10**9]


@given(st.integers(0, 2**32))
def test_any_order_of_rows_gives_the_same_reading(seed):
    rows = [
        row(SpanId=f"{n % 7 + 1:016x}", Duration=n, StatusCode="Error" if n % 3 else "Ok")
        for n in range(20)
    ]
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    expected = assign_roots(distinct(read_spans(rows).spans))
    assert assign_roots(distinct(read_spans(shuffled).spans)) == expected
