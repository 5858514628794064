"""Times between tokens per target, as reports show them: counts of `gaps.parquet` beside the streams of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, open_database
from tfy_last9.adapters.runfolder.gaps import read_gaps
from tfy_last9.model.pictures import STALL_MS, TokenGaps
from tfy_last9.model.verdict import Quantile
from tfy_last9.stats.histogram import Histogram, bounds

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfy_last9.adapters.runfolder.folder import RunFolder

SHARES = (0.5, 0.95, 0.99)
_NS_PER_MS = 1_000_000
_DIGITS = 6
_STREAMS = """
SELECT target, arm, min(provider), count(max_gap_ns),
       count(*) FILTER (max_gap_ns >= {stall_ns}), max(max_gap_ns) / 1e6
FROM read_parquet({ledger}) WHERE list_contains($judged, phase) GROUP BY target, arm
"""

Place = tuple[str, str | None]
"""Target and arm."""
Streams = tuple[str | None, int, int, float | None]
"""Provider, streams, stalled streams, longest gap in ms."""


def read_token_gaps(folder: RunFolder) -> tuple[TokenGaps, ...]:
    """Return the gaps of every target whose streams had some in the judged phases, by name."""
    if not (folder.gaps_path.is_file() and folder.ledger_path.is_file()):
        return ()
    judged = {phase.name for phase in folder.read_manifest().scenario.phases if phase.judged}
    merged: dict[Place, Histogram] = {}
    for (phase, target, arm), counted in read_gaps(folder).items():
        if phase in judged:
            merged.setdefault((target, arm), Histogram()).merge(counted)
    streams = _streams(folder, judged)
    return tuple(
        _told(place, merged[place], streams.get(place, (None, 0, 0, None)))
        for place in sorted(merged, key=lambda place: (place[0], place[1] or ""))
    )


def _streams(folder: RunFolder, judged: Collection[str]) -> dict[Place, Streams]:
    query = _STREAMS.format(
        ledger=literal(folder.ledger_path), stall_ns=round(STALL_MS * _NS_PER_MS)
    )
    with open_database() as database:
        rows = database.execute(query, {"judged": sorted(judged)}).fetchall()
    return {(row[0], row[1]): (row[2], row[3], row[4], row[5]) for row in rows}


def _told(place: Place, counted: Histogram, streams: Streams) -> TokenGaps:
    provider, several, stalled, longest_ms = streams
    buckets = tuple(
        (bounds(bucket)[0], bounds(bucket)[1] + 1, n) for bucket, n in counted.buckets()
    )
    return TokenGaps(
        target=place[0],
        arm=place[1],
        provider=provider,
        n=counted.total(),
        streams=several,
        stalled=stalled,
        longest_ms=None if longest_ms is None else _rounded(longest_ms),
        buckets=buckets,
        quantiles=tuple(_quantile(counted, share) for share in SHARES),
    )


def _quantile(counted: Histogram, share: float) -> Quantile:
    found = counted.quantile(share)
    assert found is not None, "a target without gaps is left out"
    low, high = found[0] / _NS_PER_MS, found[1] / _NS_PER_MS
    return Quantile(share, _rounded((low + high) / 2), _rounded(low), _rounded(high), "ms")


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
