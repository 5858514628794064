"""The exporter: what it sends, what it repeats, what it loses, and that it says so."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tfy_last9.standins.gateway import record
from tfy_last9.standins.gateway.exporter import SpanExporter
from tfy_last9.standins.gateway.metrics import Metrics
from tfy_last9.standins.gateway.otlp import OtlpSender, Sent
from tfy_last9.standins.gateway.policy.config import Export, SpanFilter
from tfy_last9.standins.gateway.record import SpanRecord
from tfy_last9.standins.journal import Journal

OK = Sent(200)


def span_of(number, attributes):
    """Make a span as a story does."""
    return SpanRecord("span", 0x7474, number, None, attributes=attributes)


class Scripted:
    """A sender whose answers are given; the last one is given for ever."""

    def __init__(self, *answers, before=None):
        self.answers = list(answers)
        self.batches = []
        self.before = before

    def send(self, spans):
        if self.before is not None:
            self.before.wait()
        self.batches.append(list(spans))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def close(self):
        pass


class Exported:
    """What an exporter did with some spans until it was shut down."""

    def __init__(self, tmp_path, sender, *spans, rules=None, release=None):
        path, self.metrics = tmp_path / "journal.ndjson", Metrics("acme")
        with Journal(path, "gateway") as journal:
            exporter = SpanExporter(
                rules or Export(window_s=0.01, retry_delay_s=0),
                lambda: sender,
                journal,
                self.metrics,
            )
            self.ids = []
            for number, attributes in enumerate(spans, 1):
                span = span_of(number, attributes)
                exporter.export([span])
                self.ids.append(f"{span.span_id:016x}")
            if release is not None:
                release.set()
            exporter.stop()
        self.journal = [json.loads(line) for line in path.read_text().splitlines()]

    def counted(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"ai_gateway_{name}_total", labels) or 0

    def exported(self, outcome, reason=""):
        return self.counted("spans_exported", outcome=outcome, reason=reason, tenant_name="acme")

    def lost(self):
        return Counter(line["reason"] for line in self.journal if line["event"] == "span_lost")


PLAIN = [{}] * 10


def test_everything_is_sent_in_batches_before_the_end(tmp_path):
    sender = Scripted(OK)
    found = Exported(tmp_path, sender, *PLAIN, rules=Export(batch_size=4, window_s=0.01))
    assert sum(map(len, sender.batches)) == 10
    assert max(map(len, sender.batches)) <= 4
    assert found.counted("spans_accepted") == found.exported("success") == 10
    assert not found.lost()


@pytest.mark.parametrize(
    "trouble",
    [
        Sent(503, "http_5xx"),
        Sent(429, "http_4xx"),
        Sent(None, "timeout"),
        Sent(None, "connection_refused"),
    ],
)
def test_what_may_pass_is_repeated(tmp_path, trouble):
    sender = Scripted(trouble, trouble, OK)
    found = Exported(tmp_path, sender, {}, rules=Export(window_s=0.01, retry_delay_s=0))
    assert len(sender.batches) == 3
    assert found.exported("success") == 1
    exports = [(line["ok"], line["status"]) for line in found.journal if line["event"] == "export"]
    assert exports == [(False, trouble.status)] * 2 + [(True, 200)]


def test_after_the_retries_a_batch_is_lost_counted_and_named(tmp_path):
    sender = Scripted(Sent(503, "http_5xx"))
    found = Exported(
        tmp_path, sender, {}, {}, rules=Export(window_s=60, retries=2, retry_delay_s=0)
    )
    assert len(sender.batches) == 3
    assert found.exported("failed", "http_5xx") == 2
    lost = [line["span_id"] for line in found.journal if line["event"] == "span_lost"]
    assert lost == found.ids


@pytest.mark.parametrize("status", [400, 401, 413])
def test_what_was_refused_is_not_repeated(tmp_path, status):
    sender = Scripted(Sent(status, "http_4xx"))
    found = Exported(tmp_path, sender, {})
    assert len(sender.batches) == 1
    assert found.exported("failed", "http_4xx") == 1
    assert found.lost() == {"http_4xx": 1}


def test_a_full_queue_drops_what_comes_and_keeps_what_it_has(tmp_path):
    """The worker is held inside its first request, so that nothing leaves the queue."""
    release = threading.Event()
    sender = Scripted(OK, before=release)
    rules = Export(queue_size=5, batch_size=1, window_s=0.01)
    found = Exported(tmp_path, sender, *PLAIN, rules=rules, release=release)
    dropped = found.counted("span_drops", reason="queue_full")
    assert 4 <= dropped <= 5, "one span may have been taken out before the others came"
    assert found.lost() == {"queue_full": dropped}
    assert found.counted("spans_accepted") == found.exported("success") == 10 - dropped


def test_a_partial_success_counts_what_was_not_taken(tmp_path):
    found = Exported(tmp_path, Scripted(Sent(200, None, 3)), *PLAIN, rules=Export(window_s=60))
    assert (found.exported("success"), found.exported("failed", "unknown")) == (7, 3)


def test_the_filter_looks_at_one_span_at_a_time(tmp_path):
    """So a condition on what only the root says amputates traces, as the documentation implies."""
    rules = Export(window_s=0.01, when=(SpanFilter("tfy.span_type", frozenset({"Model"})),))
    sender = Scripted(OK)
    found = Exported(
        tmp_path,
        sender,
        {"tfy.span_type": "Model"},
        {"tfy.span_type": "X"},
        {"tfy.span_type": 1},
        {},
        rules=rules,
    )
    assert sum(map(len, sender.batches)) == 1
    assert found.counted("span_drops", reason="when_filter") == 3
    assert sum(line["event"] == "span_filtered" for line in found.journal) == 3


def sender_to(url, encoding="proto", timeout_s=20):
    resource = {"team": "sre"}
    return OtlpSender(url, "Basic x", resource=resource, encoding=encoding, timeout_s=timeout_s)


def spans():
    outer = span_of(1, {"n": 7, "l": ["a"], "m": {"k": "v"}})
    outer.trace_id = 0x019E88D3D58B72289DB404B486E0E151
    outer.kind, outer.start_ns = record.SERVER, 1_750_000_000_000_000_001
    inner = span_of(2, {})
    inner.parent_id = outer.span_id
    return [outer, inner]


def test_json_has_hex_ids_numbers_as_text_and_enums_as_numbers():
    (group,) = json.loads(sender_to("http://x", "json").encode(spans()))["resourceSpans"]
    outer, inner = group["scopeSpans"][0]["spans"]
    assert outer["traceId"] == "019e88d3d58b72289db404b486e0e151"
    assert inner["parentSpanId"] == outer["spanId"] == "0000000000000001"
    assert outer["kind"] == 2
    assert outer["startTimeUnixNano"] == "1750000000000000001"
    values = {item["key"]: item["value"] for item in outer["attributes"]}
    assert values["n"] == {"intValue": "7"}
    assert values["l"] == {"arrayValue": {"values": [{"stringValue": "a"}]}}
    assert values["m"]["kvlistValue"]["values"] == [{"key": "k", "value": {"stringValue": "v"}}]
    attributes = group["resource"]["attributes"]
    assert {item["key"]: item["value"]["stringValue"] for item in attributes} == {
        "service.name": "tfy-llm-gateway",
        "team": "sre",
    }


class Backend(BaseHTTPRequestHandler):
    """Answers as its path says and notes the headers."""

    def do_POST(self):
        self.server.seen.append(dict(self.headers))
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/silent":
            self.server.released.wait()
        self.send_response(200 if self.path in ("/partial", "/silent") else int(self.path[1:]))
        body = b'{"partialSuccess": {"rejectedSpans": "2"}}' if self.path == "/partial" else b""
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Stay silent."""


@pytest.fixture
def backend():
    server = HTTPServer(("127.0.0.1", 0), Backend)
    server.seen, server.released = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/200", Sent(200)),
        ("/partial", Sent(200, None, 2)),
        ("/429", Sent(429, "http_4xx")),
        ("/400", Sent(400, "http_4xx")),
        ("/503", Sent(503, "http_5xx")),
        ("/silent", Sent(None, "timeout")),
    ],
)
@pytest.mark.parametrize("encoding", ["proto", "json"])
def test_the_reason_of_a_failure_is_the_documented_one(backend, path, sent, encoding):
    url = f"http://127.0.0.1:{backend.server_port}{path}"
    timeout_s = 0.2 if path == "/silent" else 20
    sender = sender_to(url, encoding, timeout_s)
    assert sender.send(spans()) == sent
    sender.close()
    kind = {"proto": "application/x-protobuf", "json": "application/json"}[encoding]
    assert backend.seen[0]["Content-Type"] == kind
    assert backend.seen[0]["Authorization"] == "Basic x"


def test_nobody_listens(backend):
    port = backend.server_port
    backend.shutdown()
    backend.server_close()
    backend.shutdown = backend.server_close = lambda: None
    sender = sender_to(f"http://127.0.0.1:{port}/")
    assert sender.send(spans()) == Sent(None, "connection_refused")
