"""Anthropic's messages, passed through as they are."""

from __future__ import annotations

from typing import Any

import orjson

from tfy_last9.standins.gateway import envelope, kinds
from tfy_last9.standins.gateway.catalogue import Card
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.formats.format import (
    Passing,
    Read,
    json_text,
    named_event,
    payload,
    shortened,
    token,
    with_model,
)
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import Attempt

STATUS_OF = {"overloaded_error": 503, "rate_limit_error": 429, "invalid_request_error": 400}
KIND_OF = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
TEXTS = ("text", "thinking", "partial_json")


class Messages:
    """`POST /messages`."""

    kind: Kind = kinds.MESSAGES

    def check(self, body: dict[str, Any]) -> None:
        """Refuse a body without messages; the rest is the vendor's to check."""
        if not isinstance(body.get("messages"), list) or not body["messages"]:
            raise envelope.bad_request("messages: required, must be a non-empty array")

    def preview(self, body: dict[str, Any]) -> tuple[str, str]:
        """Show the messages, and the last of them in short."""
        messages = body.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else None
        text = last.get("content") if isinstance(last, dict) else None
        return json_text({"messages": messages}), shortened(text)

    def path(self, request: ModelRequest, card: Card) -> str:
        """Give the path at the vendor."""
        del request, card
        return "/v1/messages"

    def body(self, request: ModelRequest, card: Card) -> bytes:
        """Name the model as the vendor does."""
        return with_model(request, card)

    def read(self, event: bytes, attempt: Attempt, passing: Passing) -> Read:
        """Note deltas of all kinds of blocks, stop reason and usage."""
        document = orjson.loads(payload(event) or b"{}")
        kind = document.get("type")
        if kind == "content_block_delta":
            delta = document["delta"]
            said = next((delta[key] for key in TEXTS if key in delta), "")
            if said:
                token(attempt, said)
            return Read(event, is_token=bool(said))
        if kind == "message_start":
            message = document["message"]
            attempt.answer_id, attempt.served_model = message["id"], message["model"]
        elif kind == "message_delta":
            attempt.finish_reason = document["delta"]["stop_reason"]
            _price(attempt, document["usage"], passing)
        elif kind == "error":
            raise _failed(attempt, document["error"])
        elif kind == "content_block_start" and document["content_block"]["type"] == "tool_use":
            token(attempt, document["content_block"]["name"])
            return Read(event, is_token=True)
        return Read(event, is_last=kind == "message_stop")

    def whole(self, document: dict[str, Any], attempt: Attempt, passing: Passing) -> None:
        """Note the answer; the document is the vendor's own."""
        attempt.answer_id, attempt.served_model = document["id"], document["model"]
        attempt.finish_reason = document["stop_reason"]
        for block in document["content"]:
            found = block.get("text") or block.get("thinking") or json_text(block.get("input"))
            attempt.text.append(found)
        _price(attempt, document["usage"], passing)

    def broken(self, rejection: Rejection) -> bytes:
        """Write Anthropic's error event."""
        return named_event("error", self.refusal(rejection))

    def refusal(self, rejection: Rejection) -> dict[str, object]:
        """Write Anthropic's error object."""
        kind = KIND_OF.get(rejection.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": rejection.message}}


def _price(attempt: Attempt, usage: dict[str, Any], passing: Passing) -> None:
    if passing.usage:
        attempt.priced(usage["input_tokens"], usage["output_tokens"])
        attempt.cache_read_tokens = usage.get("cache_read_input_tokens") or None
        attempt.cache_creation_tokens = usage.get("cache_creation_input_tokens") or None


def _failed(attempt: Attempt, error: dict[str, Any]) -> Rejection:
    status = STATUS_OF.get(error.get("type", ""), 500)
    message = str(error.get("message"))
    return envelope.provider_error(attempt.card.provider, status, message)
