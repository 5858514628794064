"""The span store: DuckDB, written by one thread, read by others.

A growing file stalls an insert for up to a second now and then, so no insert runs on the event loop.
What was accepted waits in a bounded queue; the writer takes what is there in one go, through DuckDB's
appender, which costs half of an INSERT with list parameters (4 to 7 us a span).
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from tfy_last9.standins.last9.span import COLUMNS, SpanRow
from tfy_last9.standins.last9.sql import Sql

FILE_NAME = "spans-2.duckdb"
"""The number is that of the table's layout: a file of another layout is left alone."""
QUEUED_BATCHES = 2_000
ROWS_PER_INSERT = 4_000
LINGER_S = 0.05
"""How long the writer gathers; a span is visible some 100 ms after it was accepted."""
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS spans ({COLUMNS});
CREATE TABLE IF NOT EXISTS change_events (stamp_s DOUBLE, value DOUBLE, labels VARCHAR);
"""


Batch = Sequence[SpanRow]


class StoreInUse(Exception):
    """The database file cannot be opened, mostly because another process has it open."""


class SpanStore:
    """Spans in a DuckDB file, or in memory when no path is given."""

    def __init__(self, path: Path | None = None) -> None:
        self._connection = _open(path)
        self._waiting: queue.Queue[Batch | None] = queue.Queue(QUEUED_BATCHES)
        self._written = self._stored()
        self._failure: str | None = None
        self._writer = threading.Thread(target=self._write_until_closed, name="writer")
        self._writer.start()

    @property
    def written(self) -> int:
        """Spans that queries can see."""
        return self._written

    @property
    def failure(self) -> str | None:
        """What stopped the writer, if anything did."""
        return self._failure

    def offer(self, batch: Batch) -> bool:
        """Queue a batch for writing; False when it cannot be taken."""
        if self._failure:
            return False
        try:
            self._waiting.put_nowait(batch)
        except queue.Full:
            return False
        return True

    def rows(self, statement: Sql) -> list[tuple[Any, ...]]:
        """Run a query; for any thread but the event loop's."""
        with self._connection.cursor() as cursor:
            return cursor.execute(statement.text, statement.values).fetchall()

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._waiting.put(None)
        self._writer.join()
        self._connection.close()

    def _stored(self) -> int:
        ((count,),) = self._connection.execute("SELECT count(*) FROM spans").fetchall()
        return int(count)

    def _write_until_closed(self) -> None:
        with self._connection.cursor() as cursor:
            appender = cursor.appender("spans")
            going_on = True
            while going_on:
                batches, going_on = self._gather()
                self._write(appender, batches)

    def _gather(self) -> tuple[list[Batch], bool]:
        """Take the next batch and what follows within the linger time; False at the end."""
        batches: list[Batch] = []
        rows, deadline_s = 0, None
        while rows < ROWS_PER_INSERT:
            wait_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            try:
                batch = self._waiting.get(timeout=wait_s)
            except queue.Empty:
                break
            if batch is None:
                return batches, False
            batches.append(batch)
            rows += len(batch)
            deadline_s = deadline_s or time.monotonic() + LINGER_S
        return batches, True

    def _write(self, appender: duckdb.Appender, batches: list[Batch]) -> None:
        if not batches or self._failure:
            return
        try:
            self._append(appender, batches)
        except duckdb.Error as error:
            self._failure = f"cannot write spans, refusing more: {error}"
            sys.stderr.write(f"{self._failure}\n")
            return
        self._written += sum(map(len, batches))

    @staticmethod
    def _append(appender: duckdb.Appender, batches: list[Batch]) -> None:
        for batch in batches:
            appender.append_rows(batch)
        appender.flush()


def _open(path: Path | None) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(str(path or ":memory:"), config={"threads": 1})
    except duckdb.IOException as error:
        hint = "stop the sandbox that uses it, or choose another directory with --data"
        raise StoreInUse(f"cannot open {path}: {hint} ({error})") from error
    connection.execute("SET checkpoint_threshold='256MB'")
    connection.execute("SET allow_community_extensions=false; SET enable_external_access=false")
    connection.execute(SCHEMA)
    return connection
