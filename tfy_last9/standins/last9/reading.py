"""What all query endpoints share: the store, the switches, the clock, and a thread to run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import duckdb
import orjson

from tfy_last9.standins.last9.disturbance import Disturbance
from tfy_last9.standins.last9.fields import BadPipeline, Field, span_field
from tfy_last9.standins.last9.message import Refusal, Request
from tfy_last9.standins.last9.parameters import (
    Parameters,
    Window,
    check_region,
    limit,
    optional_window,
    query_parameters,
    required_window,
)
from tfy_last9.standins.last9.pipeline import matching
from tfy_last9.standins.last9.settings import Settings
from tfy_last9.standins.last9.sql import Sql
from tfy_last9.standins.last9.store import SpanStore

EVERYTHING: list[dict[str, object]] = [{"type": "filter", "query": {}}]
HIGHEST_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads parameters and pipelines of requests, and runs statements off the event loop."""

    settings: Settings
    store: SpanStore
    executor: Executor
    disturbance: Disturbance
    clock: Callable[[], float]

    def field(self, name: str) -> Field:
        """Resolve a field under the switches."""
        return span_field(name, self.settings.dotted_fields, self.settings.plain_fields)

    def parameters(self, request: Request) -> Parameters:
        """Read the query string of `query_range`; raises Refusal."""
        return query_parameters(request.query, self.settings, self.clock())

    def window(self, request: Request, *, required: bool) -> Window:
        """Read the region and the window; raises Refusal."""
        check_region(request.query, self.settings)
        read = required_window if required else optional_window
        return read(request.query, self.settings, self.clock())

    def limit(self, request: Request, default: int, name: str = "limit") -> int:
        """Read a number of rows; raises Refusal."""
        return limit(request.query, default, self.settings.max_limit, name)

    def count(self, request: Request, name: str) -> int:
        """Read a required whole number from 1; raises Refusal."""
        if name not in request.query:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} query parameter is required")
        return limit(request.query, 1, HIGHEST_COUNT, name)

    def capped(self, rows: int) -> int:
        """Cut a limit further if a fault wants it."""
        cap = self.disturbance.page_cap()
        return rows if cap is None else min(rows, cap)

    def condition(self, request: Request, window: Window) -> Sql:
        """Compile the filters in the body; none at all match everything; raises Refusal."""
        document = json_object(request.body) if request.body else {}
        try:
            return matching(document.get("pipeline", EVERYTHING) or EVERYTHING, window, self.field)
        except BadPipeline as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error

    async def rows(self, statement: Sql) -> list[tuple[Any, ...]]:
        """Run a statement on a thread; raises Refusal for what only the database can judge."""
        rows: list[tuple[Any, ...]] = await self.off_loop(partial(self.fetched, statement))
        return rows

    def fetched(self, statement: Sql) -> list[tuple[Any, ...]]:
        """Run a statement here."""
        try:
            return self.store.rows(statement)
        except (duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
            # The one thing the compiler does not check is a regular expression; RE2 does.
            reason = str(error).splitlines()[0].partition(": ")[2]
            raise Refusal(HTTPStatus.BAD_REQUEST, f"bad regular expression: {reason}") from error

    async def off_loop(self, work: Callable[[], Any]) -> Any:
        """Run work on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)


def json_object(body: bytes) -> dict[str, Any]:
    """Read a body that must be a JSON object; raises Refusal."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, 'the body must be {"pipeline": [...]}')
    return document
