"""OpenAI's Responses, passed through; the cost is added to the usage of the last event."""

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

DELTAS = frozenset(
    {
        "response.output_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
    }
)
LAST = frozenset({"response.completed", "response.incomplete"})


class Responses:
    """`POST /responses`."""

    kind: Kind = kinds.RESPONSES

    def check(self, body: dict[str, Any]) -> None:
        """Refuse a body without input."""
        if not isinstance(body.get("input"), (str, list)) or not body["input"]:
            raise envelope.bad_request("input: required, must be a string or a non-empty array")

    def preview(self, body: dict[str, Any]) -> tuple[str, str]:
        """Show the input."""
        return json_text({"input": body.get("input")}), shortened(body.get("input"))

    def path(self, request: ModelRequest, card: Card) -> str:
        """Give the path at the vendor."""
        del request, card
        return "/v1/responses"

    def body(self, request: ModelRequest, card: Card) -> bytes:
        """Name the model as the vendor does."""
        return with_model(request, card)

    def read(self, event: bytes, attempt: Attempt, passing: Passing) -> Read:
        """Note deltas of text, reasoning and calls, and the usage at the end."""
        document = orjson.loads(payload(event) or b"{}")
        kind = document.get("type", "")
        if kind in DELTAS:
            token(attempt, document["delta"])
            return Read(event, is_token=True)
        if kind == "response.created":
            response = document["response"]
            attempt.answer_id, attempt.served_model = response["id"], response["model"]
        elif kind == "error":
            raise envelope.provider_error(attempt.card.provider, 503, str(document.get("message")))
        elif kind in LAST:
            _note(document["response"], attempt, passing)
            return Read(named_event(kind, document), is_last=True)
        return Read(event)

    def whole(self, document: dict[str, Any], attempt: Attempt, passing: Passing) -> None:
        """Note the answer and add the cost."""
        attempt.answer_id, attempt.served_model = document["id"], document["model"]
        attempt.text.append(json_text(document["output"]))
        _note(document, attempt, passing)

    def broken(self, rejection: Rejection) -> bytes:
        """Write the error event of this interface."""
        found = {"type": "error", "code": str(rejection.status), "message": rejection.message}
        return named_event("error", {**found, "param": None, "sequence_number": 0})

    def refusal(self, rejection: Rejection) -> dict[str, object]:
        """Write OpenAI's error object."""
        error = {"message": rejection.message, "type": rejection.kind, "param": None}
        return {"error": {**error, "code": str(rejection.status)}}


def _note(response: dict[str, Any], attempt: Attempt, passing: Passing) -> None:
    attempt.finish_reason = response["status"]
    if not passing.usage:
        response["usage"] = None
        return
    usage = response["usage"]
    usage["costInUSD"] = attempt.priced(usage["input_tokens"], usage["output_tokens"])
