"""Gemini's native format: whole candidates in each event, function calls in one piece, CRLF events.

The model and the method stand in the path; `alt=sse` asks for events, without it a stream is one JSON
array that grows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from tfy_last9.standins.providers.answer import Finish, Kind, Piece, Plan
from tfy_last9.standins.providers.dialects import chat
from tfy_last9.standins.providers.dialects.dialect import Name, Writer
from tfy_last9.standins.providers.wish import (
    BadRequest,
    Tool,
    Wish,
    chosen_calls,
    limit_of,
    stops_of,
    words_to_tokens,
)

STREAM = "streamGenerateContent"
TOKENS_PER_IMAGE = 258
"""A small picture, as Gemini counts it."""
SNAKE = re.compile("([A-Z])")
FINISH = {
    Finish.STOP: "STOP",
    Finish.SEQUENCE: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.CALLS: "STOP",
}


def field(message: dict[str, Any], name: str) -> Any:
    """Read a field by its JSON name, or by its protobuf name, which Google takes as well and sends."""
    found = message.get(name)
    return message.get(SNAKE.sub(r"_\1", name).lower()) if found is None else found


def _is_file(part: dict[str, Any]) -> bool:
    return field(part, "inlineData") is not None or field(part, "fileData") is not None


def wish(body: dict[str, Any], method: str) -> Wish:
    """Read a request for content."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise BadRequest("* GenerateContentRequest.contents: contents is not specified")
    config = field(body, "generationConfig") or {}
    thinking = field(config, "thinkingConfig") or {}
    budget = field(thinking, "thinkingBudget")
    parts = [part for content in contents for part in _parts(content)]
    schema = field(config, "responseJsonSchema") or field(config, "responseSchema")
    if schema is None and field(config, "responseMimeType") == "application/json":
        schema = chat.JSON_OBJECT
    return Wish(
        input_tokens=count_parts(parts + _parts(field(body, "systemInstruction"))),
        stream=method == STREAM,
        max_tokens=limit_of(config, "maxOutputTokens", "max_output_tokens"),
        calls=_calls(body, contents[-1]),
        schema=schema,
        thinks=bool(thinking) and budget != 0,
        shows_thinking=field(thinking, "includeThoughts") is True,
        stops=stops_of(field(config, "stopSequences")),
    )


def _parts(content: object) -> list[dict[str, Any]]:
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def count_parts(parts: list[dict[str, Any]]) -> int:
    """Count the tokens of texts and pictures."""
    text = " ".join(str(part.get("text") or "") for part in parts)
    pictures = sum(_is_file(part) for part in parts)
    return words_to_tokens(text) + pictures * TOKENS_PER_IMAGE


def _calls(body: dict[str, Any], last: object) -> tuple[Tool, ...]:
    tools = tuple(
        Tool(
            str(declared.get("name")),
            field(declared, "parametersJsonSchema") or declared.get("parameters") or {},
        )
        for tool in body.get("tools") or ()
        for declared in field(tool, "functionDeclarations") or ()
    )
    chosen = field(field(body, "toolConfig") or {}, "functionCallingConfig") or {}
    mode = chosen.get("mode", "AUTO")
    if mode == "NONE":
        return ()
    forced = (field(chosen, "allowedFunctionNames") or ["any"])[0] if mode == "ANY" else None
    answering = any(field(part, "functionResponse") is not None for part in _parts(last))
    return chosen_calls(tools, forced=forced, answering=answering, several=False)


def _usage(plan: Plan, output_tokens: int) -> dict[str, Any]:
    counts = {
        "promptTokenCount": plan.input_tokens,
        "candidatesTokenCount": output_tokens,
        "totalTokenCount": plan.input_tokens + output_tokens + plan.reasoning_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": plan.input_tokens}],
    }
    if plan.reasoning_tokens:
        counts["thoughtsTokenCount"] = plan.reasoning_tokens
    return counts


def _document(
    plan: Plan, name: Name, parts: list[dict[str, Any]], *, sent: int, done: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if done:
        candidate["finishReason"] = FINISH[plan.finish]
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(plan, sent),
        "modelVersion": name.model,
        "responseId": name.number,
    }


def _part(plan: Plan, kind: Kind, text: str, call: int) -> dict[str, Any]:
    if kind is Kind.CALL:
        return {"functionCall": {"name": plan.calls[call].name, "args": orjson.loads(text)}}
    return {"text": text, "thought": True} if kind is Kind.REASONING else {"text": text}


class GeminiWriter:
    """Writes one `GenerateContentResponse` an event."""

    def __init__(self, plan: Plan, name: Name) -> None:
        self._plan = plan
        self._name = name
        self._sent = 0

    def _event(self, parts: list[dict[str, Any]], *, done: bool = False) -> bytes:
        document = _document(self._plan, self._name, parts, sent=self._sent, done=done)
        return b"data: " + orjson.dumps(document) + b"\r\n\r\n"

    def head(self) -> Iterator[bytes]:
        """Give nothing: there is no event before the first token."""
        yield from ()

    def piece(self, piece: Piece) -> bytes:
        """Give one part; a function call goes out whole, with its first fragment."""
        self._sent += piece.kind is not Kind.REASONING
        if piece.kind is not Kind.CALL:
            return self._event([_part(self._plan, piece.kind, piece.text, 0)])
        if piece.text:  # the rest of a call that has gone out
            return b""
        arguments = self._plan.joined(Kind.CALL, piece.call)
        return self._event([_part(self._plan, Kind.CALL, arguments, piece.call)])

    def tail(self) -> Iterator[bytes]:
        """Give the finish reason."""
        yield self._event([{"text": ""}], done=True)

    def alive(self) -> bytes:
        """Give an SSE comment, which clients have to ignore."""
        return chat.ALIVE

    def failure(self, message: str) -> bytes:
        """Give an error object in place of a response."""
        error = {"code": 503, "message": message, "status": "UNAVAILABLE"}
        return b"data: " + orjson.dumps({"error": error}) + b"\r\n\r\n"


def writer(plan: Plan, wish: Wish, name: Name) -> Writer:
    """Make a writer for one stream."""
    del wish
    return GeminiWriter(plan, name)


def whole(plan: Plan, wish: Wish, name: Name) -> object:
    """Give one `GenerateContentResponse`."""
    del wish
    seen = dict.fromkeys((piece.kind, piece.call) for piece in plan.pieces)
    parts = [_part(plan, kind, plan.joined(kind, call), call) for kind, call in seen]
    sent = plan.output_tokens - plan.reasoning_tokens
    return _document(plan, name, parts, sent=sent, done=True)
