"""`export`, and the end of a gate that was asked to: the run's own spans and metrics, into Last9.

What was decided stays decided: an export that fails is said and changes no verdict and no exit code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.otlp.metrics import metrics_of
from tfy_last9.adapters.otlp.requests import chosen, mark_breaches
from tfy_last9.adapters.otlp.sender import OtlpSender
from tfy_last9.adapters.otlp.settings import OtlpSettings, otlp_settings
from tfy_last9.adapters.otlp.spans import Storyteller
from tfy_last9.adapters.runfolder.books import open_books
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.cli.console import Console
from tfy_last9.errors import BrokenRun, TfyError
from tfy_last9.reports import verdict_json


@dataclass(slots=True)
class Exported:
    """What went out."""

    spans: int = 0
    breaching: int = 0
    sampled: int = 0
    points: int = 0
    rejected: int = 0
    """Spans and points that the endpoint took and left out."""
    why: str = ""


def export_after(folder: RunFolder, settings: OtlpSettings | None, console: Console) -> None:
    """Export a judged run if that is wanted; say how it went, and raise nothing."""
    if settings is None:
        return
    try:
        _tell(export_run(folder, settings), settings, console)
    except KeyboardInterrupt:
        _warn("interrupted", folder, console)
    except TfyError as error:
        _warn(error.message, folder, console)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder, for example runs/20261123-...")],
) -> None:
    """Send a judged run to Last9 as OpenTelemetry: its spans, linked to the gateway's traces, and metrics.

    Needs LAST9_OTLP_ENDPOINT and LAST9_OTLP_AUTH. A gate does it by itself with `--export`.

    Example: tfy-last9 export runs/20261123-...
    """
    settings = otlp_settings(read_environment(), wanted=True)
    assert settings is not None  # asked for, so that what is missing was an error
    _tell(export_run(RunFolder(run), settings), settings, Console())


def export_run(folder: RunFolder, settings: OtlpSettings) -> Exported:
    """Send spans, then metrics; ids are derived from the run, so that a second time adds nothing new."""
    manifest = folder.read_manifest()
    if manifest.live:
        raise BrokenRun(
            "live traces were sent by production and not from here: there is nothing to export"
        )
    if not folder.verdict_path.is_file():
        raise BrokenRun(
            f"{folder.path} has no verdict.json: the run was never judged",
            hint=f"judge it: tfy-last9 check {quote(str(folder.path))}",
        )
    verdict = verdict_json.parse(folder.verdict_path.read_text(encoding="utf-8"))
    teller, done = Storyteller(manifest, verdict), Exported()
    late_after_s = manifest.scenario.settle.late_after_s
    with (
        OtlpSender(settings, SystemClock()) as sender,
        open_books(folder, manifest.scenario, late_after_s) as database,
    ):
        mark_breaches(database, load_objectives(folder.slo_path))
        _send_spans(sender, list(teller.run()), done)
        for batch in chosen(database):
            _send_spans(sender, [teller.request(sent) for sent in batch], done)
            done.breaching += sum(sent.is_wanted for sent in batch)
            done.sampled += sum(not sent.is_wanted for sent in batch)
        metrics = metrics_of(database, manifest)
        if metrics is not None:
            request = encode_metrics(metrics)
            answer = ExportMetricsServiceResponse.FromString(sender.send("metrics", request))
            done.points = sum(
                len(metric.histogram.data_points)
                for one in request.resource_metrics
                for scope in one.scope_metrics
                for metric in scope.metrics
            )
            done.rejected += answer.partial_success.rejected_data_points
            done.why = done.why or answer.partial_success.error_message
    return done


def _send_spans(sender: OtlpSender, spans: list[ReadableSpan], done: Exported) -> None:
    if not spans:
        return
    answer = ExportTraceServiceResponse.FromString(sender.send("traces", encode_spans(spans)))
    done.spans += len(spans)
    done.rejected += answer.partial_success.rejected_spans
    done.why = done.why or answer.partial_success.error_message


def _tell(done: Exported, settings: OtlpSettings, console: Console) -> None:
    console.say(
        f"exported to {settings.endpoint}: {done.spans:,} spans (the run, its phases, {done.breaching:,}"
        f" breaching requests, {done.sampled:,} others) and {done.points:,} points of metrics"
    )
    if done.rejected:
        console.say(f"warning: {done.rejected:,} of them were rejected there: {done.why}")


def _warn(why: str, folder: RunFolder, console: Console) -> None:
    console.say(f"warning: the run's own spans and metrics were not exported: {why}")
    console.say(f"         the verdict stands; again: tfy-last9 export {quote(str(folder.path))}")
