"""The evidence book: spans as they were fetched, and what of the ledger they do not show yet.

Order does not matter: the same pages in another order, or twice, give the same evidence. One lock
makes it safe to add pages from a watching thread while load runs.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Self

from tfy_last9.adapters.runfolder import evidence_sql as sql
from tfy_last9.adapters.runfolder.database import (
    literal,
    open_database,
    reading,
    scalar_int,
    write_parquet,
)
from tfy_last9.adapters.runfolder.join import assign_roles, join_books, load_facts
from tfy_last9.adapters.runfolder.ledger import ledger_relation
from tfy_last9.adapters.runfolder.sample import IN_SAMPLE, draw
from tfy_last9.adapters.runfolder.waiting import Waiting
from tfy_last9.errors import BrokenRun
from tfy_last9.model.request import ledger_columns
from tfy_last9.model.run import LostTrace, Window
from tfy_last9.model.trace import EVIDENCE_COLUMNS
from tfy_last9.ports import Outstanding, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.run import Sample
    from tfy_last9.model.trace import Role

BATCH = 50_000
"""Spans taken in at a time."""


class EvidenceStore:
    """Keeps fetched spans in memory, compressed, until `save` writes what belongs to the run."""

    def __init__(
        self, folder: RunFolder, required: Sequence[Role], sample: Sample | None = None
    ) -> None:
        self._folder = folder
        self.sample = sample
        """Expect these traces only; None for all."""
        self._required = tuple(required)
        self._run_id = folder.read_manifest().run_id
        self._lock = Lock()
        self._database = _empty_book()
        self._waiting = Waiting()
        self.saved_spans = 0
        """Spans of the run in `spans.parquet`, as far as this book wrote or found it."""
        if folder.spans_path.is_file():
            try:
                self._remember(folder)
            except BrokenRun:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory; what was not saved is gone."""
        with self._lock:
            self._waiting.close()
            self._database.close()

    def add(self, page: Page) -> None:
        """Keep the spans that are new, and remember what the look covered."""
        with self._lock:
            self._note_look(page)
            self._waiting.put(page.spans, page.asked_ns)
            if self._waiting.lines >= BATCH:
                self._merge()

    def outstanding(self) -> Outstanding:
        """Compare with the sealed ledger: how many expected traces are complete, where the rest may be."""
        with self._lock:
            self._compare()
            row = self._database.execute(
                "SELECT count(*), count(*) FILTER (is_complete) FROM joins WHERE is_expected"
            ).fetchone()
            windows = self._database.execute(
                sql.OUTSTANDING_WINDOWS.format(pad=sql.PAD_NS, merge=sql.MERGE_NS)
            ).fetchall()
            ids = self._database.execute(
                "SELECT trace_id FROM joins WHERE is_expected AND NOT is_complete "
                "AND trace_id IS NOT NULL GROUP BY 1 ORDER BY min(seq) LIMIT ?",
                [sql.TRACE_IDS],
            ).fetchall()
        expected, complete = row or (0, 0)
        return Outstanding(
            expected=expected,
            complete=complete,
            windows=tuple(Window(start, end) for start, end in windows),
            trace_ids=tuple(trace_id for (trace_id,) in ids),
        )

    def trace_ids(self) -> tuple[str, ...]:
        """Return the traces that the ledger names: by the response, else by what the client sent."""
        with self._lock:
            self._load_facts()
            rows = self._database.execute(
                "SELECT DISTINCT coalesce(header_trace_id, client_trace_id) AS trace_id FROM facts "
                "WHERE outcome <> 'missed' AND trace_id IS NOT NULL AND (is_expected OR $all) "
                "ORDER BY 1",
                {"all": self.sample is None},
            ).fetchall()
        return tuple(trace_id for (trace_id,) in rows)

    def unnamed_requests(self) -> tuple[str, ...]:
        """Return the expected requests whose response named no trace."""
        with self._lock:
            self._load_facts()
            rows = self._database.execute(
                "SELECT request_id FROM facts WHERE is_expected AND header_trace_id IS NULL ORDER BY seq"
            ).fetchall()
        return tuple(request_id for (request_id,) in rows)

    def lost(self) -> tuple[LostTrace, ...]:
        """Return the expected traces of which nothing was found, in order of their requests."""
        with self._lock:
            self._compare()
            rows = self._database.execute(
                "SELECT f.request_id, f.header_trace_id FROM joins j JOIN facts f ON f.seq = j.seq "
                "WHERE j.is_expected AND j.join_path IS NULL AND NOT j.is_conflict ORDER BY j.seq"
            ).fetchall()
        return tuple(LostTrace(*row) for row in rows)

    def expected_traces(self) -> int:
        """Return how many traces must exist, sampled or not."""
        with self._lock:
            load_facts(self._database, self._folder.require_ledger())
            return scalar_int(self._database, "SELECT count(*) FROM facts WHERE is_expected")

    def save(self) -> None:
        """Write `spans.parquet`, then the ledger with its join columns completed.

        Only traces that the ledger or the run id claims are kept: a shared gateway carries traffic of
        others. Saving again, or after another collection, starts from the client's own facts.
        """
        with self._lock:
            self._compare()
            self._database.execute(sql.CLAIMED, {"run_id": self._run_id})
            spans = sql.CLAIMED_SPANS.format(columns=", ".join(EVIDENCE_COLUMNS))
            write_parquet(self._database, spans, self._folder.spans_path)
            self.saved_spans = scalar_int(self._database, "SELECT count(*) FROM claimed")
            ledger = sql.COMPLETED_LEDGER.format(
                columns=", ".join(ledger_columns()),
                ledger=ledger_relation(self._folder.ledger_path),
            )
            write_parquet(self._database, ledger, self._folder.ledger_path)

    def spans(self) -> int:
        """Return how many spans the book holds, the run's and others'."""
        with self._lock:
            self._merge()
            return scalar_int(self._database, "SELECT count(*) FROM spans")

    def _compare(self) -> None:
        self._merge()
        self._load_facts()
        assign_roles(self._database)
        join_books(self._database, self._required)

    def _load_facts(self) -> None:
        ledger = self._folder.require_ledger()
        load_facts(self._database, ledger)
        if self.sample is not None:
            draw(self._database, ledger, self.sample)
            self._database.execute(f"UPDATE facts SET is_expected = is_expected AND {IN_SAMPLE}")  # noqa: S608 - constants

    def _merge(self) -> None:
        """Take the waiting spans in. Batches, because each costs one pass over the keys of the book."""
        if not self._waiting.lines:
            return
        columns = ", ".join(f"{name}: '{kind}'" for name, kind in sql.FETCHED_COLUMNS.items())
        file = literal(self._waiting.written())
        self._database.execute(sql.INCOMING.format(file=file, columns=columns))
        self._database.execute(sql.KNOWN)
        if scalar_int(self._database, "SELECT count(*) FROM known"):
            for statement in (sql.EARLIER_SIGHT, sql.WORSE_SIGHT, sql.ROOT_SIGHT):
                self._database.execute(statement)
        self._database.execute(sql.NEW_SPANS)
        self._waiting.clear()

    def _remember(self, folder: RunFolder) -> None:
        """Begin with what an earlier collection saw, and with where it looked."""
        columns = ", ".join(sql.FETCHED_COLUMNS)
        with reading(folder.spans_path):
            self._database.execute(
                sql.SEEN_BEFORE.format(columns=columns, file=literal(folder.spans_path))
            )
        self.saved_spans = scalar_int(self._database, "SELECT count(*) FROM spans")
        if folder.evidence_path.is_file():
            for look in folder.read_evidence().looks:
                window = look.window
                self._database.execute(
                    "INSERT INTO looks VALUES (?, ?, ?, ?)",
                    [window.start_ns, window.end_ns, look.asked_ns, look.roots_only],
                )

    def _note_look(self, page: Page) -> None:
        """Remember the covered time; a slice whose answer was cut off proves nothing about absence."""
        for start_ns, end_ns in _without(page.window, page.truncated):
            self._database.execute(
                "INSERT INTO looks VALUES (?, ?, ?, ?)",
                [start_ns, end_ns, page.asked_ns, page.roots_only],
            )


def _empty_book() -> duckdb.DuckDBPyConnection:
    database = open_database()
    database.execute("ATTACH ':memory:' AS book (COMPRESS)")
    database.execute("USE book")
    columns = ", ".join(f"{name} {kind}" for name, kind in sql.FETCHED_COLUMNS.items())
    database.execute(
        f"CREATE TABLE spans ({columns}, first_seen_ns BIGINT, known_unseen_ns BIGINT)"
    )
    database.execute(
        "CREATE TABLE looks (start_ns BIGINT, end_ns BIGINT, asked_ns BIGINT, roots_only BOOLEAN)"
    )
    return database


def _without(window: Window, holes: Sequence[Window]) -> list[tuple[int, int]]:
    """Return the parts of `window` outside all `holes`."""
    parts, start_ns = [], window.start_ns
    for hole in sorted(holes, key=lambda hole: hole.start_ns):
        if hole.start_ns > start_ns:
            parts.append((start_ns, min(hole.start_ns, window.end_ns)))
        start_ns = max(start_ns, hole.end_ns)
    if start_ns < window.end_ns:
        parts.append((start_ns, window.end_ns))
    return parts
