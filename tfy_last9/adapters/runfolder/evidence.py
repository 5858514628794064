"""The evidence book: spans as they were fetched, and what of the ledger they do not show yet.

Order does not matter: the same pages in another order, or twice, give the same evidence. One lock
makes it safe to add pages from a watching thread while load runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

import orjson

from tfy_last9.adapters.runfolder.database import literal, open_database, write_parquet
from tfy_last9.adapters.runfolder.join import assign_roles, join_books, load_facts
from tfy_last9.model.request import ledger_columns
from tfy_last9.model.run import Window
from tfy_last9.model.trace import EVIDENCE_COLUMNS
from tfy_last9.ports import Outstanding, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.trace import Role, Span

PAD_NS = 2_000_000_000
"""Clocks of worker and gateway may differ a little."""
MERGE_NS = 10_000_000_000
"""Windows closer than this become one: a query costs more than the extra rows."""
TRACE_IDS = 500

SEEN_COLUMNS = ("unseen_ns", "first_seen_ns")
FETCHED_COLUMNS = {
    name: kind for name, kind in EVIDENCE_COLUMNS.items() if name not in SEEN_COLUMNS
}
ANSWER_COLUMNS = ("status", "status_message", "start_ns", "duration_ns", "attributes")
"""What copies of one span may disagree about."""

BADNESS = "({0}.status = 'error', {0}.duration_ns, -{0}.start_ns)"
"""Copies of a span that disagree count by the worse one, as `wire.spans.distinct` does within a page."""

NEW_SPANS = """
INSERT INTO spans BY NAME
SELECT i.*, $asked AS first_seen_ns
FROM (SELECT DISTINCT ON (trace_id, span_id) * FROM incoming
      ORDER BY trace_id, span_id, status = 'error' DESC, duration_ns DESC, start_ns,
               role = 'root' DESC, name) i
ANTI JOIN spans s ON s.trace_id = i.trace_id AND s.span_id = i.span_id
"""

EARLIER_SIGHT = """
UPDATE spans SET first_seen_ns = $asked FROM incoming i
WHERE spans.first_seen_ns > $asked AND spans.trace_id = i.trace_id AND spans.span_id = i.span_id
"""

ROOT_SIGHT = """
UPDATE spans SET role = 'root' FROM incoming i
WHERE spans.role = 'other' AND i.role = 'root'
  AND spans.trace_id = i.trace_id AND spans.span_id = i.span_id
"""
"""Only the trace as a whole tells who is the root; a page that thought so is heard, see `join.ROLES`."""

WORSE_SIGHT = """
UPDATE spans SET {assignments} FROM incoming i
WHERE spans.trace_id = i.trace_id AND spans.span_id = i.span_id AND {worse} > {held}
""".format(
    assignments=", ".join(f"{name} = i.{name}" for name in ANSWER_COLUMNS),
    worse=BADNESS.format("i"),
    held=BADNESS.format("spans"),
)

OUTSTANDING_WINDOWS = """
WITH waits AS (
    SELECT started_utc_ns - {pad} AS start_ns,
           greatest(started_utc_ns, coalesce(finished_utc_ns, started_utc_ns)) + {pad} AS end_ns
    FROM joins WHERE is_expected AND NOT is_complete AND started_utc_ns IS NOT NULL
), marked AS (
    SELECT *, start_ns - max(end_ns) OVER (
        ORDER BY start_ns, end_ns ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS gap_ns
    FROM waits
), numbered AS (
    SELECT *, count(*) FILTER (gap_ns >= {merge}) OVER (
        ORDER BY start_ns, end_ns ROWS UNBOUNDED PRECEDING) AS island
    FROM marked
)
SELECT min(start_ns), max(end_ns) FROM numbered GROUP BY island ORDER BY 1
"""
"""Up to the finish, not only the start: the Model span of a fallback starts when the first attempt is over."""

CLAIMED = """
CREATE OR REPLACE TEMP TABLE claimed AS
WITH traces AS (
    SELECT trace_id FROM joins WHERE trace_id IS NOT NULL
    UNION SELECT client_trace_id FROM facts
    UNION SELECT trace_id FROM spans WHERE run_id = $run_id
), kept AS (
    SELECT s.trace_id, s.span_id, r.role, s.run_id, s.start_ns, s.first_seen_ns
    FROM spans s JOIN roles r USING (trace_id, span_id) SEMI JOIN traces t ON t.trace_id = s.trace_id
)
SELECT k.trace_id, k.span_id, any_value(k.role) AS role, max(l.asked_ns) AS unseen_ns
FROM kept k LEFT JOIN looks l
  ON l.end_ns > k.start_ns AND l.asked_ns < k.first_seen_ns AND l.start_ns <= k.start_ns
 AND (NOT l.roots_only OR (k.role = 'root' AND k.run_id = $run_id))
GROUP BY k.trace_id, k.span_id
"""
"""A look at roots asked for the run id: it proves nothing about a root that does not carry it."""

CLAIMED_SPANS = """
SELECT {columns}
FROM (SELECT * EXCLUDE (role) FROM spans) JOIN claimed USING (trace_id, span_id)
ORDER BY trace_id, start_ns, span_id
"""

COMPLETED_LEDGER = """
SELECT {columns}
FROM (SELECT * EXCLUDE (trace_id, root_span_id, join_path) FROM read_parquet({ledger})) l
JOIN (SELECT seq, trace_id, root_span_id, join_path FROM joins) j USING (seq)
ORDER BY seq
"""


class EvidenceStore:
    """Keeps fetched spans in memory, compressed, until `save` writes what belongs to the run."""

    def __init__(self, folder: RunFolder, required: Sequence[Role]) -> None:
        self._folder = folder
        self._required = tuple(required)
        self._run_id = folder.read_manifest().run_id
        self._lock = Lock()
        self._database = _empty_book()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory; what was not saved is gone."""
        with self._lock:
            self._database.close()

    def add(self, page: Page) -> None:
        """Keep the spans that are new, and remember what the look covered."""
        with self._lock:
            self._note_look(page)
            if page.spans:
                self._load(page.spans)
                asked = {"asked": page.asked_ns}
                self._database.execute(EARLIER_SIGHT, asked)
                self._database.execute(WORSE_SIGHT)
                self._database.execute(ROOT_SIGHT)
                self._database.execute(NEW_SPANS, asked)

    def outstanding(self) -> Outstanding:
        """Compare with the sealed ledger: how many expected traces are complete, where the rest may be."""
        with self._lock:
            self._compare()
            row = self._database.execute(
                "SELECT count(*), count(*) FILTER (is_complete) FROM joins WHERE is_expected"
            ).fetchone()
            windows = self._database.execute(
                OUTSTANDING_WINDOWS.format(pad=PAD_NS, merge=MERGE_NS)
            ).fetchall()
            ids = self._database.execute(
                "SELECT trace_id FROM joins WHERE is_expected AND NOT is_complete "
                "AND trace_id IS NOT NULL GROUP BY 1 ORDER BY min(seq) LIMIT ?",
                [TRACE_IDS],
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
            load_facts(self._database, self._folder.require_ledger())
            rows = self._database.execute(
                "SELECT DISTINCT coalesce(header_trace_id, client_trace_id) AS trace_id FROM facts "
                "WHERE outcome <> 'missed' AND trace_id IS NOT NULL ORDER BY 1"
            ).fetchall()
        return tuple(trace_id for (trace_id,) in rows)

    def save(self) -> None:
        """Write `spans.parquet`, then the ledger with its join columns completed.

        Only traces that the ledger or the run id claims are kept: a shared gateway carries traffic of
        others. Saving again, or after another collection, starts from the client's own facts.
        """
        with self._lock:
            self._compare()
            self._database.execute(CLAIMED, {"run_id": self._run_id})
            spans = CLAIMED_SPANS.format(columns=", ".join(EVIDENCE_COLUMNS))
            write_parquet(self._database, spans, self._folder.spans_path)
            ledger = COMPLETED_LEDGER.format(
                columns=", ".join(ledger_columns()), ledger=literal(self._folder.ledger_path)
            )
            write_parquet(self._database, ledger, self._folder.ledger_path)

    def _compare(self) -> None:
        load_facts(self._database, self._folder.require_ledger())
        assign_roles(self._database)
        join_books(self._database, self._required)

    def _load(self, spans: Sequence[Span]) -> None:
        """Load spans by way of a file: one parse in C, no object per value (150k spans a second)."""
        with tempfile.TemporaryDirectory(prefix="tfy-last9-page-") as place:
            file = Path(place) / "spans.ndjson"
            with file.open("wb") as lines:
                lines.writelines(
                    orjson.dumps(span, default=dict, option=orjson.OPT_APPEND_NEWLINE)
                    for span in spans
                )
            listed = ", ".join(f"{name}: '{kind}'" for name, kind in FETCHED_COLUMNS.items())
            self._database.execute(
                f"CREATE OR REPLACE TEMP TABLE incoming AS SELECT * FROM read_json({literal(file)}, "  # noqa: S608 - column names are constants
                f"format='newline_delimited', columns={{{listed}}})"
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
    columns = ", ".join(f"{name} {kind}" for name, kind in FETCHED_COLUMNS.items())
    database.execute(f"CREATE TABLE spans ({columns}, first_seen_ns BIGINT)")
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
