"""What goes in and out of an endpoint, free of sockets: a request, a reply, a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson

from tfy_last9.standins.last9.settings import ErrorShape

JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, fully read; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    captured: Mapping[str, str] = field(default_factory=dict)
    """What the route's pattern captured from the path."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer, with the two figures that the journal keeps about a query."""

    body: bytes
    status: int = HTTPStatus.OK
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    stages: tuple[str, ...] = ()


class Refusal(Exception):
    """A request that is answered with an error status and a text."""

    def __init__(
        self,
        status: int,
        text: str,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.content_type = content_type
        self.headers = headers or {}


def json_reply(payload: object, status: int = HTTPStatus.OK, rows: int = 0) -> Reply:
    """Answer with one JSON document."""
    return Reply(orjson.dumps(payload), status, rows=rows)


def refusal_reply(refusal: Refusal, shape: ErrorShape = ErrorShape.TEXT) -> Reply:
    """Answer with Last9's error document, or with the page that some errors are."""
    status, headers = refusal.status, refusal.headers
    if refusal.content_type != JSON:
        return Reply(refusal.text.encode(), status, refusal.content_type, headers)
    return Reply(orjson.dumps(ERRORS[shape](refusal)), status, headers=headers)


ERRORS: dict[ErrorShape, Callable[[Refusal], dict[str, object]]] = {
    ErrorShape.TEXT: lambda refusal: {"error": refusal.text},
    ErrorShape.STATUS: lambda refusal: {"status": "error", "error": refusal.text},
    ErrorShape.OBJECT: lambda refusal: {
        "error": {"code": int(refusal.status), "message": refusal.text}
    },
}
