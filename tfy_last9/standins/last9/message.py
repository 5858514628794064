"""What goes in and out of an endpoint, free of sockets: a request, a reply, a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson

JSON = "application/json"


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

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def json_reply(payload: object, status: int = HTTPStatus.OK, rows: int = 0) -> Reply:
    """Answer with one JSON document."""
    return Reply(orjson.dumps(payload), status, rows=rows)


def refusal_reply(refusal: Refusal) -> Reply:
    """Answer with Last9's error document."""
    return json_reply({"error": refusal.text}, refusal.status)
