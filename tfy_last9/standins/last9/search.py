"""Search: traces with the spans that matched, and the heat map of durations.

The items of a search are documented; the envelope around them and the whole answer of the heat map
are not, and are this stand-in's reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from tfy_last9.standins.last9.message import Refusal, Reply, Request, json_reply
from tfy_last9.standins.last9.reading import Reading
from tfy_last9.standins.last9.sql import Sql, fill

SPAN_LIMIT = 3
"""Spans shown of each trace when the query names no `span_limit`."""
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
UNIT_NS = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
FOREVER_NS = 2**63 - 1
TRACES = """
WITH matched AS (
    SELECT trace_id, count(*) AS hits FROM spans WHERE {} GROUP BY trace_id
), whole AS (
    SELECT trace_id, any_value(hits) AS hits, min(start_ns) AS first_ns,
        max(start_ns + duration_ns) AS last_ns,
        arg_min(service, (parent_span_id <> '', start_ns)) AS service,
        arg_min(name, (parent_span_id <> '', start_ns)) AS name
    FROM spans JOIN matched USING (trace_id) GROUP BY trace_id
)
SELECT trace_id, service, name, first_ns, last_ns, hits FROM whole
WHERE last_ns - first_ns BETWEEN {} AND {} ORDER BY {} LIMIT {}
"""
SPANS = """
SELECT trace_id, span_id, name, start_ns, duration_ns, doc FROM (
    SELECT *, row_number() OVER (PARTITION BY trace_id ORDER BY start_ns, span_id) AS place
    FROM spans WHERE {} AND trace_id IN (SELECT unnest(CAST({} AS VARCHAR[])))
) WHERE place <= {} ORDER BY trace_id, place
"""
HEAT = """
WITH chosen AS (SELECT start_ns, duration_ns FROM spans WHERE {}),
edges AS (SELECT min(duration_ns) AS low, max(duration_ns) + 1 AS high FROM chosen)
SELECT (start_ns // {}) * {} AS ts, CAST(floor((duration_ns - low) * {} / (high - low)) AS BIGINT),
    count(*), any_value(low), any_value(high)
FROM chosen, edges GROUP BY 1, 2 ORDER BY 1, 2
"""
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Search:
    """Finds traces, and draws their durations."""

    reading: Reading

    async def traces(self, request: Request) -> Reply:
        """Find traces that have a matching span and last as long as asked."""
        parameters = self.reading.parameters(request)
        condition = self.reading.condition(request, parameters.window)
        shown = self.reading.limit(request, SPAN_LIMIT, "span_limit")
        order = "last_ns - first_ns" if parameters.order.column == "duration_ns" else "first_ns"
        way = "DESC" if parameters.order.descending else "ASC"
        sql = fill(
            TRACES,
            condition,
            _bound(_duration_ns(request, "minDuration", 0)),
            _bound(_duration_ns(request, "maxDuration", FOREVER_NS)),
            Sql(f"{order} {way}, trace_id"),
            _bound(self.reading.capped(parameters.limit)),
        )
        found = await self.reading.rows(sql)
        ids = [row[0] for row in found]
        spans = await self.reading.rows(fill(SPANS, condition, Sql("?", (ids,)), _bound(shown)))
        result = [_trace(row, [span for span in spans if span[0] == row[0]]) for row in found]
        data = {"resultType": "traces", "result": result}
        return json_reply({"status": "success", "data": data}, rows=len(result))

    async def heat_map(self, request: Request) -> Reply:
        """Count spans per slice of time and of duration."""
        window = self.reading.window(request, required=True)
        step_s = self.reading.count(request, "time_resolution_sec")
        buckets = self.reading.count(request, "buckets")
        condition = self.reading.condition(request, window)
        steps = (_bound(step_s * NS_PER_S), _bound(step_s), Sql(f"{buckets}::DOUBLE"))
        rows = await self.reading.rows(fill(HEAT, condition, *steps))
        result = [_cell(row, buckets) for row in rows]
        data = {"resultType": "heatmap", "result": result}
        return json_reply({"status": "success", "data": data}, rows=len(result))


def _trace(row: tuple[Any, ...], spans: list[tuple[Any, ...]]) -> dict[str, object]:
    trace_id, service, name, first_ns, last_ns, hits = row
    return {
        "traceID": trace_id,
        "rootServiceName": service,
        "rootTraceName": name,
        "startTimeUnixNano": str(first_ns),
        "endTimeUnixNano": str(last_ns),
        "durationMs": (last_ns - first_ns) / 1e6,
        "spanSets": [{"spans": [_span(span) for span in spans], "matched": hits}],
    }


def _span(row: tuple[Any, ...]) -> dict[str, object]:
    _, span_id, name, start_ns, duration_ns, doc = row
    return {
        "spanID": span_id,
        "name": name,
        "startTimeUnixNano": str(start_ns),
        "durationNanos": str(duration_ns),
        "attributes": orjson.loads(doc)["SpanAttributes"],
    }


def _cell(row: tuple[Any, ...], buckets: int) -> dict[str, object]:
    stamp_s, bucket, count, low, high = row
    width = (high - low) / buckets
    return {
        "timestamp": stamp_s,
        "from": low + bucket * width,
        "to": low + (bucket + 1) * width,
        "count": count,
    }


def _duration_ns(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    parts = DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is such as 100ms or 1s, saw {text}")
    return min(FOREVER_NS, int(sum(float(number) * UNIT_NS[unit] for number, unit in parts)))


def _bound(value: int) -> Sql:
    return Sql("?", (value,))
