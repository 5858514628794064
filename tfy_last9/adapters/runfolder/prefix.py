"""The ledger of a run that still goes on, as far as it is whole: every request up to some place.

Requests end in another order than they began; the ones that are known first are the quick ones. So only
the stretch is read in which not one request is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.arm_bets import read_arm_bets
from tfy_last9.adapters.runfolder.arms import latency_limits, read_arms
from tfy_last9.adapters.runfolder.bets import read_bets
from tfy_last9.adapters.runfolder.books import LEDGER, size_band
from tfy_last9.adapters.runfolder.database import (
    literal,
    open_database,
    scalar_int,
    text_list,
    write_parquet,
)
from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.adapters.runfolder.join import EXPECTED
from tfy_last9.adapters.runfolder.ledger import ledger_relation
from tfy_last9.adapters.runfolder.seal import LEDGER_KEYS, read_lines
from tfy_last9.adapters.runfolder.tally import read_tallies
from tfy_last9.judge.early import can_be_bet_on
from tfy_last9.model.objective import Ratio, Threshold
from tfy_last9.model.request import Outcome, ledger_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.judge.early import Bets
    from tfy_last9.model.canary import ArmTally
    from tfy_last9.model.objective import Objective
    from tfy_last9.model.scenario import Scenario
    from tfy_last9.model.verdict import Tally

WHOLE = """
CREATE TEMP TABLE whole AS
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY seq ORDER BY finished_ns NULLS LAST) AS copy FROM staged)
WHERE copy = 1
"""
LENGTH = "SELECT count(*) FROM (SELECT seq, row_number() OVER (ORDER BY seq) - 1 AS place FROM whole) WHERE seq = place"
"""Sequence numbers begin at 0: up to the first gap each stands at its own place."""
TOKENS = """
SELECT coalesce(avg(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0)::BIGINT
FROM ledger WHERE is_counted
"""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What the first `requests` requests say about the objectives of the ledger."""

    requests: int
    tokens_per_request: int
    tallies: dict[str, tuple[Tally, ...]]
    bets: Bets
    arms: tuple[ArmTally, ...] = ()


def read_prefix(
    folder: RunFolder, scenario: Scenario, objectives: Sequence[Objective]
) -> Prefix | None:
    """Return what is known for certain so far; None before the first whole stretch."""
    with TemporaryDirectory(prefix="tfy-last9-look-") as place:
        path = Path(place) / "prefix.parquet"
        requests = write_prefix(folder, path)
        if requests == 0:
            return None
        with open_database() as database:
            _open_ledger(database, path, scenario)
            return _read(database, scenario, objectives, requests)


def write_prefix(folder: RunFolder, path: Path) -> int:
    """Write the ledger as far as it is whole, and return of how many requests; 0: nothing was written."""
    files = sorted(folder.work_path.glob("rows-*.ndjson"))
    if not files:
        return 0
    with open_database() as database:
        keys = " AND ".join(f"{key} IS NOT NULL" for key in LEDGER_KEYS)
        lines = read_lines(files, ledger_columns())
        database.execute(f"CREATE TEMP TABLE staged AS SELECT * FROM ({lines}) WHERE {keys}")  # noqa: S608 - column names are constants
        database.execute(WHOLE)
        requests = scalar_int(database, LENGTH)
        if requests:
            columns = ", ".join(ledger_columns())
            query = f"SELECT {columns} FROM whole WHERE seq < {requests} ORDER BY seq"  # noqa: S608 - column names are constants
            write_parquet(database, query, path)
        return requests


def _open_ledger(database: duckdb.DuckDBPyConnection, path: Path, scenario: Scenario) -> None:
    database.execute(
        LEDGER.format(
            judged=text_list(scenario.judged_phases),
            missed=literal(Outcome.MISSED),
            expected=EXPECTED,
            size_band=size_band(scenario),
            ledger=ledger_relation(path),
        )
    )


def _read(
    database: duckdb.DuckDBPyConnection,
    scenario: Scenario,
    objectives: Sequence[Objective],
    requests: int,
) -> Prefix:
    tallies: dict[str, tuple[Tally, ...]] = {}
    bets: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for objective in objectives:
        indicator = objective.indicator
        if can_be_bet_on(objective) and isinstance(indicator, Threshold | Ratio):
            load_events(database, indicator, objective.group_by)
            tallies[objective.name] = read_tallies(database, objective)
            bets |= read_bets(database, objective)
    arms: tuple[ArmTally, ...] = ()
    if scenario.arms is not None and scenario.arms.by is None:  # others are told at the end
        arms = read_arms(database, objectives, scenario.arms)
        has_limits = bool(latency_limits(objectives))
        bets |= read_arm_bets(database, scenario.arms, has_limits=has_limits)
    return Prefix(requests, scalar_int(database, TOKENS), tallies, bets, arms)
