"""The header that tells a client its trace: `x-tfy-feedback-target-id`, in all the forms it may have."""

from __future__ import annotations

import base64
from urllib.parse import quote

import orjson

from tfy_last9.standins.asgi import Header
from tfy_last9.standins.gateway.settings import Settings, TargetEncoding, TargetShape

NAME = b"x-tfy-feedback-target-id"


def feedback_target(trace: int, span: int, settings: Settings | None = None) -> str:
    """Encode the trace id and the root span id; without settings as the documentation shows it."""
    document: dict[str, object] = {
        "spanId": f"{span:016x}",
        "traceId": f"{trace:032x}",
        "dataRoutingDestination": "default",
    }
    if settings is not None and settings.target_shape is TargetShape.NESTED:
        document = {"target": document}
    raw = orjson.dumps(document)
    if settings is None or settings.target_encoding is TargetEncoding.BASE64:
        return base64.b64encode(raw).decode()
    if settings.target_encoding is TargetEncoding.QUOTED:
        return quote(base64.b64encode(raw).decode(), safe="")
    coded = base64.urlsafe_b64encode(raw).decode()
    return coded if settings.target_encoding is TargetEncoding.BASE64URL else coded.rstrip("=")


def target_header(trace: int, span: int, settings: Settings) -> Header:
    """Give the header of a trace."""
    return NAME, feedback_target(trace, span, settings).encode()
