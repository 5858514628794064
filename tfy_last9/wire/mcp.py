"""Model Context Protocol over streamable HTTP: bodies, headers, and the facts of an answer.

Source: modelcontextprotocol.io, specification 2025-06-18, "Transports" and "Tools". A POST carries one
JSON-RPC message; the server answers with JSON or with an event stream that ends after the response, and
accepts a notification with 202 and no body. The session id of `initialize` goes with all that follows.
TrueFoundry serves MCP servers at `/mcp/v1/<server>/mcp`
(github.com/truefoundry/tfy-ai-gateway-skills, "MCP servers").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfy_last9.model.request import Outcome
from tfy_last9.wire.facts import AnswerFacts, Said
from tfy_last9.wire.gateway import refusal_in_words
from tfy_last9.wire.json_values import listed, mapped, worded

ACCEPT = "application/json, text/event-stream"
SESSION_HEADER = "mcp-session-id"
VERSION_HEADER = "mcp-protocol-version"
CLIENT = {"name": "tfy-last9", "version": "1"}
INITIALIZE = "initialize"
INITIALIZED = "notifications/initialized"
LIST = "tools/list"
CALL = "tools/call"
TOOL_ERROR = "tool_error"
"""`error_type` of a call that was carried out and failed: `isError` of its result."""


def path(server: str) -> str:
    """Return where the gateway serves an MCP server."""
    return f"/mcp/v1/{server}/mcp"


def initialize_body(request_id: int, protocol_version: str) -> dict[str, object]:
    """Return the request that opens a session."""
    params = {"protocolVersion": protocol_version, "capabilities": {}, "clientInfo": CLIENT}
    return _request(request_id, INITIALIZE, params)


def initialized_body() -> dict[str, object]:
    """Return the notification that ends the handshake."""
    return {"jsonrpc": "2.0", "method": INITIALIZED}


def list_body(request_id: int) -> dict[str, object]:
    """Return the request for the first page of tools."""
    return _request(request_id, LIST, {})


def call_body(request_id: int, tool: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the request that calls a tool."""
    return _request(request_id, CALL, {"name": tool, "arguments": dict(arguments)})


def session_headers(session_id: str | None, protocol_version: str | None) -> dict[str, str]:
    """Return what every request after `initialize` carries; a server need not give a session id."""
    headers = {}
    if session_id is not None:
        headers[SESSION_HEADER] = session_id
    if protocol_version is not None:
        headers[VERSION_HEADER] = protocol_version
    return headers


def _request(request_id: int, method: str, params: Mapping[str, object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


@dataclass(slots=True)
class McpFacts(AnswerFacts):
    """What an MCP server answered to one message."""

    END_MARK: ClassVar[str] = "a response to the request"

    request_id: int | None = None
    """Id of the request; None for a notification, to which there is no response."""
    protocol_version: str | None = None
    """What the server chose, in an answer to `initialize`."""
    tools: tuple[str, ...] = ()
    """Names of the tools, in an answer to `tools/list`."""

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take one message of an event stream; those of others (progress, logging) are signs of life."""
        del at_ns  # there are no tokens: nothing of an MCP answer is worth reading before its end
        if data:  # a server may send an empty event first, for resuming
            self._take_message(self._event(data))

    def take_answer(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        if self.request_id is None:
            self.done = True
        if body.strip():
            self._take_message(self._body(body))
        if not self.done and self.error_type is None:
            self._fail("bad_body", "the answer holds no response to the request")

    def said(self) -> Said:
        """Return the text of a tool's result."""
        parts = [
            worded(part.get("text")) or ""
            for document in self._kept_documents()
            for part in listed(mapped(document.get("result")).get("content"))
        ]
        return Said("\n".join(parts))

    def _take_message(self, message: Mapping[str, Any]) -> None:
        answers = "result" in message or "error" in message
        if not answers or (message.get("id") is not None and message["id"] != self.request_id):
            return
        self.done = True
        if "error" in message:
            self._take_rpc_error(mapped(message["error"]))
            return
        result = mapped(message["result"])
        self.protocol_version = worded(result.get("protocolVersion")) or self.protocol_version
        offered = (worded(tool.get("name")) for tool in listed(result.get("tools")))
        self.tools = tuple(name for name in offered if name is not None)
        for kind in ("tools", "content"):
            if isinstance(result.get(kind), list):
                self.items = len(result[kind])
        if result.get("isError") is True:
            self.failure = Outcome.PROVIDER_ERROR
            self._fail(TOOL_ERROR, "the tool reported an error")  # its words are content

    def _take_rpc_error(self, error: Mapping[str, Any]) -> None:
        """Tell what the gateway turned down from what the server could not do."""
        message = str(error.get("message") or "")
        self.failure = refusal_in_words(message) or Outcome.PROVIDER_ERROR
        self._fail(f"jsonrpc_{error.get('code')}", message)
