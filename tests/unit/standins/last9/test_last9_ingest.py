"""OTLP ingestion over a real socket, from raw requests and from the OpenTelemetry SDK."""

import gzip
import socket
import zlib

import orjson
import pytest
from google.rpc.status_pb2 import Status
from last9_sandbox import OTLP_AUTH, make_export, make_span, where
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from tfy_last9.standins.last9 import store
from tfy_last9.standins.last9.settings import NumericAttributes, Settings


def test_an_accepted_export_answers_with_an_empty_response(last9):
    response = last9.export(make_export(make_span()))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-protobuf"
    assert ExportTraceServiceResponse.FromString(response.content) == ExportTraceServiceResponse()


def test_gzip_and_identity_are_taken(last9):
    body = make_export(make_span()).SerializeToString()
    assert last9.export(gzip.compress(body, mtime=0), content_encoding="gzip").status_code == 200
    assert last9.export(body, content_encoding="identity").status_code == 200
    last9.wait_for(2)


def test_a_chunked_body_is_taken(last9):
    body = make_export(make_span()).SerializeToString()
    headers = {"Authorization": OTLP_AUTH, "Content-Type": "application/x-protobuf"}
    content = iter([body[:10], body[10:]])
    assert last9.client.post("/v1/traces", content=content, headers=headers).status_code == 200


def test_json_is_taken_with_a_charset_and_answered_in_json(last9):
    span = {
        "traceId": "ab" * 16,
        "spanId": "cd" * 8,
        "name": "from node",
        "startTimeUnixNano": "1795417200000000000",
        "endTimeUnixNano": "1795417200000000001",
    }
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    response = last9.export(body, "application/json; charset=utf-8")
    assert (response.status_code, response.json()) == (200, {})
    last9.wait_for(1)
    assert last9.names(where({"$eq": ["TraceId", "ab" * 16]})) == ["from node"]


@pytest.mark.parametrize(
    "credential",
    [None, "", OTLP_AUTH.removeprefix("Basic "), "Basic other", "Bearer x", "Basic \xff"],
)
def test_a_wrong_credential_is_401(last9, credential):
    headers = {"Content-Type": "application/x-protobuf"}
    if credential is not None:
        headers["Authorization"] = credential.encode("latin-1")
    body = make_export(make_span()).SerializeToString()
    response = last9.client.post("/v1/traces", content=body, headers=headers)
    assert response.status_code == 401
    assert Status.FromString(response.content).message


def test_a_missing_basic_prefix_is_named_in_the_answer(last9):
    response = last9.export(b"", Authorization=OTLP_AUTH.removeprefix("Basic "))
    assert "'Basic '" in Status.FromString(response.content).message


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/grpc"])
def test_another_content_type_is_415(last9, content_type):
    assert last9.export(make_export(), content_type).status_code == 415


def test_another_encoding_is_415(last9):
    assert last9.export(make_export(), content_encoding="zstd").status_code == 415


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"garbage", {}),
        (b"not gzip", {"content_encoding": "gzip"}),
        (gzip.compress(b"garbage" * 9, mtime=0)[:-12], {"content_encoding": "gzip"}),
        (gzip.compress(b"garbage", mtime=0), {"content_encoding": "gzip"}),
    ],
)
def test_garbage_is_400_with_a_status(last9, body, headers):
    response = last9.export(body, **headers)
    assert response.status_code == 400
    assert Status.FromString(response.content).message


def test_garbage_in_json_is_400_in_json(last9):
    response = last9.export(b"[]", "application/json")
    assert response.status_code == 400
    assert response.json()["message"]


@pytest.fixture
def small(start):
    return start(Settings(max_export_bytes=1000))


def test_a_gzip_bomb_is_refused(small):
    packed = zlib.compress(bytes(100_000), wbits=31)
    assert small.export(packed, content_encoding="gzip").status_code == 413


def test_an_oversize_export_is_refused_and_the_connection_lives_on(small):
    assert small.export(bytes(1001)).status_code == 413
    assert small.export(make_export(make_span())).status_code == 200


def test_spans_left_out_are_reported_as_partial_success(last9):
    response = last9.export(make_export(make_span(1), make_span(2, span_id=b"")))
    answer = ExportTraceServiceResponse.FromString(response.content)
    assert answer.partial_success.rejected_spans == 1
    assert answer.partial_success.error_message
    last9.wait_for(1)


def test_a_full_queue_asks_to_send_again(last9, monkeypatch):
    monkeypatch.setattr(store.SpanStore, "offer", lambda *_: False)
    response = last9.export(make_export(make_span()))
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


def test_a_span_that_comes_twice_is_shown_twice(last9):
    last9.ingest(make_span(1))
    last9.ingest(make_span(1))
    assert len(last9.result()) == 2


def test_each_export_is_in_the_journal(last9):
    trace = b"\xab" * 16
    last9.ingest(make_span(1, trace_id=trace), make_span(2, trace_id=trace), make_span(3))
    last9.export(b"garbage")
    noted = [(e["spans"], e["traces"], e["status"]) for e in last9.journal("ingest")]
    assert noted == [(3, 2, 200), (0, 0, 400)]


def sdk_provider(last9, compression):
    exporter = OTLPSpanExporter(
        f"{last9.url}/v1/traces", headers={"Authorization": OTLP_AUTH}, compression=compression
    )
    resource = Resource.create(
        {"service.name": "tfy-llm-gateway", "deployment.environment": "perf"}
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.NoCompression])
def test_the_real_exporter_is_understood(start, compression):
    last9 = start(Settings(numeric_attributes=NumericAttributes.NUMBER))
    provider = sdk_provider(last9, compression)
    tracer = provider.get_tracer("gateway")
    attributes = {"tfy.span_type": "Model", "tokens": 12, "cost": 0.5, "stream": True, "ids": ["a"]}
    with (
        tracer.start_as_current_span("ChatCompletion: x", kind=SpanKind.SERVER) as root,
        tracer.start_as_current_span("Model: x", attributes=attributes) as model,
    ):
        model.set_status(StatusCode.ERROR, "upstream 503")
    provider.shutdown()
    last9.wait_for(2)
    window = {"start": root.start_time // 10**9 - 1, "end": root.end_time // 10**9 + 1}
    child, parent = last9.result(where({"$eq": ["ServiceName", "tfy-llm-gateway"]}), **window)
    assert parent["TraceId"] == f"{root.context.trace_id:032x}"
    assert (parent["ParentSpanId"], child["ParentSpanId"]) == ("", parent["SpanId"])
    assert (parent["SpanKind"], parent["StatusCode"]) == ("SPAN_KIND_SERVER", "STATUS_CODE_UNSET")
    assert (child["StatusCode"], child["StatusMessage"]) == ("STATUS_CODE_ERROR", "upstream 503")
    assert child["SpanAttributes"] == attributes
    assert child["Duration"] == model.end_time - model.start_time
    assert parent["ResourceAttributes"]["deployment.environment"] == "perf"


def test_half_an_export_is_not_taken_when_the_sender_hangs_up(last9):
    """Cut between two resources, the body decodes as a valid, smaller export."""
    body = make_export(make_span(1)).SerializeToString()
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: {OTLP_AUTH}\r\n"
        f"Content-Type: application/x-protobuf\r\nContent-Length: {2 * len(body)}\r\n\r\n"
    )
    address = ("127.0.0.1", int(last9.url.rpartition(":")[2]))
    with socket.create_connection(address) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        # The server closes its side when it has seen the end.
        assert connection.recv(1000) == b""
    assert last9.client.get("/sandbox/health").json()["spans"] == 0
    assert last9.journal("ingest") == []
