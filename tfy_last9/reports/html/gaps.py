"""Times between tokens: how evenly the streams of each target flowed, and which stopped."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from tfy_last9.judge.phrases import quantity
from tfy_last9.model.pictures import BINS_PER_DECADE, GAP, STALL_MS, Histogram, TokenGaps
from tfy_last9.reports.html.axes import LogScale
from tfy_last9.reports.html.latency import ridges
from tfy_last9.reports.html.markup import NOTHING, Figure, Table, esc, table

TITLE = "Time between tokens"
FIRST_BAR_MS = 0.1
"""Tokens that came in one packet have no time between them; a logarithmic axis has no 0."""
_NS_PER_MS = 1_000_000


def token_gaps(gaps: Sequence[TokenGaps]) -> Figure:
    """Return one distribution per target, a table of percentiles, and the counts for download."""
    if not gaps:
        return Figure("token-gaps", TITLE, "", "", empty="No stream had two tokens to judge.")
    found = [_histogram(one) for one in gaps]
    places = [place for one in found for place, _ in one.bins]
    scale = LogScale(min(places) - 1, max(places) + 2, BINS_PER_DECADE)
    n, stalled, streams = (sum(getattr(o, f) for o in gaps) for f in ("n", "stalled", "streams"))
    lead = (
        f"Logarithmic scale, judged phases, {quantity(FIRST_BAR_MS, 'ms')} and less in the first bar; "
        f"{stalled:,} of {streams:,} streams were once silent for {quantity(STALL_MS, 'ms')} or longer; "
        f"n = {n:,} gaps."
    )
    rows = tuple(
        (one.target, one.arm or "", low / _NS_PER_MS, below / _NS_PER_MS, count)
        for one in gaps
        for low, below, count in one.buckets
    )
    numbers = Table(("target", "arm", "at_least_ms", "below_ms", "gaps"), rows)
    return Figure(
        "token-gaps", TITLE, lead, ridges(TITLE, found, (), scale) + _table(gaps), numbers
    )


def _histogram(one: TokenGaps) -> Histogram:
    """Return the gaps in the bins of the other distributions; a bucket counts where its middle lies."""
    bins: defaultdict[int, int] = defaultdict(int)
    for low, below, count in one.buckets:
        middle_ms = max(FIRST_BAR_MS, (low + below - 1) / 2 / _NS_PER_MS)
        bins[math.floor(BINS_PER_DECADE * math.log10(middle_ms))] += count
    return Histogram(GAP, _name(one), one.n, 0, tuple(sorted(bins.items())), one.quantiles)


def _table(gaps: Sequence[TokenGaps]) -> str:
    names = ("target", "provider", "gaps", "p50", "p95", "p99", "longest", "streams", "stalled")
    rows = [
        (
            esc(_name(one)),
            esc(one.provider or NOTHING),
            f"{one.n:,}",
            *(quantity(found.value, "ms") for found in one.quantiles),
            NOTHING if one.longest_ms is None else quantity(one.longest_ms, "ms"),
            f"{one.streams:,}",
            f"{one.stalled:,}",
        )
        for one in gaps
    ]
    return table(names, rows, f"{TITLE}, per target")


def _name(one: TokenGaps) -> str:
    return one.target if one.arm is None else f"{one.target} / {one.arm}"
