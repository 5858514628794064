"""Decide the fate of each finished trace, then make its spans and hand them on, off the event loop.

A fate is decided once per trace, before a single span exists: dropped, delayed, or robbed of one
provider's spans.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from itertools import count

from tfy_last9.standins.faults import FaultSet
from tfy_last9.standins.gateway.exporter import Exporter
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.spans import Teller, spans_of
from tfy_last9.standins.gateway.story import Story
from tfy_last9.standins.journal import Journal

TICK_S = 0.1


class TraceExport:
    """Takes finished stories from the event loop; a thread of its own turns them into spans."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        faults: FaultSet,
        exporter: Exporter,
        *,
        exclude_request_data: bool = False,
    ) -> None:
        self.faults = faults
        self._settings = settings
        self._journal = journal
        self._exporter = exporter
        self._teller = Teller(settings, exclude_request_data=exclude_request_data)
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
            if report:
                self._journal.write(
                    "spans_removed",
                    trace_id=trace_id,
                    fault=str(fault),
                    provider=provider,
                    spans=spans_of(story, self._settings, provider),
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
                self._exporter.export(self._teller.tell(story, silent))

    def close(self) -> None:
        """Export everything that is left, delayed traces included, then stop."""
        self._stopping.set()
        self._thread.join()
        self._exporter.stop()
