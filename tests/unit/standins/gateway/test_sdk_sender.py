"""Two ways out for one story: through OpenTelemetry's SDK, and directly. The same must arrive."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from gateway_settings import settings_with
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_gateway_spans import served_story

from tfy_last9.standins.gateway.otlp import OtlpSender
from tfy_last9.standins.gateway.sdk_sender import SdkSender
from tfy_last9.standins.gateway.spans import Teller

RESOURCE = {"env": "perf", "team": "platform"}


class Receiver(HTTPServer):
    """Keeps what it was sent, and answers with a given status."""

    def __init__(self, status=200):
        self.status = status
        self.requests = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(
            ({key.lower(): value for key, value in self.headers.items()}, gzip.decompress(body))
        )
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def sent(make, receiver, spans):
    """Send spans, and return the headers and the message that arrived, as plain values."""
    sender = make(receiver.url, "Basic eDp5", resource=RESOURCE)
    assert sender.send(spans).reason is None
    sender.close()
    headers, body = receiver.requests[-1]
    return headers, plain(ExportTraceServiceRequest.FromString(body))


def plain(request):
    (group,) = request.resource_spans
    (scope,) = group.scope_spans
    spans = {}
    for span in scope.spans:
        span.flags = 0  # the SDK says that the parent is local; the protocol leaves it optional
        spans[span.span_id] = span.SerializeToString(deterministic=True)
    resource = sorted((pair.key, pair.value.string_value) for pair in group.resource.attributes)
    return resource, scope.scope.name, spans


@pytest.mark.parametrize("encoding", ["json", "kvlist", "flat"])
def test_the_sdk_and_the_direct_way_write_the_same(receiver, encoding):
    chosen = settings_with("--attributes=both", f"--metadata-encoding={encoding}")
    spans = Teller(chosen).tell(served_story())
    headers, through_sdk = sent(SdkSender, receiver, spans)
    _, direct = sent(OtlpSender, receiver, spans)
    assert through_sdk == direct
    assert headers["authorization"] == "Basic eDp5"
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"] == "application/x-protobuf"
    assert len(through_sdk[2]) == len(spans) == 3


def test_a_refused_batch_is_final_and_says_why(receiver):
    receiver.status = 400
    sender = SdkSender(receiver.url, "Basic eDp5", resource=RESOURCE)
    answer = sender.send(Teller(settings_with()).tell(served_story()))
    sender.close()
    assert (answer.status, answer.reason, answer.may_be_repeated) == (400, "http_4xx", False)
    assert len(receiver.requests) == 1, "a refusal is not repeated"
