"""OTLP metric exports -> what arrived, by name. Pure.

Last9 stores metrics in another database than traces. This stand-in answers no PromQL about them: it reads
them, so that an export that is none is refused, and journals what they were.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # ships no annotations
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tfy_last9.standins.last9.otlp import Undecodable


def metric_points(body: bytes) -> dict[str, int]:
    """Return the number of data points per metric of a protobuf export; raises Undecodable."""
    try:
        export = ExportMetricsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Undecodable(f"not an ExportMetricsServiceRequest: {error}") from error
    found: dict[str, int] = {}
    for resource in export.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                points = len(getattr(metric, kind).data_points) if kind else 0
                found[metric.name] = found.get(metric.name, 0) + points
    return found
