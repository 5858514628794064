"""The Last9 stand-in as one ASGI app: the routing table, and what its endpoints share."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl

import orjson

from tfy_last9.standins.asgi import ClientLeft, Receive, Scope, Send, read_body
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9.ingest import Ingest
from tfy_last9.standins.last9.message import Refusal, Reply, Request, json_reply
from tfy_last9.standins.last9.routing import Guard, Route, answer, route
from tfy_last9.standins.last9.settings import Settings
from tfy_last9.standins.last9.sources import Sources
from tfy_last9.standins.last9.store import SpanStore
from tfy_last9.standins.last9.tokens import Tokens
from tfy_last9.standins.last9.traces import TraceQueries

BASE = "/api/v4/organizations/{organization}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the app is put together from."""

    settings: Settings
    tokens: Tokens
    store: SpanStore
    journal: Journal
    executor: Executor
    audience: str
    otlp_authorization: str


class Last9:
    """ASGI app of the stand-in."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._routes = self._routing_table()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        assert scope["type"] == "http"
        try:
            request = await _request(scope, receive)
        except ClientLeft:
            # Half an export may still decode as a smaller one: it must not be taken.
            return
        await _send(send, await answer(self._routes, request))

    def _routing_table(self) -> tuple[Route, ...]:
        parts = self._parts
        queries = TraceQueries(parts.settings, parts.store, parts.executor)
        sources = Sources(parts.settings, parts.audience)
        ingest = Ingest(
            parts.store, parts.journal, parts.otlp_authorization, parts.settings.numeric_attributes
        )
        read, noted = self._needs("read"), self._note_query
        return (
            route("POST", "/v1/traces", ingest.traces),
            route("POST", "/api/v4/oauth/access_token", self._exchange),
            route("GET", f"{BASE}/datasources", sources.datasources, read, noted),
            route("GET", f"{BASE}/clusters", sources.clusters, read, noted),
            route(
                "POST",
                f"{BASE}/cat/api/traces/v2/query_range/json",
                queries.query_range,
                read,
                noted,
            ),
            route("GET", f"{BASE}/cat/api/traces/{{trace_id}}", queries.one_trace, read, noted),
            route("GET", "/sandbox/health", self._health),
        )

    def _needs(self, scope: str) -> Guard:
        """Make a guard that wants an access token with that scope."""

        def guard(request: Request) -> None:
            self._parts.tokens.check(request.headers, request.captured["organization"], scope)

        return guard

    def _note_query(self, request: Request, reply: Reply) -> None:
        self._parts.journal.write(
            "query",
            path=request.path,
            pipeline_stages=reply.stages,
            rows=reply.rows,
            status=reply.status,
        )

    async def _exchange(self, request: Request) -> Reply:
        try:
            document = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
        token = document.get("refresh_token") if isinstance(document, dict) else None
        return json_reply(self._parts.tokens.exchange(token))

    async def _health(self, _request: Request) -> Reply:
        store = self._parts.store
        status = HTTPStatus.SERVICE_UNAVAILABLE if store.failure else HTTPStatus.OK
        return json_reply({"spans": store.written, "failure": store.failure}, status)


async def _request(scope: Scope, receive: Receive) -> Request:
    return Request(
        scope["method"],
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        {str(key, "latin-1").lower(): str(value, "latin-1") for key, value in scope["headers"]},
        await read_body(receive),
    )


async def _send(send: Send, reply: Reply) -> None:
    fixed = {"content-type": reply.content_type, "content-length": str(len(reply.body))}
    headers = [(key.encode(), value.encode()) for key, value in {**fixed, **reply.headers}.items()]
    start = {"type": "http.response.start", "status": int(reply.status), "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})
