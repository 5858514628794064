"""Anthropic messages: request bodies, and the facts of an answer, streamed or whole.

Source: Anthropic API reference, "Messages" and "Streaming Messages"; the gateway serves it at
`/messages` (TrueFoundry docs, "messages overview"). Input tokens are the sum of what was read anew, read
from the cache and written to it, as the OpenTelemetry GenAI conventions count them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from tfy_last9.model.scenario import Message, Prompt, Target
from tfy_last9.wire.facts import AnswerFacts, Said, TokenKind
from tfy_last9.wire.image import MEDIA_TYPE, base64_png
from tfy_last9.wire.json_values import listed, mapped, number, object_in, whole, worded
from tfy_last9.wire.pieces import Pieces

PATH = "/messages"
VERSION_HEADERS = {"anthropic-version": "2023-06-01"}
MAX_TOKENS = 1024
"""The protocol demands a bound: this one where the target sets none."""
_SYSTEM = frozenset({"system", "developer"})
_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def request_body(target: Target, prompt: Prompt) -> dict[str, object]:
    """Return the JSON body for a target; its `body:` is merged in last, so that it wins."""
    system = [message.content for message in prompt.messages if message.role in _SYSTEM]
    body: dict[str, object] = {
        "model": target.model,
        "max_tokens": MAX_TOKENS if target.max_tokens is None else target.max_tokens,
        "messages": [_said(one) for one in prompt.messages if one.role not in _SYSTEM],
        "stream": target.stream,
    }
    if system:
        body["system"] = "\n\n".join(system)
    return body | dict(target.body)


def request_headers() -> dict[str, str]:
    """Return the headers this protocol needs beside the usual ones."""
    return dict(VERSION_HEADERS)


def _said(message: Message) -> dict[str, object]:
    if message.tool_results:
        results = [
            {"type": "tool_result", "tool_use_id": result.call_id, "content": result.content}
            for result in message.tool_results
        ]
        return {"role": "user", "content": results}
    text = {"type": "text", "text": message.content}
    if message.image is not None:
        source = {"type": "base64", "media_type": MEDIA_TYPE, "data": base64_png(message.image)}
        return {"role": message.role, "content": [{"type": "image", "source": source}, text]}
    if message.tool_calls:
        calls = [
            {
                "type": "tool_use",
                "id": call.id,
                "name": call.name,
                "input": object_in(call.arguments),
            }
            for call in message.tool_calls
        ]
        return {"role": message.role, "content": [*([text] if message.content else []), *calls]}
    return {"role": message.role, "content": message.content}


@dataclass(slots=True)
class MessagesFacts(AnswerFacts):
    """What a message said."""

    END_MARK: ClassVar[str] = "message_stop"

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take the data of one stream event that arrived at `at_ns`; a ping is a sign of life only."""
        event = self._event(data)
        kind = event.get("type")
        if kind == "content_block_delta":
            self._take_delta(mapped(event.get("delta")), at_ns)
        elif kind == "content_block_start":
            self._take_block(mapped(event.get("content_block")), at_ns)
        elif kind == "message_start":
            self._take_common(mapped(event.get("message")))
        elif kind == "message_delta":
            self._take_common(
                event | {"stop_reason": mapped(event.get("delta")).get("stop_reason")}
            )
        elif kind == "message_stop":
            self.done = True
        elif kind == "error" or event.get("error") is not None:
            self._take_error(event)

    def take_answer(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        answer = self._body(body)
        if answer.get("error") is not None:
            self._refuse(answer)
            return
        if not isinstance(answer.get("content"), list):
            self._fail("bad_body", "the answer holds no content")
            return
        for block in listed(answer["content"]):
            if block.get("type") == "tool_use":
                self._take_tool_call()
        self._take_common(answer)
        self.done = True

    def said(self) -> Said:
        """Return text and tool calls."""
        text, calls = "", Pieces()
        for document in self._kept_documents():
            place = whole(document.get("index"), None)
            delta = mapped(document.get("delta"))
            text += worded(delta.get("text")) or ""
            if delta.get("type") == "input_json_delta":
                calls.add(place, None, {"arguments": delta.get("partial_json")})
            blocks = listed([document.get("content_block")]) or listed(document.get("content"))
            for number_in_answer, block in enumerate(blocks):
                text += worded(block.get("text")) or ""
                if block.get("type") == "tool_use":
                    at = number_in_answer if place is None else place
                    given = block.get("input")
                    arguments = orjson.dumps(given).decode() if given else ""
                    calls.add(
                        at, block.get("id"), {"name": block.get("name"), "arguments": arguments}
                    )
        return Said(text, calls.whole())

    def _take_block(self, block: Mapping[str, Any], at_ns: int) -> None:
        if block.get("type") == "tool_use":
            self._take_tokens(TokenKind.TOOL, 1, at_ns)  # its name: arguments may be empty
            self._take_tool_call()
        elif block.get("type") == "redacted_thinking":
            self._take_tokens(TokenKind.REASONING, 1, at_ns)  # thoughts that come encrypted, whole
        elif block.get("text"):
            self._take_tokens(TokenKind.ANSWER, 1, at_ns)

    def _take_delta(self, delta: Mapping[str, Any], at_ns: int) -> None:
        if delta.get("text"):
            self._take_tokens(TokenKind.ANSWER, 1, at_ns)
        elif delta.get("thinking"):
            self._take_tokens(TokenKind.REASONING, 1, at_ns)
        elif delta.get("partial_json"):
            self._take_tokens(TokenKind.TOOL, 1, at_ns)

    def _take_common(self, message: Mapping[str, Any]) -> None:
        self.resolved_model = worded(message.get("model")) or self.resolved_model
        self.finish_reason = worded(message.get("stop_reason")) or self.finish_reason
        usage = mapped(message.get("usage"))
        read = [found for name in _INPUT if (found := whole(usage.get(name), None)) is not None]
        if read and sum(read) > 0:  # `message_delta` repeats zeroes on some gateways
            self.input_tokens = sum(read)
        self.output_tokens = whole(usage.get("output_tokens"), self.output_tokens)
        self.cached_tokens = whole(usage.get("cache_read_input_tokens"), self.cached_tokens)
        self.cost_usd = number(usage.get("costInUSD"), self.cost_usd)
