"""OpenAI chat completions: request bodies, and the facts of an answer, streamed or whole.

Source: OpenAI API reference, "Chat" and "Streaming". The gateway adds `costInUSD` to `usage`
(github.com/truefoundry/trueforge reads it); a stream reports usage only when asked to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import ClassVar

from tfy_last9.model.scenario import Message, Prompt, Target
from tfy_last9.wire.chat_events import LONGEST, SEAM, Rest, TokenText, head_of, rest_of, token_in
from tfy_last9.wire.facts import AnswerFacts, Said, TokenKind
from tfy_last9.wire.image import data_url
from tfy_last9.wire.json_values import listed, mapped, number, whole, worded
from tfy_last9.wire.pieces import Pieces
from tfy_last9.wire.skeleton import Skeleton

PATH = "/chat/completions"
DONE = b"[DONE]"


def request_body(target: Target, prompt: Prompt) -> dict[str, object]:
    """Return the JSON body for a target; its `body:` is merged in last, so that it wins."""
    body: dict[str, object] = {
        "model": target.model,
        "messages": [said for message in prompt.messages for said in _messages(message)],
        "stream": target.stream,
    }
    if target.stream:
        body["stream_options"] = {"include_usage": True}
    if target.max_tokens is not None:
        body["max_tokens"] = target.max_tokens
    return body | dict(target.body)


def _messages(message: Message) -> list[dict[str, object]]:
    """Return one message, or one for each tool that answers."""
    if message.tool_results:
        return [
            {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
            for result in message.tool_results
        ]
    if message.image is not None:
        picture = {"type": "image_url", "image_url": {"url": data_url(message.image)}}
        text = {"type": "text", "text": message.content}
        return [{"role": message.role, "content": [text, picture]}]
    said: dict[str, object] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        said["content"] = message.content or None
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return [said]


def opened_by_nonce(prompt: Prompt, request_id: str) -> Prompt:
    """Return the prompt with a nonce in front that no other request has: no cache can know it.

    Always 18 characters, so that no arm of a comparison sends more than the other.
    """
    first, *rest = prompt.messages
    nonce = blake2b(request_id.encode(), digest_size=8).hexdigest()
    opening = replace(first, content=f"{nonce}\n\n{first.content}")
    return replace(prompt, messages=(opening, *rest))


_DONE_EVENT = b"data: [DONE]\n\n"


@dataclass(slots=True)
class ChatFacts(AnswerFacts):
    """What a chat completion said."""

    END_MARK: ClassVar[str] = "[DONE]"

    _skeleton: Skeleton | None = field(default=None, compare=False)
    _kind: TokenKind | None = field(default=None, compare=False)
    """Which kind of token the skeleton stands for."""

    _head: bytes = field(default=b"", compare=False)
    """Of the last event that was read in two parts."""
    _model: str | None = field(default=None, compare=False)
    """What it says."""

    def skim(self, block: bytes, start: int, at_ns: int) -> int:
        """Take the events at `start` that need no decoding; return where they end."""
        if self.kept is not None:  # every event is wanted: none may be passed over
            return start
        size = len(block)
        while start < size:
            before = start
            if self._kind is not None and self._skeleton is not None:
                start, count = self._skeleton.run(block, start)
                if count:
                    self._take_tokens(self._kind, count, at_ns)
            start = self._skim_one(block, start, at_ns)
            if start == before:
                break
        return start

    def _skim_one(self, block: bytes, start: int, at_ns: int) -> int:
        """Take an event whose two parts are known, or the end of the stream; return where it ends."""
        end = block.find(b"\n\n", start)
        seam = block.find(SEAM, start, end) if end > 0 else -1
        if seam < 0:
            if not block.startswith(_DONE_EVENT, start):
                return start
            self.done = True
            return start + len(_DONE_EVENT)
        if end - seam > LONGEST or not block.startswith(b"data: ", start):
            return start
        head, rest = block[start + len(b"data: ") : seam], rest_of(block[seam:end])
        if head != self._head:
            known = head_of(head)
            if known is None:
                return start
            self._head, self._model = head, known.model
        if rest is None:
            return start
        self._take_rest(rest, at_ns)
        return end + 2

    def _take_rest(self, rest: Rest, at_ns: int) -> None:
        self._kind = None
        if rest.kind is not None:
            self._take_tokens(rest.kind, 1, at_ns)
            if rest.skeleton is not None:
                self._skeleton, self._kind = rest.skeleton.behind(self._head), rest.kind
        self.finish_reason = rest.finish_reason or self.finish_reason
        self.resolved_model = self._model or self.resolved_model
        if rest.common is not None:
            self._take_common(rest.common)

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take the data of one stream event that arrived at `at_ns`."""
        if data == DONE:
            self.done = True
            return
        self._kind = None
        chunk = self._event(data)
        if chunk.get("error") is not None or chunk.get("status") == "failure":
            self._take_error(chunk)
        before, calls = self.chunks, self.tool_calls
        token = None
        choices = chunk.get("choices")
        for choice in listed(choices) if choices else ():
            token = self._take_delta(mapped(choice.get("delta")), at_ns)
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        self._take_common(chunk)
        if token is not None and self.chunks == before + 1 and self.tool_calls == calls:
            self._learn(data, *token)

    def take_answer(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        answer = self._body(body)
        if answer.get("error") is not None:
            self._refuse(answer)
            return
        choices = listed(answer.get("choices"))
        if not choices:
            self._fail("bad_body", "the answer holds no choices")
            return
        self.finish_reason = choices[0].get("finish_reason")
        self._take_tool_calls(listed(mapped(choices[0].get("message")).get("tool_calls")))
        self._take_common(answer)
        self.done = True

    def said(self) -> Said:
        """Return text and tool calls of the first choice."""
        text, calls = "", Pieces()
        for document in self._kept_documents():
            for choice in listed(document.get("choices"))[:1]:
                part = mapped(choice.get("delta") or choice.get("message"))
                text += worded(part.get("content")) or ""
                for place, call in enumerate(listed(part.get("tool_calls"))):
                    named = mapped(call.get("function"))
                    calls.add(whole(call.get("index"), place), call.get("id"), named)
        return Said(text, calls.whole())

    def _take_delta(self, delta: Mapping[str, object], at_ns: int) -> TokenText | None:
        """Take one choice's delta; return its kind of token and the key of the text."""
        token = token_in(delta)
        if token is not None:
            self._take_tokens(token[0], 1, at_ns)
        if "tool_calls" in delta:
            self._take_tool_calls(listed(delta["tool_calls"]))
        return token

    def _take_tool_calls(self, calls: list[dict[str, object]]) -> None:
        """Count the calls that begin here: later pieces of one bring arguments only."""
        for call in calls:
            if mapped(call.get("function")).get("name"):
                self._take_tool_call()

    def _learn(self, data: bytes, kind: TokenKind, key: bytes) -> None:
        self._skeleton = Skeleton()
        self._skeleton.learn(data, key)
        self._kind = kind

    def _take_common(self, document: Mapping[str, object]) -> None:
        model = document.get("model")
        if isinstance(model, str) and model:
            self.resolved_model = model
        usage = document.get("usage")
        if not isinstance(usage, dict):
            return
        self.input_tokens = whole(usage.get("prompt_tokens"), self.input_tokens)
        self.output_tokens = whole(usage.get("completion_tokens"), self.output_tokens)
        prompt_details = mapped(usage.get("prompt_tokens_details"))
        self.cached_tokens = whole(prompt_details.get("cached_tokens"), self.cached_tokens)
        details = mapped(usage.get("completion_tokens_details"))
        self.reasoning_tokens = whole(details.get("reasoning_tokens"), self.reasoning_tokens)
        self.cost_usd = number(usage.get("costInUSD"), self.cost_usd)
