"""Decide the fate of each finished trace, then hand its spans to the real SDK, off the event loop.

A fate is decided once per trace, before a single span exists: dropped, delayed, or robbed of one
provider's spans. What is left goes through BatchSpanProcessor and OTLPSpanExporter (HTTP, protobuf,
gzip), so what Last9 receives is what a real exporter sends.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import count

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tfy_last9.standins.faults import FaultSet
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.spans import SPANS_PER_ATTEMPT, StoryIds, Teller
from tfy_last9.standins.gateway.story import Story
from tfy_last9.standins.journal import Journal

TICK_S = 0.1
SCHEDULE_DELAY_MS = 250
BATCH_SPANS = 1000
QUEUE_SPANS = 100_000
SERVICE_NAME = "tfy-llm-gateway"


class JournalledExporter(SpanExporter):
    """An OTLP exporter whose requests are journalled with their size and HTTP status."""

    def __init__(
        self, journal: Journal, endpoint: str, authorization: str, authority: str | None = None
    ) -> None:
        self._journal = journal
        self._status: int | None = None
        session = requests.Session()
        session.trust_env = False
        session.hooks["response"].append(self._note_status)
        self._otlp = OTLPSpanExporter(
            endpoint=endpoint,
            headers={"Authorization": authorization},
            certificate_file=authority,
            compression=Compression.Gzip,
            session=session,
        )

    def _note_status(self, response: requests.Response, **_: object) -> None:
        self._status = response.status_code

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send one batch."""
        self._status = None
        result = self._otlp.export(spans)
        ok = result is SpanExportResult.SUCCESS
        self._journal.write("export", spans=len(spans), ok=ok, status=self._status)
        return result

    def shutdown(self) -> None:
        """Close the HTTP session."""
        self._otlp.shutdown()  # type: ignore[no-untyped-call] # the SDK left it bare


def tracer_provider(settings: Settings, ids: StoryIds) -> TracerProvider:
    """Build a provider with exactly the documented resource, whatever OTEL_* variables say."""
    resource = Resource({"service.name": SERVICE_NAME, **settings.resource})
    return TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)


class TraceExport:
    """Takes finished stories from the event loop; a thread of its own turns them into spans."""

    def __init__(
        self, settings: Settings, journal: Journal, faults: FaultSet, exporter: SpanExporter
    ) -> None:
        self.faults = faults
        self._journal = journal
        ids = StoryIds()
        self._provider = tracer_provider(settings, ids)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=QUEUE_SPANS,
                schedule_delay_millis=SCHEDULE_DELAY_MS,
                max_export_batch_size=BATCH_SPANS,
            )
        )
        self._teller = Teller(self._provider.get_tracer("tfy-llm-gateway"), ids, settings)
        self._inbox: deque[tuple[float, Story, frozenset[str]]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trace-export", daemon=True)
        self._thread.start()

    def submit(self, story: Story) -> None:
        """Decide what becomes of a finished trace; cheap, called on the event loop."""
        trace_id = f"{story.trace_id:032x}"
        lost = self.faults.strike("trace_loss")
        late = self.faults.strike("trace_delay")
        silent = self._silenced(story, trace_id, report=lost is None)
        if lost is not None:
            self._journal.write("trace_dropped", trace_id=trace_id, fault=str(lost))
            return
        delay_s = (late.delay_s or 0.0) if late is not None else 0.0
        if late is not None:
            self._journal.write("trace_delayed", trace_id=trace_id, delay_s=delay_s)
        self._inbox.append((time.monotonic() + delay_s, story, silent))

    def _silenced(self, story: Story, trace_id: str, *, report: bool) -> frozenset[str]:
        silenced = set()
        for provider in dict.fromkeys(attempt.card.provider for attempt in story.attempts):
            fault = self.faults.strike("provider_silent", provider)
            if fault is None:
                continue
            silenced.add(provider)
            attempts = sum(attempt.card.provider == provider for attempt in story.attempts)
            if report:
                self._journal.write(
                    "spans_removed",
                    trace_id=trace_id,
                    fault=str(fault),
                    provider=provider,
                    spans=attempts * SPANS_PER_ATTEMPT,
                )
        return frozenset(silenced)

    def _run(self) -> None:
        waiting: list[tuple[float, int, Story, frozenset[str]]] = []
        number = count()
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(TICK_S)
            while self._inbox:
                due_s, story, silent = self._inbox.popleft()
                heapq.heappush(waiting, (due_s, next(number), story, silent))
            while waiting and (stopping or waiting[0][0] <= time.monotonic()):
                _, _, story, silent = heapq.heappop(waiting)
                self._teller.tell(story, silent)

    def close(self) -> None:
        """Export everything that is left, delayed traces included, then stop."""
        self._stopping.set()
        self._thread.join()
        self._provider.shutdown()
