"""The traces endpoints: a pipeline over a window, and all spans of one trace."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import duckdb
import orjson

from tfy_last9.standins.last9.fields import BadPipeline, span_field
from tfy_last9.standins.last9.message import Refusal, Reply, Request
from tfy_last9.standins.last9.parameters import (
    Parameters,
    check_region,
    limit,
    optional_window,
    query_parameters,
)
from tfy_last9.standins.last9.pipeline import Column, Statement, checked_stages, compile_pipeline
from tfy_last9.standins.last9.settings import GroupLimit, Settings
from tfy_last9.standins.last9.sql import Sql
from tfy_last9.standins.last9.store import SpanStore

TRACE_LIMIT = 1000
"""Spans in the answer for one trace when the query names no limit."""
ONE_TRACE = (
    "SELECT doc, details FROM spans WHERE trace_id = ? AND start_ns BETWEEN ? AND ?"
    " ORDER BY start_ns, span_id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class TraceQueries:
    """Answers trace queries from the store; each runs on a thread of the executor."""

    settings: Settings
    store: SpanStore
    executor: Executor

    async def query_range(self, request: Request) -> Reply:
        """Run a pipeline over a window of time."""
        parameters = query_parameters(request.query, self.settings)
        document = _document(request.body)
        try:
            stages = tuple(stage["type"] for stage in checked_stages(document.get("pipeline")))
            statement = self._compiled(document["pipeline"], parameters)
        except BadPipeline as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        body, rows = await self._off_loop(partial(self._result, statement))
        return Reply(body, rows=rows, stages=stages)

    async def one_trace(self, request: Request) -> Reply:
        """Return the spans of one trace, with their events and links."""
        check_region(request.query, self.settings)
        window = optional_window(request.query, self.settings)
        rows = limit(request.query, TRACE_LIMIT, self.settings.max_limit)
        trace_id = request.captured["trace_id"].lower()
        sql = Sql(ONE_TRACE, (trace_id, window.first_ns, window.last_ns, rows))
        spans = await self._off_loop(partial(self.store.rows, sql))
        if not spans:
            raise Refusal(HTTPStatus.NOT_FOUND, f"trace {trace_id} not found")
        # Both columns are JSON objects: joining them is dropping the braces between.
        joined = ",".join([f"{doc[:-1]},{details[1:]}" for doc, details in spans])
        return Reply(f'{{"traces":[{joined}]}}'.encode(), rows=len(spans))

    def _compiled(self, stages: object, parameters: Parameters) -> Statement:
        resolve = partial(span_field, dotted=self.settings.dotted_fields)
        applies = self.settings.group_limit is GroupLimit.APPLY
        return compile_pipeline(stages, parameters, resolve, parameters.limit if applies else None)

    def _result(self, statement: Statement) -> tuple[bytes, int]:
        try:
            rows = self.store.rows(statement.sql)
        except (duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
            # The one thing the compiler does not check is a regular expression; RE2 does.
            reason = str(error).splitlines()[0].partition(": ")[2]
            raise Refusal(HTTPStatus.BAD_REQUEST, f"bad regular expression: {reason}") from error
        if statement.columns is None:
            return _stream(rows), len(rows)
        return _matrix(rows, statement.columns), len(rows)

    async def _off_loop(self, work: partial[Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, 'the body must be {"pipeline": [...]}')
    return document


def _stream(rows: list[tuple[str]]) -> bytes:
    """Wrap span documents, which are stored the way they are answered."""
    joined = ",".join([doc for (doc,) in rows])
    return f'{{"status":"success","data":{{"resultType":"stream","result":[{joined}]}}}}'.encode()


def _matrix(rows: list[tuple[object, ...]], columns: tuple[Column, ...]) -> bytes:
    aliases = [column.alias for column in columns]
    result = [{"metric": dict(zip(aliases, row, strict=True)), "values": []} for row in rows]
    return orjson.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
