"""Seal a run: turn what the load process left in `.work/` into the ledger, and count what is missing.

All row-level work is SQL. Sealing is repeatable at any point of a crash: `.work/` goes last, when
everything made from it is on disk.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from tfy_last9.adapters.runfolder.database import literal, open_database, scalar_int, write_parquet
from tfy_last9.adapters.runfolder.gaps import write_gaps
from tfy_last9.adapters.runfolder.unreported import lost_arrivals, write_unreported
from tfy_last9.errors import BrokenRun
from tfy_last9.model.request import Outcome, ledger_columns
from tfy_last9.model.run import (
    Counters,
    EarlyStop,
    Manifest,
    Spending,
    StoppedTarget,
    WorkerFacts,
)

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder

HEALTH_COLUMNS: dict[str, str] = {
    "worker": "INTEGER",
    "t_ns": "BIGINT",
    "hub_lag_p50_ns": "BIGINT",
    "hub_lag_max_ns": "BIGINT",
    "cpu_percent": "DOUBLE",
    "in_flight": "BIGINT",
    "start_lag_max_ns": "BIGINT",
    "started": "BIGINT",
    "missed": "BIGINT",
    "finished": "BIGINT",
}
"""`health.parquet`: one row per second and worker."""

LEDGER_KEYS = ("run_id", "request_id", "seq", "outcome", "phase", "target", "due_ns", "epoch_ns")
"""Without these a line is no ledger row: it counts as torn."""


@dataclass(frozen=True, slots=True)
class SwarmReport:
    """`swarm.json`: what the load process says about itself when it ends in good order."""

    workers: tuple[WorkerFacts, ...]
    expected_workers: int
    offered: int
    start_ns: int | None
    ended: str | None
    stopped_targets: tuple[StoppedTarget, ...] = ()
    problems: tuple[str, ...] = ()
    spending: Spending | None = None
    early_stop: EarlyStop | None = None
    """Of a budget that ended the load."""


SWARM = TypeAdapter(SwarmReport)


def seal(folder: RunFolder) -> Manifest:
    """Write `requests.parquet`, `health.parquet` and the counters in `run.json`; return the manifest.

    A sealed folder is left as it is.
    """
    manifest = folder.read_manifest()
    if not folder.work_path.is_dir():
        if folder.ledger_path.is_file():
            return manifest
        raise BrokenRun(
            f"{folder.path} has neither requests.parquet nor .work/: the load never started",
            hint="run the gate again",
        )
    if manifest.counters is not None and folder.ledger_path.is_file():
        # Sealed, but its removal broke off: what is left of `.work/` may lack rows that the ledger has.
        shutil.rmtree(folder.work_path)
        return manifest
    with open_database() as database:
        torn = _stage(database, folder.work_path)
        foreign = _write_ledger(database, folder, manifest.run_id)
        _write_health(database, folder)
        write_gaps(database, folder)
        sealed = _describe(database, folder, manifest, _dirt(torn, foreign))
        _rebuild(database, folder, sealed)
    folder.write_manifest(sealed)
    shutil.rmtree(folder.work_path)
    return sealed


def read_lines(files: list[Path], columns: dict[str, str]) -> str:
    """Return SQL for the rows in `files`; a line that is not a JSON object comes out all null."""
    listed = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
    if not files:
        typed = ", ".join(f"NULL::{kind} AS {name}" for name, kind in columns.items())
        return f"SELECT {typed} LIMIT 0"
    names = ", ".join(literal(file) for file in files)
    return (
        f"SELECT * FROM read_json([{names}], format='newline_delimited', ignore_errors=true, "  # noqa: S608 - column names are constants
        f"columns={{{listed}}})"
    )


def _stage(database: duckdb.DuckDBPyConnection, work: Path) -> int:
    """Parse the row files once, into Parquet, so that memory stays bounded; return the torn lines."""
    files = sorted(work.glob("rows-*.ndjson"))
    staged = work / "staged.parquet"
    write_parquet(database, read_lines(files, ledger_columns()), staged)
    whole = " AND ".join(f"{key} IS NOT NULL" for key in LEDGER_KEYS)
    database.execute(
        f"CREATE VIEW staged AS SELECT *, ({whole}) AS whole FROM read_parquet({literal(staged)})"  # noqa: S608 - column names are constants
    )
    return scalar_int(database, "SELECT count(*) FROM staged WHERE NOT whole")


def _write_ledger(database: duckdb.DuckDBPyConnection, folder: RunFolder, run_id: str) -> int:
    """Write one row per sequence number, in order; return how many rows belong to another run.

    Of rows with the same number the finished one wins, then the smallest: the same bytes whatever the
    order of the files.
    """
    columns = ", ".join(ledger_columns())
    own = f"whole AND run_id = {literal(run_id)}"
    foreign = scalar_int(
        database,
        f"SELECT count(*) FROM staged WHERE whole AND run_id <> {literal(run_id)}",  # noqa: S608 - quoted literal
    )
    database.execute(
        f"CREATE TEMP TABLE repeated AS SELECT seq FROM staged WHERE {own} "  # noqa: S608 - quoted literal
        "GROUP BY seq HAVING count(*) > 1"
    )
    write_parquet(
        database,
        f"""
        SELECT {columns} FROM (
            SELECT {columns} FROM staged WHERE {own} AND seq NOT IN (FROM repeated)
            UNION ALL
            SELECT {columns} FROM staged WHERE {own} AND seq IN (FROM repeated)
            QUALIFY row_number() OVER (
                PARTITION BY seq ORDER BY finished_ns NULLS LAST, {columns}) = 1
        ) ORDER BY seq
        """,  # noqa: S608 - column names are constants
        folder.ledger_path,
    )
    ledger = literal(folder.ledger_path)
    database.execute(f"CREATE VIEW ledger AS SELECT * FROM read_parquet({ledger})")  # noqa: S608 - quoted literal
    return foreign


def _write_health(database: duckdb.DuckDBPyConnection, folder: RunFolder) -> None:
    files = sorted(folder.work_path.glob("health-*.ndjson"))
    rows = read_lines(files, HEALTH_COLUMNS)
    write_parquet(
        database,
        f"SELECT DISTINCT * FROM ({rows}) WHERE worker IS NOT NULL AND t_ns IS NOT NULL "  # noqa: S608 - column names are constants
        f"ORDER BY t_ns, worker, {', '.join(HEALTH_COLUMNS)}",
        folder.health_path,
    )


def _rebuild(database: duckdb.DuckDBPyConnection, folder: RunFolder, manifest: Manifest) -> None:
    """Write `unreported.parquet`: what the seed says of requests that left no row."""
    counters = manifest.counters
    if counters is None or not counters.unreported:
        return
    lines = folder.work_path / "unreported.ndjson"
    if write_unreported(lines, manifest, lost_arrivals(database, manifest, counters.offered)):
        rows = read_lines([lines], ledger_columns())
        write_parquet(database, f"SELECT * FROM ({rows}) ORDER BY seq", folder.unreported_path)  # noqa: S608 - column names are constants


def _dirt(torn: int, foreign: int) -> tuple[str, ...]:
    problems = []
    if torn:
        problems.append(f"{torn} ledger line(s) were torn: a load process ended while writing")
    if foreign:
        problems.append(f"{foreign} ledger row(s) carry the id of another run and were left out")
    return tuple(problems)


def _describe(
    database: duckdb.DuckDBPyConnection,
    folder: RunFolder,
    manifest: Manifest,
    dirt: tuple[str, ...],
) -> Manifest:
    report = _read_report(folder.work_path / "swarm.json")
    planned = report.offered if isinstance(report, SwarmReport) else None
    counters = _count(database, planned)
    end_ns = scalar_int(database, "SELECT max(epoch_ns + finished_ns) FROM ledger") or None
    if isinstance(report, str):
        first_due = scalar_int(database, "SELECT min(epoch_ns + due_ns) FROM ledger") or None
        return replace(
            manifest,
            start_ns=first_due,
            end_ns=end_ns,
            ended=None,
            counters=counters,
            problems=_merged(manifest.problems, (report, *dirt)),
        )
    losses = _losses(database, report)
    return replace(
        manifest,
        start_ns=report.start_ns,
        end_ns=end_ns,
        ended=report.ended,
        workers=report.workers,
        counters=counters,
        stopped_targets=report.stopped_targets,
        spending=report.spending,
        early_stop=report.early_stop or manifest.early_stop,
        problems=_merged(manifest.problems, (*report.problems, *losses, *dirt)),
    )


def _read_report(path: Path) -> SwarmReport | str:
    """Return the report, or in words why there is none."""
    try:
        return SWARM.validate_json(path.read_bytes())
    except FileNotFoundError:
        return (
            "the load process left no swarm.json: it crashed or was killed before it could report"
        )
    except ValidationError:
        return "swarm.json of the load process is not readable: it ended while writing it"


def _count(database: duckdb.DuckDBPyConnection, planned: int | None) -> Counters:
    """Count requests; without a word from the load process, up to the last that left a row."""
    row = database.execute(
        """
        SELECT coalesce(max(seq) + 1, 0),
               count(*) FILTER (outcome <> $missed AND started_ns IS NOT NULL),
               count(*) FILTER (outcome = $missed),
               count(*) FILTER (outcome <> $missed AND finished_ns IS NOT NULL),
               count(*) FILTER (seq >= 0)
        FROM ledger
        """,
        {"missed": Outcome.MISSED.value},
    ).fetchone()
    beyond, started, missed, finished, rows = row or (0, 0, 0, 0, 0)
    offered = beyond if planned is None else max(planned, rows)
    return Counters(offered, started, missed, finished, unreported=offered - rows)


def _losses(database: duckdb.DuckDBPyConnection, report: SwarmReport) -> tuple[str, ...]:
    """Say whose rows did not all reach the disk."""
    on_disk = dict(database.execute("SELECT worker, count(*) FROM ledger GROUP BY 1").fetchall())
    losses = []
    for facts in sorted(report.workers, key=lambda facts: facts.worker):
        found = on_disk.get(facts.worker, 0)
        if found < facts.rows:
            losses.append(
                f"worker {facts.worker} wrote {facts.rows} rows, only {found} are on disk"
            )
    return tuple(losses)


def _merged(known: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Join two lists of problems; sealing again after a crash must not repeat them."""
    return tuple(dict.fromkeys((*known, *new)))
