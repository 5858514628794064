"""The seeded random sample of expected traces: the same rows for whoever asks, from the ledger alone.

Stratified by provider. The order of a stratum is a hash of seed and request id, so that being chosen has
nothing to do with time, worker or outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.join import EXPECTED
from tfy_last9.adapters.runfolder.ledger import ledger_relation

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from tfy_last9.model.run import Sample

SAMPLED = """
CREATE OR REPLACE TEMP TABLE sampled AS
SELECT seq FROM {ledger} WHERE {expected}
QUALIFY row_number() OVER (
    PARTITION BY provider ORDER BY md5('{seed}/' || request_id), seq) <= {per_provider}
"""

IN_SAMPLE = "(seq IN (SELECT seq FROM sampled))"
"""SQL over a ledger row: its trace is looked for."""

POPULATION = """
SELECT e.grp, count(*) FROM events e JOIN population p ON p.seq = e.seq GROUP BY e.grp
"""


def draw(database: duckdb.DuckDBPyConnection, ledger: Path, sample: Sample) -> None:
    """Make the table `sampled`."""
    database.execute(
        SAMPLED.format(
            ledger=ledger_relation(ledger),
            expected=EXPECTED,
            seed=sample.seed,
            per_provider=sample.per_provider,
        )
    )


def remember_population(database: duckdb.DuckDBPyConnection, ledger: Path) -> None:
    """Make the table `population`: every row whose trace is expected, sampled or not."""
    database.execute(
        f"CREATE TEMP TABLE population AS SELECT seq FROM {ledger_relation(ledger)} "  # noqa: S608 - quoted literal
        f"WHERE {EXPECTED}"
    )


def populations(database: duckdb.DuckDBPyConnection) -> dict[tuple[str, ...], int]:
    """Return how many expected traces each group of the table `events` has."""
    return {tuple(values): n for values, n in database.execute(POPULATION).fetchall()}
