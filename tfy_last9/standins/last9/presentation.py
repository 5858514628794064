"""Stored spans and aggregate rows -> the JSON of an answer, under the switches that shape it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import orjson

from tfy_last9.standins.last9.document import MAPS, Document, bracketed, read_field
from tfy_last9.standins.last9.pipeline import Column, Kind
from tfy_last9.standins.last9.settings import (
    AggregateNumbers,
    AggregateShape,
    EmptyResult,
    EventKeys,
    Select,
    Settings,
    Timestamps,
    UnsetStatus,
)

UNSET = "STATUS_CODE_UNSET"
OTLP_KEYS = {
    "Timestamp": "timeUnixNano",
    "Name": "name",
    "Attributes": "attributes",
    "TraceId": "traceId",
    "SpanId": "spanId",
    "TraceState": "traceState",
}
STAMPS: dict[Timestamps, Callable[[str], str]] = {
    Timestamps.RFC3339: lambda text: text,
    Timestamps.NAIVE: lambda text: text.removesuffix("Z"),
    Timestamps.SPACE: lambda text: text.removesuffix("Z").replace("T", " "),
}


@dataclass(frozen=True)
class Presentation:
    """Writes answers for one setting of the switches."""

    settings: Settings

    def spans(self, documents: Iterable[str], selected: Mapping[str, str] | None) -> bytes:
        """Wrap span documents; under the defaults they go out as they are stored."""
        chosen = selected if self.settings.select is not Select.IGNORE else None
        if self._as_stored and chosen is None:
            joined = ",".join(documents)
            return self._envelope("stream", f"[{joined}]".encode() if joined else b"")
        shaped = [self._shaped(orjson.loads(text), chosen) for text in documents]
        return self._envelope("stream", orjson.dumps(shaped) if shaped else b"")

    def trace(self, documents: Iterable[str]) -> bytes:
        """Wrap the spans of one trace, which carry events and links."""
        if self._as_stored and self.settings.event_keys is EventKeys.CLICKHOUSE:
            return f'{{"traces":[{",".join(documents)}]}}'.encode()
        spans = [self._with_events(self._shaped(orjson.loads(text), None)) for text in documents]
        return orjson.dumps({"traces": spans})

    def matrix(self, rows: list[tuple[object, ...]], columns: tuple[Column, ...]) -> bytes:
        """Wrap the rows of an aggregate."""
        shape = self.settings.aggregate_shape
        result = [SHAPES[shape](self._cells(row, columns), columns) for row in rows]
        kind = "vector" if shape is AggregateShape.VALUE else "matrix"
        return self._envelope(kind, orjson.dumps(result) if result else b"")

    @cached_property
    def _as_stored(self) -> bool:
        plain = self.settings.timestamps is Timestamps.RFC3339
        return plain and self.settings.unset_status is UnsetStatus.NAME

    def _envelope(self, kind: str, result: bytes) -> bytes:
        empty = {EmptyResult.LIST: b"[]", EmptyResult.NULL: b"null"}
        body = result or empty.get(self.settings.empty_result, b"")
        member = b',"result":' + body if body else b""
        return b'{"status":"success","data":{"resultType":"' + kind.encode() + b'"' + member + b"}}"

    def _shaped(self, span: Document, selected: Mapping[str, str] | None) -> Document:
        span["Timestamp"] = STAMPS[self.settings.timestamps](span["Timestamp"])
        if self.settings.unset_status is UnsetStatus.EMPTY and span["StatusCode"] == UNSET:
            span["StatusCode"] = ""
        if selected is None:
            return span
        if self.settings.select is Select.FLAT:
            return {alias: read_field(span, field) for field, alias in selected.items()}
        return _restricted(span, selected)

    def _with_events(self, span: Document) -> Document:
        if self.settings.event_keys is EventKeys.OTLP:
            for member in ("Events", "Links"):
                span[member] = [
                    {OTLP_KEYS[key]: value for key, value in item.items()} for item in span[member]
                ]
        return span

    def _cells(self, row: tuple[object, ...], columns: tuple[Column, ...]) -> Document:
        as_text = self.settings.aggregate_numbers is AggregateNumbers.STRING
        return {
            column.alias: str(value)
            if as_text and column.kind is Kind.NUMBER and value is not None
            else value
            for column, value in zip(columns, row, strict=True)
        }


def _restricted(span: Document, selected: Mapping[str, str]) -> Document:
    kept = {bracketed(field) or ("SpanAttributes", field) for field in selected}
    for member in MAPS.values():
        span[member] = {key: value for key, value in span[member].items() if (member, key) in kept}
    return span


def _metric(cells: Document, _columns: tuple[Column, ...]) -> Document:
    return {"metric": cells, "values": []}


def _flat(cells: Document, _columns: tuple[Column, ...]) -> Document:
    return cells


def _value(cells: Document, columns: tuple[Column, ...]) -> Document:
    """Write a row the Prometheus way, which has room for one number; more stay in `metric`."""
    numbers = [column.alias for column in columns if column.kind is Kind.NUMBER]
    if len(numbers) > 1:
        return {"metric": cells, "value": [0, str(cells[numbers[0]])]}
    labels = {alias: value for alias, value in cells.items() if alias not in numbers}
    stamp = int(labels.pop("__ts__", 0))
    return {"metric": labels, "value": [stamp, str(cells[numbers[0]])]}


SHAPES: dict[AggregateShape, Callable[[Document, tuple[Column, ...]], Document]] = {
    AggregateShape.METRIC: _metric,
    AggregateShape.FLAT: _flat,
    AggregateShape.VALUE: _value,
}
