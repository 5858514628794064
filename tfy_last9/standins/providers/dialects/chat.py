"""OpenAI's chat completions, with `reasoning_content` as TrueFoundry and DeepSeek stream it."""

from __future__ import annotations

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

DONE = b"data: [DONE]\n\n"
ALIVE = b": keep-alive\n\n"
JSON_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}
FINISH = {
    Finish.STOP: "stop",
    Finish.SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.CALLS: "tool_calls",
}


def wish(body: dict[str, Any], method: str) -> Wish:
    """Read a request for a chat completion."""
    del method
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a non-empty array")
    if body.get("n") not in {None, 1}:
        raise BadRequest("n: this simulated model gives one choice")
    stream, options = bool(body.get("stream")), body.get("stream_options") or {}
    effort = body.get("reasoning_effort")
    return Wish(
        input_tokens=count_tokens(messages),
        stream=stream,
        max_tokens=limit_of(body, "max_completion_tokens", "max_tokens"),
        calls=_calls(body, messages[-1]),
        schema=_schema(body.get("response_format")),
        thinks=None if effort is None else effort != "none",
        stops=stops_of(body.get("stop")),
        reports_usage=not stream or options.get("include_usage") is True,
    )


def _calls(body: dict[str, Any], last: object) -> tuple[Tool, ...]:
    tools = tuple(map(_tool, body.get("tools") or ()))
    choice = body.get("tool_choice", "auto")
    if not tools or choice == "none":
        return ()
    forced = None
    if isinstance(choice, dict):
        forced = choice.get("function", {}).get("name")
    elif choice == "required":
        forced = "any"
    return chosen_calls(
        tools,
        forced=forced,
        answering=isinstance(last, dict) and last.get("role") in {"tool", "function"},
        several=body.get("parallel_tool_calls") is True,
    )


def _tool(tool: object) -> Tool:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRequest("tools: each needs a function with a name")
    return Tool(function["name"], function.get("parameters") or {})


def _schema(wanted: object) -> dict[str, Any] | None:
    if not isinstance(wanted, dict) or wanted.get("type") in {None, "text"}:
        return None
    if wanted["type"] == "json_object":
        return JSON_OBJECT
    schema = (wanted.get("json_schema") or {}).get("schema")
    if not isinstance(schema, dict):
        raise BadRequest("response_format: json_schema needs a schema")
    return schema


def usage(plan: Plan) -> dict[str, Any]:
    """Give the usage object of an answer."""
    return {
        "prompt_tokens": plan.input_tokens,
        "completion_tokens": plan.output_tokens,
        "total_tokens": plan.input_tokens + plan.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": plan.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


class ChatWriter:
    """Writes `chat.completion.chunk` events."""

    def __init__(self, plan: Plan, wish: Wish, name: Name) -> None:
        self._plan = plan
        self._wish = wish
        self._name = name
        self._opened = -1
        # All events of a stream begin alike: encoded once.
        head = {
            "id": f"chatcmpl-{name.number}",
            "object": "chat.completion.chunk",
            "created": name.created,
            "model": name.model,
            "system_fingerprint": "fp_sandbox",
        }
        self._prefix = b"data: " + orjson.dumps(head)[:-1] + b',"choices":'

    def _event(self, delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._prefix + orjson.dumps([choice]) + b"}\n\n"

    def head(self) -> Iterator[bytes]:
        """Give the first event: a role and no content."""
        yield self._event({"role": "assistant", "content": "", "refusal": None})

    def piece(self, piece: Piece) -> bytes:
        """Give one delta: content, reasoning, or a fragment of a function call."""
        if piece.kind is Kind.TEXT:
            return self._event({"content": piece.text})
        if piece.kind is Kind.REASONING:
            return self._event({"reasoning_content": piece.text})
        call: dict[str, Any] = {"index": piece.call, "function": {"arguments": piece.text}}
        if piece.call != self._opened:
            self._opened = piece.call
            call |= {"id": call_id("call_", self._name, piece.call), "type": "function"}
            call["function"]["name"] = self._plan.calls[piece.call].name
        return self._event({"tool_calls": [call]})

    def tail(self) -> Iterator[bytes]:
        """Give the event that ends the choice, usage if it was asked for, and the end mark."""
        yield self._event({}, FINISH[self._plan.finish])
        if self._wish.reports_usage:
            yield self._prefix + b'[],"usage":' + orjson.dumps(usage(self._plan)) + b"}\n\n"
        yield DONE

    def alive(self) -> bytes:
        """Give an SSE comment, which clients have to ignore."""
        return ALIVE

    def failure(self, message: str) -> bytes:
        """Give an error object in place of a chunk."""
        error = {"message": message, "type": "server_error", "param": None, "code": None}
        return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def writer(plan: Plan, wish: Wish, name: Name) -> Writer:
    """Make a writer for one stream."""
    return ChatWriter(plan, wish, name)


def whole(plan: Plan, wish: Wish, name: Name) -> object:
    """Give the `chat.completion` object."""
    del wish
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if plan.calls else plan.joined(Kind.TEXT),
        "refusal": None,
        "annotations": [],
    }
    if reasoning := plan.joined(Kind.REASONING):
        message["reasoning_content"] = reasoning
    if plan.calls:
        message["tool_calls"] = [
            {
                "id": call_id("call_", name, number),
                "type": "function",
                "function": {"name": tool.name, "arguments": plan.joined(Kind.CALL, number)},
            }
            for number, tool in enumerate(plan.calls)
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": FINISH[plan.finish],
    }
    return {
        "id": f"chatcmpl-{name.number}",
        "object": "chat.completion",
        "created": name.created,
        "model": name.model,
        "choices": [choice],
        "usage": usage(plan),
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }
