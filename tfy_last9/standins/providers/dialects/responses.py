"""OpenAI's Responses: numbered events around output items, usage in the event that completes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from tfy_last9.standins.providers.answer import Finish, Kind, Piece, Plan
from tfy_last9.standins.providers.dialects import chat
from tfy_last9.standins.providers.dialects.dialect import Name, Writer, call_id
from tfy_last9.standins.providers.wish import (
    BadRequest,
    Tool,
    Wish,
    chosen_calls,
    count_tokens,
    limit_of,
)

Item = dict[str, Any]


def wish(body: dict[str, Any], method: str) -> Wish:
    """Read a request for a response; `input` is a text or a list of items."""
    del method
    given = body.get("input")
    items = [{"content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items:
        raise BadRequest("input must be a non-empty string or array")
    instructions = [{"content": body["instructions"]}] if body.get("instructions") else []
    reasoning = body.get("reasoning") or {}
    effort = reasoning.get("effort")
    return Wish(
        input_tokens=count_tokens([*instructions, *items]),
        stream=bool(body.get("stream")),
        max_tokens=limit_of(body, "max_output_tokens"),
        calls=_calls(body, items[-1]),
        schema=_schema((body.get("text") or {}).get("format")),
        thinks=None if effort is None else effort != "none",
        shows_thinking=reasoning.get("summary") is not None,
    )


def _schema(wanted: object) -> dict[str, Any] | None:
    if not isinstance(wanted, dict) or wanted.get("type") in {None, "text"}:
        return None
    return wanted.get("schema") or chat.JSON_OBJECT


def _calls(body: dict[str, Any], last: object) -> tuple[Tool, ...]:
    tools = tuple(
        Tool(str(tool.get("name")), tool.get("parameters") or {})
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    )
    choice = body.get("tool_choice", "auto")
    if choice == "none":
        return ()
    forced = choice.get("name") if isinstance(choice, dict) else None
    if choice == "required":
        forced = "any"
    answering = isinstance(last, dict) and last.get("type") == "function_call_output"
    several = body.get("parallel_tool_calls") is True
    return chosen_calls(tools, forced=forced, answering=answering, several=several)


def _usage(plan: Plan) -> Item:
    return {
        "input_tokens": plan.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": plan.output_tokens,
        "output_tokens_details": {"reasoning_tokens": plan.reasoning_tokens},
        "total_tokens": plan.input_tokens + plan.output_tokens,
    }


def _response(plan: Plan, name: Name, output: list[Item], *, done: bool) -> Item:
    cut = plan.finish is Finish.LENGTH
    status = ("incomplete" if cut else "completed") if done else "in_progress"
    return {
        "id": f"resp_{name.number}",
        "object": "response",
        "created_at": name.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if done and cut else None,
        "instructions": None,
        "metadata": {},
        "model": name.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _usage(plan) if done else None,
    }


class ResponseWriter:
    """Writes the events of one response."""

    def __init__(self, plan: Plan, name: Name) -> None:
        self._plan = plan
        self._name = name
        self._number = -1
        self._open: tuple[Kind, int] | None = None
        self._output: list[Item] = []

    def _event(self, kind: str, **more: object) -> bytes:
        self._number += 1
        document = {"type": kind, "sequence_number": self._number, **more}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(document))

    def head(self) -> Iterator[bytes]:
        """Give the response as created and in progress."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=_response(self._plan, self._name, [], done=False))

    def piece(self, piece: Piece) -> bytes:
        """Give one delta, after the events that begin a new item where it does."""
        events = b""
        if self._open != (piece.kind, piece.call):
            events = self._close() + self._begin(piece)
        if not piece.text:
            return events
        return events + self._event(f"{_STEM[piece.kind]}.delta", **self._place(), delta=piece.text)

    def _place(self) -> dict[str, object]:
        """Say which item and which part of it an event is about."""
        assert self._open is not None
        part = {Kind.TEXT: {"content_index": 0}, Kind.REASONING: {"summary_index": 0}}
        extra: dict[str, object] = dict(part.get(self._open[0], {}))
        if self._open[0] is Kind.TEXT:
            extra["logprobs"] = []
        return {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1, **extra}

    def _begin(self, piece: Piece) -> bytes:
        self._open = (piece.kind, piece.call)
        item = item_of(self._plan, self._name, piece.kind, piece.call, done=False)
        self._output.append(item)
        events = self._event(
            "response.output_item.added", output_index=len(self._output) - 1, item=item
        )
        if piece.kind is not Kind.CALL:
            events += self._event(
                f"{_PART[piece.kind]}.added", **self._where(), part=_part(piece.kind)
            )
        return events

    def _where(self) -> dict[str, object]:
        return {key: value for key, value in self._place().items() if key != "logprobs"}

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        kind, call = self._open
        text = self._plan.joined(kind, call)
        key = "arguments" if kind is Kind.CALL else "text"
        more = {"name": self._plan.calls[call].name} if kind is Kind.CALL else {}
        events = self._event(f"{_STEM[kind]}.done", **self._place(), **{key: text}, **more)
        if kind is not Kind.CALL:
            events += self._event(f"{_PART[kind]}.done", **self._where(), part=_part(kind, text))
        item = item_of(self._plan, self._name, kind, call, done=True)
        self._output[-1] = item
        return events + self._event(
            "response.output_item.done", output_index=len(self._output) - 1, item=item
        )

    def tail(self) -> Iterator[bytes]:
        """Close the last item and give the whole response with its usage."""
        yield self._close()
        done = _response(self._plan, self._name, self._output, done=True)
        yield self._event(f"response.{done['status']}", response=done)

    def alive(self) -> bytes:
        """Give an SSE comment, which clients have to ignore."""
        return chat.ALIVE

    def failure(self, message: str) -> bytes:
        """Give the error event."""
        return self._event("error", code="server_error", message=message, param=None)


_STEM = {
    Kind.TEXT: "response.output_text",
    Kind.REASONING: "response.reasoning_summary_text",
    Kind.CALL: "response.function_call_arguments",
}
_PART = {
    Kind.TEXT: "response.content_part",
    Kind.REASONING: "response.reasoning_summary_part",
}


def _part(kind: Kind, text: str = "") -> Item:
    if kind is Kind.REASONING:
        return {"type": "summary_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def item_of(plan: Plan, name: Name, kind: Kind, call: int, *, done: bool) -> Item:
    """Give an item of the output, empty or done."""
    text = plan.joined(kind, call) if done else ""
    status = "completed" if done else "in_progress"
    if kind is Kind.CALL:
        return {
            "id": call_id("fc_", name, call),
            "type": "function_call",
            "status": status,
            "arguments": text,
            "call_id": call_id("call_", name, call),
            "name": plan.calls[call].name,
        }
    if kind is Kind.REASONING:
        summary = [_part(kind, text)] if done else []
        return {"id": f"rs_{name.number}", "type": "reasoning", "summary": summary}
    return {
        "id": f"msg_{name.number}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [_part(kind, text)] if done else [],
    }


def writer(plan: Plan, wish: Wish, name: Name) -> Writer:
    """Make a writer for one stream."""
    del wish
    return ResponseWriter(plan, name)


def whole(plan: Plan, wish: Wish, name: Name) -> object:
    """Give the response object."""
    del wish
    seen = dict.fromkeys((piece.kind, piece.call) for piece in plan.pieces)
    output = [item_of(plan, name, kind, call, done=True) for kind, call in seen]
    return _response(plan, name, output, done=True)
