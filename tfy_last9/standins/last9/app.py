"""The Last9 stand-in as one ASGI app: the routing table, and what its endpoints share."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl

import orjson

from tfy_last9.standins.asgi import ClientLeft, Receive, Scope, Send
from tfy_last9.standins.faults import FaultError, Owner, parse
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9 import openapi
from tfy_last9.standins.last9.catalogue import Catalogue
from tfy_last9.standins.last9.disturbance import Disturbance
from tfy_last9.standins.last9.events import ChangeEvents
from tfy_last9.standins.last9.ingest import Ingest
from tfy_last9.standins.last9.message import (
    TEXT,
    Refusal,
    Reply,
    Request,
    json_reply,
    refusal_reply,
)
from tfy_last9.standins.last9.presentation import Presentation
from tfy_last9.standins.last9.promql.routes import PromQueries
from tfy_last9.standins.last9.reading import Reading, json_object
from tfy_last9.standins.last9.routing import Guard, Route, answer, route
from tfy_last9.standins.last9.search import Search
from tfy_last9.standins.last9.settings import Settings
from tfy_last9.standins.last9.sources import Sources
from tfy_last9.standins.last9.store import SpanStore
from tfy_last9.standins.last9.tokens import Tokens
from tfy_last9.standins.last9.traces import TraceQueries

API = "/api/"
BASE = "/api/v4/organizations/{organization}"
V2 = f"{BASE}/cat/api/traces/v2"
LARGEST_QUERY_BYTES = 32 << 20
SIGNALS = ("traces", "metrics", "logs")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the app is put together from."""

    settings: Settings
    tokens: Tokens
    store: SpanStore
    journal: Journal
    executor: Executor
    url: str
    """Where this API answers, without a path."""
    otlp_authorization: str
    disturbance: Disturbance
    clock: Callable[[], float]
    api_key: str
    """Guards the sandbox's own routes; nobody passes if it is empty."""


class Last9:
    """ASGI app of the stand-in."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._routes = (
            *self._ingest_routes(),
            *self._query_routes(),
            *self._own_routes(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        assert scope["type"] == "http"
        try:
            reply = await self._reply(scope, receive)
        except ClientLeft:
            # Half an export may still decode as a smaller one: it must not be taken.
            return
        await _send(send, reply)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        settings, path = self._parts.settings, scope["path"]
        is_query = path.startswith(API)
        largest = LARGEST_QUERY_BYTES if is_query else settings.max_export_bytes
        body = await _body(receive, largest)
        if body is None:
            text = f"the body is larger than {largest} bytes"
            refusal = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text, TEXT)
            return refusal_reply(refusal)
        reply = await answer(self._routes, _request(scope, body), settings.error_shape)
        if reply is not None:
            return reply
        if is_query:
            refusal = Refusal(HTTPStatus.NOT_FOUND, f"no {scope['method']} {path} here")
        else:
            refusal = Refusal(HTTPStatus.NOT_FOUND, "404 page not found", TEXT)
        return refusal_reply(refusal, settings.error_shape)

    def _ingest_routes(self) -> tuple[Route, ...]:
        parts = self._parts
        ingest = Ingest(
            parts.store,
            parts.journal,
            parts.otlp_authorization,
            parts.settings,
            parts.disturbance,
            parts.clock,
        )
        return (
            route("POST", "/v1/traces", ingest.traces),
            *(route("POST", f"/v1/{signal}", ingest.other_signal) for signal in SIGNALS[1:]),
            *(route("GET", f"/v1/{signal}", ingest.wrong_method) for signal in SIGNALS),
        )

    def _query_routes(self) -> tuple[Route, ...]:
        parts = self._parts
        reading = Reading(
            parts.settings, parts.store, parts.executor, parts.disturbance, parts.clock
        )
        queries = TraceQueries(reading, Presentation(parts.settings))
        search, catalogue = Search(reading), Catalogue(reading)
        sources = Sources(parts.settings, parts.url)
        events, metrics = ChangeEvents(reading, parts.clock), PromQueries(reading, parts.clock)
        read, write, noted = self._needs("read"), self._needs("write"), self._note_query
        table = (
            ("GET", BASE, sources.organization, read),
            ("GET", f"{BASE}/datasources", sources.datasources, read),
            ("GET", f"{BASE}/clusters", sources.clusters, read),
            ("POST", f"{V2}/query_range/json", queries.query_range, read),
            ("POST", f"{V2}/search/json", search.traces, read),
            ("POST", f"{V2}/heatmap/json", search.heat_map, read),
            ("POST", f"{V2}/series/json", catalogue.series, read),
            ("POST", f"{V2}/label/json/{{tag*}}/values", catalogue.label_values, read),
            ("GET", f"{BASE}/cat/api/search/tags", catalogue.tags, read),
            ("GET", f"{BASE}/cat/api/traces/{{trace_id}}", queries.one_trace, read),
            ("PUT", f"{BASE}/change_events", events.put, write),
            ("POST", f"{BASE}/prom_query_instant", metrics.instant, read),
            ("POST", f"{BASE}/prom_query", metrics.over_range, read),
            ("POST", f"{BASE}/prom_label_values", metrics.label_values, read),
            ("POST", f"{BASE}/apm/labels", metrics.labels, read),
        )
        return tuple(
            route(method, path, endpoint, guard, noted) for method, path, endpoint, guard in table
        )

    def _own_routes(self) -> tuple[Route, ...]:
        exchange, disturb = self._exchange, self._parts.disturbance.api_call
        return (
            route("POST", "/api/v4/oauth/access_token", exchange, disturb, self._note_exchange),
            route("GET", "/openapi.json", self._openapi),
            route("GET", "/sandbox/health", self._health),
            route("GET", "/sandbox/faults", self._faults, self._own),
            route("PUT", "/sandbox/faults", self._change_faults, self._own),
        )

    def _needs(self, scope: str) -> Guard:
        """Make a guard that wants an access token with that scope."""

        async def guard(request: Request) -> None:
            parts = self._parts
            await parts.disturbance.api_call(request)
            organization = request.captured["organization"]
            cut = parts.disturbance.cut_life_s
            parts.tokens.check(request.headers, organization, scope, cut)

        return guard

    async def _own(self, request: Request) -> None:
        seen = request.headers.get("authorization", "").encode()
        key = self._parts.api_key
        if not key or not hmac.compare_digest(seen, f"Bearer {key}".encode()):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "the API key of the sandbox is required")

    def _note_query(self, request: Request, reply: Reply) -> None:
        self._parts.journal.write(
            "query",
            path=request.path,
            pipeline_stages=reply.stages,
            rows=reply.rows,
            status=reply.status,
        )

    def _note_exchange(self, _request: Request, reply: Reply) -> None:
        self._parts.journal.write("exchange", status=reply.status)

    async def _exchange(self, request: Request) -> Reply:
        return json_reply(
            self._parts.tokens.exchange(json_object(request.body).get("refresh_token"))
        )

    async def _openapi(self, _request: Request) -> Reply:
        return json_reply(openapi.document())

    async def _health(self, _request: Request) -> Reply:
        store = self._parts.store
        status = HTTPStatus.SERVICE_UNAVAILABLE if store.failure else HTTPStatus.OK
        return json_reply({"spans": store.written, "failure": store.failure}, status)

    async def _faults(self, _request: Request) -> Reply:
        return json_reply([str(fault) for fault in self._parts.disturbance.faults])

    async def _change_faults(self, request: Request) -> Reply:
        try:
            faults = [parse(text) for text in orjson.loads(request.body)]
        except (FaultError, ValueError, TypeError, AttributeError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        self._parts.disturbance.replace(f for f in faults if f.owner is Owner.LAST9)
        return await self._faults(request)


async def _body(receive: Receive, largest: int) -> bytes | None:
    """Read the whole body; None when it is too large, which is read to its end all the same."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part = message.get("body", b"")
        size += len(part)
        if size <= largest:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if size <= largest else None


def _request(scope: Scope, body: bytes) -> Request:
    return Request(
        scope["method"],
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        {str(key, "latin-1").lower(): str(value, "latin-1") for key, value in scope["headers"]},
        body,
    )


async def _send(send: Send, reply: Reply) -> None:
    fixed = {"content-type": reply.content_type, "content-length": str(len(reply.body))}
    headers = [(key.encode(), value.encode()) for key, value in {**fixed, **reply.headers}.items()]
    start = {"type": "http.response.start", "status": int(reply.status), "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})
