"""The join of the two books, in SQL: which span is a trace's root, which row found which trace.

Works on two relations: `spans` (gateway spans only) and `facts` (what the client itself knows of each
row). Leaves `roles` and `joins`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, text_list
from tfy_last9.adapters.runfolder.ledger import ledger_relation
from tfy_last9.model.request import EXPECTS_TRACE, JoinPath, Outcome
from tfy_last9.model.scenario import Api
from tfy_last9.model.trace import Role

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import duckdb

DEFAULT_REQUIRED = (Role.ROOT, Role.MODEL)
"""What a complete trace shows unless an objective asks for something else."""

EXPECTED = "(coalesce(written, false) AND outcome IN ({}) AND NOT starts_with(coalesce(operation, ''), 'notifications/'))".format(
    ", ".join(literal(outcome) for outcome in sorted(EXPECTS_TRACE))
)
"""SQL over a ledger row: a trace of it must exist. A notification of MCP is answered by nobody and may leave none."""

FACTS = """
CREATE OR REPLACE TEMP TABLE facts AS
SELECT seq, request_id, outcome, api, client_trace_id, {expected} AS is_expected,
       CASE WHEN coalesce(join_path, '{header}') = '{header}' THEN trace_id END AS header_trace_id,
       CASE WHEN coalesce(join_path, '{header}') = '{header}' THEN root_span_id END AS header_span_id,
       epoch_ns + started_ns AS started_utc_ns,
       epoch_ns + finished_ns AS finished_utc_ns
FROM {ledger}
"""
"""Trace ids that an earlier collection filled in are forgotten: only the client's own count."""

ROLES = """
CREATE OR REPLACE TEMP TABLE roles AS
SELECT s.trace_id, s.span_id, s.request_id, s.start_ns,
       CASE
           WHEN s.role NOT IN ('root', 'other') THEN s.role
           WHEN p.span_id IS NOT NULL THEN 'other'
           WHEN s.role = 'root' OR s.parent_span_id IS NULL THEN 'root'
           ELSE 'other'
       END AS role
FROM spans s LEFT JOIN spans p ON p.trace_id = s.trace_id AND p.span_id = s.parent_span_id
"""
"""The root is the gateway span whose parent is not a gateway span of the same trace. One page may not
show the parent that the next one does. A span of no recognised role whose parent was lost stays `other`:
an orphan must not stand in for a lost root."""

JOINS = """
CREATE OR REPLACE TEMP TABLE joins AS
WITH shown AS (
    SELECT trace_id, list_sort(list(DISTINCT role)) AS found_roles FROM roles GROUP BY trace_id
), roots AS (
    SELECT trace_id, span_id, request_id, start_ns FROM roles WHERE role = 'root'
), named AS (
    SELECT f.seq, f.request_id, f.header_trace_id AS trace_id, f.header_span_id AS span_id,
           '{header}' AS path
    FROM facts f SEMI JOIN shown w ON w.trace_id = f.header_trace_id
    UNION ALL
    SELECT f.seq, f.request_id, f.client_trace_id, NULL, '{traceparent}'
    FROM facts f SEMI JOIN shown w ON w.trace_id = f.client_trace_id
    WHERE f.header_trace_id IS DISTINCT FROM f.client_trace_id
), checked AS (
    SELECT n.seq, n.trace_id, n.path, coalesce(r.span_id, n.span_id) AS root_span_id,
           coalesce(r.request_id <> n.request_id, false) AS is_other
    FROM named n LEFT JOIN roots r ON r.trace_id = n.trace_id
    QUALIFY row_number() OVER (
        PARTITION BY n.seq, n.path
        ORDER BY r.span_id = n.span_id DESC NULLS LAST,
                 r.request_id = n.request_id DESC NULLS LAST, r.start_ns, r.span_id) = 1
), labelled AS (
    SELECT f.seq, r.trace_id, r.span_id AS root_span_id
    FROM facts f JOIN roots r ON r.request_id = f.request_id
    QUALIFY row_number() OVER (PARTITION BY f.seq ORDER BY r.start_ns, r.trace_id, r.span_id) = 1
), chosen AS (
    SELECT f.seq, f.outcome, f.api, f.is_expected, f.started_utc_ns, f.finished_utc_ns,
           coalesce(h.is_other, false) AS is_conflict,
           CASE
               WHEN h.is_other THEN NULL
               WHEN h.seq IS NOT NULL THEN '{header}'
               WHEN m.seq IS NOT NULL THEN '{metadata}'
               WHEN t.seq IS NOT NULL AND NOT t.is_other THEN '{traceparent}'
           END AS join_path,
           f.header_trace_id, f.header_span_id, h.root_span_id AS h_root,
           m.trace_id AS m_trace, m.root_span_id AS m_root,
           t.trace_id AS t_trace, t.root_span_id AS t_root
    FROM facts f
    LEFT JOIN checked h ON h.seq = f.seq AND h.path = '{header}'
    LEFT JOIN checked t ON t.seq = f.seq AND t.path = '{traceparent}'
    LEFT JOIN labelled m ON m.seq = f.seq
), placed AS (
    SELECT * EXCLUDE (header_trace_id, header_span_id, h_root, m_trace, m_root, t_trace, t_root),
           CASE join_path WHEN '{metadata}' THEN m_trace WHEN '{traceparent}' THEN t_trace
                ELSE header_trace_id END AS trace_id,
           CASE join_path WHEN '{header}' THEN h_root WHEN '{metadata}' THEN m_root
                WHEN '{traceparent}' THEN t_root ELSE header_span_id END AS root_span_id
    FROM chosen
), claimed AS (
    SELECT * REPLACE (CASE WHEN claim = 1 THEN join_path END AS join_path,
                      is_conflict OR claim > 1 AS is_conflict)
    FROM (SELECT p.*, CASE WHEN p.join_path IS NULL THEN 1 ELSE row_number() OVER (
              PARTITION BY p.join_path IS NULL, p.trace_id, p.root_span_id
              ORDER BY r.request_id IS NOT NULL DESC, p.seq) END AS claim
          FROM placed p
          LEFT JOIN facts f ON f.seq = p.seq
          LEFT JOIN roots r ON r.trace_id = p.trace_id AND r.span_id = p.root_span_id
              AND r.request_id = f.request_id)
)
SELECT p.* EXCLUDE claim, coalesce(w.found_roles, []) AS found_roles,
       p.join_path IS NOT NULL AND {complete} AS is_complete
FROM claimed p LEFT JOIN shown w ON w.trace_id = p.trace_id
"""
"""Header first; its trace must not carry another request's id, else the row stays unjoined (conflict).
Then the request id that came back in the metadata, then the `traceparent` that was sent. One root proves
one request: of several rows that name it, the one whose id it carries keeps it, else the first; a gateway
(or a cache before it) that answers with the same header again must not make one trace look like many."""


def complete(required: Iterable[Role], outcome: str = "outcome") -> str:
    """Return SQL over the column `outcome` and `found_roles`: every required role is shown.

    Of a request that ended `http_error` only the root can be asked for: it may have been turned away
    before a model was chosen. A tool has an MCP span where others have a Model span, and of endpoints
    whose spans are not documented (`http`) only the root can be asked for.
    """
    asked = set(required)
    api = outcome.removesuffix("outcome") + "api"
    of_tool = {Role.MCP if role is Role.MODEL else role for role in asked}
    early = text_list(_names(asked & {Role.ROOT}))
    return (
        f"list_has_all(coalesce(found_roles, []), CASE WHEN {outcome} = {literal(Outcome.HTTP_ERROR)} "
        f"OR {api} = {literal(Api.HTTP)} THEN {early} "
        f"WHEN {api} = {literal(Api.MCP)} THEN {text_list(_names(of_tool))} "
        f"ELSE {text_list(_names(asked))} END)"
    )


def _names(roles: Iterable[Role]) -> tuple[str, ...]:
    return tuple(sorted(role.value for role in roles))


def load_facts(database: duckdb.DuckDBPyConnection, ledger: Path) -> None:
    """Make `facts` from the sealed ledger."""
    database.execute(
        FACTS.format(
            expected=EXPECTED, header=JoinPath.HEADER.value, ledger=ledger_relation(ledger)
        )
    )


def assign_roles(database: duckdb.DuckDBPyConnection) -> None:
    """Make `roles` from `spans`."""
    database.execute(ROLES)


def join_books(database: duckdb.DuckDBPyConnection, required: Iterable[Role]) -> None:
    """Make `joins`, one row per ledger row, from `facts` and `roles`."""
    database.execute(
        JOINS.format(
            header=JoinPath.HEADER.value,
            metadata=JoinPath.METADATA.value,
            traceparent=JoinPath.TRACEPARENT.value,
            complete=complete(required),
        )
    )
