"""Why something is not good enough: where the bad events are, in which stage their time went, since when.

Asked only for findings that did not pass. A request's time is cut into queue (due until started), gateway
(everything that is neither queue nor provider, the network included), provider wait (until the provider's
first token, failed attempts included) and streaming. Time in queue and gateway serves nobody, so that all of
it explains; a provider's time explains as far as it exceeds that of good requests of the same group, or of
all groups where the group has too few good ones. A gateway that is slow to everybody is named all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, text_list
from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.adapters.runfolder.labels import NONE, VIRTUAL
from tfy_last9.adapters.runfolder.lifts import read_lifts
from tfy_last9.model.objective import Completeness, Composite, Ratio, Scalar, Simple, Threshold
from tfy_last9.model.trace import Role
from tfy_last9.model.verdict import Portion, Why

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from tfy_last9.model.objective import Objective
    from tfy_last9.model.verdict import Group

FEWEST_GOOD = 20
"""Good events of the group that make a comparison; with fewer, those of all groups are taken too."""
TOP = 3
EARLY_FIELDS = frozenset({"ttft_ms", "first_answer_ms"})
STAGES = ("queue", "gateway", "provider wait", "streaming")

CALLS = """
CREATE TEMP TABLE IF NOT EXISTS calls AS
SELECT trace_id, sum(duration_ns) / 1e6 AS model_ms,
       sum(CASE WHEN status = 'error' THEN duration_ns / 1e6
                ELSE least(duration_ns / 1e6, coalesce(
                    TRY_CAST(json_extract_string(attributes, '/tfy.model.metric.time_to_first_token_in_ms') AS DOUBLE),
                    duration_ns / 1e6)) END) AS wait_ms,
       count(*) FILTER (status = 'error') AS failed,
       arg_max(provider, start_ns) AS provider, arg_max(model, start_ns) AS model
FROM spans SEMI JOIN (FROM joins WHERE is_joined) j USING (trace_id)
WHERE role = 'model' GROUP BY trace_id
"""

EXPLAINED = """
CREATE OR REPLACE TEMP TABLE explained AS
SELECT e.verdict = 'bad' AS is_bad, e.grp, e.seq, e.at_ns, e.detail,
       coalesce(l.provider, c.provider, '(virtual)') AS provider, l.model AS route,
       coalesce(c.model, l.model) AS model, l.outcome, c.failed, c.trace_id IS NOT NULL AS is_seen,
       l.first_token_ns IS NOT NULL AS is_started, l.target, l.phase, l.arm, l.size_band,
       l.worker::VARCHAR AS worker, l.finish_reason, s.region, s.env,
       (l.started_ns - l.due_ns) / 1e6 AS queue_ms,
       ({end_ns} - l.started_ns) / 1e6 AS after_ms,
       {wait} AS wait_ms, {streaming} AS streaming_ms
FROM events e JOIN ledger l ON l.seq = e.seq
LEFT JOIN calls c ON c.trace_id = e.trace_id
LEFT JOIN (SELECT trace_id, any_value(region) AS region, any_value(env) AS env
           FROM spans WHERE role = 'root' GROUP BY trace_id) s ON s.trace_id = e.trace_id
WHERE e.verdict <> 'excluded'
"""

OWN_BAD = "SELECT count(*) FROM explained WHERE is_bad AND {own}"
OWN_GOOD = "SELECT count(*) FROM explained WHERE NOT is_bad AND {own}"

TIMES = """
SELECT is_bad, avg(queue_ms), avg(after_ms - wait_ms - streaming_ms), avg(wait_ms), avg(streaming_ms)
FROM explained
WHERE wait_ms IS NOT NULL AND after_ms IS NOT NULL AND ((is_bad AND {own}) OR (NOT is_bad AND {peers}))
GROUP BY is_bad ORDER BY is_bad
"""

FAILED_IN = """
SELECT CASE
           WHEN outcome = 'missed' THEN 'queue'
           WHEN outcome = 'connect_error' OR starts_with(outcome, 'rejected_') THEN 'gateway'
           WHEN outcome IN ('stream_broken', 'timeout', 'aborted') AND is_started THEN 'streaming'
           WHEN failed > 0 OR outcome = 'provider_error' THEN 'provider wait'
           WHEN outcome IN ('timeout', 'stream_broken', 'aborted') AND is_seen THEN 'provider wait'
           ELSE 'gateway'
       END AS stage, count(*)
FROM explained WHERE is_bad AND {own} GROUP BY 1 ORDER BY 2 DESC, 1
"""

COMMON = """
SELECT coalesce({label}, '(none)') AS name, count(*) AS n
FROM explained WHERE is_bad AND {own} GROUP BY 1 ORDER BY n DESC, name LIMIT {top}
"""

FIRST_MINUTE = """
SELECT min(minute) FROM (
    SELECT greatest(0, (at_ns - (SELECT at_ns FROM origin)) // 60000000000) AS minute,
           count(*) AS n, count(*) FILTER (is_bad) AS bad
    FROM explained WHERE {own} GROUP BY 1
) WHERE bad > 0 AND bad > {budget} * n
"""


def explain(
    database: duckdb.DuckDBPyConnection, objective: Objective, groups: Iterable[Group]
) -> dict[Group, Why]:
    """Return why the objective is not met in each of these groups, where something bad was seen."""
    indicator = _explicable(objective)
    if indicator is None:
        return {}
    load_events(database, indicator, objective.group_by)
    _load(database, indicator)
    found = {group: _explained(database, objective, indicator, group) for group in groups}
    return {group: why for group, why in found.items() if why is not None}


def _explained(
    database: duckdb.DuckDBPyConnection, objective: Objective, indicator: Simple, group: Group
) -> Why | None:
    own = f"grp = {text_list(tuple(value for _, value in group))}"
    (bad,) = _row(database, OWN_BAD.format(own=own))
    if not bad:
        return None
    budget = round(objective.budget, 12)
    (minute,) = _row(database, FIRST_MINUTE.format(budget=budget, own=own))
    return Why(
        where=_where(database, group, bad, own),
        stages=_stages(database, indicator, bad, own),
        first_bad_minute=minute,
        lifts=read_lifts(database, dict(group), round(1.0 - objective.confidence, 12), own),
    )


def _where(
    database: duckdb.DuckDBPyConnection, group: Group, bad: int, own: str
) -> tuple[tuple[str, tuple[Portion, ...]], ...]:
    """Return what bad events have in common; of a group of one provider, never who served in its place."""
    found = {
        label: _common(database, label, bad, own)
        for label in ("provider", "model", "route", "seen")
    }
    provider = dict(group).get("provider", NONE)
    if provider not in {NONE, VIRTUAL}:
        found["provider"] = (Portion(provider, 1.0),)
        found["model"] = _common(
            database, "model", bad, f"{own} AND provider = {literal(provider)}"
        )
    return tuple(found.items())


def _explicable(objective: Objective) -> Simple | None:
    """Return the indicator whose single events can be looked at; of a composite the first member."""
    indicator = objective.indicator
    if isinstance(indicator, Composite):
        return indicator.members[0].indicator
    if isinstance(indicator, Scalar):
        traces = {"missing_traces": (Role.ROOT,), "incomplete_traces": (Role.ROOT, Role.MODEL)}
        required = traces.get(indicator.name)
        return Completeness(required, indicator.where) if required else None
    return indicator


def _load(database: duckdb.DuckDBPyConnection, indicator: Simple) -> None:
    database.execute(CALLS)
    early = isinstance(indicator, Threshold) and indicator.field in EARLY_FIELDS
    end_ns = "coalesce(l.first_token_ns, l.finished_ns)" if early else "l.finished_ns"
    sql = EXPLAINED.format(
        end_ns=end_ns,
        wait="c.wait_ms",
        streaming="CASE WHEN c.trace_id IS NOT NULL THEN 0.0 END"
        if early
        else "c.model_ms - c.wait_ms",
    )
    database.execute(sql)


def _stages(
    database: duckdb.DuckDBPyConnection, indicator: Simple, bad: int, own: str
) -> tuple[Portion, ...]:
    if isinstance(indicator, Completeness):
        return ()  # a trace that is not there spent no time anywhere
    if isinstance(indicator, Ratio) and indicator.good is None:
        rows = database.execute(FAILED_IN.format(own=own)).fetchall()
        return tuple(Portion(name, count / bad) for name, count in rows)
    (good,) = _row(database, OWN_GOOD.format(own=own))
    peers = own if good >= FEWEST_GOOD else "true"
    found = {
        row[0]: row[1:] for row in database.execute(TIMES.format(peers=peers, own=own)).fetchall()
    }
    if True not in found:
        return ()
    usual = found.get(False, (0.0,) * len(STAGES))
    spared = (0.0, 0.0, *usual[2:])
    excess = [max(0.0, b - g) for b, g in zip(found[True], spared, strict=True)]
    whole = sum(excess)
    if not whole:
        return ()
    stages = [
        Portion(name, part / whole, bad_ms, good_ms if False in found else None)
        for name, part, bad_ms, good_ms in zip(STAGES, excess, found[True], usual, strict=True)
    ]
    return tuple(sorted(stages, key=lambda stage: -stage.share))


def _common(
    database: duckdb.DuckDBPyConnection, label: str, bad: int, own: str
) -> tuple[Portion, ...]:
    column = "detail" if label == "seen" else label
    rows = database.execute(COMMON.format(label=column, top=TOP, own=own)).fetchall()
    return tuple(Portion(name, count / bad) for name, count in rows)


def _row(database: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    rows = database.execute(query).fetchall()
    return tuple(rows[0])
