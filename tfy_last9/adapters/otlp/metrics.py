"""The run as metrics after OpenTelemetry's GenAI client conventions, reduced in SQL to bucket counts.

Bounds are those that the conventions advise, in seconds and tokens
(github.com/open-telemetry/semantic-conventions-genai, "Generative AI client metrics"). Time counts from
the instant a request was due, as SLOs count it. Points are cumulative, one per step of the run, so that a
chart in Last9 shows the run over time and `rate()` works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import AttributeValue

from tfy_last9.adapters.otlp.spans import GATEWAY, error_type, resource_of
from tfy_last9.model.run import Manifest

if TYPE_CHECKING:
    import duckdb

STEP_S = 15
MOST_STEPS = 240
"""A longer run has longer steps: so many points per series are enough for any chart."""
DURATION_BOUNDS_S = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
FIRST_TOKEN_BOUNDS_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
TOKEN_BOUNDS = tuple(4**power for power in range(14))
_NS_PER_S = 1_000_000_000

POINTS = """
WITH measured AS (
    SELECT provider, model, phase, status, outcome, {value} AS value,
           greatest(0, (epoch_ns + finished_ns - {start_ns}) // {step_ns}) AS slot
    FROM ledger
    WHERE started_ns IS NOT NULL AND finished_ns IS NOT NULL AND outcome <> 'missed'
)
SELECT provider, model, phase, status, outcome, slot, len(list_filter({bounds}, lambda b: value > b)) AS bucket,
       count(*), sum(value), min(value), max(value)
FROM measured WHERE value IS NOT NULL
GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One histogram: where its values stand in the ledger."""

    name: str
    unit: str
    description: str
    value: str
    """SQL over the ledger."""
    bounds: Sequence[float]
    more: tuple[tuple[str, str], ...] = ()
    """Attributes of every point."""


INSTRUMENTS = (
    Instrument(
        "gen_ai.client.operation.duration",
        "s",
        "GenAI operation duration, from the instant the request was due.",
        "(finished_ns - due_ns) / 1e9",
        DURATION_BOUNDS_S,
    ),
    Instrument(
        "gen_ai.client.operation.time_to_first_chunk",
        "s",
        "Time to the first token of a stream, from the instant the request was due.",
        "CASE WHEN stream THEN (first_token_ns - due_ns) / 1e9 END",
        FIRST_TOKEN_BOUNDS_S,
    ),
    *(
        Instrument(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            f"{kind}_tokens",
            TOKEN_BOUNDS,
            (("gen_ai.token.type", kind),),
        )
        for kind in ("input", "output")
    ),
)


@dataclass(slots=True)
class _Series:
    """Counts of one series so far."""

    buckets: list[int]
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, bucket: int, n: int, total: float, least: float, most: float) -> None:
        self.buckets[bucket] += n
        self.total += total
        self.least, self.most = min(self.least, least), max(self.most, most)


def metrics_of(database: duckdb.DuckDBPyConnection, manifest: Manifest) -> MetricsData | None:
    """Return the metrics of a run from its opened books; None for a run that sent nothing."""
    if manifest.start_ns is None or manifest.end_ns is None:
        return None
    found: dict[str, list[HistogramDataPoint]] = {}
    for instrument in INSTRUMENTS:
        points = list(_points(database, instrument, manifest.start_ns, manifest.end_ns))
        found.setdefault(instrument.name, []).extend(points)
    named = {instrument.name: instrument for instrument in INSTRUMENTS}
    metrics = [
        Metric(
            name,
            named[name].description,
            named[name].unit,
            Histogram(points, AggregationTemporality.CUMULATIVE),
        )
        for name, points in found.items()
        if points
    ]
    if not metrics:
        return None
    scope = ScopeMetrics(InstrumentationScope("tfy_last9", version("tfy-last9")), metrics, "")
    return MetricsData([ResourceMetrics(resource_of(manifest), [scope], "")])


def _points(
    database: duckdb.DuckDBPyConnection, instrument: Instrument, start_ns: int, end_ns: int
) -> Iterator[HistogramDataPoint]:
    step_ns = max(STEP_S, -(-(end_ns - start_ns) // _NS_PER_S // MOST_STEPS)) * _NS_PER_S
    bounds = list(instrument.bounds)
    query = POINTS.format(value=instrument.value, start_ns=start_ns, step_ns=step_ns, bounds=bounds)
    rows = database.execute(query).fetchall()
    for labels, of_series in groupby(rows, key=lambda row: row[:5]):
        series = _Series([0] * (len(bounds) + 1))
        for slot, counted in groupby(of_series, key=lambda row: row[5]):
            for *_, bucket, n, total, least, most in counted:
                series.add(bucket, n, total, least, most)
            yield HistogramDataPoint(
                attributes=_labels(*labels) | dict(instrument.more),
                start_time_unix_nano=start_ns,
                time_unix_nano=min(start_ns + (slot + 1) * step_ns, end_ns),
                count=sum(series.buckets),
                sum=series.total,
                bucket_counts=list(series.buckets),
                explicit_bounds=bounds,
                min=series.least,
                max=series.most,
            )


def _labels(
    provider: str | None, model: str, phase: str, status: int | None, outcome: str
) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider or GATEWAY,
        "gen_ai.request.model": model,
        "error.type": error_type(status, outcome),
        "tfy_last9.phase": phase,
    }
    return {key: value for key, value in found.items() if value is not None}
