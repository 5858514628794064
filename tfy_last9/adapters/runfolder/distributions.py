"""Latencies as bins: heat maps over time and distributions with their percentiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfy_last9.adapters.runfolder import pictures_sql as sql
from tfy_last9.model.pictures import Heat, Histogram
from tfy_last9.model.verdict import Quantile
from tfy_last9.stats.quantile import interval_ranks, nearest_rank

if TYPE_CHECKING:
    import duckdb

SHARES = (0.5, 0.95, 0.99)
ALPHA = 0.10
"""Each bound of an interval holds with 95 %."""

Key = tuple[str, str]


def read_heats(database: duckdb.DuckDBPyConnection) -> tuple[Heat, ...]:
    """Return one heat map per measure and provider."""
    cells: dict[Key, list[tuple[int, int, int]]] = {}
    for measure, provider, *cell in database.execute(sql.HEATS).fetchall():
        cells.setdefault((measure, provider), []).append((cell[0], cell[1], cell[2]))
    return tuple(
        Heat(*key, sum(count for _, _, count in found), tuple(found))
        for key, found in cells.items()
    )


def read_histograms(database: duckdb.DuckDBPyConnection) -> tuple[Histogram, ...]:
    """Return one distribution per measure and provider."""
    counts = {(m, p): (n, without) for m, p, n, without in _all(database, sql.HISTOGRAM_COUNTS)}
    bins: dict[Key, list[tuple[int, int]]] = {key: [] for key in counts}
    for measure, provider, place, count in _all(database, sql.HISTOGRAM_BINS):
        bins[measure, provider].append((place, count))
    quantiles = _quantiles(database, {key: n for key, (n, _) in counts.items() if n})
    return tuple(
        Histogram(*key, n, without, tuple(bins[key]), quantiles.get(key, ()))
        for key, (n, without) in counts.items()
        if n or without
    )


def read_lag(database: duckdb.DuckDBPyConnection) -> Histogram | None:
    """Return the distribution of ingestion lag; None when none is known."""
    database.execute("ALTER TABLE measured RENAME TO latencies")
    database.execute(sql.LAGS.replace("TABLE lags", "TABLE measured"))
    return next(iter(read_histograms(database)), None)


def _quantiles(
    database: duckdb.DuckDBPyConnection, sizes: dict[Key, int]
) -> dict[Key, tuple[Quantile, ...]]:
    """Return percentiles with order-statistic intervals."""
    ranks = {
        (key, p): (nearest_rank(n, p), *interval_ranks(n, p, ALPHA))
        for key, n in sizes.items()
        for p in SHARES
    }
    database.execute(
        "CREATE OR REPLACE TEMP TABLE wanted (measure VARCHAR, provider VARCHAR, k BIGINT)"
    )
    wanted = {(*key, rank) for (key, _), found in ranks.items() for rank in found if rank}
    if wanted:
        database.executemany("INSERT INTO wanted VALUES (?, ?, ?)", sorted(wanted))
    at = {(m, p, k): float(f"{v:.6g}") for m, p, k, v in _all(database, sql.AT_RANKS)}
    found: dict[Key, list[Quantile]] = {key: [] for key in sizes}
    for (key, p), (value, low, high) in ranks.items():
        least, most = (at[*key, rank] if rank else None for rank in (low, high))
        found[key].append(Quantile(p, at[*key, value], least, most, "ms"))
    return {key: tuple(quantiles) for key, quantiles in found.items()}


def _all(database: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return database.execute(query).fetchall()
