"""Which endpoint a canonical path is. To add one, add its path to `FORMATS` with what it speaks."""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.standins.gateway import kinds
from tfy_last9.standins.gateway.formats.chat import Chat, Completion
from tfy_last9.standins.gateway.formats.format import Format
from tfy_last9.standins.gateway.formats.gemini import METHODS, Gemini
from tfy_last9.standins.gateway.formats.messages import Messages
from tfy_last9.standins.gateway.formats.plain import PLAIN
from tfy_last9.standins.gateway.formats.responses import Responses
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.paths import gemini_call, tool_server

FORMATS: dict[str, Format] = {
    "/chat/completions": Chat(),
    "/completions": Completion(),
    "/messages": Messages(),
    "/responses": Responses(),
    **PLAIN,
}
NATIVE = frozenset({"/messages"})
GEMINI = Gemini()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a request is addressed to."""

    kind: Kind
    format: Format | None
    """None for an MCP server."""
    server: str | None = None
    """Name of the MCP server."""
    model: str | None = None
    """Model that the path names, with its account."""
    method: str = ""
    """Gemini's, which the path names."""
    is_native: bool = False
    """Whether it is an interface of another vendor than OpenAI."""


KNOWN = {
    path: Endpoint(spoken.kind, spoken, is_native=path in NATIVE)
    for path, spoken in FORMATS.items()
}


def endpoint(path: str, method: str) -> Endpoint | None:
    """Find the endpoint of a canonical path; None for anything else."""
    if method == "POST" and (found := KNOWN.get(path)) is not None:
        return found
    server = tool_server(path)
    if server is not None:
        return Endpoint(kinds.MCP, None, server)
    call = gemini_call(path) if method == "POST" else None
    if call is not None and call[2] in METHODS:
        account, model, name = call
        return Endpoint(
            GEMINI.kind, GEMINI, model=f"{account}/{model}", method=name, is_native=True
        )
    return None
