"""What the documentation leaves open, asked of the service itself: one harmless read per question.

Each experiment names the switch of the embedded Last9 stand-in that behaves alike, and keeps a sample of the
answer with every text taken out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from tfy_last9.adapters.last9.calls import Answer
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.errors import TfyError
from tfy_last9.model.run import Window
from tfy_last9.wire.last9 import QUERY_PATH, Document, UnreadableAnswer, query_parameters
from tfy_last9.wire.last9_aggregates import read_count
from tfy_last9.wire.last9_fields import TRACE_ID
from tfy_last9.wire.last9_pipeline import Pipeline, count
from tfy_last9.wire.last9_queries import COUNT, counted, spans_of_service, spans_of_traces
from tfy_last9.wire.last9_selection import Selection, Shape

_NOBODY = "f" * 32
"""A trace id that no trace has."""
_KEPT_KEYS = frozenset({"status", "resultType", "Timestamp", "SpanKind", "StatusCode", "__ts__"})
_PLAIN = re.compile(r"[\d.:eE+-]*")
_MOST_ROWS = 3
_TOKENS = re.compile(r"\d{10,}")


@dataclass(frozen=True, slots=True)
class Observation:
    """What one experiment showed."""

    switch: str
    """Option of the stand-in, without dashes."""
    value: str | None
    """Its setting that behaves alike; None when the service did not show it."""
    said: str
    """What was seen, in words."""
    sample: object
    """The answer, without texts."""


class Experiments:
    """Asks the open questions over one window that should hold gateway spans."""

    def __init__(self, client: Last9Client, service: str, window: Window) -> None:
        self._client = client
        self._service = service
        self._start_s = window.start_ns // 10**9
        self._end_s = -(-window.end_ns // 10**9)

    def run(self) -> tuple[Observation, ...]:
        """Return what each experiment showed; one that fails does not end the others."""
        questions: tuple[tuple[str, Callable[[], Observation]], ...] = (
            ("select", self._select),
            ("timestamps", self._timestamps),
            ("unset-status", self._unset_status),
            ("numeric-attributes", self._numeric_attributes),
            ("aggregate-shape", self._aggregate_shape),
            ("aggregate-numbers", self._aggregate_numbers),
            ("empty-result", self._empty_result),
            ("group-limit", self._group_limit),
            ("default-limit", self._default_limit),
            ("plain-fields", lambda: self._field("plain-fields", "service.name")),
            ("dotted-fields", lambda: self._field("dotted-fields", "resource.service.name")),
            ("error-shape", self._error_shape),
            ("wrong-region", self._wrong_region),
        )
        return tuple(self._tried(switch, question) for switch, question in questions)

    def _tried(self, switch: str, question: Callable[[], Observation]) -> Observation:
        try:
            return question()
        except TfyError as error:
            return Observation(switch, None, f"not answered: {error.message}", None)

    def _ask(
        self, query: Pipeline | Document, limit: int | None = 20, region: str | None = None
    ) -> tuple[Answer, object]:
        document = query.document() if isinstance(query, Pipeline) else query
        where = region or self._client.place().region
        parameters = query_parameters(where, self._start_s, self._end_s, limit or 0)
        if limit is None:
            del parameters["limit"]
        answer = self._client.send("POST", QUERY_PATH, parameters, document)
        return answer, _decoded(answer.body)

    def _spans(self, limit: int | None = 20) -> tuple[list[object], object]:
        _, body = self._ask(spans_of_service(self._service), limit)
        return rows_of(body), body

    def _select(self) -> Observation:
        selection = Selection()
        query = spans_of_service(self._service).select(selection.fields)
        answer, body = self._ask(query)
        if not answer.ok:
            return _seen("select", None, f"refused with {answer.status}", body)
        rows = rows_of(body)
        read = selection.read(rows)
        if read.shape is Shape.IGNORED:
            return _seen("select", "ignore", "whole spans came back", body)
        if read.shape is not Shape.SELECTED:
            return _seen("select", None, f"{read.shape.value} {read.reason}".strip(), body)
        keeps_maps = any(isinstance(row, Mapping) and "SpanAttributes" in row for row in rows)
        value = "restrict" if keeps_maps else "flat"
        return _seen("select", value, "the wanted fields came back", body)

    def _timestamps(self) -> Observation:
        rows, body = self._spans()
        stamp = _first(rows, "Timestamp")
        if not isinstance(stamp, str):
            return _seen("timestamps", None, "no span in the window", body)
        zoned = stamp.endswith("Z") or re.search(r"[+-]\d\d:?\d\d$", stamp)
        value = "space" if " " in stamp else "rfc3339" if zoned else "naive"
        return _seen("timestamps", value, _TOKENS.sub("N", stamp), body)

    def _unset_status(self) -> Observation:
        rows, body = self._spans(500)
        codes = {str(row.get("StatusCode")) for row in rows if isinstance(row, Mapping)}
        value = "empty" if "" in codes else "name" if "STATUS_CODE_UNSET" in codes else None
        return _seen("unset-status", value, f"codes seen: {', '.join(sorted(codes))}", body)

    def _numeric_attributes(self) -> Observation:
        rows, body = self._spans(200)
        kinds = {
            type(value).__name__
            for row in rows
            if isinstance(row, Mapping) and isinstance(row.get("SpanAttributes"), Mapping)
            for key, value in row["SpanAttributes"].items()
            if ".metric." in key or key.startswith("gen_ai.usage.")
        }
        value = "string" if kinds == {"str"} else "number" if kinds else None
        return _seen("numeric-attributes", value, f"types: {', '.join(sorted(kinds))}", body)

    def _aggregate(self) -> tuple[Mapping[str, object], object]:
        _, body = self._ask(counted(spans_of_service(self._service)))
        first = next((row for row in rows_of(body) if isinstance(row, Mapping)), {})
        return first, body

    def _aggregate_shape(self) -> Observation:
        row, body = self._aggregate()
        metric = row.get("metric")
        value = None
        if isinstance(metric, Mapping) and COUNT in metric:
            value = "metric"
        elif row.get("value") is not None or row.get("values"):
            value = "value"
        elif COUNT in row:
            value = "flat"
        return _seen("aggregate-shape", value, f"row keys: {', '.join(sorted(row))}", body)

    def _aggregate_numbers(self) -> Observation:
        row, body = self._aggregate()
        metric = row.get("metric")
        number = metric.get(COUNT) if isinstance(metric, Mapping) else None
        sample = row.get("value")
        if number is None:
            number = sample[-1] if isinstance(sample, list) and sample else row.get(COUNT)
        value = {str: "string", int: "number", float: "number"}.get(type(number))
        return _seen("aggregate-numbers", value, f"a count is {type(number).__name__}", body)

    def _empty_result(self) -> Observation:
        _, body = self._ask(spans_of_traces(self._service, [_NOBODY]))
        data = body.get("data") if isinstance(body, Mapping) else None
        value = None
        if isinstance(data, Mapping):
            result = data.get("result")
            value = "list" if result == [] else "null" if "result" in data else "missing"
        return _seen("empty-result", value, "the answer to a trace that is not there", body)

    def _group_limit(self) -> Observation:
        query = spans_of_service(self._service).aggregate([(count(), COUNT)], [(TRACE_ID, "t")])
        _, body = self._ask(query, 2)
        found = len(rows_of(body))
        value = "ignore" if found > 2 else "apply" if found == 2 else None  # noqa: PLR2004 - the limit asked for
        return _seen("group-limit", value, f"{found} groups with limit=2", None)

    def _default_limit(self) -> Observation:
        rows, _ = self._spans(None)
        _, body = self._ask(counted(spans_of_service(self._service)))
        try:
            there = read_count(rows_of(body), COUNT)
        except UnreadableAnswer:
            there = 0
        value = str(len(rows)) if there > len(rows) else None
        said = f"{len(rows)} of {there} rows without a limit"
        return _seen("default-limit", value, said, None)

    def _field(self, switch: str, name: str) -> Observation:
        """Ask in a spelling that the product never uses: the docs show it, the client's log refuses it."""
        condition = {"$eq": [name, self._service]}
        stage = {"type": "filter", "query": {"$and": [condition]}}
        answer, body = self._ask({"pipeline": [stage]})
        found = len(rows_of(body))
        value = "accept" if answer.ok and found else None if answer.ok else "reject"
        return _seen(switch, value, f"{answer.status} with {found} rows to {name}", body)

    def _error_shape(self) -> Observation:
        """Misspell a key on purpose: documented to be answered with 400."""
        stage = {"type": "aggregate", "aggregations": []}
        first = spans_of_service(self._service).stages[0]
        answer, body = self._ask({"pipeline": [first, stage]})
        value = None
        if not answer.ok and isinstance(body, Mapping):
            error = body.get("error")
            is_text = "status" if "status" in body else "text"
            value = "object" if isinstance(error, Mapping) else is_text
        return _seen("error-shape", value, f"{answer.status} to a misspelt aggregate", body)

    def _wrong_region(self) -> Observation:
        call = spans_of_service(self._service).document()
        region = "nowhere-1"
        parameters = query_parameters(region, self._start_s, self._end_s, 1)
        answer = self._client.send("POST", QUERY_PATH, parameters, call, patient=False)
        value = "code" if b"ERR_S3_CONFIG_MISSING" in answer.body else None
        if b"<html" in answer.body.lower():
            value = "maintenance"
        return _seen("wrong-region", value, f"{answer.status} to {region}", _decoded(answer.body))


def rows_of(body: object) -> list[object]:
    """Return the rows of an answer; none for one without."""
    data = body.get("data") if isinstance(body, Mapping) else None
    rows = data.get("result") if isinstance(data, Mapping) else data
    return rows if isinstance(rows, list) else []


def redacted(value: object, key: str = "") -> object:
    """Return the shape of an answer: names, types and numbers stay, texts do not."""
    if isinstance(value, Mapping):
        return {str(name): redacted(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, key) for item in value[:_MOST_ROWS]]
    if isinstance(value, str) and key not in _KEPT_KEYS and not _is_plain(value):
        return f"<text of {len(value)}>" if value else ""
    return value


def _is_plain(text: str) -> bool:
    return len(text) <= 24 and _PLAIN.fullmatch(text) is not None  # noqa: PLR2004 - numbers and instants


def _decoded(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


def _first(rows: list[object], name: str) -> object:
    return next((row.get(name) for row in rows if isinstance(row, Mapping)), None)


def _seen(switch: str, value: str | None, said: str, body: object) -> Observation:
    return Observation(switch, value, said, redacted(body))
