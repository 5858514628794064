"""Gemini's native interface, passed through; model and method stand in the path."""

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
    payload,
    shortened,
    token,
)
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import Attempt

STREAM = "streamGenerateContent"
METHODS = frozenset({"generateContent", STREAM})
STATUS_OF = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


class Gemini:
    """`POST /gemini/<account>/proxy/v1beta/models/<model>:<method>`."""

    kind: Kind = kinds.GEMINI

    def check(self, body: dict[str, Any]) -> None:
        """Refuse a body without contents."""
        if not isinstance(body.get("contents"), list) or not body["contents"]:
            raise envelope.bad_request("contents: required, must be a non-empty array")

    def preview(self, body: dict[str, Any]) -> tuple[str, str]:
        """Show the contents, and the first part of the last in short."""
        contents = body.get("contents")
        last = contents[-1] if isinstance(contents, list) and contents else None
        parts = last.get("parts") if isinstance(last, dict) else None
        first = parts[0] if isinstance(parts, list) and parts else None
        text = first.get("text") if isinstance(first, dict) else None
        return json_text({"contents": contents}), shortened(text)

    def path(self, request: ModelRequest, card: Card) -> str:
        """Give the path at the vendor."""
        return f"/v1beta/models/{card.model}:{request.method}"

    def body(self, request: ModelRequest, card: Card) -> bytes:
        """Pass the body on as it is."""
        del card
        return orjson.dumps(request.body)

    def read(self, event: bytes, attempt: Attempt, passing: Passing) -> Read:
        """Note parts of all kinds, finish reason and usage, which every event bears."""
        raw = payload(event)
        if not raw:
            return Read(event)
        document = orjson.loads(raw)
        if "error" in document:
            raise _failed(attempt, document["error"])
        said = _note(document, attempt, passing)
        if said:
            token(attempt, said)
        if not passing.usage:
            event = DATA + orjson.dumps(document) + b"\r\n\r\n"
        return Read(event, is_token=bool(said), is_last=attempt.finish_reason is not None)

    def whole(self, document: dict[str, Any], attempt: Attempt, passing: Passing) -> None:
        """Note the answer; the document is the vendor's own."""
        attempt.text.append(_note(document, attempt, passing))

    def broken(self, rejection: Rejection) -> bytes:
        """Write Google's error object as an event."""
        return DATA + orjson.dumps(self.refusal(rejection)) + b"\r\n\r\n"

    def refusal(self, rejection: Rejection) -> dict[str, object]:
        """Write Google's error object."""
        name = STATUS_OF.get(rejection.status, "INTERNAL")
        error = {"code": rejection.status, "message": rejection.message, "status": name}
        return {"error": error}


def _note(document: dict[str, Any], attempt: Attempt, passing: Passing) -> str:
    attempt.answer_id = document.get("responseId")
    attempt.served_model = document.get("modelVersion")
    said = ""
    for candidate in document.get("candidates", ()):
        parts = candidate["content"]["parts"]
        said += "".join(part.get("text") or _called(part) for part in parts)
        attempt.finish_reason = candidate.get("finishReason") or attempt.finish_reason
    if not passing.usage:
        document.pop("usageMetadata", None)
    elif (usage := document.get("usageMetadata")) is not None:
        thoughts = usage.get("thoughtsTokenCount", 0)
        attempt.priced(usage["promptTokenCount"], usage["candidatesTokenCount"] + thoughts)
    return said


def _called(part: dict[str, Any]) -> str:
    return json_text(part["functionCall"]) if "functionCall" in part else ""


def _failed(attempt: Attempt, error: dict[str, Any]) -> Rejection:
    message = str(error.get("message"))
    return envelope.provider_error(attempt.card.provider, int(error.get("code") or 500), message)
