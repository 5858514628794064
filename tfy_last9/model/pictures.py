"""What a report draws: the two books of a run reduced to small series, bins and flows.

Columns are stretches of `step_s` seconds since the first request was due. Sizes depend on the length of
the run and the number of providers, never on the number of requests.
"""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.model.request import LedgerRow
from tfy_last9.model.trace import Span
from tfy_last9.model.verdict import Quantile

TTFT = "ttft"
TOTAL = "total"
LAG = "lag"
GAP = "gap"
BINS_PER_DECADE = 20
"""Bins of distributions; bin k holds values in [10^(k/20), 10^((k+1)/20)) ms."""
HEAT_PER_DECADE = 10
STALL_MS = 1000.0
"""A stream that is silent for so long between two tokens has stalled: a reader sees it stop."""


@dataclass(frozen=True, slots=True)
class Series:
    """One value per column; None where nothing was there to measure."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Series that share a unit."""

    series: tuple[Series, ...]
    n: int
    """Events behind it: requests, spans or samples."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A phase on the time axis, in seconds."""

    name: str
    start_s: float
    end_s: float
    judged: bool


@dataclass(frozen=True, slots=True)
class Heat:
    """Requests per column and latency bin, of one measure and provider; all phases."""

    measure: str
    provider: str
    n: int
    cells: tuple[tuple[int, int, int], ...]
    """Column, bin (10^(bin/10) ms and above), requests."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Distribution of one measure and provider over the judged phases."""

    measure: str
    provider: str
    n: int
    without: int
    """Requests that owe a value and have none: they waited and got nothing."""
    bins: tuple[tuple[int, int], ...]
    """Bin and count, ascending."""
    quantiles: tuple[Quantile, ...]


@dataclass(frozen=True, slots=True)
class TokenGaps:
    """Times between tokens of the streams to one target and arm, over the judged phases."""

    target: str
    arm: str | None
    provider: str | None
    n: int
    """Gaps that were counted."""
    streams: int
    """Streams with two tokens or more."""
    stalled: int
    """Of these, streams that were once silent for `STALL_MS` or longer."""
    longest_ms: float | None
    buckets: tuple[tuple[int, int, int], ...]
    """From (ns), up to and without (ns), gaps; ascending, a bucket is at most 1/32 wide."""
    quantiles: tuple[Quantile, ...]
    """p50, p95, p99: the middle of the bucket, with the ends of the bucket as its bounds."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What an objective allows: a line in a distribution."""

    measure: str
    provider: str | None
    """None: it holds for every provider."""
    at_ms: float
    objective: str


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests that ended one way and whose trace met one fate."""

    ended: str
    fate: str
    n: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Cost of one provider, as its spans report it."""

    provider: str
    usd: float
    calls: int
    priced: int
    """Calls whose span carries a cost; fewer than `calls` make `usd` a lower bound."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One request as both books saw it."""

    row: LedgerRow
    spans: tuple[Span, ...]
    note: str
    """How the two books agree about it."""
    why: str
    """Why it was chosen: the objective it breaks, or that it was slow."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Everything that is drawn, except what the verdict already holds."""

    step_s: float
    columns: int
    phases: tuple[Stretch, ...]
    providers: tuple[str, ...]
    rates: Timeline
    """Requests per second: offered (by due instant), started, finished."""
    in_flight: Timeline
    """Requests under way at the end of each column."""
    errors: Timeline
    """Requests per column and outcome other than ok, by due instant."""
    tokens: Timeline
    """Output tokens per second and provider, by finish."""
    cost: Timeline
    """US dollars since the start, per provider."""
    spend: tuple[Spend, ...]
    hub_lag_ms: Timeline
    start_lag_ms: Timeline
    cpu_percent: Timeline
    heats: tuple[Heat, ...]
    histograms: tuple[Histogram, ...]
    gaps: tuple[TokenGaps, ...]
    limits: tuple[Limit, ...]
    lag: Histogram | None
    """From the client's finish to first sight in Last9; None when no lag is known."""
    flows: tuple[Flow, ...]
    worst: tuple[Waterfall, ...]


_NOTHING = Timeline((), 0)
NO_PICTURES = Pictures(
    step_s=1.0,
    columns=1,
    phases=(),
    providers=(),
    rates=_NOTHING,
    in_flight=_NOTHING,
    errors=_NOTHING,
    tokens=_NOTHING,
    cost=_NOTHING,
    spend=(),
    hub_lag_ms=_NOTHING,
    start_lag_ms=_NOTHING,
    cpu_percent=_NOTHING,
    heats=(),
    histograms=(),
    gaps=(),
    limits=(),
    lag=None,
    flows=(),
    worst=(),
)
"""Of a folder whose ledger is gone: the verdict can still be shown."""
