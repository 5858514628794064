"""Last9's HTTP API as text: query documents out, answers in, no sockets.

Paths, URL parameters and the envelopes of answers; pipelines are built in `last9_pipeline`. Reading is
lenient about absence and strict about meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

API_PREFIX = "/api/v4"
TOKEN_PATH = f"{API_PREFIX}/oauth/access_token"
DATASOURCES_PATH = "/datasources"
QUERY_PATH = "/cat/api/traces/v2/query_range/json"
TRACE_PATH = "/cat/api/traces"
TOKEN_HEADER = "X-LAST9-API-TOKEN"  # noqa: S105 - the name of a header, not a token

METADATA = "tfy.request.metadata"
"""Span attribute that brings back what went out in `x-tfy-metadata`."""

_ERROR_TEXT_LIMIT = 200

Document = dict[str, object]


class UnreadableAnswer(ValueError):
    """An answer that says success but is not what the API promises."""


def query_parameters(region: str, start_s: int, end_s: int, limit: int) -> dict[str, str]:
    """Return the URL parameters of a span query; instants are Unix seconds.

    `order` and `direction` are what Last9's own client sends (newest first); `mode=span` because the
    default is not documented and rows must be spans, not traces.
    """
    return {
        "region": region,
        "start": str(start_s),
        "end": str(end_s),
        "limit": str(limit),
        "order": "Timestamp",
        "direction": "backward",
        "mode": "span",
    }


def trace_parameters(region: str, start_s: int, end_s: int, limit: int) -> dict[str, str]:
    """Return the URL parameters of a look at one trace; instants are Unix seconds."""
    return {"region": region, "start": str(start_s), "end": str(end_s), "limit": str(limit)}


def read_query(body: bytes) -> list[object]:
    """Return the rows of a span query. No rows, `null` and an absent result all mean none."""
    answer = _object(body)
    if str(answer.get("status", "success")).lower() != "success":
        raise UnreadableAnswer(f"the answer reports a failure: {error_text(body)}")
    if "data" not in answer and "result" not in answer:
        raise UnreadableAnswer(f"the answer holds no `data`: {error_text(body)}")
    data = answer.get("data")
    if isinstance(data, list):
        return data
    holder = data if isinstance(data, Mapping) else answer
    return _rows(holder.get("result"), "result")


def read_trace(body: bytes) -> list[object]:
    """Return the rows of a look at one trace."""
    answer = _object(body)
    if "traces" not in answer:
        raise UnreadableAnswer(f"the answer holds no `traces`: {error_text(body)}")
    return _rows(answer["traces"], "traces")


@dataclass(frozen=True, slots=True)
class DataSource:
    """What is needed of one entry of `/datasources`; credentials in it are left where they are."""

    name: str
    region: str
    is_default: bool
    cluster: str | None
    """`properties.levitate_cluster_id`, wanted by deep links only."""


def read_datasources(body: bytes) -> tuple[DataSource, ...]:
    """Return the data sources that name a region."""
    try:
        entries = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableAnswer(f"not JSON: {error_text(body)}") from error
    if isinstance(entries, Mapping):
        entries = entries.get("data")
    found = (_datasource(entry) for entry in _rows(entries, "datasources"))
    return tuple(source for source in found if source is not None)


def _datasource(entry: object) -> DataSource | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("region"), str):
        return None
    properties = entry.get("properties")
    cluster = properties.get("levitate_cluster_id") if isinstance(properties, Mapping) else None
    return DataSource(
        name=str(entry.get("name", "")),
        region=entry["region"],
        is_default=entry.get("is_default") is True,
        cluster=str(cluster) if cluster else None,
    )


def error_text(body: bytes) -> str:
    """Return what an error body says, in one short line; `error` may be a text or an object."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _one_line(body.decode("utf-8", "replace"))
    if not isinstance(answer, Mapping):
        return _one_line(str(answer))
    error = answer.get("error") or answer.get("message") or answer.get("errors")
    if isinstance(error, Mapping):
        parts = (error.get("code"), error.get("message"))
        error = ": ".join(str(part) for part in parts if part) or orjson.dumps(dict(error)).decode()
    return _one_line(str(error) if error else body.decode("utf-8", "replace"))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _ERROR_TEXT_LIMIT else line[:_ERROR_TEXT_LIMIT] + "..."


def _object(body: bytes) -> Mapping[str, object]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableAnswer(f"not JSON: {error_text(body)}") from error
    if not isinstance(answer, Mapping):
        raise UnreadableAnswer(f"not a JSON object: {error_text(body)}")
    return answer


def _rows(rows: object, name: str) -> list[object]:
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise UnreadableAnswer(f"`{name}` should be a list and is {type(rows).__name__}")
    return rows
