"""An OTLP endpoint that keeps what it is sent, and a judged run to send there."""

import gzip
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

sys.path.append(str(Path(__file__).parents[1] / "runfolder"))

from sample_run import sample_run

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.otlp.settings import OtlpSettings
from tfy_last9.cli.console import Console
from tfy_last9.cli.judging import conclude

AUTH = "Basic c2VjcmV0OnNlY3JldA=="


class Endpoint:
    """What arrived, and what to answer: a list of statuses, 200 when it is used up."""

    def __init__(self):
        self.spans, self.resources, self.metrics, self.paths, self.statuses = [], [], [], [], []
        self.rejects = 0

    def take(self, path, headers, body):
        self.paths.append(path)
        if self.statuses:
            return self.statuses.pop(0), Status(message=f"not for {headers['authorization']}")
        assert headers["authorization"] == AUTH
        assert headers["content-type"] == "application/x-protobuf"
        plain = gzip.decompress(body)
        if path.endswith("/v1/traces"):
            for part in ExportTraceServiceRequest.FromString(plain).resource_spans:
                self.resources.append(part.resource)
                self.spans += [span for scope in part.scope_spans for span in scope.spans]
        else:
            for part in ExportMetricsServiceRequest.FromString(plain).resource_metrics:
                self.resources.append(part.resource)
                self.metrics += [one for scope in part.scope_metrics for one in scope.metrics]
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = self.rejects
        return 200, answer


@pytest.fixture
def endpoint():
    there = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, message = there.take(self.path, headers, body)
            data = message.SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    there.settings = OtlpSettings(f"http://127.0.0.1:{server.server_port}", AUTH)
    yield there
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A run of 300 requests: one provider slow, one failing, some traces lost."""
    folder = sample_run(tmp_path_factory.mktemp("runs"))
    conclude(folder, load_objectives(folder.slo_path), Console(quiet=True))
    return folder
