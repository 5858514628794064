"""Simulated MCP servers: streamable HTTP as the specification of 2025-11-25 describes it.

Each POST carries one JSON-RPC message. A request is answered as JSON or as an event stream, whichever
the client prefers; a notification with 202. The session begins with `initialize` and ends with DELETE.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from typing import Any

import orjson

from tfy_last9.standins.asgi import (
    EVENT_STREAM_HEADERS,
    Header,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_json,
)
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.providers.tools import TOOLS, RpcError, Tool, call

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Newest first; a client that asks for another one is offered the newest."""
SERVERS = {"sandbox-tools": False, "sandbox-search": True}
"""Name to whether it answers in events where the client takes both: servers are free to choose."""
SESSION = b"mcp-session-id"
INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR = -32600, -32601, -32700
EXPECTED = {"accept", "content-length", "content-type", "host", "traceparent"}
"""Headers of every request; the journal names the others, and never what they hold."""
EVENTS = "text/event-stream"
ANY = "application/json"


class ToolServers:
    """All simulated MCP servers and their sessions."""

    def __init__(self, journal: Journal, seed: int) -> None:
        self._journal = journal
        self._seed = seed
        self._sessions: set[str] = set()
        self._calls = 0

    async def answer(self, server: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request to a server."""
        method = scope["method"]
        if server not in SERVERS:
            await send_json(send, 404, _error(None, INVALID_REQUEST, f"no such server: {server}"))
        elif method == "DELETE":
            self._sessions.discard(header(scope, SESSION) or "")
            await _empty(send, 204)
        elif method == "POST":
            await self._post(server, scope, await read_body(receive), send)
        else:  # no stream of the server's own messages: the specification allows 405
            await _empty(send, 405, ((b"allow", b"POST, DELETE"),))

    async def _post(self, server: str, scope: Scope, raw: bytes, send: Send) -> None:
        try:
            message = orjson.loads(raw)
        except orjson.JSONDecodeError:
            await send_json(send, 400, _error(None, PARSE_ERROR, "Parse error"))
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            await send_json(send, 400, _error(None, INVALID_REQUEST, "Invalid Request"))
            return
        opening = message["method"] == "initialize"
        session = header(scope, SESSION)
        if not opening and session not in self._sessions:
            status, text = (
                (400, "Missing session ID") if session is None else (404, "Session not found")
            )
            await send_json(send, status, _error(message.get("id"), INVALID_REQUEST, text))
        elif "id" not in message:
            await _empty(send, 202)
        else:
            await self._request(server, message, scope, send)

    async def _request(
        self, server: str, message: dict[str, Any], scope: Scope, send: Send
    ) -> None:
        received_ns = time.monotonic_ns()
        headers: tuple[Header, ...] = ()
        error = None
        try:
            result = await self._result(server, message)
            document = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            if message["method"] == "initialize":
                session = secrets.token_hex(16)
                self._sessions.add(session)
                headers = ((SESSION, session.encode()),)
        except RpcError as failed:
            error = failed.code
            document = _error(message["id"], failed.code, str(failed))
        self._journal.write(
            "mcp",
            server=server,
            method=message["method"],
            tool=(message.get("params") or {}).get("name"),
            received_mono_ns=received_ns,
            error_code=error,
            traceparent=header(scope, b"traceparent"),
            headers=sorted({name.decode("latin-1") for name, _ in scope["headers"]} - EXPECTED),
            is_error=bool(document.get("result", {}).get("isError")),
        )
        await _send_message(send, document, headers, events=_answers_in_events(server, scope))

    async def _result(self, server: str, message: dict[str, Any]) -> dict[str, Any]:
        method, params = message["method"], message.get("params") or {}
        if method == "initialize":
            return _initialized(server, params.get("protocolVersion"))
        if method == "ping":
            return {}
        if method == "tools/list":
            return {"tools": [tool.described() for tool in TOOLS.values()]}
        if method == "tools/call":
            tool = TOOLS.get(str(params.get("name")))
            if tool is None:
                raise RpcError(-32602, f"Unknown tool: {params.get('name')}")
            await asyncio.sleep(self._latency_s(tool))
            return call(tool, params.get("arguments") or {})
        raise RpcError(METHOD_NOT_FOUND, "Method not found")

    def _latency_s(self, tool: Tool) -> float:
        self._calls += 1
        rng = random.Random(f"{self._seed}|{tool.name}|{self._calls}")
        return tool.median_s * rng.lognormvariate(0, 0.3)


def _initialized(server: str, asked: object) -> dict[str, Any]:
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": server, "version": "1.0.0"},
    }


def _answers_in_events(server: str, scope: Scope) -> bool:
    accepted = header(scope, b"accept") or ANY
    if EVENTS not in accepted:
        return False
    return SERVERS[server] or ANY not in accepted


def _error(number: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


async def _send_message(
    send: Send, document: dict[str, Any], headers: tuple[Header, ...], *, events: bool
) -> None:
    if not events:
        await send_json(send, 200, document, headers)
        return
    sent = [*EVENT_STREAM_HEADERS, *headers]
    await send({"type": "http.response.start", "status": 200, "headers": sent})
    event = b"event: message\ndata: " + orjson.dumps(document) + b"\n\n"
    await send({"type": "http.response.body", "body": event})


async def _empty(send: Send, status: int, headers: tuple[Header, ...] = ()) -> None:
    sent = [*headers] if status == 204 else [(b"content-length", b"0"), *headers]  # noqa: PLR2004
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": b""})
