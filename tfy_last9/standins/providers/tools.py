"""The tools of the simulated MCP servers: a quick one, a slow one, and two ways to fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

INTERNAL_ERROR = -32603
INVALID_PARAMS = -32602


class RpcError(Exception):
    """A JSON-RPC error: the protocol failed, not the tool."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    name: str
    description: str
    parameters: dict[str, dict[str, Any]]
    median_s: float
    """Latency is log-normal around it."""
    fails: str | None = None
    """`tool`: the result says that the tool failed; `protocol`: a JSON-RPC error; None: it works."""

    def described(self) -> dict[str, Any]:
        """Give the tool as `tools/list` shows it."""
        schema = {
            "type": "object",
            "properties": self.parameters,
            "required": list(self.parameters),
        }
        return {"name": self.name, "description": self.description, "inputSchema": schema}


TEXT = {"type": "string"}
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("get_weather", "The weather in a city.", {"city": TEXT}, 0.02),
        Tool("search_documents", "Find documents; takes a while.", {"query": TEXT}, 0.25),
        Tool("echo", "Give back what it was given.", {"text": TEXT}, 0.001),
        Tool("failing", "Always fails, and says so in its result.", {}, 0.02, "tool"),
        Tool("crashing", "Always ends in a protocol error.", {}, 0.02, "protocol"),
    )
}


def call(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Give the result of a call; raises RpcError for bad arguments and for a tool that crashes."""
    missing = [name for name in tool.parameters if name not in arguments]
    if missing:
        raise RpcError(INVALID_PARAMS, f"Missing argument: {missing[0]}")
    if tool.fails == "protocol":
        raise RpcError(INTERNAL_ERROR, "Internal error")
    given = " ".join(str(arguments[name]) for name in tool.parameters)
    text = "The tool could not do its work." if tool.fails else f"{tool.name}: {given}"
    return {"content": [{"type": "text", "text": text}], "isError": tool.fails is not None}
