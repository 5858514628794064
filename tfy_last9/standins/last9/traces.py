"""The traces endpoints: a pipeline over a window, and all spans of one trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus

from tfy_last9.standins.last9.derived import documents
from tfy_last9.standins.last9.fields import BadPipeline
from tfy_last9.standins.last9.message import Refusal, Reply, Request
from tfy_last9.standins.last9.parameters import Parameters
from tfy_last9.standins.last9.pipeline import (
    Groups,
    Statement,
    checked_stages,
    compile_pipeline,
)
from tfy_last9.standins.last9.presentation import Presentation
from tfy_last9.standins.last9.reading import Reading, json_object
from tfy_last9.standins.last9.settings import GroupLimit
from tfy_last9.standins.last9.sql import Sql, fill

TRACE_LIMIT = 1000
"""Spans in the answer for one trace when the query names no limit."""


@dataclass(frozen=True, slots=True)
class TraceQueries:
    """Answers trace queries from the store."""

    reading: Reading
    presentation: Presentation

    async def query_range(self, request: Request) -> Reply:
        """Run a pipeline over a window of time."""
        asked = self.reading.parameters(request)
        parameters = replace(asked, limit=self.reading.capped(asked.limit))
        document = json_object(request.body)
        try:
            stages = tuple(stage["type"] for stage in checked_stages(document.get("pipeline")))
            statement = self._compiled(document["pipeline"], parameters)
        except BadPipeline as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        body, rows = await self.reading.off_loop(partial(self._result, statement))
        return Reply(body, rows=rows, stages=stages)

    async def one_trace(self, request: Request) -> Reply:
        """Return the spans of one trace, with their events and links."""
        window = self.reading.window(request, required=False)
        rows = self.reading.capped(self.reading.limit(request, TRACE_LIMIT))
        trace_id = request.captured["trace_id"].lower()
        sql = fill(
            "SELECT doc, details FROM spans WHERE trace_id = {} AND {}"
            " ORDER BY start_ns, span_id LIMIT {}",
            Sql("?", (trace_id,)),
            window.condition(),
            Sql("?", (rows,)),
        )
        spans = await self.reading.rows(sql)
        if not spans:
            raise Refusal(HTTPStatus.NOT_FOUND, f"trace {trace_id} not found")
        # Both columns are JSON objects: joining them is dropping the braces between.
        joined = [f"{doc[:-1]},{details[1:]}" for doc, details in spans]
        return Reply(self.presentation.trace(joined), rows=len(spans))

    def _compiled(self, stages: object, parameters: Parameters) -> Statement:
        settings = self.reading.settings
        applies = settings.group_limit is GroupLimit.APPLY
        groups = Groups(parameters.limit if applies else None, settings.group_order)
        return compile_pipeline(stages, parameters, self.reading.field, groups)

    def _result(self, statement: Statement) -> tuple[bytes, int]:
        rows = self.reading.fetched(statement.sql)
        if statement.columns is None:
            spans = documents(statement.derived, rows)
            return self.presentation.spans(spans, statement.selected), len(rows)
        return self.presentation.matrix(rows, statement.columns), len(rows)
