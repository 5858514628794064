"""Queries and answers of TrueFoundry's span query."""

import orjson
import pytest

from tfy_last9.wire import span_query

START_NS, END_NS = 1_790_000_000_123_000_000, 1_790_000_060_000_000_000


def test_a_query_asks_for_roots_of_the_gateway_in_the_window():
    body = span_query.document(span_query.by_trace(["a" * 32]), START_NS, END_NS)
    assert body == {
        "startTime": "2026-09-21T14:13:20.123Z",
        "endTime": "2026-09-21T14:14:20.000Z",
        "dataRoutingDestination": "default",
        "applicationNames": ["tfy-llm-gateway"],
        "parentSpanIds": [""],
        "limit": 200,
        "sortDirection": "asc",
        "traceIds": ["a" * 32],
    }


def test_the_next_page_is_asked_for_by_its_token():
    body = span_query.document(span_query.by_request(["r.1"]), START_NS, END_NS, "200")
    assert body["pageToken"] == "200"
    assert body["filters"] == [
        {"gatewayRequestMetadataKey": "request_id", "operator": "IN", "value": ["r.1"]}
    ]


@pytest.mark.parametrize(
    "metadata", [{"request_id": "r.7"}, '{"request_id": "r.7"}'], ids=["map", "text"]
)
def test_ids_are_read_however_the_metadata_is_written(metadata):
    span = {"traceId": "AB" * 16, "spanAttributes": {"tfy.request.metadata": metadata}}
    page = span_query.read_page(
        orjson.dumps({"data": [span], "pagination": {"nextPageToken": "1"}})
    )
    assert page == span_query.SpanPage(frozenset({"ab" * 16}), frozenset({"r.7"}), "1")


def test_a_last_page_has_no_token():
    for pagination in ({}, {"nextPageToken": None}, {"nextPageToken": ""}, None):
        body = orjson.dumps({"data": [], "pagination": pagination})
        assert span_query.read_page(body).next_token is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": null}', b"{}"])
def test_another_answer_is_refused_and_not_taken_for_empty(body):
    with pytest.raises(span_query.UnreadableSpans):
        span_query.read_page(body)
