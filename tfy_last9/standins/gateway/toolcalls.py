"""MCP through the gateway: authenticate, pass the message on, note what the trace shows of it.

One JSON-RPC message an HTTP request; the answer is passed back as JSON or as an event stream, whichever
the server chose. The session is the server's own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson

from tfy_last9.standins.asgi import Header, Scope, header
from tfy_last9.standins.gateway import envelope, request
from tfy_last9.standins.gateway.catalogue import TOOL_SERVERS
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.formats.format import (
    json_text,
    named_event,
    payload,
    shortened,
)
from tfy_last9.standins.gateway.identity import Identity
from tfy_last9.standins.gateway.request import parse_body
from tfy_last9.standins.gateway.story import Story, ToolStep
from tfy_last9.standins.gateway.toolchecks import ToolChecks
from tfy_last9.standins.gateway.upstream import JSON, Reply, Upstream, UpstreamLost

PASSED_ON = (b"accept", b"mcp-session-id", b"mcp-protocol-version", b"last-event-id")
PASSED_BACK = ("content-type", "mcp-session-id", "allow")
FAILED_FROM = 400
UNREACHABLE = 503
NO_CONTENT = 204


def open_server(identity: Identity, server: str) -> None:
    """Raise the 403 for a server that is not registered; the gateway does not tell unknown from closed."""
    if server not in TOOL_SERVERS:
        raise envelope.forbidden_server(identity.slug, server)


async def relay(
    scope: Scope,
    raw: bytes,
    server: str,
    story: Story,
    upstream: Upstream,
    client: Client,
    checks: ToolChecks | None = None,
) -> None:
    """Pass one HTTP request to an MCP server and its answer back; raises Rejection."""
    method = scope["method"]
    message = parse_body(raw) if method == "POST" else {}
    if checks is not None and message.get("method") == "tools/call":
        story.input_json, story.input_short = json_text(message), "tools/call"
        message = await checks.before(message)
        raw = orjson.dumps(message)
    else:
        checks = None
    given = request.headers_for_servers(scope) | {"traceparent": story.traceparent()}
    step = ToolStep(server, TOOL_SERVERS[server], _method(message, method), time.monotonic_ns())
    step.primitive = _primitive(message)
    if step.method == "tools/call":
        step.is_tool_error = False
    story.tools.append(step)
    story.input_json, story.input_short = json_text(message), shortened(step.method)
    try:
        reply = await ask(scope, server, raw, upstream, given)
        body = await reply.body()
        reply.release()
    except UpstreamLost as error:
        step.status, step.error_message = UNREACHABLE, str(error)
        raise envelope.provider_error(server, UNREACHABLE, str(error)) from error
    finally:
        step.finished_ns = time.monotonic_ns()
    step.status = reply.status
    document = _document(reply, body)
    note(step, document)
    if checks is not None:
        changed = await checks.after(document)
        body = body if changed is document else _encoded(reply, changed)
    story.status, story.outcome = reply.status, "ok" if reply.status < FAILED_FROM else "mcp_error"
    story.error_message = step.error_message
    await _answer(client, reply, body)


async def ask(
    scope: Scope, server: str, raw: bytes, upstream: Upstream, given: Mapping[str, str]
) -> Reply:
    """Send a request on to a server, with the given headers and those that the protocol needs."""
    headers = dict(given) | {
        name.decode(): found for name in PASSED_ON if (found := header(scope, name)) is not None
    }
    content_type = header(scope, b"content-type") or JSON
    return await upstream.send(
        scope["method"], f"/mcp/{server}", raw, content_type=content_type, headers=headers
    )


def _method(message: dict[str, Any], http_method: str) -> str:
    found = message.get("method")
    return found if isinstance(found, str) else http_method


def _primitive(message: dict[str, Any]) -> str | None:
    params = message.get("params")
    name = params.get("name") if isinstance(params, dict) else None
    return name if isinstance(name, str) else None


def _document(reply: Reply, body: bytes) -> dict[str, Any]:
    """Find the JSON-RPC answer in a body, which may be an event stream."""
    if reply.headers.get("content-type", "").startswith("text/event-stream"):
        body = payload(body)
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _encoded(reply: Reply, document: dict[str, Any]) -> bytes:
    """Write a changed answer in the form in which the server wrote it."""
    if reply.headers.get("content-type", "").startswith("text/event-stream"):
        return named_event("message", document)
    return orjson.dumps(document)


def note(step: ToolStep, document: dict[str, Any]) -> None:
    """Take from an answer what the trace needs."""
    error, result = document.get("error"), document.get("result")
    if isinstance(error, dict):
        step.error_code, step.error_message = error.get("code"), str(error.get("message"))
    if not isinstance(result, dict):
        return
    if isinstance(tools := result.get("tools"), list):
        step.number_of_tools = len(tools)
    if result.get("isError") is True:
        step.is_tool_error = True


async def _answer(client: Client, reply: Reply, body: bytes) -> None:
    client.started = True
    client.story.sending_token(time.monotonic_ns())
    client.story.events_sent = 1
    passed: list[Header] = [
        (name.encode(), reply.headers[name].encode())
        for name in PASSED_BACK
        if name in reply.headers
    ]
    length = [(b"content-length", str(len(body)).encode())] if reply.status != NO_CONTENT else []
    headers = [*passed, *length, *client.headers]
    await client.send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await client.send({"type": "http.response.body", "body": body})
