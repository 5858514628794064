"""Experiments about what the product always says itself: order, mode, how many rows at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.observation import Observation, decoded, first, rows_of, seen
from tfy_last9.wire.last9 import QUERY_PATH, TRACE_PATH, query_parameters, trace_parameters
from tfy_last9.wire.last9_aggregates import read_count
from tfy_last9.wire.last9_fields import SPAN_ID, TRACE_ID
from tfy_last9.wire.last9_pipeline import Pipeline, count
from tfy_last9.wire.last9_queries import COUNT, counted, spans_of_service

_ROWS = 200
_MANY_ROWS = 20_000
"""More than Last9's own client ever asks for (5,000)."""
_COMPARABLE = 3


class Defaults:
    """Asks over one window that should hold gateway spans."""

    def __init__(self, client: Last9Client, service: str, start_s: int, end_s: int) -> None:
        self._client = client
        self._spans = spans_of_service(service)
        self._window = start_s, end_s

    def questions(self) -> tuple[tuple[str, Callable[[], Observation]], ...]:
        """Return the questions, each with the switch that it decides."""
        return (
            ("default-order", self._default_order),
            ("default-mode", self._default_mode),
            ("max-limit", self._max_limit),
            ("group-order", self._group_order),
            ("event-keys", self._event_keys),
        )

    def _ask(self, query: Pipeline, limit: int, *without: str) -> tuple[list[object], object]:
        asked = query_parameters(self._client.place().region, *self._window, limit)
        parameters = {name: value for name, value in asked.items() if name not in without}
        answer = self._client.send("POST", QUERY_PATH, parameters, query.document())
        body = decoded(answer.body)
        return rows_of(body), body

    def _default_order(self) -> Observation:
        rows, body = self._ask(self._spans, _ROWS, "order", "direction")
        stamps = [str(row.get("Timestamp")) for row in rows if isinstance(row, Mapping)]
        value = None
        if len(set(stamps)) > 1:
            rising, falling = sorted(stamps), sorted(stamps, reverse=True)
            value = {tuple(rising): "oldest", tuple(falling): "newest"}.get(tuple(stamps))
        return seen("default-order", value, f"{len(rows)} rows without order", body)

    def _default_mode(self) -> Observation:
        """Tell modes apart by spans that have a parent: one row per trace shows roots alone."""
        plain, body = self._ask(self._spans, _ROWS, "mode")
        asked, _ = self._ask(self._spans, _ROWS)
        value = "span" if _children(plain) else "trace" if _children(asked) else None
        said = f"{_children(plain)} children without a mode, {_children(asked)} with mode=span"
        return seen("default-mode", value, said, body)

    def _max_limit(self) -> Observation:
        """Ask for more than anybody does, and for as little as possible of each span."""
        rows, _ = self._ask(self._spans.select([(SPAN_ID, "s")]), _MANY_ROWS)
        counts, _ = self._ask(counted(self._spans), 1)
        there = read_count(counts, COUNT)
        is_cut = 0 < len(rows) < min(there, _MANY_ROWS)
        said = f"{len(rows)} of {there} rows with limit={_MANY_ROWS}"
        return seen("max-limit", str(len(rows)) if is_cut else None, said, None)

    def _group_order(self) -> Observation:
        query = self._spans.aggregate([(count(), COUNT)], [(TRACE_ID, "t")])
        rows, body = self._ask(query, 20)
        labels = [str(_cells(row).get("t")) for row in rows]
        value = None
        if len(labels) >= _COMPARABLE:
            value = "sorted" if labels == sorted(labels) else "shuffled"
        return seen("group-order", value, f"{len(labels)} groups", body)

    def _event_keys(self) -> Observation:
        rows, _ = self._ask(self._spans, 1)
        trace_id = first(rows, "TraceId")
        parameters = trace_parameters(self._client.place().region, *self._window, _ROWS)
        path = f"{TRACE_PATH}/{trace_id if _is_hex(trace_id) else '0' * 32}"
        body = decoded(self._client.send("GET", path, parameters, None).body)
        spans = body.get("traces") if isinstance(body, Mapping) else None
        keys = sorted({key for span in spans or () for key in _keys_of_events(span)})
        value = "clickhouse" if "Name" in keys else "otlp" if "name" in keys else None
        return seen("event-keys", value, f"keys of events: {', '.join(keys) or 'none seen'}", body)


def _children(rows: list[object]) -> int:
    return sum(1 for row in rows if isinstance(row, Mapping) and row.get("ParentSpanId"))


def _cells(row: object) -> Mapping[str, object]:
    if not isinstance(row, Mapping):
        return {}
    metric = row.get("metric")
    return metric if isinstance(metric, Mapping) else row


def _keys_of_events(span: object) -> set[str]:
    events = span.get("Events") if isinstance(span, Mapping) else None
    items = events if isinstance(events, list) else []
    return {str(key) for event in items if isinstance(event, Mapping) for key in event}


def _is_hex(value: object) -> bool:
    return isinstance(value, str) and len(value) == len("0" * 32) and value.isalnum()
