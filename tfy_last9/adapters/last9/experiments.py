"""What the documentation leaves open, asked of the service itself: one harmless read per question.

Each experiment names the switch of the embedded Last9 stand-in that behaves alike, and keeps a sample of the
answer with every text taken out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tfy_last9.adapters.last9.calls import Answer
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.defaults import Defaults
from tfy_last9.adapters.last9.observation import Observation, decoded, first, rows_of, seen
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
_TOKENS = re.compile(r"\d{10,}")


class Experiments:
    """Asks the open questions over one window that should hold gateway spans."""

    def __init__(self, client: Last9Client, service: str, window: Window) -> None:
        self._client = client
        self._service = service
        self._start_s = window.start_ns // 10**9
        self._end_s = -(-window.end_ns // 10**9)
        self._defaults = Defaults(client, service, self._start_s, self._end_s)

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
            *self._defaults.questions(),
        )
        return tuple(self._tried(switch, question) for switch, question in questions)

    def _tried(self, switch: str, question: Callable[[], Observation]) -> Observation:
        try:
            return question()
        except TfyError as error:
            return Observation(switch, None, f"not answered: {error.message}", None)
        except UnreadableAnswer as error:
            return Observation(switch, None, f"not readable: {error}", None)

    def _ask(
        self, query: Pipeline | Document, limit: int | None = 20, region: str | None = None
    ) -> tuple[Answer, object]:
        document = query.document() if isinstance(query, Pipeline) else query
        where = region or self._client.place().region
        parameters = query_parameters(where, self._start_s, self._end_s, limit or 0)
        if limit is None:
            del parameters["limit"]
        answer = self._client.send("POST", QUERY_PATH, parameters, document)
        return answer, decoded(answer.body)

    def _spans(self, limit: int | None = 20) -> tuple[list[object], object]:
        _, body = self._ask(spans_of_service(self._service), limit)
        return rows_of(body), body

    def _select(self) -> Observation:
        selection = Selection()
        query = spans_of_service(self._service).select(selection.fields)
        answer, body = self._ask(query)
        if not answer.ok:
            return seen("select", None, f"refused with {answer.status}", body)
        rows = rows_of(body)
        read = selection.read(rows)
        if read.shape is Shape.IGNORED:
            return seen("select", "ignore", "whole spans came back", body)
        if read.shape is not Shape.SELECTED:
            return seen("select", None, f"{read.shape.value} {read.reason}".strip(), body)
        keeps_maps = any(isinstance(row, Mapping) and "SpanAttributes" in row for row in rows)
        value = "restrict" if keeps_maps else "flat"
        return seen("select", value, "the wanted fields came back", body)

    def _timestamps(self) -> Observation:
        rows, body = self._spans()
        stamp = first(rows, "Timestamp")
        if not isinstance(stamp, str):
            return seen("timestamps", None, "no span in the window", body)
        zoned = stamp.endswith("Z") or re.search(r"[+-]\d\d:?\d\d$", stamp)
        value = "space" if " " in stamp else "rfc3339" if zoned else "naive"
        return seen("timestamps", value, _TOKENS.sub("N", stamp), body)

    def _unset_status(self) -> Observation:
        rows, body = self._spans(500)
        codes = {str(row.get("StatusCode")) for row in rows if isinstance(row, Mapping)}
        value = "empty" if "" in codes else "name" if "STATUS_CODE_UNSET" in codes else None
        return seen("unset-status", value, f"codes seen: {', '.join(sorted(codes))}", body)

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
        return seen("numeric-attributes", value, f"types: {', '.join(sorted(kinds))}", body)

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
        return seen("aggregate-shape", value, f"row keys: {', '.join(sorted(row))}", body)

    def _aggregate_numbers(self) -> Observation:
        row, body = self._aggregate()
        metric = row.get("metric")
        number = metric.get(COUNT) if isinstance(metric, Mapping) else None
        sample = row.get("value")
        if number is None:
            number = sample[-1] if isinstance(sample, list) and sample else row.get(COUNT)
        value = {str: "string", int: "number", float: "number"}.get(type(number))
        return seen("aggregate-numbers", value, f"a count is {type(number).__name__}", body)

    def _empty_result(self) -> Observation:
        _, body = self._ask(spans_of_traces(self._service, [_NOBODY]))
        data = body.get("data") if isinstance(body, Mapping) else None
        value = None
        if isinstance(data, Mapping):
            result = data.get("result")
            value = "list" if result == [] else "null" if "result" in data else "missing"
        return seen("empty-result", value, "the answer to a trace that is not there", body)

    def _group_limit(self) -> Observation:
        query = spans_of_service(self._service).aggregate([(count(), COUNT)], [(TRACE_ID, "t")])
        _, body = self._ask(query, 2)
        found = len(rows_of(body))
        value = "ignore" if found > 2 else "apply" if found == 2 else None  # noqa: PLR2004 - the limit asked for
        return seen("group-limit", value, f"{found} groups with limit=2", None)

    def _default_limit(self) -> Observation:
        rows, _ = self._spans(None)
        _, body = self._ask(counted(spans_of_service(self._service)))
        try:
            there = read_count(rows_of(body), COUNT)
        except UnreadableAnswer:
            there = 0
        value = str(len(rows)) if there > len(rows) else None
        said = f"{len(rows)} of {there} rows without a limit"
        return seen("default-limit", value, said, None)

    def _field(self, switch: str, name: str) -> Observation:
        """Ask in a spelling that the product never uses: the docs show it, the client's log refuses it."""
        condition = {"$eq": [name, self._service]}
        stage = {"type": "filter", "query": {"$and": [condition]}}
        answer, body = self._ask({"pipeline": [stage]})
        found = len(rows_of(body))
        value = "accept" if answer.ok and found else None if answer.ok else "reject"
        return seen(switch, value, f"{answer.status} with {found} rows to {name}", body)

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
        return seen("error-shape", value, f"{answer.status} to a misspelt aggregate", body)

    def _wrong_region(self) -> Observation:
        call = spans_of_service(self._service).document()
        region = "nowhere-1"
        parameters = query_parameters(region, self._start_s, self._end_s, 1)
        answer = self._client.send("POST", QUERY_PATH, parameters, call, patient=False)
        value = "code" if b"ERR_S3_CONFIG_MISSING" in answer.body else None
        if b"<html" in answer.body.lower():
            value = "maintenance"
        return seen("wrong-region", value, f"{answer.status} to {region}", decoded(answer.body))
