"""The addresses under which the gateway answers the same endpoint, brought to one form.

A path stands alone, under `/v1`, under `/api/llm` (through the control plane), or under the tenant's
name; `/v1` may follow any of these. The form used inside has none of them.
"""

from __future__ import annotations

CONTROL_PLANE = "/api/llm"
MCP_OLD, MCP_NEW = "/mcp/", "/mcp/v1/"


def canonical(path: str, tenant: str) -> str:
    """Strip what may stand before an endpoint's path."""
    for prefix in (CONTROL_PLANE, f"/{tenant}"):
        if path.startswith(prefix + "/"):
            path = path.removeprefix(prefix)
    return path.removeprefix("/v1") if path.startswith("/v1/") else path


def tool_server(path: str) -> str | None:
    """Find the MCP server of a canonical path: `/mcp/v1/<name>/mcp` or `/mcp/<name>/server`."""
    if path.startswith(MCP_NEW) and path.endswith("/mcp"):
        return path.removeprefix(MCP_NEW).removesuffix("/mcp")
    if path.startswith(MCP_OLD) and path.endswith("/server"):
        return path.removeprefix(MCP_OLD).removesuffix("/server")
    return None


def gemini_call(path: str) -> tuple[str, str, str] | None:
    """Read `/gemini/<account>/proxy/v1beta/models/<model>:<method>` as account, model, method."""
    parts = path.split("/")
    match parts:
        case ["", "gemini", account, "proxy", "v1beta" | "v1", "models", last] if ":" in last:
            model, _, method = last.rpartition(":")
            return account, model, method
    return None
