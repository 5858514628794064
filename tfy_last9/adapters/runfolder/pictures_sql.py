"""SQL of the pictures: every query yields few rows, however long the ledger is."""

from __future__ import annotations

from tfy_last9.adapters.runfolder.values import LEDGER_VALUES, SPAN_VALUES, Value
from tfy_last9.model.pictures import BINS_PER_DECADE, HEAT_PER_DECADE

EXTENT = """
SELECT coalesce(min(epoch_ns + due_ns), 0),
       coalesce(max(epoch_ns + greatest(due_ns, coalesce(finished_ns, due_ns))), 0)
FROM ledger
"""

DRAWN = """
CREATE TEMP TABLE drawn AS
SELECT l.seq, coalesce(l.provider, l.target) AS provider, l.outcome, l.phase,
       l.is_judged AND l.is_counted AS is_judged, l.is_counted, l.output_tokens,
       {due} AS due_s, {started} AS started_s, {finished} AS finished_s,
       least({columns} - 1, floor({due} / {step_s}))::INTEGER AS due_at,
       least({columns} - 1, floor({started} / {step_s}))::INTEGER AS started_at,
       least({columns} - 1, floor({finished} / {step_s}))::INTEGER AS finished_at
FROM ledger l
"""

MEASURED = """
CREATE TEMP TABLE measured AS
SELECT '{measure}' AS measure, coalesce(l.provider, l.target) AS provider,
       l.is_judged, least({columns} - 1, floor({due} / {step_s}))::INTEGER AS due_at, {value} AS v,
       coalesce({owed}, false) AS is_owed
FROM ledger l WHERE l.is_counted AND {applies}
"""

HEATS = f"""
SELECT measure, provider, due_at, floor({HEAT_PER_DECADE} * log10(greatest(v, 1)))::INTEGER AS bin,
       count(*)
FROM measured WHERE v IS NOT NULL GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - constants

HISTOGRAM_COUNTS = """
SELECT measure, provider, count(v), count(*) FILTER (v IS NULL AND is_owed)
FROM measured WHERE is_judged GROUP BY ALL ORDER BY ALL
"""

HISTOGRAM_BINS = f"""
SELECT measure, provider, floor({BINS_PER_DECADE} * log10(greatest(v, CASE measure WHEN 'lag' THEN 10 ELSE 1 END)))::INTEGER AS bin, count(*)
FROM measured WHERE is_judged AND v IS NOT NULL GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - constants

LAGS = """
CREATE TEMP TABLE lags AS
SELECT 'lag' AS measure, '' AS provider, true AS is_judged, 0 AS due_at, lag_ns / 1e6 AS v,
       false AS is_owed
FROM joins WHERE is_expected AND lag_ns IS NOT NULL
"""

AT_RANKS = """
SELECT measure, provider, k, v FROM (
    SELECT measure, provider, v,
           row_number() OVER (PARTITION BY measure, provider ORDER BY v) AS k
    FROM measured WHERE is_judged AND v IS NOT NULL
) SEMI JOIN wanted USING (measure, provider, k)
"""

OFFERED = "SELECT due_at, count(*) FROM drawn GROUP BY 1"
STARTED = "SELECT started_at, count(*) FROM drawn WHERE started_at IS NOT NULL GROUP BY 1"
FINISHED = """
SELECT finished_at, count(*) FROM drawn WHERE finished_at IS NOT NULL AND is_counted GROUP BY 1
"""
ERRORS = (
    "SELECT outcome, due_at, count(*) FROM drawn WHERE outcome <> 'ok' GROUP BY ALL ORDER BY ALL"
)
TOKENS = """
SELECT provider, finished_at, sum(output_tokens)::BIGINT, count(*)
FROM drawn WHERE output_tokens IS NOT NULL AND finished_at IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
PHASES = """
SELECT phase, min(due_s), bool_or(is_judged) FROM drawn GROUP BY phase ORDER BY min(due_s), phase
"""
PROVIDERS = "SELECT provider FROM drawn GROUP BY 1 ORDER BY 1"

COST = f"""
SELECT coalesce(s.provider, 'unknown') AS provider,
       greatest(0, least({{columns}} - 1,
           floor((s.start_ns + s.duration_ns - {{zero_ns}}) / 1e9 / {{step_s}})))::INTEGER AS at,
       fsum({SPAN_VALUES["cost_usd"].sql}), count({SPAN_VALUES["cost_usd"].sql}), count(*)
FROM spans s SEMI JOIN (SELECT trace_id FROM joins WHERE is_joined) USING (trace_id)
WHERE s.role = 'model' AND s.status <> 'error' GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - constants

HEALTH = """
SELECT worker, greatest(0, least({columns} - 1,
           floor((t_ns - {zero_ns}) / 1e9 / {step_s})))::INTEGER AS at,
       max(hub_lag_max_ns) / 1e6, max(start_lag_max_ns) / 1e6, max(cpu_percent), count(*)
FROM read_parquet({path}) WHERE t_ns >= {zero_ns} AND t_ns < {zero_ns} + {columns} * {step_s} * 1e9
GROUP BY ALL ORDER BY ALL
"""

FLOWS = """
SELECT CASE WHEN l.outcome = 'missed' THEN 'missed'
            WHEN l.outcome = 'connect_error' THEN 'unsent'
            WHEN l.outcome IN ('timeout', 'stream_broken', 'aborted')
                THEN CASE WHEN coalesce(l.written, false) THEN 'unanswered' ELSE 'unsent' END
            WHEN l.outcome LIKE 'rejected%' THEN 'refused'
            ELSE 'answered' END AS ended,
       CASE WHEN NOT {asked} THEN 'not asked'
            WHEN NOT j.is_expected AND j.is_joined THEN 'found, optional'
            WHEN NOT j.is_expected THEN 'none expected'
            WHEN j.is_joined AND j.is_late THEN 'late'
            WHEN j.is_joined AND NOT {complete} THEN 'incomplete'
            WHEN j.is_joined THEN 'on time'
            WHEN j.is_conflict THEN 'conflict'
            ELSE 'lost' END AS fate,
       count(*)
FROM ledger l JOIN joins j ON j.seq = l.seq GROUP BY ALL ORDER BY ALL
"""
"""The same classes as `accounting.py`; a test holds the two together."""

SLOWEST = """
SELECT l.request_id FROM (
    SELECT request_id, seq, row_number() OVER (
        PARTITION BY coalesce(provider, target) ORDER BY finished_ns - due_ns DESC, seq) AS place,
        finished_ns - due_ns AS total_ns
    FROM ledger WHERE is_judged AND is_counted AND finished_ns IS NOT NULL
) l WHERE l.place <= ? ORDER BY l.total_ns DESC, l.seq
"""


def seconds(column: str, zero_ns: int) -> str:
    """Return SQL for the seconds from the first due instant to an instant of the ledger row `l`."""
    return f"((l.epoch_ns + l.{column} - {zero_ns}) / 1e9)"


def latency(name: str) -> Value:
    """Return how a latency of the ledger is read, exactly as objectives read it."""
    return LEDGER_VALUES[name]
