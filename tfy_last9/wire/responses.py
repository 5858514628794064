"""OpenAI Responses: request bodies, and the facts of an answer, streamed or whole.

Source: OpenAI API reference, "Responses" and "Streaming events". The gateway wants to know the provider
account in a header of its own (TrueFoundry docs, AI Gateway "headers").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Message, Prompt, Target
from tfy_last9.wire.facts import AnswerFacts, Said, TokenKind
from tfy_last9.wire.image import data_url
from tfy_last9.wire.json_values import listed, mapped, number, whole, worded
from tfy_last9.wire.pieces import Pieces

PATH = "/responses"
PROVIDER_HEADER = "x-tfy-provider-name"
DONE = b"[DONE]"
"""Not of this protocol, but some gateways end every stream with it."""
_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
_TOKENS = {
    "response.reasoning_text.delta": TokenKind.REASONING,
    "response.reasoning_summary_text.delta": TokenKind.REASONING,
    "response.function_call_arguments.delta": TokenKind.TOOL,
    "response.custom_tool_call_input.delta": TokenKind.TOOL,
}
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_CALLS = frozenset({"function_call", "custom_tool_call"})


def request_body(target: Target, prompt: Prompt) -> dict[str, object]:
    """Return the JSON body for a target; its `body:` is merged in last, so that it wins."""
    body: dict[str, object] = {
        "model": target.model,
        "input": [item for message in prompt.messages for item in _items(message)],
        "stream": target.stream,
    }
    if target.max_tokens is not None:
        body["max_output_tokens"] = target.max_tokens
    return body | dict(target.body)


def request_headers(target: Target) -> dict[str, str]:
    """Return the headers this protocol needs beside the usual ones."""
    return {PROVIDER_HEADER: target.model.partition("/")[0]}


def _items(message: Message) -> list[dict[str, object]]:
    if message.tool_results:
        return [
            {"type": "function_call_output", "call_id": result.call_id, "output": result.content}
            for result in message.tool_results
        ]
    if message.image is not None:
        text = {"type": "input_text", "text": message.content}
        picture = {"type": "input_image", "image_url": data_url(message.image)}
        return [{"role": message.role, "content": [text, picture]}]
    said: list[dict[str, object]] = []
    if message.content or not message.tool_calls:
        said.append({"role": message.role, "content": message.content})
    said += [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in message.tool_calls
    ]
    return said


@dataclass(slots=True)
class ResponsesFacts(AnswerFacts):
    """What a response said."""

    END_MARK: ClassVar[str] = "response.completed"

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take the data of one stream event that arrived at `at_ns`."""
        if data == DONE:
            return
        event = self._event(data)
        kind = str(event.get("type"))
        if kind in _TEXT:
            if event.get("delta"):
                self._take_tokens(TokenKind.ANSWER, 1, at_ns)
        elif kind in _TOKENS:
            if event.get("delta"):
                self._take_tokens(_TOKENS[kind], 1, at_ns)
        elif kind == "response.output_item.added":
            if _is_call(mapped(event.get("item"))):
                self._take_tokens(TokenKind.TOOL, 1, at_ns)  # its name
        elif kind in _ENDS:
            self._take_response(mapped(event.get("response")))
        elif kind == "error" or event.get("error") is not None:
            self._take_error(event.get("error") or _flat_error(event))

    def take_answer(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        answer = self._body(body)
        if not isinstance(answer.get("output"), list) and answer.get("error") is None:
            self._fail("bad_body", "the answer holds no output")
            return
        self.failure = Outcome.PROVIDER_ERROR
        self._take_response(answer)

    def said(self) -> Said:
        """Return text and tool calls."""
        text, calls = "", Pieces()
        for document in self._kept_documents():
            response = document.get("response")
            if str(document.get("type")) in _ENDS or "output" in document:
                for place, item in enumerate(listed(mapped(response or document).get("output"))):
                    text += _text(item)
                    if _is_call(item):
                        calls.add(place, item.get("call_id"), item)
        return Said(text, calls.whole())

    def _take_response(self, response: Mapping[str, Any]) -> None:
        """Read the response as a whole, which the last event carries too."""
        self.resolved_model = worded(response.get("model")) or self.resolved_model
        incomplete = mapped(response.get("incomplete_details"))
        self.finish_reason = worded(incomplete.get("reason")) or worded(response.get("status"))
        for item in listed(response.get("output")):
            if _is_call(item):
                self._take_tool_call()
        self._take_usage(mapped(response.get("usage")))
        if response.get("error") is not None or response.get("status") == "failed":
            self._take_error(response.get("error"))
            return
        self.done = True

    def _take_usage(self, usage: Mapping[str, Any]) -> None:
        self.input_tokens = whole(usage.get("input_tokens"), self.input_tokens)
        self.output_tokens = whole(usage.get("output_tokens"), self.output_tokens)
        cached = mapped(usage.get("input_tokens_details")).get("cached_tokens")
        self.cached_tokens = whole(cached, self.cached_tokens)
        reasoning = mapped(usage.get("output_tokens_details")).get("reasoning_tokens")
        self.reasoning_tokens = whole(reasoning, self.reasoning_tokens)
        self.cost_usd = number(usage.get("costInUSD"), self.cost_usd)


def _is_call(item: Mapping[str, Any]) -> bool:
    return str(item.get("type")) in _CALLS


def _text(item: Mapping[str, Any]) -> str:
    parts = listed(item.get("content")) if item.get("type") == "message" else []
    return "".join(worded(part.get("text") or part.get("refusal")) or "" for part in parts)


def _flat_error(event: Mapping[str, object]) -> dict[str, object]:
    """Return the `error` event of the stream, whose `type` only says that it is one."""
    return {"type": event.get("code"), "message": event.get("message")}
