"""The Last9 client against the Last9 stand-in, fed by OpenTelemetry's own exporter.

Both were written from the same facts by different hands; what one of them misread shows up here.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.counting import Counting
from tfy_last9.adapters.last9.settings import from_environment
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.errors import ConfigurationError, CredentialRefused
from tfy_last9.model.objective import (
    Book,
    Condition,
    Objective,
    Operator,
    Population,
    Ratio,
    Threshold,
)
from tfy_last9.model.run import Counted, Window
from tfy_last9.model.trace import Role, SpanStatus

pytestmark = pytest.mark.contract

INGEST = "Basic dGVzdDp0ZXN0"
UPSTREAM = "upstream error for request 123456"
S = 10**9


class WallClock:
    def now_ns(self):
        return time.time_ns()

    def sleep(self, seconds):
        time.sleep(seconds)


@dataclass
class StandIn:
    process: subprocess.Popen
    ready: dict

    @property
    def url(self):
        return f"http://127.0.0.1:{self.ready['port']}"

    @contextmanager
    def connected(self, **changes):
        variables = {"LAST9_REFRESH_TOKEN": self.ready["refresh_token"], "LAST9_API_URL": self.url}
        settings = from_environment({**variables, **changes})
        assert settings is not None
        with Last9Client(settings, WallClock()) as client:
            yield client, Last9Source(client, settings, WallClock())


def started(directory, *options):
    command = [sys.executable, "-m", "tfy_last9.standins", "last9"]
    process = subprocess.Popen(
        [*command, "--journal", str(directory / "journal.ndjson"), *options],
        stdout=subprocess.PIPE,
        env={**os.environ, "SANDBOX_OTLP_AUTH": INGEST},
        text=True,
    )
    assert process.stdout is not None
    return StandIn(process, json.loads(process.stdout.readline()))


def ended(stand_in):
    stand_in.process.send_signal(signal.SIGTERM)
    stand_in.process.wait(timeout=20)
    stand_in.process.stdout.close()


SWITCHES = {
    "as documented": (),
    "the other way round": (
        *("--numeric-attributes", "number", "--window-end", "inclusive"),
        *("--max-limit", "200", "--dotted-fields", "accept"),
    ),
}


@pytest.fixture(scope="module", params=SWITCHES.values(), ids=SWITCHES.keys())
def stand_in(request, tmp_path_factory):
    running = started(tmp_path_factory.mktemp("last9"), *request.param)
    yield running
    ended(running)


@pytest.fixture
def connect(stand_in):
    """Return client and source; closed after the test."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(stand_in.connected(**changes))


class Gateway:
    """Exports traces shaped like TrueFoundry's through the OpenTelemetry SDK."""

    def __init__(self, stand_in):
        resource = Resource(
            {
                "service.name": "tfy-llm-gateway",
                "deployment.environment": "perf",
                "region": "us-east-1",
                "team": "platform",
            }
        )
        exporter = OTLPSpanExporter(f"{stand_in.url}/v1/traces", headers={"Authorization": INGEST})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("gateway")

    def chat(self, run_id, request_id, start_ns, *, flat=False, failed_first=None):
        """Export one chat completion; return trace id and root span id in hex.

        `failed_first` is what a first target said that did not serve it.
        """
        metadata = {"run_id": run_id, "request_id": request_id}
        if flat:
            carried = {f"tfy.request.metadata.{key}": value for key, value in metadata.items()}
        else:
            carried = {"tfy.request.metadata": json.dumps(metadata)}
        root = self._tracer.start_span(
            "ChatCompletion: prod/chat",
            kind=SpanKind.SERVER,
            start_time=start_ns,
            attributes={
                "tfy.span_type": "ChatCompletion",
                "tfy.request.model_name": "prod/chat",
                "tfy.request.created_by_subject": "alice@example.com",
                "tfy.input": "my diary",
                **carried,
            },
        )
        if failed_first:
            self._model(root, start_ns, "openai", "openai-main", failed=failed_first)
        self._model(root, start_ns + S // 10, "anthropic", "anthropic-main")
        root.set_status(Status(StatusCode.OK))
        root.end(start_ns + S)
        context = root.get_span_context()
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    def _model(self, root, start_ns, provider, account, *, failed=None):
        span = self._tracer.start_span(
            f"Model: {account}/m",
            context=set_span_in_context(root),
            start_time=start_ns,
            attributes={
                "tfy.span_type": "Model",
                "tfy.model.name": f"{account}/m",
                "tfy.model.fqn": f"acme:{provider}:{account}:model:m",
                "tfy.model.streaming": True,
                "tfy.model.metric.input_tokens": 12,
                "tfy.model.metric.time_to_first_token_in_ms": 41.5,
            },
        )
        if failed:
            span.set_attribute("tfy.error_message", failed)
            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(start_ns + S // 2 + 7)

    def flush(self):
        assert self._provider.force_flush()

    def close(self):
        self._provider.shutdown()


@pytest.fixture
def gateway(stand_in):
    exporting = Gateway(stand_in)
    yield exporting
    exporting.close()


def eventually(look, seen, within_s=10.0):
    """Poll: the stand-in stores what arrives when it is scheduled."""
    deadline = time.monotonic() + within_s
    while not seen(found := look()):
        assert time.monotonic() < deadline, f"not seen in time, last: {found}"
        time.sleep(0.05)
    return found


def recent():
    """A window in the past that no other test of this module uses."""
    recent.used += 1
    start_ns = (time.time_ns() // S - 1000 * recent.used) * S
    return start_ns, Window(start_ns - 20 * S, start_ns + 200 * S)


recent.used = 0


def test_a_trace_comes_back_as_it_was_exported(connect, gateway):
    _, source = connect()
    start_ns, window = recent()
    trace_id, root_id = gateway.chat("r-1", "r-1.7", start_ns + 123_456_789, failed_first=UPSTREAM)
    gateway.flush()
    page = eventually(lambda: source.spans(window), lambda page: len(page.spans) == 3)
    assert (page.truncated, page.problems) == ((), ())
    root = next(span for span in page.spans if span.role is Role.ROOT)
    failed, good = (span for span in page.spans if span.role is Role.MODEL)
    assert (root.trace_id, root.span_id, root.parent_span_id) == (trace_id, root_id, None)
    assert (root.run_id, root.request_id, root.route) == ("r-1", "r-1.7", "prod/chat")
    assert (root.start_ns, root.duration_ns) == (
        start_ns + 123_456_789,
        S,
    )
    assert (root.status, root.env, root.region) == (SpanStatus.OK, "perf", "us-east-1")
    assert root.resource["team"] == "platform"
    assert (failed.status, failed.provider, failed.account) == (
        SpanStatus.ERROR,
        "openai",
        "openai-main",
    )
    assert failed.status_message == "upstream error for request <n>"
    assert (good.status, good.provider, good.model) == (
        SpanStatus.UNSET,
        "anthropic",
        "anthropic-main/m",
    )
    assert good.parent_span_id == root_id
    assert good.duration_ns == S // 2 + 7
    assert good.attributes["tfy.model.metric.input_tokens"] == 12
    assert good.attributes["tfy.model.metric.time_to_first_token_in_ms"] == 41.5
    assert good.attributes["tfy.model.streaming"] is True
    assert "diary" not in repr(page)
    assert "alice" not in repr(page)


@pytest.mark.parametrize("flat", [False, True])
def test_roots_are_found_by_run_id_in_either_encoding(connect, gateway, flat):
    _, source = connect()
    start_ns, window = recent()
    mine = gateway.chat("r-2", "r-2.1", start_ns, flat=flat)
    gateway.chat("r-22", "r-22.1", start_ns + S, flat=flat)
    gateway.flush()
    page = eventually(lambda: source.roots("r-2", window), lambda page: page.spans)
    assert [(span.trace_id, span.span_id) for span in page.spans] == [mine]


def test_one_trace_is_found_by_its_id(connect, gateway):
    _, source = connect()
    start_ns, window = recent()
    trace_id, root_id = gateway.chat("r-3", "r-3.1", start_ns)
    gateway.flush()
    spans = eventually(lambda: source.trace(trace_id, window), lambda spans: len(spans) == 2)
    assert {span.role for span in spans} == {Role.ROOT, Role.MODEL}
    assert source.trace("f" * 32, window) == ()
    assert root_id in {span.span_id for span in spans}


@pytest.mark.parametrize("limit", ["150", "5000"])
def test_nothing_is_lost_to_full_pages_or_to_a_cap_nobody_mentions(connect, gateway, limit):
    """One of the stand-ins answers at most 200 rows to any limit."""
    _, source = connect(LAST9_PAGE_LIMIT=limit)
    start_ns, window = recent()
    sent = {gateway.chat("r-4", f"r-4.{n}", start_ns + n * S // 4)[0] for n in range(400)}
    gateway.flush()
    page = eventually(lambda: source.spans(window), lambda page: len(page.spans) == 800)
    assert {span.trace_id for span in page.spans} == sent
    assert page.truncated == ()


def test_counts_and_rows_agree_that_a_limit_of_the_gateway_is_no_call(connect, gateway):
    """Its Model span asked nobody; a provider that uses the same words later in its message was asked."""
    client, source = connect()
    start_ns, window = recent()
    limits = ("Rate limit exceeded for model: a/m with rule: r", "Budget exceeded for model: a/m")
    of_provider = "openai error: Rate limit exceeded for model gpt-4o-mini"
    for number, said in enumerate((*limits, of_provider, None)):
        gateway.chat("r-5", f"r-5.{number}", start_ns + number * S, failed_first=said)
    gateway.flush()
    page = eventually(lambda: source.spans(window), lambda page: len(page.spans) == 11)
    calls = [span for span in page.spans if span.role is Role.MODEL]
    rows = Counter((span.provider, span.status is SpanStatus.ERROR) for span in calls)
    assert rows == {("openai", True): 1, ("anthropic", False): 4}
    errors = Ratio(Population(Book.LAST9, Role.MODEL), (Condition("status", ("error",)),))
    slow = Threshold(Population(Book.LAST9, Role.MODEL), "duration_ms", Operator.LTE, 1.0)
    wanted = [
        Objective(name, name, "s", indicator, 0.95, ("provider",), True, 0.95, "a.yaml", 1)
        for name, indicator in (("errors", errors), ("slow", slow))
    ]
    counted = Counting(client, "tfy-llm-gateway", 100).objectives(wanted, window)
    assert counted == (
        Counted("errors", ("anthropic",), 4, 0, 0),
        Counted("errors", ("openai",), 1, 1, 0),
        Counted("slow", ("anthropic",), 4, 4, 0),
        Counted("slow", ("openai",), 0, 0, 1),
    )


def test_an_empty_stretch_of_time_is_empty(connect):
    _, source = connect()
    _, window = recent()
    page = source.spans(window)
    assert (page.spans, page.truncated, page.problems) == ((), (), ())


def test_the_default_data_source_names_the_region(connect):
    client, _ = connect()
    assert client.place().region
    assert client.organisation == "acme"


def test_a_wrong_region_is_a_matter_of_configuration(connect):
    _, source = connect(LAST9_REGION="mars-1")
    with pytest.raises(ConfigurationError):
        source.spans(recent()[1])


def test_a_forged_refresh_token_is_refused(connect, stand_in):
    client, _ = connect(LAST9_REFRESH_TOKEN=stand_in.ready["refresh_token"][:-9] + "A" * 9)
    with pytest.raises(CredentialRefused):
        client.place()


def test_reading_goes_on_across_the_expiry_of_a_token(tmp_path):
    """The token is renewed at half of its one second, or when it is refused."""
    running = started(tmp_path, "--token-lifetime-s", "1")
    try:
        with running.connected() as (_, source):
            for _ in range(4):
                assert source.spans(recent()[1]).spans == ()
                time.sleep(0.3)
    finally:
        ended(running)
