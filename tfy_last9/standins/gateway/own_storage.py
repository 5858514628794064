"""The control plane's side of a trace: TrueFoundry keeps request logs of its own, besides the export.

`POST /api/svc/v1/spans/query`, as far as root spans go (docs "fetch request logs"). What the export loses is
still here; what was never logged is not. Kept in memory, the newest 200,000.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from tfy_last9.standins.asgi import Receive, Scope, Send, carries_key, read_body, send_json
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.story import OK, Story

PATH = "/api/svc/v1/spans/query"
MOST_KEPT = 200_000
DEFAULT_LIMIT = 200
BAD_REQUEST = 400
_FAILED_FROM = 400

Span = dict[str, Any]


class OwnStorage:
    """Root spans of logged requests, newest last."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._spans: deque[Span] = deque(maxlen=MOST_KEPT)

    def keep(self, story: Story) -> None:
        """Keep the root of a finished request."""
        failed = story.error_message is not None or (story.status or 0) >= _FAILED_FROM
        self._spans.append(
            {
                "spanId": f"{story.root_span_id:016x}",
                "traceId": f"{story.trace_id:032x}",
                "parentSpanId": "",
                "serviceName": "tfy-llm-gateway",
                "spanName": f"ChatCompletion: {story.requested_model or 'unknown'}",
                "spanKind": "Server",
                "timestamp_ns": story.received_ns + story.wall_offset_ns,
                "durationNs": story.finished_ns - story.received_ns,
                "statusCode": "Error" if failed else "Ok",
                "statusMessage": story.error_message or "",
                "metadata": dict(story.metadata),
                "createdBySubject": {"subjectSlug": story.subject},
            }
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one query."""
        raw = await read_body(receive)
        if not carries_key(scope, self._api_key):
            rejection = envelope.unauthorized()
            await send_json(send, rejection.status, rejection.document())
            return
        try:
            status, document = OK, self._page(orjson.loads(raw))
        except (ValueError, KeyError, TypeError) as error:
            status, document = BAD_REQUEST, {"message": f"Bad Request: {error}"}
        await send_json(send, status, document)

    def _page(self, query: dict[str, Any]) -> dict[str, Any]:
        if not query.get("dataRoutingDestination") and not query.get("tracingProjectFqn"):
            raise ValueError("one of dataRoutingDestination and tracingProjectFqn is required")
        offset, limit = int(query.get("pageToken") or 0), int(query.get("limit", DEFAULT_LIMIT))
        found = list(islice(self._matching(query), offset, offset + limit + 1))
        more = str(offset + limit) if len(found) > limit else None
        return {
            "data": [_shown(span) for span in found[:limit]],
            "pagination": {"nextPageToken": more},
        }

    def _matching(self, query: dict[str, Any]) -> Iterator[Span]:
        start_ns, end_ns = _instant_ns(query["startTime"]), _instant_ns(query.get("endTime"))
        tests = [_one_of(query, "traceIds", "traceId"), _one_of(query, "spanIds", "spanId")]
        tests += [_one_of(query, "parentSpanIds", "parentSpanId")]
        tests += [_one_of(query, "applicationNames", "serviceName")]
        tests += [_condition(item) for item in query.get("filters") or ()]
        for span in tuple(self._spans):
            in_time = (start_ns or 0) <= span["timestamp_ns"] and (
                end_ns is None or span["timestamp_ns"] <= end_ns
            )
            if in_time and all(test(span) for test in tests):
                yield span


def _one_of(query: dict[str, Any], name: str, field: str) -> Callable[[Span], bool]:
    wanted = query.get(name)
    return lambda span: not wanted or span[field] in wanted


def _condition(item: dict[str, Any]) -> Callable[[Span], bool]:
    """Return the test of one filter on request metadata; the operators that clients of ours could need."""
    key, operator, value = item["gatewayRequestMetadataKey"], item["operator"], item.get("value")
    tests: dict[str, Callable[[str | None], bool]] = {
        "EQUAL": lambda found: found == value,
        "NOT_EQUAL": lambda found: found != value,
        "IN": lambda found: found in (value or ()),
        "NOT_IN": lambda found: found not in (value or ()),
        "PRESENT": lambda found: found is not None,
        "IS_NULL": lambda found: found is None,
    }
    if operator not in tests:
        raise ValueError(f"operator {operator!r} is not supported for request metadata")
    test = tests[operator]
    return lambda span: test(span["metadata"].get(key))


def _instant_ns(text: str | None) -> int | None:
    if text is None:
        return None
    return round(datetime.fromisoformat(text).timestamp() * 1e9)


def _shown(span: Span) -> Span:
    moment = datetime.fromtimestamp(span["timestamp_ns"] / 1e9, UTC)
    attributes = {"tfy.span_type": "ChatCompletion", "tfy.request.metadata": span["metadata"]}
    shown = {key: span[key] for key in span if key not in ("timestamp_ns", "metadata")}
    stamp = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return shown | {"timestamp": stamp, "spanAttributes": attributes, "events": [], "feedbacks": []}
