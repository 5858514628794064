"""Decide the fate of each finished trace, then make its spans and send them, off the event loop.

A fate is decided once per trace, before a single span exists: dropped, delayed, or robbed of one
provider's spans.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from itertools import count

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.faults import FaultSet
from tfy_last9.standins.gateway.otlp import Exporter
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.spans import SPANS_PER_ATTEMPT, Teller
from tfy_last9.standins.gateway.story import Story
from tfy_last9.standins.journal import Journal

TICK_S = 0.25
BATCH_SPANS = 500
QUEUE_TRACES = 50_000
"""Traces that wait while the receiver is slow; what comes on top is lost, and journalled."""


class TraceExport:
    """Takes finished stories from the event loop; a thread of its own turns them into spans."""

    def __init__(
        self, settings: Settings, journal: Journal, faults: FaultSet, exporter: Exporter
    ) -> None:
        self.faults = faults
        self._journal = journal
        self._exporter = exporter
        self._teller = Teller(settings)
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
        if len(self._inbox) >= QUEUE_TRACES:
            self._journal.write("trace_dropped", trace_id=trace_id, fault="queue full")
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
            batch: list[Span] = []
            while waiting and (stopping or waiting[0][0] <= time.monotonic()):
                _, _, story, silent = heapq.heappop(waiting)
                batch += self._teller.tell(story, silent)
                if len(batch) >= BATCH_SPANS:
                    self._exporter.export(batch)
                    batch = []
            if batch:
                self._exporter.export(batch)

    def close(self) -> None:
        """Export everything that is left, delayed traces included, then stop."""
        self._stopping.set()
        self._exporter.stop()
        self._thread.join()
