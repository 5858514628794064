"""Two arms side by side: of one run (column `arm`), or of two runs of the same scenario.

Everything is counted in SQL. Pairs are requests of the same arrival: mirrored ones of one run, or the
same place in the schedule of two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, open_database, text_list
from tfy_last9.adapters.runfolder.ledger import ledger_relation
from tfy_last9.adapters.runfolder.served_arms import tell_arms
from tfy_last9.adapters.runfolder.values import value_of
from tfy_last9.model.canary import ArmCounts, ArmTally, Latencies
from tfy_last9.model.objective import Book, Operator, Threshold
from tfy_last9.model.request import Outcome
from tfy_last9.stats.shift import STEP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.canary import Steps
    from tfy_last9.model.objective import Objective
    from tfy_last9.model.scenario import Arms

FIELDS = ("ttft_ms", "total_ms")
BASELINE, CANARY = "baseline", "canary"
TAIL = 0.99
"""Without a latency limit in any SLO, the slowest 1 % of both arms together are the slow ones."""

MIRRORED = "coalesce(l.arrival * 1000000 + coalesce(l.turn, 0), l.seq // 2)"
"""Both arms of a mirrored arrival, turn by turn; older ledgers hold arrivals of one request only."""

ROWS = """
CREATE OR REPLACE TEMP TABLE arm_rows AS
SELECT l.seq, {arm} AS arm, coalesce(l.provider, l.target) AS provider, {pair} AS pair,
       l.outcome <> 'ok' OR l.check_failed IS NOT NULL AS is_error, {slow} AS slow, l.input_tokens,
       l.cached_tokens,
       {steps}
FROM {source} l
"""

COUNTS = """
SELECT provider, arm, count(*), count(*) FILTER (is_error), count(slow), coalesce(sum(slow), 0)::BIGINT,
       coalesce(sum(input_tokens), 0)::BIGINT, coalesce(sum(cached_tokens), 0)::BIGINT
FROM arm_rows GROUP BY ALL ORDER BY ALL
"""

STEPS = """
SELECT provider, arm, {field}, count(*) FROM arm_rows WHERE {field} IS NOT NULL
GROUP BY ALL ORDER BY ALL
"""

DIFFERENCES = """
SELECT c.provider, c.{field} - b.{field} AS difference, count(*)
FROM arm_rows c JOIN arm_rows b ON b.pair = c.pair AND b.provider = c.provider
WHERE c.arm = 'canary' AND b.arm = 'baseline' AND c.{field} IS NOT NULL AND b.{field} IS NOT NULL
GROUP BY ALL ORDER BY ALL
"""

Limit = tuple[str, Operator, float]
"""Ledger field, operator, limit."""


def read_arms(
    database: duckdb.DuckDBPyConnection, objectives: Iterable[Objective], arms: Arms
) -> tuple[ArmTally, ...]:
    """Return both arms per provider, from the opened books of a run that has arms."""
    pair = MIRRORED if arms.mirror else "NULL::BIGINT"
    source = "(SELECT * FROM ledger WHERE is_judged AND is_counted)"
    if arms.by is not None:
        told = tell_arms(database, arms)
        source = (
            f"(SELECT l.* REPLACE (t.arm AS arm) FROM ledger l LEFT JOIN {told} t USING (seq)"  # noqa: S608 - quoted literals
            " WHERE l.is_judged AND l.is_counted)"
        )
    return _read(database, latency_limits(objectives), source, arm="l.arm", pair=pair)


def read_two_runs(
    baseline: RunFolder, canary: RunFolder, objectives: Iterable[Objective]
) -> tuple[ArmTally, ...]:
    """Return two runs as two arms, paired by their place in the schedule they share."""
    judged = text_list(baseline.read_manifest().scenario.judged_phases)
    sent = f"outcome <> {literal(Outcome.MISSED)} AND started_ns IS NOT NULL"
    parts = [
        f"SELECT * REPLACE ('{arm}' AS arm) FROM {ledger_relation(folder.require_ledger())}"  # noqa: S608 - quoted literals
        f" WHERE list_contains({judged}, phase) AND {sent}"
        for arm, folder in ((BASELINE, baseline), (CANARY, canary))
    ]
    with open_database() as database:
        source = f"({' UNION ALL '.join(parts)})"
        return _read(database, latency_limits(objectives), source, arm="l.arm", pair="l.seq")


def latency_limits(objectives: Iterable[Objective]) -> tuple[Limit, ...]:
    """Return the upper latency limits that SLOs put on every request of the ledger, tightest first."""
    found = {
        (indicator.field, indicator.op, indicator.limit)
        for objective in objectives
        if isinstance(indicator := objective.indicator, Threshold)
        and indicator.population.book is Book.LEDGER
        and not indicator.population.where
        and indicator.field in FIELDS
        and indicator.op in (Operator.LTE, Operator.LT)
    }
    return tuple(sorted(found))


def _read(
    database: duckdb.DuckDBPyConnection,
    limits: Sequence[Limit],
    source: str,
    *,
    arm: str,
    pair: str,
) -> tuple[ArmTally, ...]:
    steps = ", ".join(f"{_step(field)} AS {field}" for field in FIELDS)
    slow = _slow(limits) if limits else "NULL::INTEGER"
    database.execute(ROWS.format(source=source, arm=arm, pair=pair, slow=slow, steps=steps))
    if not limits:
        _mark_slowest(database)
    counts = {
        (provider, side): ArmCounts(*numbers)
        for provider, side, *numbers in database.execute(COUNTS).fetchall()
    }
    latencies = {field: _latencies(database, field) for field in FIELDS}
    nothing = ArmCounts(0, 0, 0, 0, 0, 0)
    return tuple(
        ArmTally(
            provider,
            counts.get((provider, BASELINE), nothing),
            counts.get((provider, CANARY), nothing),
            tuple(
                Latencies(
                    field,
                    latencies[field].get((provider, BASELINE), ()),
                    latencies[field].get((provider, CANARY), ()),
                    latencies[field].get((provider, ""), ()),
                )
                for field in FIELDS
            ),
            _words(limits),
            counts.get((provider, None), nothing).sent,
        )
        for provider in sorted({provider for provider, _ in counts})
    )


def _step(field: str) -> str:
    """Return SQL of the step of a latency; null where there is none to count."""
    value = value_of(Book.LEDGER, field)
    number = f"CASE WHEN {value.asked} THEN {value.sql} END"
    return f"CASE WHEN ({number}) > 0 THEN round(ln({number}) / {STEP!r})::BIGINT END"


def _slow(limits: Sequence[Limit]) -> str:
    """Return SQL that is 1 beyond any limit, 0 within all that apply, null where none does."""
    return f"greatest({', '.join(_beyond(*limit) for limit in limits)}, NULL)"


def _beyond(field: str, operator: Operator, limit: float) -> str:
    value = value_of(Book.LEDGER, field)
    compare = "<=" if operator is Operator.LTE else "<"
    return (
        f"CASE WHEN NOT coalesce({value.asked}, false) THEN NULL "
        f"WHEN ({value.sql}) {compare} {limit!r} THEN 0 "
        f"WHEN ({value.sql}) IS NOT NULL OR {value.owed} THEN 1 END"
    )


def _mark_slowest(database: duckdb.DuckDBPyConnection) -> None:
    database.execute(
        f"""
        UPDATE arm_rows SET slow = (total_ms > edge)::INTEGER
        FROM (SELECT provider AS name, quantile_disc(total_ms, {TAIL}) AS edge
              FROM arm_rows WHERE arm IS NOT NULL GROUP BY provider) edges
        WHERE name = provider AND total_ms IS NOT NULL
        """  # noqa: S608 - a constant
    )


def _latencies(database: duckdb.DuckDBPyConnection, field: str) -> dict[tuple[str, str], Steps]:
    """Return steps per provider and arm; differences under an empty arm."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for provider, arm, step, count in database.execute(STEPS.format(field=field)).fetchall():
        found.setdefault((provider, arm), []).append((step, count))
    rows = database.execute(DIFFERENCES.format(field=field)).fetchall()
    for provider, difference, count in rows:
        found.setdefault((provider, ""), []).append((difference, count))
    return {key: tuple(steps) for key, steps in found.items()}


def _words(limits: Sequence[Limit]) -> str:
    if not limits:
        return "among the slowest 1 % of both arms"
    named = (f"{field.removesuffix('_ms')} {limit:g} ms" for field, _, limit in limits)
    return f"beyond {' or '.join(named)}"
