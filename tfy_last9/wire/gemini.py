"""Google Gemini, `generateContent` and `streamGenerateContent`: bodies and the facts of an answer.

Source: Google AI for Developers, Gemini API reference, "Generating content". The gateway passes the
protocol through below `/gemini/<account>/proxy` (TrueFoundry docs, AI Gateway native endpoints). Output
tokens are candidates plus thoughts, which Google counts apart and other providers together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Message, Prompt, Target
from tfy_last9.wire.facts import AnswerFacts, Said, TokenKind
from tfy_last9.wire.image import MEDIA_TYPE, base64_png
from tfy_last9.wire.json_values import listed, mapped, number, object_in, whole, worded
from tfy_last9.wire.pieces import Pieces

_SYSTEM = frozenset({"system", "developer"})
_ROLES = {"assistant": "model"}


def path(model: str, *, stream: bool) -> str:
    """Return where `account/model` is served; the model is named in the path, not in the body."""
    account, _, name = model.partition("/")
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/gemini/{account}/proxy/v1beta/models/{name}:{method}"


def request_body(target: Target, prompt: Prompt) -> dict[str, object]:
    """Return the JSON body for a target; its `body:` wins, inside of `generationConfig` too."""
    system = [{"text": one.content} for one in prompt.messages if one.role in _SYSTEM]
    body: dict[str, object] = {
        "contents": [_content(one) for one in prompt.messages if one.role not in _SYSTEM]
    }
    if system:
        body["systemInstruction"] = {"parts": system}
    body |= target.body
    if target.max_tokens is not None:
        bound = {"maxOutputTokens": target.max_tokens}
        body["generationConfig"] = bound | mapped(target.body.get("generationConfig"))
    return body


def _content(message: Message) -> dict[str, object]:
    role = _ROLES.get(message.role, "user")
    if message.tool_results:
        answers = [
            {"functionResponse": {"name": one.name, "response": {"result": one.content}}}
            for one in message.tool_results
        ]
        return {"role": "user", "parts": answers}
    parts: list[dict[str, object]] = []
    if message.content or not message.tool_calls:
        parts.append({"text": message.content})
    if message.image is not None:
        picture = {"mimeType": MEDIA_TYPE, "data": base64_png(message.image)}
        parts.append({"inlineData": picture})
    parts += [
        {"functionCall": {"name": call.name, "args": object_in(call.arguments)}}
        for call in message.tool_calls
    ]
    return {"role": role, "parts": parts}


@dataclass(slots=True)
class GeminiFacts(AnswerFacts):
    """What a model of Google said."""

    END_MARK: ClassVar[str] = "a finishReason"

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take the data of one stream event that arrived at `at_ns`."""
        chunk = self._event(data)
        for candidate in listed(chunk.get("candidates"))[:1]:
            for part in _parts(candidate):
                if part.get("functionCall"):
                    self._take_tokens(TokenKind.TOOL, 1, at_ns)
                    self._take_tool_call()
                elif part.get("text"):
                    is_thought = part.get("thought") is True
                    kind = TokenKind.REASONING if is_thought else TokenKind.ANSWER
                    self._take_tokens(kind, 1, at_ns)
        self._take_common(chunk)

    def take_answer(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        answer = self._body(body)
        for candidate in listed(answer.get("candidates"))[:1]:
            for part in _parts(candidate):
                if part.get("functionCall"):
                    self._take_tool_call()
        self._take_common(answer)
        if not self.done:
            self._fail("bad_body", "the answer holds no finished candidate")

    def said(self) -> Said:
        """Return text, thoughts left out, and tool calls."""
        text, calls, place = "", Pieces(), 0
        for document in self._kept_documents():
            for candidate in listed(document.get("candidates"))[:1]:
                for part in _parts(candidate):
                    if part.get("thought") is not True:
                        text += worded(part.get("text")) or ""
                    called = mapped(part.get("functionCall"))
                    if called:
                        arguments = orjson.dumps(mapped(called.get("args"))).decode()
                        named = {"name": called.get("name"), "arguments": arguments}
                        calls.add(place, called.get("id"), named)
                        place += 1
        return Said(text, calls.whole())

    def _take_common(self, chunk: Mapping[str, Any]) -> None:
        if chunk.get("error") is not None:
            self._take_error(chunk)
        blocked = worded(mapped(chunk.get("promptFeedback")).get("blockReason"))
        if blocked is not None:
            self.failure = Outcome.PROVIDER_ERROR
            self._fail("prompt_blocked", blocked)
        for candidate in listed(chunk.get("candidates"))[:1]:
            self.finish_reason = worded(candidate.get("finishReason")) or self.finish_reason
        self.done = self.finish_reason is not None
        self.resolved_model = worded(chunk.get("modelVersion")) or self.resolved_model
        usage = mapped(chunk.get("usageMetadata"))
        self.input_tokens = whole(usage.get("promptTokenCount"), self.input_tokens)
        self.cached_tokens = whole(usage.get("cachedContentTokenCount"), self.cached_tokens)
        self.reasoning_tokens = whole(usage.get("thoughtsTokenCount"), self.reasoning_tokens)
        answered = whole(usage.get("candidatesTokenCount"), None)
        if answered is not None:
            self.output_tokens = answered + (self.reasoning_tokens or 0)
        self.cost_usd = number(usage.get("costInUSD"), self.cost_usd)


def _parts(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    return listed(mapped(candidate.get("content")).get("parts"))
