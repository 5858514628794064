"""The contract check: which attributes spans of the run owe and lack, counted per type and provider.

One pass over the spans of joined traces reduces them to the few shapes that there are (names carried, values that
decide what is owed); requirements are counted on those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, text_list
from tfy_last9.adapters.runfolder.labels import json_pointer
from tfy_last9.model.contract import REQUIREMENTS, TOKENLESS, ContractGap, Owed, Requirement

if TYPE_CHECKING:
    import duckdb

_GOOD = "status <> 'error'"
_TOKENS = f"{_GOOD} AND NOT is_tokenless"
_OWED = {
    Owed.ALWAYS: "true",
    Owed.GOOD: _GOOD,
    Owed.FAILED: "status = 'error'",
    Owed.TOKENS: _TOKENS,
    Owed.STREAMED: f"{_TOKENS} AND is_streamed",
}

_READ = (
    *("tfy.span_type", "tfy.model.request_type"),
    *("gen_ai.operation.name", "tfy.model.streaming"),
)
"""Attributes whose values decide what a span owes; read in one pass, in this order."""

_GAPS = """
WITH joined AS (SELECT DISTINCT trace_id FROM joins WHERE is_joined),
served AS (
    SELECT trace_id, arg_min(provider, (start_ns, span_id)) AS provider
    FROM spans SEMI JOIN joined USING (trace_id)
    WHERE role = 'model' AND provider IS NOT NULL GROUP BY trace_id
), facts AS (
    SELECT role, status, coalesce(s.provider, v.provider) AS provider,
           json_keys(attributes) AS names, json_extract_string(attributes, {read}) AS told
    FROM spans s SEMI JOIN joined USING (trace_id) LEFT JOIN served v USING (trace_id)
    WHERE role IN {roles}
), shapes AS (
    SELECT role, status, provider, names, told, count(*) AS n FROM facts GROUP BY ALL
), facts_of_shapes AS (
    SELECT *, coalesce(told[1], role) AS span_type, told[1] IS NOT NULL AS is_tfy,
           regexp_matches(lower(coalesce(told[2], told[3], '')), {tokenless}) AS is_tokenless,
           coalesce(told[4], 'true') <> 'false' AS is_streamed
    FROM shapes
), counted AS (
    SELECT span_type, provider, {counts} FROM facts_of_shapes GROUP BY span_type, provider
)
SELECT * FROM counted ORDER BY span_type, provider NULLS LAST
"""


def read_contract(database: duckdb.DuckDBPyConnection) -> tuple[ContractGap, ...]:
    """Return every gap, largest share first; empty where the contract is kept."""
    gaps = []
    for span_type, provider, *counts in database.execute(_sql()).fetchall():
        for place, requirement in enumerate(REQUIREMENTS):
            total, missing = counts[2 * place : 2 * place + 2]
            if missing:
                gaps.append(ContractGap(span_type, provider, requirement.attribute, missing, total))
    return tuple(sorted(gaps, key=lambda gap: -gap.missing / gap.total))


def _sql() -> str:
    roles = sorted({requirement.role.value for requirement in REQUIREMENTS})
    return _GAPS.format(
        read=text_list(tuple(map(json_pointer, _READ))),
        tokenless=literal("|".join(TOKENLESS)),
        roles="(" + ", ".join(literal(role) for role in roles) + ")",
        counts=", ".join(_counts(requirement) for requirement in REQUIREMENTS),
    )


def _counts(requirement: Requirement) -> str:
    """Return SQL of two counts: spans that owe the attribute, and those of them that lack it."""
    owes = f"role = {literal(requirement.role.value)} AND {_OWED[requirement.owed]}"
    if requirement.tfy_only:
        owes += " AND is_tfy"
    has = f"list_has_any(names, {text_list(requirement.names)})"
    counted = "coalesce(sum(n) FILTER ({}), 0)::BIGINT"
    return f"{counted.format(owes)}, {counted.format(f'{owes} AND NOT {has}')}"
