"""What Last9 says about attributes, and change events: the smaller documents of its API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from tfy_last9.wire.last9 import UnreadableAnswer, error_text

SERIES_PATH = "/cat/api/traces/v2/series/json"
HEATMAP_PATH = "/cat/api/traces/v2/heatmap/json"
TAGS_PATH = "/cat/api/search/tags"
CHANGE_EVENTS_PATH = "/change_events"

_NS_PER_S = 10**9


def values_path(quoted_tag: str) -> str:
    """Return the path of an attribute's values; the name is quoted by the caller."""
    return f"/cat/api/traces/v2/label/json/{quoted_tag}/values"


def window_parameters(region: str, start_s: int, end_s: int) -> dict[str, str]:
    """Return the URL parameters of a look at the catalogue; instants are Unix seconds."""
    return {"region": region, "start": str(start_s), "end": str(end_s)}


def heatmap_parameters(
    region: str, start_s: int, end_s: int, resolution_s: int, buckets: int
) -> dict[str, str]:
    """Return the URL parameters of a heat map: seconds per column, and rows."""
    return {
        **window_parameters(region, start_s, end_s),
        "time_resolution_sec": str(resolution_s),
        "buckets": str(buckets),
    }


def read_series(body: bytes) -> tuple[str, ...]:
    """Return the attribute names that occur: the keys of the entries, sorted."""
    entries = _successful(body)
    return tuple(
        sorted({str(key) for entry in entries if isinstance(entry, dict) for key in entry})
    )


def read_values(body: bytes) -> tuple[str, ...]:
    """Return the values of one attribute, sorted."""
    return tuple(sorted(str(value) for value in _successful(body) if value is not None))


def read_tags(body: bytes) -> dict[str, tuple[str, ...]]:
    """Return attribute names by scope (`span`, `resource`, `event`), without prefixes."""
    answer = _object(body)
    scopes = answer.get("scopes")
    if scopes is None:
        return {}
    if not isinstance(scopes, list):
        raise UnreadableAnswer("`scopes` should be a list")
    found = {}
    for scope in scopes:
        if isinstance(scope, Mapping):
            tags = scope.get("tags") or ()
            found[str(scope.get("name"))] = tuple(sorted(str(tag) for tag in tags))
    return found


def change_event(
    name: str, state: str, at_ns: int, attributes: Mapping[str, str | float | bool]
) -> dict[str, object]:
    """Return a change event; `state` is `start` or `stop`, the instant is UTC."""
    if state not in {"start", "stop"}:
        raise ValueError(f"a change event starts or stops: {state!r}")
    at = datetime.fromtimestamp(at_ns / _NS_PER_S, tz=UTC)
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
    return {
        "event_name": name,
        "event_state": state,
        "timestamp": stamp,
        "attributes": dict(attributes),
    }


def _successful(body: bytes) -> list[object]:
    answer = _object(body)
    if str(answer.get("status", "success")).lower() != "success":
        raise UnreadableAnswer(f"the answer reports a failure: {error_text(body)}")
    if "data" not in answer:
        raise UnreadableAnswer(f"the answer holds no `data`: {error_text(body)}")
    data = answer["data"]
    if data is None:
        return []
    if not isinstance(data, list):
        raise UnreadableAnswer(f"`data` should be a list and is {type(data).__name__}")
    return data


def _object(body: bytes) -> Mapping[str, object]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableAnswer(f"not JSON: {error_text(body)}") from error
    if not isinstance(answer, Mapping):
        raise UnreadableAnswer(f"not a JSON object: {error_text(body)}")
    return answer
