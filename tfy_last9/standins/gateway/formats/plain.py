"""Endpoints that answer once: embeddings, rerank, moderations, pictures, sound."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tfy_last9.standins.gateway import envelope, kinds
from tfy_last9.standins.gateway.catalogue import Card
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.formats.chat import Chat
from tfy_last9.standins.gateway.formats.format import (
    Passing,
    Read,
    json_text,
    shortened,
    with_model,
)
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import Attempt

MODEL_FIELD = re.compile(rb'(name="model"[^\r]*\r\n(?:[^\r]+\r\n)*\r\n)([^\r]*)')
OPENAI = Chat()


@dataclass(frozen=True, slots=True)
class Plain:
    """One such endpoint."""

    kind: Kind
    vendor_path: str
    shown: str
    """Field of the request that the trace shows; None stays None in a form without it."""

    def check(self, body: dict[str, Any]) -> None:
        """Refuse a body without the field that the endpoint is about."""
        if self.shown not in body:
            raise envelope.bad_request(f"{self.shown}: required")

    def preview(self, body: dict[str, Any]) -> tuple[str, str]:
        """Show the field that the endpoint is about."""
        shown = body.get(self.shown)
        return json_text({self.shown: shown}), shortened(shown)

    def path(self, request: ModelRequest, card: Card) -> str:
        """Give the path at the vendor."""
        del request, card
        return self.vendor_path

    def body(self, request: ModelRequest, card: Card) -> bytes:
        """Name the model as the vendor does; in a form, in its field."""
        if request.form is None:
            return with_model(request, card)
        return MODEL_FIELD.sub(rb"\g<1>" + card.model.encode(), request.form[1], count=1)

    def read(self, event: bytes, attempt: Attempt, passing: Passing) -> Read:
        """Pass events through: sound may be streamed."""
        del attempt, passing
        return Read(event)

    def whole(self, document: dict[str, Any], attempt: Attempt, passing: Passing) -> None:
        """Note usage where there is any, and add the cost to it."""
        attempt.answer_id, attempt.served_model = document.get("id"), document.get("model")
        usage = document.get("usage")
        if not passing.usage:
            document.pop("usage", None)
        elif isinstance(usage, dict) and "total_tokens" in usage:
            given = int(usage.get("prompt_tokens") or usage.get("input_tokens") or 0)
            usage["costInUSD"] = attempt.priced(given, usage["total_tokens"] - given)

    def broken(self, rejection: Rejection) -> bytes:
        """Write OpenAI's error object as an event."""
        return OPENAI.broken(rejection)

    def refusal(self, rejection: Rejection) -> dict[str, object]:
        """Write OpenAI's error object."""
        return OPENAI.refusal(rejection)


PLAIN = {
    "/embeddings": Plain(kinds.EMBEDDING, "/v1/embeddings", "input"),
    "/rerank": Plain(kinds.RERANK, "/v2/rerank", "query"),
    "/v2/rerank": Plain(kinds.RERANK, "/v2/rerank", "query"),
    "/moderations": Plain(kinds.MODERATION, "/v1/moderations", "input"),
    "/images/generations": Plain(kinds.IMAGE, "/v1/images/generations", "prompt"),
    "/images/edits": Plain(kinds.IMAGE, "/v1/images/edits", "image"),
    "/images/variations": Plain(kinds.IMAGE, "/v1/images/variations", "image"),
    "/audio/speech": Plain(kinds.SPEECH, "/v1/audio/speech", "input"),
    "/audio/transcriptions": Plain(kinds.TRANSCRIPTION, "/v1/audio/transcriptions", "file"),
    "/audio/translations": Plain(kinds.TRANSCRIPTION, "/v1/audio/translations", "file"),
}
"""By canonical path."""
