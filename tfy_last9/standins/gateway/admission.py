"""From raw bytes to a request that may be served, noting in the story what the trace shows of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tfy_last9.standins.asgi import Scope, header
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.endpoints import Endpoint
from tfy_last9.standins.gateway.formats.format import Format
from tfy_last9.standins.gateway.formats.gemini import STREAM
from tfy_last9.standins.gateway.identity import Identity
from tfy_last9.standins.gateway.policies import Policies
from tfy_last9.standins.gateway.request import (
    ModelRequest,
    model_of,
    parse_body,
    timeouts,
)
from tfy_last9.standins.gateway.story import Story

PARAMETERS = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "frequency_penalty",
    "presence_penalty",
)
FORM = "multipart/form-data"
FIELD = re.compile(rb'name="([^"]+)"(; filename=)?[^\r]*\r\n(?:[^\r]+\r\n)*\r\n([^\r]{0,200})')


@dataclass(frozen=True, slots=True)
class Admission:
    """A request and the interface it speaks."""

    format: Format
    request: ModelRequest


def admit(
    found: Endpoint,
    scope: Scope,
    raw: bytes,
    story: Story,
    identity: Identity,
    policies: Policies,
) -> Admission:
    """Check access to the model, then the rest of the body; raises Rejection."""
    form, body = _read(scope, raw)
    assert found.format is not None
    model = found.model or model_of(scope, body)
    story.requested_model = model
    story.input_json, story.input_short = found.format.preview(body)
    story.parameters = {key: body[key] for key in PARAMETERS if key in body}
    targets = policies.candidates(identity, model)
    found.format.check(body)
    streaming = found.method == STREAM if found.method else body.get("stream", False)
    if not isinstance(streaming, bool):
        raise envelope.bad_request("stream: must be a boolean")
    story.streaming = streaming
    attempt_s, ttft_s = timeouts(scope, streaming=streaming)
    request = ModelRequest(
        *(model, body, streaming, targets, attempt_s, ttft_s), method=found.method, form=form
    )
    return Admission(found.format, request)


def _read(scope: Scope, raw: bytes) -> tuple[tuple[str, bytes] | None, dict[str, Any]]:
    """Read JSON, or of a form the fields and the names of its files."""
    content_type = header(scope, b"content-type") or ""
    if not content_type.startswith(FORM):
        return None, parse_body(raw)
    fields = {
        name.decode(): "(file)" if is_file else value.decode(errors="replace")
        for name, is_file, value in FIELD.findall(raw)
    }
    return (content_type, raw), fields
