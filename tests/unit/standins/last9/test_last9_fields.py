"""Field names: the two dialects, and the spellings that Last9 refuses."""

import pytest
from last9_sandbox import key_values, make_span, run, where
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.last9.fields import BadPipeline, span_field
from tfy_last9.standins.last9.settings import DottedFields

RESOURCE = {"service.name": "tfy-llm-gateway", "deployment.environment": "perf"}
SPAN = make_span(
    7,
    name="Model: openai-main/gpt-4o",
    parent_span_id=b"\0" * 7 + b"\6",
    trace_state="a=b",
    kind=Span.SPAN_KIND_CLIENT,
    status={"code": 2, "message": "upstream 503"},
    duration_ns=812345678,
    attributes={"http.status_code": 503, "rpc.grpc.status_code": "14"},
    events=[
        Span.Event(name="log", attributes=key_values({"log.level": "info"})),
        Span.Event(name="exception", attributes=key_values({"exception.type": "Boom"})),
    ],
)


def matches(field, value):
    return bool(run([where({"$eq": [field, value]})], SPAN, resource=RESOURCE))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("TraceId", f"{7:032x}"),
        ("SpanId", f"{7:016x}"),
        ("ParentSpanId", f"{6:016x}"),
        ("TraceState", "a=b"),
        ("SpanName", "Model: openai-main/gpt-4o"),
        ("SpanKind", "SPAN_KIND_CLIENT"),
        ("ServiceName", "tfy-llm-gateway"),
        ("StatusCode", "STATUS_CODE_ERROR"),
        ("StatusMessage", "upstream 503"),
        ("Duration", "812345678"),
        ("Duration", 812345678),
        ("Timestamp", "2026-11-23T07:00:00.007000000Z"),
        ("attributes['http.status_code']", "503"),
        ("resources['deployment.environment']", "perf"),
        ("events['exception.type']", "Boom"),
        ("service.name", "tfy-llm-gateway"),
        ("resource_service.name", "tfy-llm-gateway"),
        ("resource_deployment.environment", "perf"),
        ("event_exception.type", "Boom"),
        ("grpc.status_code", "14"),
        ("http.status_code", 503),
        ("span.http.status_code", "503"),
        ("deployment.environment", "perf"),
    ],
)
def test_both_dialects_name_the_same_values(field, value):
    assert matches(field, value)
    assert not matches(field, "something else")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attributes.http.status_code", "503"),
        ("resource.deployment.environment", "perf"),
        ("resource.attributes.deployment.environment", "perf"),
        ("resources.deployment.environment", "perf"),
        ("events.exception.type", "Boom"),
    ],
)
def test_prefixed_dot_forms_are_refused_unless_switched_on(field, value):
    """The changelog of Last9's client says 400, its documentation shows them: hence the switch."""
    with pytest.raises(BadPipeline, match=r"attributes\['key'\]"):
        matches(field, value)
    text = span_field(field, DottedFields.ACCEPT).text
    assert text.values or text.text == "coalesce(environment, '')"


@pytest.mark.parametrize("field", ['attributes["x"]', "attributes[x]", "resources['x'", "events[]"])
def test_a_bracket_without_single_quotes_is_refused(field):
    with pytest.raises(BadPipeline, match="cannot parse field"):
        matches(field, "x")


def test_a_span_attribute_hides_the_resource_attribute_of_the_same_name():
    span = make_span(attributes={"deployment.environment": "mine"})
    spans = run([where({"$eq": ["deployment.environment", "mine"]})], span, resource=RESOURCE)
    assert len(spans) == 1
