"""The two books of a stored run, opened for reading: relations that every reduction works on.

`ledger` (Parquet columns, `is_judged`, `is_counted`, `is_expected`), `spans`, `joins` (one row per ledger
row: joined, conflict, late, lag, roles found), `reach` (providers a target may reach) and `judged_traces`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, open_database, reading, text_list
from tfy_last9.adapters.runfolder.join import EXPECTED
from tfy_last9.adapters.runfolder.labels import json_pointer
from tfy_last9.adapters.runfolder.ledger import ledger_relation
from tfy_last9.adapters.runfolder.sample import IN_SAMPLE, draw, remember_population
from tfy_last9.model.request import Outcome
from tfy_last9.model.trace import EVIDENCE_COLUMNS

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.run import Sample
    from tfy_last9.model.scenario import Prompt, Scenario

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text: bands need no tokeniser."""
BANDS = (("0-99", 100), ("100-999", 1000), ("1000-9999", 10_000), ("10000+", float("inf")))

LEDGER = """
CREATE VIEW ledger AS
SELECT *,
       list_contains({judged}, phase) AS is_judged,
       outcome <> {missed} AND started_ns IS NOT NULL AS is_counted,
       {expected} AS is_expected,
       epoch_ns + finished_ns AS finished_utc_ns,
       {size_band} AS size_band
FROM {ledger}
"""

JOINS = """
CREATE TEMP TABLE joins AS
WITH shown AS (
    SELECT trace_id, list_sort(list(DISTINCT role)) AS found_roles FROM spans GROUP BY trace_id
), roots AS (
    SELECT trace_id, span_id, first_seen_ns, unseen_ns FROM spans WHERE role = 'root'
), found AS (
    SELECT l.seq, l.trace_id, l.join_path, l.outcome, l.api, l.is_judged AND l.is_counted AS is_judged,
           l.is_expected, w.found_roles,
           w.trace_id IS NOT NULL AND l.join_path IS NOT NULL AS is_joined,
           w.trace_id IS NOT NULL AND l.join_path IS NULL AS is_conflict,
           r.unseen_ns - l.finished_utc_ns AS unseen_after_ns,
           r.first_seen_ns - l.finished_utc_ns AS seen_after_ns
    FROM ledger l
    LEFT JOIN shown w ON w.trace_id = l.trace_id
    LEFT JOIN roots r ON r.trace_id = l.trace_id AND r.span_id = l.root_span_id
)
SELECT * EXCLUDE (unseen_after_ns, seen_after_ns),
       is_joined AND coalesce(unseen_after_ns >= {late_after_ns}, false) AS is_late,
       CASE WHEN is_joined AND (unseen_after_ns IS NOT NULL OR seen_after_ns < {lag_limit_ns})
            THEN seen_after_ns END AS lag_ns
FROM found
"""
"""A join counts only where the trace is in the evidence at hand. Late needs a poll that looked and did
not see; a lag is known where such a poll exists, or where it is too short for polling to matter."""

IS_AGENT = (
    f"(json_extract_string(s.attributes, '{json_pointer('tfy.span_type')}') = 'AgentResponse' "
    f"OR json_extract_string(s.attributes, '{json_pointer('gen_ai.operation.name')}') = 'invoke_agent' "
    "OR starts_with(s.name, 'AgentResponse'))"
)
"""SQL over a root: the gateway ran an agent, whose Model spans are steps of one answer (TrueFoundry docs,
span attributes; OpenTelemetry GenAI agent spans)."""

TRACE_FACTS = """
CREATE TEMP TABLE IF NOT EXISTS trace_facts AS
SELECT s.trace_id, count(*) AS spans,
       count(*) FILTER (s.role = 'model') AS model_calls,
       coalesce(sum(s.duration_ns) FILTER (s.role IN ('model', 'mcp')), 0)::BIGINT AS model_ns,
       count(DISTINCT s.model) FILTER (s.role = 'model') AS models,
       any_value(j.lag_ns) AS lag_ns,
       bool_or(s.role = 'model' AND s.status = 'error') AS has_failed_call,
       bool_or(s.role = 'root' AND {is_agent}) AS is_agent
FROM spans s
JOIN (SELECT trace_id, min(lag_ns) AS lag_ns FROM joins WHERE is_joined GROUP BY trace_id) j
  ON j.trace_id = s.trace_id
GROUP BY s.trace_id
"""
"""What only the trace as a whole can tell."""

ORIGIN = """
CREATE TEMP TABLE origin AS
SELECT coalesce(min(epoch_ns + due_ns) FILTER (is_judged), min(epoch_ns + due_ns), 0) AS at_ns
FROM ledger
"""
"""Time slices and minutes count from here: the instant the first judged request was due."""

JUDGED_TRACES = """
CREATE TEMP TABLE judged_traces AS
SELECT trace_id, min(seq) AS seq FROM joins WHERE is_joined AND is_judged GROUP BY trace_id
"""


def open_books(
    folder: RunFolder, scenario: Scenario, late_after_s: float, sample: Sample | None = None
) -> duckdb.DuckDBPyConnection:
    """Open ledger and evidence of a sealed run; the caller closes it. Without evidence nothing is joined.

    Traces outside `sample` were not looked for, so that they are not expected either.
    """
    database = open_database()
    with reading(folder.require_ledger(), folder.spans_path):
        _open(database, folder, scenario, late_after_s, sample)
    return database


def _open(
    database: duckdb.DuckDBPyConnection,
    folder: RunFolder,
    scenario: Scenario,
    late_after_s: float,
    sample: Sample | None,
) -> None:
    expected = EXPECTED
    if sample is not None:
        draw(database, folder.require_ledger(), sample)
        remember_population(database, folder.require_ledger())
        expected = f"({EXPECTED} AND {IN_SAMPLE})"
    database.execute(
        LEDGER.format(
            judged=text_list(scenario.judged_phases),
            missed=literal(Outcome.MISSED),
            expected=expected,
            size_band=size_band(scenario),
            ledger=ledger_relation(folder.require_ledger()),
        )
    )
    database.execute(f"CREATE VIEW spans AS {_spans(folder)}")
    database.execute(
        JOINS.format(
            late_after_ns=round(late_after_s * 1e9),
            lag_limit_ns=round(2e9 * scenario.settle.poll_s),
        )
    )
    database.execute(JUDGED_TRACES)
    database.execute(ORIGIN)
    _load_reach(database, scenario)


def ensure_trace_facts(database: duckdb.DuckDBPyConnection) -> None:
    """Make `trace_facts` where somebody needs it: most objectives do not ask for the trace as a whole."""
    database.execute(TRACE_FACTS.format(is_agent=IS_AGENT))


def size_band(scenario: Scenario) -> str:
    """Return SQL for the band of a row's prompt; prompts are chosen round robin, one per mirrored pair."""
    bands = tuple(band_of(prompt) for prompt in scenario.prompts)
    copies = 2 if scenario.arms is not None and scenario.arms.mirror else 1
    return f"list_extract({text_list(bands)}, (coalesce(arrival, seq // {copies}) % {len(bands)})::BIGINT + 1)"


def band_of(prompt: Prompt) -> str:
    """Return the band of a prompt's estimated length in tokens."""
    tokens = sum(len(message.content) for message in prompt.messages) / CHARACTERS_PER_TOKEN
    return next(name for name, below in BANDS if tokens < below)


def _spans(folder: RunFolder) -> str:
    if folder.spans_path.is_file():
        return f"SELECT * FROM read_parquet({literal(folder.spans_path)})"  # noqa: S608 - quoted literal
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in EVIDENCE_COLUMNS.items())
    return f"SELECT {columns} LIMIT 0"


def _load_reach(database: duckdb.DuckDBPyConnection, scenario: Scenario) -> None:
    database.execute(
        "CREATE TEMP TABLE reach (target VARCHAR, provider VARCHAR, is_standby BOOLEAN)"
    )
    for target in scenario.targets:
        for provider in (target.provider,) if target.provider else target.may_reach or (None,):
            database.execute("INSERT INTO reach VALUES (?, ?, false)", [target.name, provider])
        for provider in target.standby:
            database.execute("INSERT INTO reach VALUES (?, ?, true)", [target.name, provider])
