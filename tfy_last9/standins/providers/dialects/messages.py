"""Anthropic's messages: content blocks that open, grow and close, thinking with a signature, pings."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import orjson

from tfy_last9.standins.providers.answer import Finish, Kind, Piece, Plan
from tfy_last9.standins.providers.dialects.dialect import Name, Writer, call_id
from tfy_last9.standins.providers.wish import (
    BadRequest,
    Tool,
    Wish,
    chosen_calls,
    count_tokens,
    limit_of,
    stops_of,
)

SIGNATURE = base64.b64encode(b"signed by nobody: a simulated model").decode()
STOP_REASON = {
    Finish.STOP: "end_turn",
    Finish.SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.CALLS: "tool_use",
}


def wish(body: dict[str, Any], method: str) -> Wish:
    """Read a request for a message."""
    del method
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: at least one message is required")
    limit = limit_of(body, "max_tokens")
    if limit is None:
        raise BadRequest("max_tokens: Field required")
    thinking = body.get("thinking") or {}
    system = [{"content": body["system"]}] if body.get("system") else []
    return Wish(
        input_tokens=count_tokens([*system, *messages]),
        stream=bool(body.get("stream")),
        max_tokens=limit,
        calls=_calls(body, messages[-1]),
        schema=_schema(body),
        thinks=thinking.get("type") in {"enabled", "adaptive"},
        shows_thinking=thinking.get("display") != "omitted",
        stops=stops_of(body.get("stop_sequences")),
    )


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    schema = wanted.get("schema")
    return schema if isinstance(schema, dict) else None


def _calls(body: dict[str, Any], last: object) -> tuple[Tool, ...]:
    tools = tuple(
        Tool(str(tool.get("name")), tool.get("input_schema") or {})
        for tool in body.get("tools") or ()
    )
    choice = body.get("tool_choice") or {"type": "auto"}
    if choice.get("type") == "none":
        return ()
    forced = {"any": "any", "tool": choice.get("name")}.get(str(choice.get("type")))
    content = last.get("content") if isinstance(last, dict) else None
    parts = content if isinstance(content, list) else []
    answering = any(isinstance(p, dict) and p.get("type") == "tool_result" for p in parts)
    return chosen_calls(tools, forced=forced, answering=answering, several=False)


def _usage(plan: Plan, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": plan.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _message(plan: Plan, name: Name, *, done: bool) -> dict[str, Any]:
    return {
        "id": f"msg_{name.number.replace('-', '')}",
        "type": "message",
        "role": "assistant",
        "model": name.model,
        "content": [],
        "stop_reason": STOP_REASON[plan.finish] if done else None,
        "stop_sequence": plan.stopped_by if done else None,
        "usage": _usage(plan, plan.output_tokens if done else 1),
    }


def _event(kind: str, **more: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **more}))


class MessageWriter:
    """Writes the events of one message; blocks are numbered in order of appearance."""

    def __init__(self, plan: Plan, name: Name) -> None:
        self._plan = plan
        self._name = name
        self._block = -1
        self._open: tuple[Kind, int] | None = None

    def head(self) -> Iterator[bytes]:
        """Give the empty message, and a ping as the real service sends one."""
        yield _event("message_start", message=_message(self._plan, self._name, done=False))
        yield _event("ping")

    def piece(self, piece: Piece) -> bytes:
        """Give one delta, after the events that change the block where it begins a new one."""
        events = b""
        if self._open != (piece.kind, piece.call):
            events = self._close()
            self._open, self._block = (piece.kind, piece.call), self._block + 1
            events += _event(
                "content_block_start", index=self._block, content_block=self._start_of(piece)
            )
        if piece.text or piece.kind is not Kind.CALL:
            events += self._delta(piece)
        return events

    def _start_of(self, piece: Piece) -> dict[str, Any]:
        if piece.kind is Kind.TEXT:
            return {"type": "text", "text": ""}
        if piece.kind is Kind.REASONING:
            return {"type": "thinking", "thinking": "", "signature": ""}
        return _tool_use(self._plan, self._name, piece.call, {})

    def _delta(self, piece: Piece) -> bytes:
        kind, key = {
            Kind.TEXT: ("text_delta", "text"),
            Kind.REASONING: ("thinking_delta", "thinking"),
            Kind.CALL: ("input_json_delta", "partial_json"),
        }[piece.kind]
        delta = {"type": kind, key: piece.text}
        return _event("content_block_delta", index=self._block, delta=delta)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        events = b""
        if self._open[0] is Kind.REASONING:
            signed = {"type": "signature_delta", "signature": SIGNATURE}
            events = _event("content_block_delta", index=self._block, delta=signed)
        return events + _event("content_block_stop", index=self._block)

    def tail(self) -> Iterator[bytes]:
        """Close the last block, then give the stop reason and the count of tokens."""
        yield self._close()
        delta = {
            "stop_reason": STOP_REASON[self._plan.finish],
            "stop_sequence": self._plan.stopped_by,
        }
        counts = _usage(self._plan, self._plan.output_tokens)
        yield _event("message_delta", delta=delta, usage=counts)
        yield _event("message_stop")

    def alive(self) -> bytes:
        """Give the ping event, Anthropic's sign of life."""
        return _event("ping")

    def failure(self, message: str) -> bytes:
        """Give the error event that Anthropic sends within a stream."""
        return _event("error", error={"type": "overloaded_error", "message": message})


def writer(plan: Plan, wish: Wish, name: Name) -> Writer:
    """Make a writer for one stream."""
    del wish
    return MessageWriter(plan, name)


def _tool_use(plan: Plan, name: Name, call: int, arguments: object) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": call_id("toolu_", name, call),
        "name": plan.calls[call].name,
        "input": arguments,
    }


def whole(plan: Plan, wish: Wish, name: Name) -> object:
    """Give the message object."""
    del wish
    message = _message(plan, name, done=True)
    if reasoning := plan.joined(Kind.REASONING):
        block = {"type": "thinking", "thinking": reasoning, "signature": SIGNATURE}
        message["content"].append(block)
    if text := plan.joined(Kind.TEXT):
        message["content"].append({"type": "text", "text": text})
    for number in range(len(plan.calls)):
        arguments = orjson.loads(plan.joined(Kind.CALL, number))
        message["content"].append(_tool_use(plan, name, number, arguments))
    return message
