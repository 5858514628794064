"""What the tests of the Last9 stand-in are made of: spans, exports, a table, a running app."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import httpx
import orjson
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.faults import parse
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9.app import Last9, Parts
from tfy_last9.standins.last9.derived import documents
from tfy_last9.standins.last9.disturbance import Disturbance
from tfy_last9.standins.last9.fields import span_field
from tfy_last9.standins.last9.otlp import decode_protobuf
from tfy_last9.standins.last9.parameters import ALWAYS, Parameters
from tfy_last9.standins.last9.pipeline import Groups, compile_pipeline
from tfy_last9.standins.last9.settings import NumericAttributes, Settings
from tfy_last9.standins.last9.store import SCHEMA, SpanStore
from tfy_last9.standins.last9.tokens import Statuses, Tokens

T0_S = 1_795_417_200
NS = 1_000_000_000
OTLP_AUTH = "Basic c2FuZGJveDpzYW5kYm94"
API_KEY = "sandbox-key"


KINDS = {
    str: "string_value",
    bool: "bool_value",
    int: "int_value",
    float: "double_value",
    bytes: "bytes_value",
}


def any_value(value):
    if isinstance(value, AnyValue):
        return value
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    return AnyValue(**{KINDS[type(value)]: value})


def key_values(attributes):
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def make_span(number=1, **changes):
    """Build a span; `number` gives its ids and its start, `number` ms after T0_S."""
    attributes = changes.pop("attributes", {})
    duration_ns = changes.pop("duration_ns", 1_000_000)
    start_ns = changes.pop("start_ns", T0_S * NS + number * 1_000_000)
    fields = {
        "trace_id": number.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "name": "chat",
        "start_time_unix_nano": start_ns,
        "end_time_unix_nano": start_ns + duration_ns,
        "attributes": key_values(attributes),
    }
    return Span(**(fields | changes))


def make_export(*spans, resource=None):
    export = ExportTraceServiceRequest()
    group = export.resource_spans.add()
    group.resource.attributes.extend(key_values(resource or {"service.name": "tfy-llm-gateway"}))
    group.scope_spans.add().spans.extend(spans)
    return export


@dataclass
class Running:
    """A stand-in that answers on a port, and what a test asks it."""

    url: str
    store: SpanStore
    tokens: Tokens
    journal_path: Path
    settings: Settings
    client: httpx.Client = field(init=False)

    def __post_init__(self):
        # Without TLS there are no certificates to load, which takes longer than most tests.
        self.client = httpx.Client(base_url=self.url, timeout=10, verify=False, trust_env=False)

    @property
    def base(self):
        return f"/api/v4/organizations/{self.settings.organization}"

    def access(self, *scopes):
        refresh_token = self.tokens.refresh_token(scopes or ("read",))
        token = self.tokens.exchange(refresh_token)["access_token"]
        return {"X-LAST9-API-TOKEN": f"Bearer {token}"}

    def export(self, body, content_type="application/x-protobuf", **headers):
        sent = {"Authorization": OTLP_AUTH, "Content-Type": content_type}
        content = body if isinstance(body, bytes) else body.SerializeToString()
        merged = sent | {key.replace("_", "-"): value for key, value in headers.items()}
        return self.client.post("/v1/traces", content=content, headers=merged)

    def ingest(self, *spans, resource=None):
        """Export spans and wait until queries see them."""
        target = self.store.written + len(spans)
        assert self.export(make_export(*spans, resource=resource)).status_code == 200
        self.wait_for(target)

    def wait_for(self, spans):
        for _ in range(500):
            if self.store.written >= spans:
                return
            threading.Event().wait(0.01)
        raise AssertionError(f"{self.store.written} of {spans} spans written after 5 s")

    def query(self, *stages, headers=None, **parameters):
        window = {"region": self.settings.region, "start": T0_S, "end": T0_S + 3600, "limit": 100}
        given = {key: value for key, value in (window | parameters).items() if value is not None}
        return self.client.post(
            f"{self.base}/cat/api/traces/v2/query_range/json",
            params=given,
            content=orjson.dumps({"pipeline": list(stages)}),
            headers=headers or self.access(),
        )

    def result(self, *stages, **parameters):
        response = self.query(*stages, **parameters)
        assert response.status_code == 200, response.text
        return response.json()["data"]["result"]

    def post(self, path, *stages, **parameters):
        """Ask an endpoint beside query_range."""
        window = {"region": self.settings.region, "start": T0_S, "end": T0_S + 3600}
        given = {key: value for key, value in (window | parameters).items() if value is not None}
        return self.client.post(
            f"{self.base}/cat/api/traces/v2/{path}",
            params=given,
            content=orjson.dumps({"pipeline": list(stages)}),
            headers=self.access(),
        )

    def names(self, *stages, **parameters):
        return [span["SpanName"] for span in self.result(*stages, **parameters)]

    def journal(self, event):
        lines = map(orjson.loads, self.journal_path.read_bytes().splitlines())
        return [line for line in lines if line["event"] == event]


def rows_of(*spans, resource=None, numeric=NumericAttributes.STRING):
    body = make_export(*spans, resource=resource).SerializeToString()
    return decode_protobuf(body, numeric).rows


def run(stages, *spans, resource=None, parameters=None, group_limit=None, **reading):
    """Compile a pipeline and run it over the spans, without a server."""
    statement = compile_pipeline(
        stages, parameters or Parameters(ALWAYS, 1000), span_field, Groups(group_limit)
    )
    with duckdb.connect(":memory:last9_tests") as connection:
        connection.execute(SCHEMA)
        connection.execute("TRUNCATE spans")
        appender = connection.appender("spans")
        appender.append_rows(rows_of(*spans, resource=resource, **reading))
        appender.flush()
        rows = connection.execute(statement.sql.text, statement.sql.values).fetchall()
    if statement.columns is None:
        return [orjson.loads(doc) for doc in documents(statement.derived, rows)]
    aliases = [column.alias for column in statement.columns]
    return [dict(zip(aliases, row, strict=True)) for row in rows]


def where(*conditions):
    return {"type": "filter", "query": {"$and": list(conditions)}}


class QuietServer(uvicorn.Server):
    def install_signal_handlers(self):
        """Leave signals alone: this server runs in a thread of the test process."""


class Stage:
    """One loopback server for all tests, on which each test puts its own app.

    Starting is quick, but a uvicorn server takes 0.2 s to stop.
    """

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.audience = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.app = None
        config = uvicorn.Config(self, lifespan="off", ws="none", log_config=None, access_log=False)
        self._server = QuietServer(config)
        serve = self._server.serve(sockets=[self._listener])
        self._thread = threading.Thread(target=lambda: asyncio.run(serve))
        self._thread.start()

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)

    def close(self):
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


def put_on(stage, path, settings, clock, faults=()):
    """Put a new stand-in on the stage; returns it and what takes it off."""
    audience = stage.audience
    statuses = Statuses(settings.expired_status, settings.bad_refresh_status)
    tokens = Tokens(
        *(b"k" * 32, audience, settings.organization, settings.token_lifetime_s, clock, statuses)
    )
    store, executor = SpanStore(), ThreadPoolExecutor(1)
    journal = Journal(path, "last9")
    disturbance = Disturbance(settings, journal, seed=1, clock=clock)
    disturbance.replace(map(parse, faults))
    url = f"http://{audience}"
    stage.app = Last9(
        Parts(
            *(settings, tokens, store, journal, executor, url, OTLP_AUTH),
            *(disturbance, clock, API_KEY),
        )
    )
    running = Running(url, store, tokens, path, settings)

    def take_off():
        running.client.close()
        executor.shutdown()
        store.close()
        journal.close()

    return running, take_off
