"""SQL of the evidence book: taking spans in, and what of them belongs to the run."""

from __future__ import annotations

from tfy_last9.model.trace import EVIDENCE_COLUMNS

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

INCOMING = """
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT DISTINCT ON (trace_id, span_id) * EXCLUDE (asked_ns, role),
       CASE WHEN role = 'other' AND bool_or(role = 'root') OVER copies THEN 'root' ELSE role END
           AS role,
       min(asked_ns) OVER copies AS sighted_ns
FROM read_json({file}, format='newline_delimited', columns={{{columns}, asked_ns: 'BIGINT'}})
WINDOW copies AS (PARTITION BY trace_id, span_id)
ORDER BY trace_id, span_id, status = 'error' DESC, duration_ns DESC, start_ns,
         role = 'root' DESC, name
"""

KNOWN = """
CREATE OR REPLACE TEMP TABLE known AS
SELECT * FROM incoming i SEMI JOIN spans s ON s.trace_id = i.trace_id AND s.span_id = i.span_id
"""

NEW_SPANS = """
INSERT INTO spans BY NAME
SELECT i.* EXCLUDE (sighted_ns), i.sighted_ns AS first_seen_ns, NULL::BIGINT AS known_unseen_ns
FROM incoming i ANTI JOIN known k ON k.trace_id = i.trace_id AND k.span_id = i.span_id
"""

EARLIER_SIGHT = """
UPDATE spans SET first_seen_ns = i.sighted_ns FROM known i
WHERE spans.first_seen_ns > i.sighted_ns
  AND spans.trace_id = i.trace_id AND spans.span_id = i.span_id
"""

ROOT_SIGHT = """
UPDATE spans SET role = 'root' FROM known i
WHERE spans.role = 'other' AND i.role = 'root'
  AND spans.trace_id = i.trace_id AND spans.span_id = i.span_id
"""
"""Only the trace as a whole tells who is the root; a page that thought so is heard, see `join.ROLES`."""

WORSE_SIGHT = """
UPDATE spans SET {assignments} FROM known i
WHERE spans.trace_id = i.trace_id AND spans.span_id = i.span_id AND {worse} > {held}
""".format(
    assignments=", ".join(f"{name} = i.{name}" for name in ANSWER_COLUMNS),
    worse=BADNESS.format("i"),
    held=BADNESS.format("spans"),
)

SEEN_BEFORE = """
INSERT INTO spans BY NAME
SELECT {columns}, first_seen_ns, unseen_ns AS known_unseen_ns FROM read_parquet({file})
"""
"""What an earlier collection saved: kept, whatever Last9 still shows."""

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
    SELECT s.trace_id, s.span_id, r.role, s.run_id, s.start_ns, s.first_seen_ns,
           s.known_unseen_ns
    FROM spans s JOIN roles r USING (trace_id, span_id) SEMI JOIN traces t ON t.trace_id = s.trace_id
)
SELECT k.trace_id, k.span_id, any_value(k.role) AS role,
       list_max([
           max(l.asked_ns) FILTER (l.asked_ns < k.first_seen_ns
               AND (NOT l.roots_only OR (k.role = 'root' AND k.run_id = $run_id))),
           any_value(k.known_unseen_ns)]) AS unseen_ns
FROM kept k LEFT JOIN looks l ON l.start_ns <= k.start_ns AND l.end_ns > k.start_ns
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
FROM (SELECT * EXCLUDE (trace_id, root_span_id, join_path) FROM {ledger}) l
JOIN (SELECT seq, trace_id, root_span_id, join_path FROM joins) j USING (seq)
ORDER BY seq
"""
