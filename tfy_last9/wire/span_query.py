"""TrueFoundry's own span query: the second place where a trace can be looked for.

`POST <control plane>/api/svc/v1/spans/query` (docs "fetch request logs"; truefoundry-python-sdk, `traces`). The
gateway keeps spans there besides exporting them, so that a trace which is there and not in Last9 was lost on the way.
Only ids are read; answers hold prompts, and nothing of them is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from tfy_last9.wire.last9 import METADATA
from tfy_last9.wire.span_identity import metadata_of

PATH = "/api/svc/v1/spans/query"
LIMIT = 200
"""Spans per page; what the SDK asks for by default."""
_APPLICATION = "tfy-llm-gateway"
_NS_PER_S = 10**9


class UnreadableSpans(ValueError):
    """An answer that is not of the documented form."""


@dataclass(frozen=True, slots=True)
class SpanPage:
    """One page of an answer."""

    trace_ids: frozenset[str]
    request_ids: frozenset[str]
    next_token: str | None


def by_trace(trace_ids: Sequence[str]) -> dict[str, object]:
    """Return the condition that selects the spans of traces."""
    return {"traceIds": list(trace_ids)}


def by_request(request_ids: Sequence[str]) -> dict[str, object]:
    """Return the condition that selects roots by the request id in their metadata."""
    condition = {
        "gatewayRequestMetadataKey": "request_id",
        "operator": "IN",
        "value": list(request_ids),
    }
    return {"filters": [condition]}


def document(
    condition: Mapping[str, object], start_ns: int, end_ns: int, token: str | None = None
) -> dict[str, object]:
    """Return the body of a query for root spans."""
    body = {
        "startTime": _iso(start_ns),
        "endTime": _iso(end_ns),
        "dataRoutingDestination": "default",
        "applicationNames": [_APPLICATION],
        "parentSpanIds": [""],
        "limit": LIMIT,
        "sortDirection": "asc",
        **condition,
    }
    return body if token is None else {**body, "pageToken": token}


def read_page(body: bytes) -> SpanPage:
    """Read one answer. Raises `UnreadableSpans`."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableSpans("the answer is not JSON") from error
    rows = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list):
        raise UnreadableSpans("the answer has no list `data`")
    pagination = answer.get("pagination") or {}
    token = pagination.get("nextPageToken") if isinstance(pagination, Mapping) else None
    spans = [row for row in rows if isinstance(row, Mapping)]
    return SpanPage(
        trace_ids=frozenset(str(span.get("traceId", "")).lower() for span in spans),
        request_ids=frozenset(filter(None, map(_request_id, spans))),
        next_token=token if isinstance(token, str) and token else None,
    )


def _request_id(span: Mapping[str, object]) -> str | None:
    attributes = span.get("spanAttributes")
    if not isinstance(attributes, Mapping):
        return None
    found = metadata_of({key: attributes[key] for key in attributes if key.startswith(METADATA)})
    value = found.get("request_id")
    return value if isinstance(value, str) else None


def _iso(instant_ns: int) -> str:
    """Return an instant as ISO 8601 with milliseconds, rounded down."""
    moment = datetime.fromtimestamp(instant_ns // _NS_PER_S, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant_ns % _NS_PER_S // 10**6:03d}Z"
