"""The exporter: a bounded queue, batches, workers, bounded retries; what it loses it counts and names.

It never slows a request down: what does not fit into the queue is dropped, as documented for the real
gateway. Every lost span has a line in the journal, `span_lost` with its trace, its id and the reason.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from tfy_last9.standins.gateway.metrics import Metrics
from tfy_last9.standins.gateway.otlp import Sent
from tfy_last9.standins.gateway.policy.config import Export
from tfy_last9.standins.gateway.record import SpanRecord
from tfy_last9.standins.journal import Journal

QUEUE_FULL = "queue_full"
FILTERED = "when_filter"


class Sender(Protocol):
    """Sends a batch once."""

    def send(self, spans: list[SpanRecord]) -> Sent:
        """Say what became of it."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Exporter(Protocol):
    """Takes the spans of finished traces."""

    def export(self, spans: list[SpanRecord]) -> None:
        """Take them, without waiting."""
        ...

    def stop(self) -> None:
        """Send what is left and end."""
        ...


class SpanExporter:
    """Takes spans and sends them from threads of its own."""

    def __init__(
        self, rules: Export, make_sender: Callable[[], Sender], journal: Journal, metrics: Metrics
    ) -> None:
        self._rules = rules
        self._journal = journal
        self._metrics = metrics
        self._queue: deque[SpanRecord] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._workers = [
            threading.Thread(target=self._work, args=(make_sender(),), name="otlp", daemon=True)
            for _ in range(rules.workers)
        ]
        for worker in self._workers:
            worker.start()

    def export(self, spans: list[SpanRecord]) -> None:
        """Queue spans; those that the filter or the end of the queue keeps out are named."""
        wanted = [span for span in spans if passes(self._rules, span)]
        if len(wanted) < len(spans):
            self._drop([s for s in spans if not passes(self._rules, s)], "span_filtered", FILTERED)
        with self._changed:
            room = max(0, self._rules.queue_size - len(self._queue))
            self._queue.extend(wanted[:room])
            if len(self._queue) >= self._rules.batch_size:
                self._changed.notify()
        self._metrics.spans_accepted.inc(min(room, len(wanted)))
        self._drop(wanted[room:], "span_lost", QUEUE_FULL)

    def _work(self, sender: Sender) -> None:
        while (batch := self._take()) is not None:
            if batch:
                self._deliver(sender, batch)
        sender.close()

    def _take(self) -> list[SpanRecord] | None:
        """Wait for a full batch or the end of the window; None when there is nothing left to wait for."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing.is_set() or len(self._queue) >= self._rules.batch_size,
                self._rules.window_s,
            )
            size = min(len(self._queue), self._rules.batch_size)
            batch = [self._queue.popleft() for _ in range(size)]
            return None if self._closing.is_set() and not batch else batch

    def _deliver(self, sender: Sender, batch: list[SpanRecord]) -> None:
        """Send a batch as often as the retries allow; the gateway's end cuts the waits short."""
        sent = Sent(None, "unknown")
        for attempt in range(self._rules.retries + 1):
            if attempt:
                self._closing.wait(self._rules.retry_delay_s)
            sent = sender.send(batch)
            ok = sent.reason is None
            self._journal.write(
                "export", spans=len(batch), ok=ok, status=sent.status, attempt=attempt
            )
            if not sent.may_be_repeated:
                break
        if sent.reason is not None:
            self._metrics.exported(len(batch), sent.reason)
            self._name(batch, "span_lost", sent.reason)
            return
        self._metrics.exported(len(batch) - sent.rejected, None)
        if sent.rejected:
            self._metrics.exported(sent.rejected, "unknown")
            self._journal.write("spans_rejected", spans=sent.rejected, of=len(batch))

    def _drop(self, spans: list[SpanRecord], event: str, reason: str) -> None:
        if spans:
            self._metrics.span_drops.labels(reason).inc(len(spans))
            self._name(spans, event, reason)

    def _name(self, spans: Iterable[SpanRecord], event: str, reason: str) -> None:
        for span in spans:
            self._journal.write(
                event,
                trace_id=f"{span.trace_id:032x}",
                span_id=f"{span.span_id:016x}",
                name=span.name,
                reason=reason,
            )

    def stop(self) -> None:
        """Send what is queued, then stop."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()


def passes(rules: Export, span: SpanRecord) -> bool:
    """Apply the `when` conditions to one span by itself, whatever becomes of its trace.

    All have to hold, and only string attributes can: a condition on what the root alone says cuts the
    other spans off their trace.
    """
    if not rules.when:
        return True
    found = ((span.attributes.get(item.key), item.values) for item in rules.when)
    return all(isinstance(value, str) and value in wanted for value, wanted in found)
