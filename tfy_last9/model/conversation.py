"""What is said in a conversation of several turns: images, tool calls, follow-ups, and MCP scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY_TOOL = "*"
"""Key of `tool_results` that answers every tool without an entry of its own."""


@dataclass(frozen=True, slots=True)
class Image:
    """A synthetic picture in a prompt: a valid PNG of exactly `size_bytes` bytes."""

    size_bytes: int
    width: int = 512
    height: int = 512
    """Pixels: what providers bill by; the bytes are what the network carries."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asked for."""

    id: str
    """As the provider named the call; Gemini names none, then the tool's name."""
    name: str
    arguments: str
    """JSON text of an object, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the client answers to one tool call."""

    call_id: str
    name: str
    content: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A later turn of a conversation: the user says something, or tools that were called answer."""

    text: str | None = None
    image: Image | None = None
    tool_results: Mapping[str, str] = field(default_factory=dict)
    """Tool name (or `*`) to result; empty for a turn of the user."""
    think_s: float | None = None
    """Pause before this turn; None takes the scenario's."""


@dataclass(frozen=True, slots=True)
class McpCall:
    """One tool call of an MCP session."""

    tool: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True, slots=True)
class McpScript:
    """What one MCP session does: the handshake, then perhaps a list, then calls."""

    calls: tuple[McpCall, ...]
    list_tools: bool = True
    protocol_version: str = "2025-06-18"
    """Revision that `initialize` offers; the server's answer is what later requests carry."""

    @property
    def operations(self) -> tuple[tuple[str, McpCall | None], ...]:
        """Return the JSON-RPC method of each turn, with the tool call it stands for."""
        listing = (("tools/list", None),) if self.list_tools else ()
        calls = (("tools/call", call) for call in self.calls for _ in range(call.times))
        return (("initialize", None), ("notifications/initialized", None), *listing, *calls)


@dataclass(frozen=True, slots=True)
class Sessions:
    """How turns of one conversation follow each other, and what keeps them on one target."""

    think_s: float = 0.0
    """Mean pause between the end of an answer and the next turn."""
    is_exponential: bool = False
    """Pauses are exponential, cut at five times the mean; else all alike."""
    header: str | None = None
    """Request header that carries the session id: for sticky routing by header."""
    metadata_key: str = "session_id"
    """Key of `x-tfy-metadata` that carries the session id: for sticky routing by metadata."""


LONGEST_PAUSE = 5.0
"""Exponential pauses are cut at so many times their mean, so that the end of a run can be foretold."""
