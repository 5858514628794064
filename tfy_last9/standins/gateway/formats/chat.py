"""OpenAI's chat completions, and the legacy completions beside it.

Events are forwarded as they are. Only the usage event is changed: the gateway adds `costInUSD`, or
withholds the event from clients that did not ask for it.
"""

from __future__ import annotations

from typing import Any

import orjson

from tfy_last9.standins.gateway import envelope, kinds
from tfy_last9.standins.gateway.catalogue import Card
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.formats.format import (
    DATA,
    Passing,
    Read,
    json_text,
    plain_event,
    shortened,
    token,
    with_model,
)
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import Attempt

DONE = b"data: [DONE]\n\n"
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class Chat:
    """`POST /chat/completions`."""

    kind: Kind = kinds.CHAT
    vendor_path = "/v1/chat/completions"

    def check(self, body: dict[str, Any]) -> None:
        """Refuse a body without messages, or with a limit that is none."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise envelope.bad_request("messages: required, must be a non-empty array")
        for place, message in enumerate(messages):
            if not isinstance(message, dict) or message.get("role") not in ROLES:
                raise envelope.bad_request(
                    f"messages[{place}].role: must be one of {sorted(ROLES)}"
                )
        limit = body.get("max_tokens")
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise envelope.bad_request("max_tokens: must be a positive integer")

    def preview(self, body: dict[str, Any]) -> tuple[str, str]:
        """Show the messages, and the last of them in short."""
        messages = body.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else None
        text = last.get("content") if isinstance(last, dict) else None
        return json_text({"messages": messages}), shortened(text)

    def path(self, request: ModelRequest, card: Card) -> str:
        """Give the path at the vendor."""
        del request, card
        return self.vendor_path

    def body(self, request: ModelRequest, card: Card) -> bytes:
        """Name the model as the vendor does, and ask for usage in any case.

        The gateway needs the counts for its trace; whether the client sees them is its own choice.
        """
        if request.streaming:
            return with_model(request, card, stream_options={"include_usage": True})
        return with_model(request, card)

    def read(self, event: bytes, attempt: Attempt, passing: Passing) -> Read:
        """Note deltas, finish reason and usage."""
        if event == DONE:
            return Read(DONE, is_last=True)
        if not event.startswith(DATA):
            return Read(event)
        chunk = orjson.loads(event[len(DATA) :])
        choices = chunk.get("choices")
        if choices is None:
            raise _failed(attempt, chunk.get("error"))
        if attempt.answer_id is None:
            attempt.answer_id, attempt.served_model = chunk.get("id"), chunk.get("model")
        said = ""
        for choice in choices:
            said += self._said(choice)
            if reason := choice.get("finish_reason"):
                attempt.finish_reason = reason
        if said:
            token(attempt, said)
        usage = chunk.get("usage")
        if usage is None:
            return Read(event, is_token=bool(said))
        if not passing.usage:
            return Read(b"")
        _price(attempt, usage)
        return Read(plain_event(chunk) if passing.wants_usage else b"")

    def _said(self, choice: dict[str, Any]) -> str:
        delta = choice["delta"]
        content: str = delta.get("content") or delta.get("reasoning_content") or ""
        if calls := delta.get("tool_calls"):
            content += "".join(_called(call["function"]) for call in calls)
        return content

    def whole(self, document: dict[str, Any], attempt: Attempt, passing: Passing) -> None:
        """Note the answer; add the provider and the cost."""
        choice = document["choices"][0]
        attempt.answer_id, attempt.served_model = document.get("id"), document.get("model")
        attempt.text.append(self._text(choice))
        attempt.finish_reason = choice.get("finish_reason")
        if passing.usage:
            _price(attempt, document["usage"])
        else:
            document.pop("usage")
        document["provider"] = attempt.card.provider_type

    def _text(self, choice: dict[str, Any]) -> str:
        message = choice["message"]
        calls = message.get("tool_calls") or ()
        return message.get("content") or "".join(_called(call["function"]) for call in calls)

    def broken(self, rejection: Rejection) -> bytes:
        """Write OpenAI's error object as an event."""
        return plain_event(self.refusal(rejection))

    def refusal(self, rejection: Rejection) -> dict[str, object]:
        """Write OpenAI's error object."""
        error = {"message": rejection.message, "type": rejection.kind, "param": None}
        return {"error": {**error, "code": str(rejection.status)}}


class Completion(Chat):
    """`POST /completions`."""

    kind = kinds.COMPLETION
    vendor_path = "/v1/completions"

    def check(self, body: dict[str, Any]) -> None:
        """Refuse a body without a prompt."""
        if not isinstance(body.get("prompt"), (str, list)):
            raise envelope.bad_request("prompt: required, must be a string or an array")

    def preview(self, body: dict[str, Any]) -> tuple[str, str]:
        """Show the prompt."""
        return json_text({"prompt": body.get("prompt")}), shortened(body.get("prompt"))

    def _said(self, choice: dict[str, Any]) -> str:
        return choice.get("text") or ""

    def _text(self, choice: dict[str, Any]) -> str:
        return choice.get("text") or ""


def _called(function: dict[str, Any]) -> str:
    return (function.get("name") or "") + (function.get("arguments") or "")


def _price(attempt: Attempt, usage: dict[str, Any]) -> None:
    usage["costInUSD"] = attempt.priced(usage["prompt_tokens"], usage["completion_tokens"])
    details = usage.get("prompt_tokens_details") or {}
    attempt.cache_read_tokens = details.get("cached_tokens") or None


def _failed(attempt: Attempt, error: object) -> Rejection:
    message = error.get("message") if isinstance(error, dict) else None
    provider = attempt.card.provider
    return envelope.provider_error(provider, 503, str(message or "error within the stream"))
