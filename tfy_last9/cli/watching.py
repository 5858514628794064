"""Look for root spans in the background while load runs, so that it is known when each became visible."""

from __future__ import annotations

import threading

from tfy_last9.adapters.clock import StoppableClock
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.app.settle import WatchOutcome, watch
from tfy_last9.model.run import Manifest
from tfy_last9.model.scenario import Scenario
from tfy_last9.ports import EvidenceBook

PATIENCE_S = 5.0
"""How long the end of the load waits for an answer that is under way."""
MARGIN_S = 10.0
"""On top of the longest request and the lateness limit: export batching, clocks, one poll."""


def trailing_s(scenario: Scenario) -> float:
    """Return how far back each look reaches: only a look that covered a root can prove it late."""
    return scenario.limits.total_s + scenario.settle.late_after_s + MARGIN_S


SHARE = 0.25
"""Of the bytes that a collection may read, for the looks while load runs."""


def affordable_bytes_per_s(settings: Last9Settings, scenario: Scenario) -> float:
    """Return how much the looks may read on average: on a long run they become rarer, not dearer."""
    return SHARE * settings.max_mb * 1e6 / scenario.duration_s


class Watcher:
    """A thread that polls; `stop` ends it at once, even in the middle of a pause between attempts."""

    def __init__(
        self,
        client: Last9Client,
        settings: Last9Settings,
        book: EvidenceBook,
        manifest: Manifest,
        pad_ns: int,
    ) -> None:
        self._clock = StoppableClock()
        self._source = Last9Source(client.with_clock(self._clock), settings, self._clock)
        self._bytes_per_s = affordable_bytes_per_s(settings, manifest.scenario)
        self._bytes_before = 0
        self._book = book
        self._manifest = manifest
        self._start_ns = self._clock.now_ns() - pad_ns
        self._outcome: WatchOutcome | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[str, ...]:
        """End the looks; return what went wrong with them, in words."""
        self._clock.stop()
        self._thread.join(timeout=PATIENCE_S)
        if self._outcome is None:
            return ("the background watch was still waiting for Last9 when the load ended",)
        return warnings(self._outcome)

    def _watch(self) -> None:
        scenario = self._manifest.scenario
        self._outcome = watch(
            self._source,
            self._book,
            self._clock,
            self._manifest.run_id,
            self._start_ns,
            trailing_s(scenario),
            scenario.settle.poll_s,
            lambda: self._clock.is_stopped,
            self._least_pause_s,
        )

    def _least_pause_s(self) -> float:
        """Return for how long the last look must be paid off."""
        total = self._source.counters.bytes
        spent, self._bytes_before = total - self._bytes_before, total
        return spent / self._bytes_per_s


def warnings(outcome: WatchOutcome) -> tuple[str, ...]:
    """Return what the looks while load ran could not tell: lags and lateness are known less well."""
    told = []
    if outcome.failed:
        reasons = "; ".join(outcome.failures)
        told.append(
            f"{outcome.failed} of {outcome.polls} looks at Last9 while load ran failed, so that lags"
            f" are known less well: {reasons}"
        )
    if outcome.truncated:
        told.append(
            f"{outcome.truncated} of {outcome.polls} looks at Last9 while load ran were cut,"
            " so that lateness may go unnoticed there"
        )
    return tuple(told)
